/*
 * What to do about errors whose text comes from outside: the system's errno,
 * PostgreSQL and libpq. Such a text says what happened, not what helps. No
 * I/O.
 */
#ifndef CTL_DOCTOR_REMEDY_H
#define CTL_DOCTOR_REMEDY_H

/* For a file that was to be read or written; a sentence without its end. */
const char *remedy_of_errno(int error);

/* For a connection that did not come about. why: libpq's sentence, in
 * English or in another language, which is then taken as unknown. */
const char *remedy_of_connection(const char *why);

/* For a statement that failed. NULL: the text has to do. */
const char *remedy_of_sqlstate(const char *sqlstate);

#endif
