/*
 * "alice@desk1/second+2": who connects to what. The relay reads user names
 * by the same rules; ":" and "#" may stand for "@".
 */
#ifndef CTL_TARGET_H
#define CTL_TARGET_H

#include "ctl/ctl.h"
#include "ctl/names.h"

#define TARGET_TEXT_MAX 72 /* "/" 63 "+" 2 digits, NUL */
#define MONITOR_MAX     64

struct target {
	struct person_ref person;
	char endpoint_id[ID_TEXT_MAX];
	char endpoint[NAME_TEXT_MAX];
	char rest[TARGET_TEXT_MAX]; /* "", "/second", "+2", "/second+2" */
	char user[2 * NAME_TEXT_MAX + TARGET_TEXT_MAX]; /* all of it */
};

/*
 * Takes it apart and finds both rows; the endpoint is of the person's team.
 * Returns 0 or a status after a message.
 */
int target_find(struct ctl *c, const char *text, struct target *t);

#endif
