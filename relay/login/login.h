/* What a technician types as user name. Pure functions. */
#ifndef RELAY_LOGIN_LOGIN_H
#define RELAY_LOGIN_LOGIN_H

#include <stdbool.h>
#include <stdint.h>

#define LOGIN_PART_MAX 63

struct login_name {
	char person[LOGIN_PART_MAX + 1];
	char endpoint[LOGIN_PART_MAX + 1];
	char display[LOGIN_PART_MAX + 1]; /* of an agent's; "": its first */
	unsigned monitor;                 /* 0: all */
};

#define LOGIN_MONITOR_MAX 64

/*
 * "alice@desk1", "alice:desk1" or "alice#desk1" -> its parts, in lower case;
 * behind the endpoint may follow "/display" and "+monitor".
 * Returns 0, ERR_NOTFOUND when no endpoint is named, or ERR_LIMIT when a
 * part is empty, too long or has a character no name has.
 */
int login_name_parse(struct login_name *n, const char *text);

/* The part behind the sign, or a ticket's: "desk1/second+2". Same returns;
 * person stays as it is. */
int login_target_parse(struct login_name *n, const char *text);

/* Nine digits: a code of attended access. */
bool login_is_code(const char *endpoint);

#endif
