/* relaycam recordings: lists of files, and finding one. */
#include "ctl/recordings/ctl_recordings.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/links.h"
#include "ctl/recordings/captions.h"
#include "ctl/command.h"
#include "ctl/ctl_list.h"
#include "ctl/pg.h"

static const struct column cols[] = {
	{ "id", "RECORDING", COLUMN_TEXT, "g.id" },
	{ "session", NULL, COLUMN_TEXT, "g.session_id" },
	{ "team", NULL, COLUMN_TEXT, "t.name" },
	{ "endpoint", "ENDPOINT", COLUMN_TEXT, "e.name" },
	{ "user", "USER", COLUMN_TEXT, "p.name" },
	{ "monitor", "MONITOR", COLUMN_INT, "g.monitor" },
	{ "monitor_name", NULL, COLUMN_TEXT, "g.monitor_name" },
	{ "seq", "NO.", COLUMN_INT, "g.seq" },
	{ "status", NULL, COLUMN_TEXT, "shown_status(g)" },
	{ "status_text", "STATUS", COLUMN_TEXT, RECORDING_STATUS },
	{ "progress", NULL, COLUMN_INT, "shown_progress(g)" },
	{ "status_detail", NULL, COLUMN_TEXT, "g.status_detail" },
	{ "is_capture", NULL, COLUMN_BOOL, "g.is_capture" },
	{ "started_at", "STARTED", COLUMN_TIME, "g.started_at" },
	{ "ended_at", NULL, COLUMN_TIME, "g.ended_at" },
	{ "duration_ms", "LASTS", COLUMN_MS, "g.duration_ms" },
	{ "bytes", "SIZE", COLUMN_BYTES, "g.bytes" },
	{ "width", NULL, COLUMN_INT, "g.width" },
	{ "height", NULL, COLUMN_INT, "g.height" },
	{ "frame_rate", NULL, COLUMN_INT, "g.frame_rate" },
	{ "codec", NULL, COLUMN_TEXT, "g.codec" },
	{ "split_reason", "BEGUN BY", COLUMN_TEXT, "g.split_reason" },
	{ "first_frame", NULL, COLUMN_INT, "g.first_frame" },
	{ "last_frame", NULL, COLUMN_INT, "g.last_frame" },
	{ "frames", NULL, COLUMN_INT, "g.frames" },
	{ "merged", NULL, COLUMN_INT, "g.n_merged" },
	{ "sha256", NULL, COLUMN_TEXT, "encode(g.sha256, 'hex')" },
	{ "recovered", NULL, COLUMN_BOOL, "g.recovered" },
	{ "store", NULL, COLUMN_TEXT, "g.store" },
	{ "object_key", NULL, COLUMN_TEXT, "g.object_key" },
	{ "stored_at", NULL, COLUMN_TIME, "g.stored_at" },
	{ "expires_at", NULL, COLUMN_TIME, "g.expires_at" },
	{ "end_why", NULL, COLUMN_TEXT, "g.end_why" },
	{ "poster_key", NULL, COLUMN_TEXT, "g.poster_key" },
	{ "poster_fault", NULL, COLUMN_TEXT, "g.poster_fault" },
	{ "manifest_key", NULL, COLUMN_TEXT, "v.object_key" },
	{ "manifest_fault", NULL, COLUMN_TEXT, "v.manifest_fault" },
	{ "signed_by", NULL, COLUMN_TEXT, "v.key_id" },
	{ "locked", "LOCKED", COLUMN_BOOL, "g.locked" },
	{ "notes", NULL, COLUMN_TEXT, "g.notes" },
	{ "reviewed_by", "REVIEWED BY", COLUMN_TEXT, "g.reviewed_by" },
	{ "reviewed_at", NULL, COLUMN_TIME, "g.reviewed_at" },
	{ "review_remark", NULL, COLUMN_TEXT, "g.review_remark" },
	{ "watched_at", NULL, COLUMN_TIME, "g.watched_at" },
};
#define N_COLS (int)(sizeof(cols) / sizeof(cols[0]))

static const char from[] =
    "FROM segments g JOIN sessions s ON s.id = g.session_id "
    "JOIN teams t ON t.id = s.team_id "
    "JOIN endpoints e ON e.id = s.endpoint_id "
    "JOIN people p ON p.id = s.person_id "
    "LEFT JOIN evidence v ON v.segment_id = g.id";

/* T11: by monitor, then by time; of several sessions, the newest first. */
static const char order[] =
    "s.started_at DESC, s.id, g.monitor, g.started_at, g.seq";

static const struct sql_option filters[] = {
	{ "team", "t.name = ?" },
	{ "endpoint", "e.name = ?" },
	{ "device",
	    "position(lower(?) IN lower(concat_ws(' ', e.name, e.title))) > "
	    "0" },
	{ "user", "p.name = ?" },
	{ "status", "g.status = ?" },
};

/* --- of one session ------------------------------------------------------ */

static PGresult *
query_session(struct ctl *c, const char *session)
{
	struct sql q;
	PGresult *res;

	if (sql_init(&q) != 0)
		return NULL;
	table_select(&q, cols, N_COLS, "t.time_zone");
	sql_add(&q, from);
	sql_filter(&q, "g.session_id = ?", session);
	sql_add(&q, " ORDER BY ");
	sql_add(&q, order);
	res = table_query(c, &q);
	sql_release(&q);
	return res;
}

json_t *
recordings_json(struct ctl *c, const char *session)
{
	PGresult *res = query_session(c, session);
	json_t *list = res != NULL ? table_json(res, cols, N_COLS) : NULL;

	PQclear(res);
	return list;
}

int
recordings_print(struct ctl *c, const char *session, bool utc)
{
	PGresult *res = query_session(c, session);

	if (res == NULL)
		return STATUS_FAILED;
	table_print(res, cols, N_COLS, utc, "no recordings");
	PQclear(res);
	return STATUS_OK;
}

/* --- list, show ---------------------------------------------------------- */

static int
filter_more(struct ctl *c, struct sql *q, const struct args *a, char *text)
{
	const char *session = args_get(a, "session");
	int rc = 0;

	if (session != NULL)
		rc = uuid_find(c, "sessions", "session", session, text);
	if (rc == 0)
		sql_filter(q, "g.session_id = ?", session ? text : NULL);
	if (args_has(a, "unreviewed"))
		sql_filter(q, "g.review = ?", "open");
	if (args_has(a, "unwatched"))
		sql_filter(
		    q, "g.watched_at IS NULL AND g.status = ?", "available");
	return rc;
}

static const struct ctl_list list = {
	.cols = cols,
	.n_cols = N_COLS,
	.from = from,
	.filters = filters,
	.n_filters = N_ELEMENTS(filters),
	.time = "g.started_at",
	.zone = "t.time_zone",
	.order = order,
	.preset_limit = 100,
	.none = "no recordings",
	.more = filter_more,
};

static int
run_list(struct ctl *c, const struct args *a)
{
	return ctl_list_run(c, a, &list);
}

static int
run_show(struct ctl *c, const struct args *a)
{
	char id[UUID_TEXT_MAX];
	struct sql q;
	PGresult *res;
	int rc = uuid_find(c, "segments", "recording", a->words[0], id);

	if (rc != 0)
		return rc;
	if (sql_init(&q) != 0)
		return STATUS_FAILED;
	table_select(&q, cols, N_COLS, "t.time_zone");
	sql_add(&q, from);
	sql_filter(&q, "g.id = ?", id);
	res = table_query(c, &q);
	sql_release(&q);
	if (res == NULL)
		return STATUS_FAILED;
	if (args_has(a, "json"))
		rc = print_json(table_row_json(res, 0, cols, N_COLS));
	else
		table_print_row(res, 0, cols, N_COLS, args_has(a, "utc"));
	PQclear(res);
	return rc;
}

/* --- one row for the commands -------------------------------------------- */

static void
take(const PGresult *res, int col, char *out, size_t len)
{
	snprintf(out, len, "%s", PQgetvalue(res, 0, col));
}

static void
take_row(const PGresult *res, struct recording *r)
{
	size_t n = 0;

	take(res, 0, r->id, sizeof(r->id));
	take(res, 1, r->team_id, sizeof(r->team_id));
	take(res, 2, r->status, sizeof(r->status));
	take(res, 3, r->store, sizeof(r->store));
	take(res, 4, r->object_key, sizeof(r->object_key));
	take(res, 7, r->node_url, sizeof(r->node_url));
	take(res, 8, r->status_detail, sizeof(r->status_detail));
	r->progress = atoi(PQgetvalue(res, 0, 9));
	r->is_capture = PQgetvalue(res, 0, 10)[0] == 't';
	r->bytes = PQgetisnull(res, 0, 5)
	    ? -1
	    : strtoll(PQgetvalue(res, 0, 5), NULL, 10);
	r->has_sha256 = sodium_hex2bin(r->sha256, sizeof(r->sha256),
			    PQgetvalue(res, 0, 6), 64, NULL, &n, NULL) == 0 &&
	    n == 32;
	link_filename(r->object_key, r->file_name, sizeof(r->file_name));
}

int
recording_find(struct ctl *c, const char *id, struct recording *r)
{
	char full[UUID_TEXT_MAX];
	PGresult *res;
	int rc = uuid_find(c, "segments", "recording", id, full);

	memset(r, 0, sizeof(*r));
	if (rc != 0)
		return rc;
	res = PG_QUERY(c,
	    "SELECT g.id, s.team_id, g.status, coalesce(g.store, ''), "
	    "coalesce(g.object_key, ''), g.bytes, "
	    "coalesce(encode(g.sha256, 'hex'), ''), "
	    "coalesce(n.files_url, ''), g.status_detail, g.progress, "
	    "g.is_capture "
	    "FROM segments g JOIN sessions s ON s.id = g.session_id "
	    "LEFT JOIN nodes n ON n.id = g.spool_node "
	    "WHERE g.id = $1",
	    full);
	if (res == NULL)
		return STATUS_FAILED;
	take_row(res, r);
	PQclear(res);
	return 0;
}

bool
recording_is_on_node(const struct recording *r)
{
	return r->node_url[0] != '\0' && !r->is_capture &&
	    (strcmp(r->status, "recording") == 0 ||
		strcmp(r->status, "transfer") == 0);
}

/* Captures: in which step of their way to a video they are. */
static int
refuse_capture(const struct recording *r)
{
	if (strcmp(r->status, "recording") == 0)
		return ctl_error("recording %s is a capture: its session goes "
				 "on, and it can be watched when it was "
				 "encoded",
		    r->id);
	if (strcmp(r->status, "transfer") == 0)
		return ctl_error("recording %s is being sent by its device, "
				 "%d %%",
		    r->id, r->progress);
	if (strcmp(r->status, "encoding") == 0)
		return ctl_error(
		    "recording %s is being encoded, %d %%", r->id, r->progress);
	if (strcmp(r->status, "encoding_failed") == 0)
		return ctl_error("recording %s could not be encoded: %s; "
				 "\"relaycam recordings encode %.8s\" has it "
				 "tried again",
		    r->id, r->status_detail, r->id);
	return ctl_error("recording %s waits to be encoded%s%s", r->id,
	    r->status_detail[0] != '\0' ? ": " : "", r->status_detail);
}

int
recording_must_be_stored(const struct recording *r)
{
	if (strcmp(r->status, "available") == 0)
		return 0;
	if (r->is_capture &&
	    (strcmp(r->status, "recording") == 0 ||
		strcmp(r->status, "transfer") == 0 ||
		strcmp(r->status, "downloaded") == 0 ||
		strncmp(r->status, "encoding", 8) == 0))
		return refuse_capture(r);
	if (strcmp(r->status, "expired") == 0 ||
	    strcmp(r->status, "deleted") == 0)
		return ctl_error(
		    "recording %s is %s: its file is gone", r->id, r->status);
	return ctl_error("recording %s is %s, not stored; \"relaycam "
			 "recordings show %s\" says more",
	    r->id, r->status, r->id);
}

static const struct arg_opt list_opts[] = {
	{ "session", "SESSION", "only this session" },
	{ "team", "NAME", "only this team" },
	{ "endpoint", "NAME", "only this endpoint" },
	{ "device", "TEXT", "only endpoints with this in their name or title" },
	{ "user", "NAME", "only this person" },
	{ "status", "STATUS", "only with this status, such as available" },
	{ "unreviewed", NULL, "only those in storage that nobody reviewed" },
	{ "unwatched", NULL,
	    "only those in storage that nobody but the technician opened" },
	{ "from", "TIME", "begun at this time or later" },
	{ "to", "TIME", "begun before this time" },
	{ "limit", "N", "at most so many (default: 100)" },
	OPT_JSON,
	OPT_UTC,
};
static const struct arg_opt show_opts[] = { OPT_JSON, OPT_UTC };
static const struct arg_opt link_opts[] = {
	OPT_JSON,
	{ "for", "PERSON",
	    "the link is this person's, and so is what is seen" },
};
static const struct arg_opt review_opts[] = {
	{ "by", "PERSON", "the person who looked at it" },
	{ "remark", "TEXT", "what there is to say of it" },
};
static const struct arg_opt unreview_opts[] = {
	{ "by", "PERSON", "the reviewer, an admin or an owner" },
};
static const struct arg_opt fetch_opts[] = {
	{ "output", "FILE", "write here; a folder keeps the file's name" },
	{ "ca", "FILE", "PEM: CA of the server that the link points at" },
	{ "quiet", NULL, "no progress" },
};
static const struct arg_opt captions_opts[] = {
	{ "output", "FILE", "write here, not to standard output" },
};
static const struct arg_opt clip_opts[] = {
	{ "from", "POSITION", "in the recording, such as 1:02:03.5 or 63" },
	{ "to", "POSITION", "the same" },
	{ "reason", "TEXT",
	    "what it is for; stands in manifest and audit log" },
	{ "output", "FILE.webm", "write here; the manifest beside it" },
	{ "ca", "FILE", "PEM: CA of the storage daemon's certificate" },
	OPT_JSON,
};
static const struct arg_opt zip_opts[] = {
	{ "output", "FILE.zip", "write here" },
	{ "ca", "FILE", "PEM: CA of the storage daemon's certificate" },
};
static const struct arg_opt verify_opts[] = {
	{ "file", "FILE", "this file, not the stored one" },
	{ "ca", "FILE", "PEM: CA of the server that links point at" },
	OPT_JSON,
};

static const struct command commands[] = {
	{ "list", "", 0, 0, OPTS(list_opts),
	    "Lists recorded files: newest session first, then by monitor and "
	    "time.",
	    run_list },
	{ "show", "RECORDING", 1, 1, OPTS(show_opts),
	    "Shows all there is to know of one file.\n\nRECORDING is its id "
	    "or the beginning of it.",
	    run_show },
	{ "captions", "RECORDING", 1, 1, OPTS(captions_opts),
	    "Writes what any player shows beside a recording, as WebVTT.\n\n"
	    "What it is, why it was begun and ended, gaps, and when something "
	    "happened. Players take\nNAME.vtt beside NAME.webm by themselves.",
	    captions_run },
	{ "timeline", "SESSION", 1, 1, OPTS(show_opts),
	    "Shows a session's files in order, and each gap between them.\n\n"
	    "By monitor. WHAT is segment, gap (nobody recorded it; WHY says "
	    "why) or elsewhere\n(another monitor was shown). Times are exact "
	    "to the millisecond. MERGED counts\nchanges of the screen that "
	    "were replaced before a frame showed them.",
	    recordings_run_timeline },
	{ "review", "RECORDING", 1, 1, OPTS(review_opts),
	    "Marks a file as reviewed by a person, who may play it and is not "
	    "its technician.",
	    recordings_run_review },
	{ "unreview", "RECORDING", 1, 1, OPTS(unreview_opts),
	    "Takes that mark back.", recordings_run_unreview },
	{ "link", "RECORDING", 1, 1, OPTS(link_opts),
	    "Makes a link to a file.\n\nAnybody who has it can watch or "
	    "download until it dies, 10 minutes later\n([store] "
	    "link_seconds); what is still being written can be watched while\n"
	    "it grows. The audit log says that it was made and opened.",
	    recordings_run_link },
	{ "fetch", "RECORDING", 1, 1, OPTS(fetch_opts),
	    "Downloads a stored file.\n\nAn interrupted download goes on "
	    "where it stopped. Size and SHA-256 are checked;\nonly a right "
	    "file gets its final name.",
	    recordings_run_fetch },
	{ "zip", "SESSION", 1, 1, OPTS(zip_opts),
	    "Downloads all stored files of a session as one ZIP.\n\n"
	    "By monitor, then by time. What is not stored is left out.",
	    recordings_run_zip },
	{ "clip", "RECORDING", 1, 1, OPTS(clip_opts),
	    "Cuts a range out of a stored recording, without encoding it "
	    "again.\n\nIt begins with the key frame before --from and ends "
	    "about a second behind --to, or\nmore on a quiet screen. "
	    "\"relaycam "
	    "verify FILE.webm --original MANIFEST\" checks it.",
	    recordings_run_clip },
	{ "encode", "RECORDING", 1, 1, NULL, 0,
	    "Has a capture encoded again whose encoding failed.\n\n"
	    "Storage of the node that has it tries it at once; earlier "
	    "failures do not count.",
	    recordings_run_encode },
	{ "import", "FILE", 1, 1, NULL, 0,
	    "Takes a device's capture that came on a disk or a stick.\n\n"
	    "FILE is as the agent wrote it: its name begins with the UUID of "
	    "the capture. Runs\non the machine of a storage daemon, which "
	    "checks the file as if the device had\nsent it.",
	    recordings_run_import },
	{ "verify", "RECORDING", 1, 1, OPTS(verify_opts),
	    "Compares size and SHA-256 with what was noted when it was "
	    "stored.\n\nReads the stored file, or a downloaded one with "
	    "--file. Exit status 1 when it differs.",
	    recordings_run_verify },
};

const struct command_group group_recordings = { "recordings",
	"recorded files: links, downloads, checks", commands,
	sizeof(commands) / sizeof(commands[0]) };
