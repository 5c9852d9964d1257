/*
 * What all doors write of wrong logins, so that guesses at one count at the
 * others: rows of login_failures, which guesses_learn reads again.
 */
#ifndef COMMON_LOGIN_LOGIN_ROWS_H
#define COMMON_LOGIN_LOGIN_ROWS_H

/*
 * A wrong password. Parameters: person's name as tried, prefix of the address
 * (guess_prefix), the whole address, object of the audit entry, and "t" or
 * "f" twice: does it count for the name, and for who tries session codes.
 * Names that nobody has are counted like those of people.
 */
extern const char login_wrong_statement[];

#endif
