/*
 * What all doors write of wrong logins, so that guesses at one count at the
 * others: rows of login_failures, which login_throttle_learn reads again.
 */
#ifndef COMMON_LOGIN_LOGIN_ROWS_H
#define COMMON_LOGIN_LOGIN_ROWS_H

/*
 * A wrong password. Parameters: person's name as tried, prefix of the address
 * (login_prefix), the whole address, object of the audit entry, and "t" or
 * "f" twice: does it count for the name, and for who tries session codes.
 * Names that nobody has are counted like those of people.
 */
extern const char login_wrong_statement[];

/*
 * For what is tried without a person's name (tickets, keys and IDs of
 * machines), by prefix of the address ($1): one wrong try more; and how many
 * there were with the age of the last in seconds, one row, for
 * login_throttle_learn.
 */
extern const char login_address_wrong_statement[];
extern const char login_address_query[];

#endif
