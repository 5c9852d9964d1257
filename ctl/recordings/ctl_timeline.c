/* relaycam recordings timeline: a session's segments and gaps (X2, T11). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/pg.h"
#include "ctl/recordings/ctl_recordings.h"
#include "ctl/table.h"

static const struct column cols[] = {
	{ "monitor", "MONITOR", COLUMN_INT, "t.monitor" },
	{ "kind", "WHAT", COLUMN_TEXT, "t.kind" },
	{ "seq", "NO.", COLUMN_INT, "t.seq" },
	{ "recording", NULL, COLUMN_TEXT, "t.segment_id" },
	{ "started_at", "FROM", COLUMN_TIME, "t.started_at" },
	{ "ended_at", NULL, COLUMN_TIME, "t.ended_at" },
	{ "start_mono_ns", NULL, COLUMN_INT, "t.start_mono_ns" },
	{ "end_mono_ns", NULL, COLUMN_INT, "t.end_mono_ns" },
	{ "ms", "MS", COLUMN_INT, "t.ms" },
	{ "first_frame", "FIRST FRAME", COLUMN_INT, "t.first_frame" },
	{ "last_frame", "LAST FRAME", COLUMN_INT, "t.last_frame" },
	{ "frames", NULL, COLUMN_INT, "t.frames" },
	{ "merged", "MERGED", COLUMN_INT, "g.n_merged" },
	{ "merged_at", NULL, COLUMN_JSON,
	    "(SELECT coalesce(json_agg(json_build_array(second, n)), '[]') "
	    "FROM merged_seconds(g.merged))" },
	{ "why", "WHY", COLUMN_TEXT, "t.why" },
	{ "status", NULL, COLUMN_TEXT, "t.status" },
	{ "status_text", "STATUS", COLUMN_TEXT, RECORDING_STATUS },
	{ "progress", NULL, COLUMN_INT, "g.progress" },
};
#define N_COLS (int)(sizeof(cols) / sizeof(cols[0]))

/* Changes that were replaced too soon for a frame, in all, for people. */
static int
print_merged(struct ctl *c, const char *session)
{
	PGresult *res = PG_QUERY(c,
	    "SELECT sum(n), count(*) FROM segments g, "
	    "merged_seconds(g.merged) WHERE g.session_id = $1",
	    session);

	if (res == NULL)
		return STATUS_FAILED;
	if (strcmp(PQgetvalue(res, 0, 1), "0") != 0)
		printf("merged: %s changes in %s seconds were replaced before "
		       "a frame showed them; --json says when\n",
		    PQgetvalue(res, 0, 0), PQgetvalue(res, 0, 1));
	PQclear(res);
	return STATUS_OK;
}

/* What was lost in all, each gap once, for people. */
static int
print_sum(struct ctl *c, const char *session)
{
	PGresult *res = PG_QUERY(c,
	    "SELECT count(*), coalesce(sum(ms), 0) FROM gaps "
	    "WHERE session_id = $1",
	    session);

	if (res == NULL)
		return STATUS_FAILED;
	if (strcmp(PQgetvalue(res, 0, 0), "0") == 0)
		printf("no gaps\n");
	else
		printf("gaps: %s, %s ms in all\n", PQgetvalue(res, 0, 0),
		    PQgetvalue(res, 0, 1));
	PQclear(res);
	return STATUS_OK;
}

int
recordings_run_timeline(struct ctl *c, const struct args *a)
{
	char session[UUID_TEXT_MAX];
	struct sql q;
	int rc = uuid_find(c, "sessions", "session", a->words[0], session);

	if (rc != 0)
		return rc;
	if (sql_init(&q) != 0)
		return STATUS_FAILED;
	table_select(&q, cols, N_COLS, "tm.time_zone");
	sql_add(&q,
	    "FROM timeline t JOIN sessions s ON s.id = t.session_id "
	    "JOIN teams tm ON tm.id = s.team_id "
	    "LEFT JOIN segments g ON g.id = t.segment_id");
	sql_filter(&q, "t.session_id = ?", session);
	sql_add(&q, " ORDER BY t.monitor, t.start_mono_ns, t.seq");
	rc = table_list(
	    c, a, &q, cols, N_COLS, args_has(a, "utc"), "no recordings");
	if (rc == 0 && !args_has(a, "json"))
		rc = print_sum(c, session);
	if (rc == 0 && !args_has(a, "json"))
		rc = print_merged(c, session);
	return rc;
}
