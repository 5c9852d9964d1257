/* relaycam audit: who did what (X7). Rows are added by all programs. */
#include <stdio.h>

#include "ctl/command.h"
#include "ctl/table.h"

static const struct column cols[] = {
	{ "id", NULL, COLUMN_INT, "a.id" },
	{ "at", "TIME", COLUMN_TIME, "a.at" },
	{ "team", "TEAM", COLUMN_TEXT, "t.name" },
	{ "actor", "WHO", COLUMN_TEXT, "a.actor" },
	{ "action", "ACTION", COLUMN_TEXT, "a.action" },
	{ "object", "OBJECT", COLUMN_TEXT, "a.object" },
	{ "detail", "DETAIL", COLUMN_JSON, "a.detail" },
};
#define N_COLS 7

static const struct sql_option filters[] = {
	{ "team", "t.name = ?" },
	{ "actor", "a.actor = ?" },
	{ "action", "a.action = ?" },
	{ "object", "a.object = ?" },
};

static int
build(struct sql *q, const struct args *a, const char *limit)
{
	/* rows without a team are shown in UTC */
	static const char zone[] = "coalesce(t.time_zone, 'UTC')";
	int rc;

	table_select(q, cols, N_COLS, zone);
	sql_add(q, "FROM audit a LEFT JOIN teams t ON t.id = a.team_id");
	sql_options(q, a, filters, 4);
	rc = sql_time(q, a, "from", "a.at", ">=", zone);
	if (rc == 0)
		rc = sql_time(q, a, "to", "a.at", "<", zone);
	sql_value(q, " ORDER BY a.id DESC LIMIT ?::bigint", limit);
	return rc;
}

static int
run_list(struct ctl *c, const struct args *a)
{
	char limit[24];
	struct sql q;
	int64_t n;
	int rc = args_number(a, "limit", 1, 100000, 50, &n);

	if (rc != 0)
		return rc;
	if (sql_init(&q) != 0)
		return STATUS_FAILED;
	snprintf(limit, sizeof(limit), "%lld", (long long)n);
	rc = build(&q, a, limit);
	if (rc != 0) {
		sql_release(&q);
		return rc;
	}
	return table_list(c, a, &q, cols, N_COLS, args_has(a, "utc"),
	    "nothing in the audit log");
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
