/* sessions/{id}/timeline: the recordings of a session by monitor and time,
 * the gaps between them, and what happened in each second (X2, X5, T11).
 * Positions count in milliseconds from the first recording's start, by the
 * session's own clock. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "console/api/handlers.h"
#include "console/api/list.h"
#include "console/api/request.h"

/* $1: the session; $2: recordings behind this number; $3: one more than fit;
 * $4: whether the person may play them back. */
static const char timeline_sql[] =
    "WITH o AS (SELECT min(least(start_mono_ns, gap_start_mono_ns)) AS ns "
    "FROM segments WHERE session_id = $1::uuid), page AS (SELECT * FROM "
    "segments WHERE session_id = $1::uuid AND seq > $2::integer ORDER BY "
    "seq LIMIT $3::integer), last AS (SELECT count(*) = $3::integer AS "
    "has_more, CASE WHEN count(*) = $3::integer THEN (SELECT seq FROM "
    "page ORDER BY seq DESC OFFSET 1 LIMIT 1) END AS seq FROM page) "
    /* the session */
    "SELECT 0, 0 AS monitor, 0 AS seq, json_build_object('session', s.id, "
    "'state', CASE WHEN s.ended_at IS NULL THEN 'active' ELSE 'ended' "
    "END, 'starts_at', (SELECT utc_text(mono_to_wall(f.started_at, "
    "f.start_mono_ns, o.ns)) FROM segments f, o WHERE f.session_id = s.id "
    "ORDER BY f.seq LIMIT 1), 'ended_at', utc_text(s.ended_at), 'now', "
    "utc_text(now()))::text, NULL, NULL, NULL, false FROM sessions s "
    "WHERE s.id = $1::uuid UNION ALL "
    /* recordings */
    "SELECT 1, g.monitor, g.seq, json_build_object('recording', g.id, "
    "'seq', g.seq, 'status', g.status, 'progress', g.progress, "
    "'status_detail', g.status_detail, 'from_ms', round((g.start_mono_ns "
    "- o.ns) / 1000000.0)::bigint, 'to_ms', round((g.end_mono_ns - o.ns) "
    "/ 1000000.0)::bigint, 'started_at', utc_text(g.started_at), "
    "'ended_at', utc_text(g.ended_at), 'duration_ms', g.duration_ms, "
    "'split_reason', g.split_reason, 'frame_rate', g.frame_rate, 'width', "
    "g.width, 'height', g.height, 'codec', g.codec, 'bytes', g.bytes, "
    "'first_frame', g.first_frame, 'last_frame', g.last_frame, 'frames', "
    "g.frames, 'merged', g.n_merged, 'recovered', g.recovered, 'store', "
    "g.store, 'locked', g.locked, 'has_poster', $4::boolean AND g.poster_key IS NOT "
    "NULL, 'note_count', CASE WHEN $4::boolean THEN (SELECT count(*) FROM "
    "recording_notes n WHERE n.segment_id = g.id) ELSE 0 END)::text, "
    "to_json(g.monitor_name)::text, CASE WHEN $4::boolean "
    "AND $5::boolean THEN encode(g.activity, 'hex') END, encode(g.merged, "
    "'hex'), g.n_merged IS NOT NULL FROM page g, o, last l WHERE l.seq IS "
    "NULL OR g.seq <= l.seq UNION ALL "
    /* gaps: before, between and behind them */
    "SELECT 2, 0, a.after_seq, json_build_object('after_seq', "
    "a.after_seq, 'before_seq', a.before_seq, 'from_ms', "
    "round((a.from_mono_ns - o.ns) / 1000000.0)::bigint, 'to_ms', "
    "round((a.to_mono_ns - o.ns) / 1000000.0)::bigint, 'ms', a.ms, 'why', "
    "a.why, 'from_at', utc_text(a.from_at), 'to_at', utc_text(a.to_at), "
    "'monitors', (SELECT coalesce(json_agg(DISTINCT x.monitor), '[]') "
    "FROM segments x WHERE x.session_id = a.session_id AND x.seq IN "
    "(a.after_seq, a.before_seq)))::text, NULL, NULL, NULL, false FROM "
    "gaps a, o, last l WHERE a.session_id = $1::uuid AND a.after_seq >= "
    "$2::integer AND (l.seq IS NULL OR a.after_seq < l.seq) UNION ALL "
    "SELECT 3, 0, l.seq, NULL, NULL, NULL, NULL, false FROM last l WHERE "
    "l.has_more ORDER BY 1, monitor, seq";

enum { KIND, MONITOR, SEQ, JSON, NAME, ACTIVITY, MERGED, HAS_MERGED };
enum { ROW_SESSION, ROW_RECORDING, ROW_GAP, ROW_MORE };

static int
kind(const PGresult *res, int row)
{
	return row < PQntuples(res) ? PQgetvalue(res, row, KIND)[0] - '0' : -1;
}

/* ---- activity ---- */

/* n hex digits. */
static unsigned
hex_value(const char *hex, int n)
{
	char text[9] = "";

	memcpy(text, hex, (size_t)n);
	return (unsigned)strtoul(text, NULL, 16);
}

/* [changed, events, merged] for each second, as in manifests (docs/spool.md);
 * merged is null where it is not known. */
static void
print_activity(FILE *f, const PGresult *res, int row)
{
	const char *activity = PQgetvalue(res, row, ACTIVITY);
	const char *merged = PQgetvalue(res, row, MERGED);
	int n = PQgetlength(res, row, ACTIVITY) / 8;
	int n_merged = PQgetlength(res, row, MERGED) / 4;
	bool has_merged = PQgetvalue(res, row, HAS_MERGED)[0] == 't';

	fputc('[', f);
	for (int i = 0; i < n; i++) {
		fprintf(f, "%s[%u,%u,", i > 0 ? "," : "",
		    hex_value(activity + 8 * i, 4),
		    hex_value(activity + 8 * i + 4, 4));
		if (!has_merged)
			fputs("null]", f);
		else
			fprintf(f, "%u]",
			    i < n_merged ? hex_value(merged + 4 * i, 4) : 0);
	}
	fputc(']', f);
}

/* The row's object with its activity put into it. */
static void
print_recording(FILE *f, const PGresult *res, int row)
{
	const char *json = PQgetvalue(res, row, JSON);

	fwrite(json, 1, strlen(json) - 1, f);
	fputs(", \"activity\" : ", f);
	if (PQgetisnull(res, row, ACTIVITY))
		fputs("null", f);
	else
		print_activity(f, res, row);
	fputc('}', f);
}

/* ---- the answer ---- */

/* Rows from row on. Returns the one behind them. */
static int
print_monitors(FILE *f, const PGresult *res, int row)
{
	const char *monitor = "";

	fputs(", \"monitors\" : [", f);
	while (kind(res, row) == ROW_RECORDING) {
		const char *is = PQgetvalue(res, row, MONITOR);

		if (strcmp(is, monitor) != 0)
			fprintf(f,
			    "%s{\"monitor\" : %s, \"name\" : %s, "
			    "\"recordings\" : [",
			    monitor[0] != '\0' ? "]}," : "", is,
			    PQgetvalue(res, row, NAME));
		else
			fputc(',', f);
		monitor = is;
		print_recording(f, res, row++);
	}
	fputs(monitor[0] != '\0' ? "]}]" : "]", f);
	return row;
}

static int
print_gaps(FILE *f, const PGresult *res, int row)
{
	const char *comma = "";

	fputs(", \"gaps\" : [", f);
	while (kind(res, row) == ROW_GAP) {
		fprintf(f, "%s%s", comma, PQgetvalue(res, row++, JSON));
		comma = ",";
	}
	fputc(']', f);
	return row;
}

static void
print_timeline(FILE *f, const PGresult *res)
{
	const char *session = PQgetvalue(res, 0, JSON);
	int row = 1;

	fwrite(session, 1, strlen(session) - 1, f);
	row = print_monitors(f, res, row);
	row = print_gaps(f, res, row);
	if (kind(res, row) == ROW_MORE)
		fprintf(f, ", \"cursor\" : \"%08x\"}",
		    (unsigned)atoi(PQgetvalue(res, row, SEQ)));
	else
		fputs(", \"cursor\" : null}", f);
}

static void
on_rows(struct request *r, PGresult *res)
{
	char *text = NULL;
	size_t len;
	FILE *f;

	if (kind(res, 0) != ROW_SESSION) {
		request_not_found(r);
		return;
	}
	f = open_memstream(&text, &len);
	if (f != NULL)
		print_timeline(f, res);
	if (f != NULL && fclose(f) == 0)
		request_json_text(r, 200, text);
	else
		request_problem(r, 503, "unavailable", "Out of memory.");
	free(text);
}

/* ---- parameters ---- */

/* 1 to LIST_LIMIT_MAX; false: the request has been answered. */
static bool
take_limit(struct request *r, int *limit)
{
	char text[16];

	*limit = LIST_LIMIT_MAX;
	if (!request_param(r, "limit", text, sizeof(text)))
		return true;
	*limit = strspn(text, "0123456789") == strlen(text) && strlen(text) < 4
	    ? atoi(text)
	    : 0;
	if (*limit >= 1 && *limit <= LIST_LIMIT_MAX)
		return true;
	request_invalid(r, "?limit", "A number from 1 to 200 is expected.");
	return false;
}

/* The number of the last recording that the page before had. */
static bool
take_cursor(struct request *r, unsigned *seq)
{
	char text[16];

	*seq = 0;
	if (!request_param(r, "cursor", text, sizeof(text)))
		return true;
	if (strlen(text) == 8 &&
	    strspn(text, "0123456789abcdef") == strlen(text))
		*seq = hex_value(text, 8);
	if (*seq >= 1 && *seq <= INT32_MAX)
		return true;
	request_invalid(r, "?cursor", "It is none of this list.");
	return false;
}

static bool
take_activity(struct request *r, bool *wanted)
{
	char text[8];

	*wanted = true;
	if (!request_param(r, "activity", text, sizeof(text)))
		return true;
	*wanted = strcmp(text, "true") == 0;
	if (*wanted || strcmp(text, "false") == 0)
		return true;
	request_invalid(r, "?activity", "true|false");
	return false;
}

void
sessions_timeline_run(struct request *r)
{
	char after[16], most[16];
	const char *params[] = { r->id, after, most,
		r->rights.playback ? "t" : "f", "t" };
	bool wants_activity;
	unsigned seq;
	int limit;

	if (!take_limit(r, &limit) || !take_cursor(r, &seq) ||
	    !take_activity(r, &wants_activity))
		return;
	snprintf(after, sizeof(after), "%u", seq);
	snprintf(most, sizeof(most), "%d", limit + 1);
	params[4] = wants_activity ? "t" : "f";
	request_query(r, timeline_sql, 5, params, on_rows);
}
