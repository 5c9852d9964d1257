/*
 * Names given on the command line: their form, and the rows they mean.
 * Messages name what was not found and the command that lists it.
 */
#ifndef CTL_NAMES_H
#define CTL_NAMES_H

#include "common/uuid.h"
#include "ctl/args.h"
#include "ctl/ctl.h"

#define NAME_TEXT_MAX 64
#define ID_TEXT_MAX   24

/* Lower-case letters, digits, . _ - ; 1 to 63. 0, or STATUS_USAGE. */
int name_check(const char *what, const char *name);

/* Nine digits: what a session code of attended access looks like. */
bool name_is_code(const char *name);

struct team_ref {
	char id[ID_TEXT_MAX]; /* as text, for parameters */
	char name[NAME_TEXT_MAX];
	char zone[64];
};

/* --team, or the only team there is. 0 or a status after a message. */
int team_find(struct ctl *c, const struct args *a, struct team_ref *team);

struct person_ref {
	char id[ID_TEXT_MAX], team_id[ID_TEXT_MAX];
	char name[NAME_TEXT_MAX], role[16];
	bool disabled;
};
int person_find(struct ctl *c, const char *name, struct person_ref *p);

/* An endpoint that was not removed; in --team, or the only one so named. */
int endpoint_find(struct ctl *c, const struct args *a, const char *name,
    char id[ID_TEXT_MAX], char team_id[ID_TEXT_MAX]);

/*
 * A UUID, or the start of one (4 characters or more) that only one row of
 * table ("sessions", "segments") has. what: "session", for messages.
 */
int uuid_find(struct ctl *c, const char *table, const char *what,
    const char *text, char out[UUID_TEXT_MAX]);

#endif
