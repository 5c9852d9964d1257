/* relaycam audit: who did what (X7). Rows are added by all programs. */
#include "common/bytes.h"
#include "ctl/command.h"
#include "ctl/ctl_list.h"

static const struct column cols[] = {
	{ "id", NULL, COLUMN_INT, "a.id" },
	{ "at", "TIME", COLUMN_TIME, "a.at" },
	{ "team", "TEAM", COLUMN_TEXT, "t.name" },
	{ "actor", "WHO", COLUMN_TEXT, "a.actor" },
	{ "action", "ACTION", COLUMN_TEXT, "a.action" },
	{ "object", "OBJECT", COLUMN_TEXT, "a.object" },
	{ "detail", "DETAIL", COLUMN_JSON, "a.detail" },
	/* who logged in to the database to write it */
	{ "db_role", NULL, COLUMN_TEXT, "a.db_role" },
};
#define N_COLS 8

static const struct sql_option filters[] = {
	{ "team", "t.name = ?" },
	{ "actor", "a.actor = ?" },
	{ "action", "a.action = ?" },
	{ "object", "a.object = ?" },
};

static const struct ctl_list list = {
	.cols = cols,
	.n_cols = N_COLS,
	.from = "FROM audit a LEFT JOIN teams t ON t.id = a.team_id",
	.filters = filters,
	.n_filters = N_ELEMENTS(filters),
	.time = "a.at",
	/* rows without a team are shown in UTC */
	.zone = "coalesce(t.time_zone, 'UTC')",
	.order = "a.id DESC",
	.preset_limit = 50,
	.none = "nothing in the audit log",
};

static int
run_list(struct ctl *c, const struct args *a)
{
	return ctl_list_run(c, a, &list);
}

static const struct arg_opt opts[] = {
	{ "team", "NAME", "only this team" },
	{ "actor", "NAME", "only what this person or program did" },
	{ "action", "NAME", "only this, such as link or session_start" },
	{ "object", "NAME", "only what was done to this" },
	{ "from", "TIME", "at this time or later" },
	{ "to", "TIME", "before this time" },
	{ "limit", "N", "at most so many, the newest (default: 50)" },
	OPT_JSON,
	OPT_UTC,
};

static const struct command commands[] = {
	{ "list", "", 0, 0, OPTS(opts),
	    "Lists the audit log, the newest first. It cannot be changed.",
	    run_list },
};

const struct command_group group_audit = { "audit",
	"the audit log: who did what", commands, 1 };
