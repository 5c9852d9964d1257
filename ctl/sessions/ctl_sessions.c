/* relaycam sessions: who was connected to what, and what was recorded. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "ctl/command.h"
#include "ctl/ctl_list.h"
#include "ctl/names.h"
#include "ctl/pg.h"
#include "ctl/recordings/ctl_recordings.h"
#include "ctl/sessions/session_command.h"

/* T5: uploaded, under way or failed; for people and programs alike. */
#define RECORDING                                                              \
	"CASE WHEN g.n IS NULL OR g.n = 0 THEN CASE WHEN NOT s.recorded "      \
	"THEN 'off' WHEN s.ended_at IS NULL THEN 'under_way' "                 \
	"ELSE 'none' END "                                                     \
	"WHEN g.failed > 0 THEN 'failed' WHEN g.busy > 0 THEN 'under_way' "    \
	"ELSE 'uploaded' END"

static const struct column cols[] = {
	{ "id", "SESSION", COLUMN_TEXT, "s.id" },
	{ "team", NULL, COLUMN_TEXT, "t.name" },
	{ "endpoint", "ENDPOINT", COLUMN_TEXT, "e.name" },
	{ "user", "USER", COLUMN_TEXT, "p.name" },
	{ "state", "STATE", COLUMN_TEXT,
	    "CASE WHEN s.ended_at IS NULL THEN 'active' ELSE 'ended' END" },
	{ "started_at", "STARTED", COLUMN_TIME, "s.started_at" },
	{ "ended_at", NULL, COLUMN_TIME, "s.ended_at" },
	{ "duration_ms", "LASTED", COLUMN_MS,
	    "floor(extract(epoch from coalesce(s.ended_at, now()) "
	    "- s.started_at) * 1000)::bigint" },
	{ "recorded", NULL, COLUMN_BOOL, "s.recorded" },
	{ "recording", "RECORDING", COLUMN_TEXT, RECORDING },
	{ "segments", "FILES", COLUMN_INT, "coalesce(g.n, 0)" },
	{ "bytes", "SIZE", COLUMN_BYTES, "coalesce(g.bytes, 0)" },
	{ "access", NULL, COLUMN_TEXT, "s.access" },
	{ "door", "DOOR", COLUMN_TEXT, "s.door" },
	{ "path", "PATH", COLUMN_TEXT, "s.path" },
	{ "consent", NULL, COLUMN_TEXT, "s.consent" },
	{ "view_only", "VIEW ONLY", COLUMN_BOOL, "s.view_only" },
	{ "monitor", "MONITOR", COLUMN_INT, "s.monitor" },
	{ "frame_rate", NULL, COLUMN_INT, "s.frame_rate" },
	{ "recording_now", "NOW", COLUMN_BOOL, "s.recording" },
	{ "client_addr", NULL, COLUMN_TEXT, "s.client_addr" },
	{ "viewer", NULL, COLUMN_TEXT, "s.viewer" },
	{ "desktop_name", NULL, COLUMN_TEXT, "s.desktop_name" },
	{ "node", NULL, COLUMN_TEXT, "n.host" },
	{ "end_code", "ENDED BY", COLUMN_TEXT, "s.end_code" },
	{ "end_reason", NULL, COLUMN_TEXT, "s.end_reason" },
};
#define N_COLS (int)(sizeof(cols) / sizeof(cols[0]))

/* LATERAL: the sums are made for the rows that are shown, not for all. */
static const char from[] =
    "FROM sessions s JOIN teams t ON t.id = s.team_id "
    "JOIN endpoints e ON e.id = s.endpoint_id "
    "JOIN people p ON p.id = s.person_id "
    "LEFT JOIN nodes n ON n.id = s.node_id "
    "LEFT JOIN LATERAL (SELECT count(*) AS n, sum(x.bytes) AS bytes, "
    "count(*) FILTER (WHERE x.status IN "
    "('missing', 'encoding_failed', 'corrupted')) AS failed, "
    "count(*) FILTER (WHERE x.status IN "
    "('recording', 'transfer', 'downloaded', 'encoding')) AS busy "
    "FROM segments x WHERE x.session_id = s.id) g ON true";

static const struct sql_option filters[] = {
	{ "team", "t.name = ?" },
	{ "endpoint", "e.name = ?" },
	{ "device",
	    "position(lower(?) IN lower(concat_ws(' ', e.name, e.title))) > "
	    "0" },
	{ "user", "p.name = ?" },
};

static int
filter_state(struct ctl *c, struct sql *q, const struct args *a, char *text)
{
	const char *state = args_get(a, "state");

	(void)c;
	(void)text;
	if (state == NULL || strcmp(state, "all") == 0)
		return 0;
	if (strcmp(state, "active") == 0)
		sql_filter(q, "s.ended_at IS NULL", "");
	else if (strcmp(state, "ended") == 0)
		sql_filter(q, "s.ended_at IS NOT NULL", "");
	else
		return ctl_usage(
		    "--state %s: expected active, ended or all", state);
	return 0;
}

static const struct ctl_list list = {
	.cols = cols,
	.n_cols = N_COLS,
	.from = from,
	.filters = filters,
	.n_filters = N_ELEMENTS(filters),
	.time = "s.started_at",
	.zone = "t.time_zone",
	.order = "s.started_at DESC, s.id",
	.preset_limit = 50,
	.none = "no sessions",
	.more = filter_state,
};

static int
run_list(struct ctl *c, const struct args *a)
{
	return ctl_list_run(c, a, &list);
}

/* One object, with its files in "recordings". */
static int
show_json(struct ctl *c, const PGresult *res, const char *id)
{
	json_t *o = table_row_json(res, 0, cols, N_COLS);
	json_t *files = recordings_json(c, id);

	if (files == NULL) {
		json_decref(o);
		return STATUS_FAILED;
	}
	json_object_set_new(o, "recordings", files);
	return print_json(o);
}

static int
run_show(struct ctl *c, const struct args *a)
{
	char id[UUID_TEXT_MAX];
	struct sql q;
	PGresult *res;
	int rc = uuid_find(c, "sessions", "session", a->words[0], id);

	if (rc != 0)
		return rc;
	if (sql_init(&q) != 0)
		return STATUS_FAILED;
	table_select(&q, cols, N_COLS, "t.time_zone");
	sql_add(&q, from);
	sql_filter(&q, "s.id = ?", id);
	res = table_query(c, &q);
	sql_release(&q);
	if (res == NULL)
		return STATUS_FAILED;
	if (args_has(a, "json")) {
		rc = show_json(c, res, id);
	} else {
		table_print_row(res, 0, cols, N_COLS, args_has(a, "utc"));
		putchar('\n');
		rc = recordings_print(c, id, args_has(a, "utc"));
	}
	PQclear(res);
	return rc;
}

static const struct arg_opt list_opts[] = {
	{ "state", "STATE", "active, ended or all (default: all)" },
	{ "team", "NAME", "only this team" },
	{ "endpoint", "NAME", "only this endpoint" },
	{ "device", "TEXT", "only endpoints with this in their name or title" },
	{ "user", "NAME", "only this person" },
	{ "from", "TIME", "started at this time or later" },
	{ "to", "TIME", "started before this time" },
	{ "limit", "N", "at most so many, the newest (default: 50)" },
	OPT_JSON,
	OPT_UTC,
};
static const struct arg_opt show_opts[] = { OPT_JSON, OPT_UTC };

#define WAITS "Waits up to 5 seconds until the\nrelay has done it."

static const struct command commands[] = {
	{ "list", "", 0, 0, OPTS(list_opts),
	    "Lists sessions, the newest first.\n\nTIME is 2026-11-21 or "
	    "\"2026-11-21 09:15\" in the team's zone, or "
	    "2026-11-21T08:15:00Z.\nRECORDING: uploaded, under_way, failed, "
	    "off (not asked for), none (nothing arrived).",
	    run_list },
	{ "show", "SESSION", 1, 1, OPTS(show_opts),
	    "Shows one session and its files.\n\nSESSION is its id or the "
	    "beginning of it.",
	    run_show },
	{ "end", "SESSION [REASON]", 1, 2, NULL, 0,
	    "Ends a session that runs.\n\nThe technician reads the "
	    "REASON. " WAITS,
	    session_run_end },
	{ "monitor", "SESSION N", 2, 2, NULL, 0,
	    "Shows the technician one monitor: 1 the first, 0 all.\n\n" WAITS,
	    session_run_monitor },
	{ "frame-rate", "SESSION N", 2, 2, NULL, 0,
	    "Sets the pictures a second, 1 to 60; 0: as they come.\n\n" WAITS,
	    session_run_frame_rate },
	{ "recording", "SESSION start|stop", 2, 2, NULL, 0,
	    "Starts or stops a recording by hand.\n\nThe team's setting "
	    "manual_recording has to allow it. " WAITS,
	    session_run_recording },
	{ "view-only", "SESSION on|off", 2, 2, NULL, 0,
	    "Takes control from the technician, or gives it back.\n\nNot "
	    "where the end user allowed viewing only. " WAITS,
	    session_run_view_only },
	{ "warn", "SESSION TEXT", 2, 2, NULL, 0,
	    "Shows the technician a warning, in whatever viewer.",
	    session_run_warn },
};

const struct command_group group_sessions = { "sessions",
	"sessions: who was connected to what, and orders to them", commands,
	8 };
