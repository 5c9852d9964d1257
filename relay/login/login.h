/* What a technician types as user name, and how wrong passwords slow down.
 * Pure functions. */
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

/*
 * How long an attempt waits: 0 after no failure, 0.5 s after the first,
 * doubling to LOGIN_DELAY_MAX_MS. Failures older than LOGIN_FORGET_S do not
 * count. failures: in a row; age_s: seconds since the last one.
 */
#define LOGIN_DELAY_MAX_MS 16000
#define LOGIN_FORGET_S     900
uint32_t login_delay_ms(uint64_t failures, double age_s);

#endif
