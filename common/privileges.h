/* Becoming an unprivileged account for good. */
#ifndef COMMON_PRIVILEGES_H
#define COMMON_PRIVILEGES_H

/* user: account name; NULL or the one we are: nothing to do. Logs and
 * returns ERR_CONFIG or ERR_DENIED on failure. */
int privileges_drop(const char *user);

#endif
