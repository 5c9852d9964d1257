/*
 * Commands as const tables: a group is a word ("team") with verbs ("add"),
 * or a single command without a verb ("doctor").
 */
#ifndef CTL_COMMAND_H
#define CTL_COMMAND_H

#include <stddef.h>

#include "ctl/args.h"
#include "ctl/ctl.h"

struct command {
	const char *verb;  /* NULL: the group is the command */
	const char *words; /* of the usage line: "NAME", "" */
	size_t min_words, max_words;
	const struct arg_opt *opts;
	size_t n_opts;
	const char *help; /* one line, then what else there is to say */
	int (*run)(struct ctl *c, const struct args *a);
};

struct command_group {
	const char *name;
	const char *help; /* one line */
	const struct command *commands;
	size_t n_commands;
};

extern const struct command_group group_migrate, group_check, group_team,
    group_user, group_endpoint, group_sessions, group_recordings,
    group_settings, group_audit, group_storage, group_doctor, group_ticket,
    group_connect, group_verify, group_evidence_key, group_console,
    group_single_sign_on, group_webhook, group_top;

/* Options that many commands have. */
#define OPT_JSON                                                               \
	{                                                                      \
		"json", NULL, "print JSON"                                     \
	}
#define OPT_UTC                                                                \
	{                                                                      \
		"utc", NULL, "show times in UTC, not the team's zone"          \
	}
#define OPT_TEAM                                                               \
	{                                                                      \
		"team", "NAME", "the team; may be left out when there is one"  \
	}
#define OPTS(table) (table), sizeof(table) / sizeof((table)[0])

/* Usage text of the whole program, heap; NULL: no memory. */
char *command_usage(void);

/* Finds and runs the command of argv. Returns the exit status. */
int command_run(struct ctl *c, int argc, char **argv);

#endif
