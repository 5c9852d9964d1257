/* recordings: recorded files, and what may be done to them (M5, M6, M7). The
 * audit entry is written by the statement that makes the change. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "console/api/body.h"
#include "console/api/change.h"
#include "console/api/enter.h"
#include "console/api/handlers.h"
#include "console/api/list.h"
#include "console/api/request.h"
#include "console/api/rows.h"

#define NOTES_MAX  10000
#define REASON_MAX 500
#define REMARK_MAX 500

#define ROW                                                                    \
	"json_build_object('id', g.id, 'session', g.session_id, 'endpoint', "  \
	"e.name, 'user', p.name, 'monitor', g.monitor, 'monitor_name', "       \
	"g.monitor_name, 'seq', g.seq, 'status', shown_status(g), "             \
	"'progress', shown_progress(g), 'status_detail', g.status_detail, 'started_at', "         \
	"utc_text(g.started_at), 'ended_at', utc_text(g.ended_at), "           \
	"'duration_ms', g.duration_ms, 'bytes', g.bytes, 'width', g.width, "   \
	"'height', g.height, 'frame_rate', g.frame_rate, 'codec', g.codec, "   \
	"'split_reason', g.split_reason, 'first_frame', g.first_frame, "       \
	"'last_frame', g.last_frame, 'frames', g.frames, 'merged', "           \
	"g.n_merged, 'sha256', encode(g.sha256, 'hex'), 'recovered', "         \
	"g.recovered, 'store', g.store, 'object_key', g.object_key, "          \
	"'stored_at', utc_text(g.stored_at), 'expires_at', "                   \
	"utc_text(g.expires_at), 'locked', g.locked, 'legal_hold', g.legal_hold, 'notes', g.notes, "   \
	"'reviewed_by', g.reviewed_by, 'reviewed_at', "                        \
	"utc_text(g.reviewed_at), 'review_remark', g.review_remark, "          \
	"'watched_at', utc_text(g.watched_at))"

#define JOINS                                                                  \
	"JOIN endpoints e ON e.id = g.endpoint_id "                            \
	"JOIN people p ON p.id = g.person_id"

const char recording_row_sql[] =
    "SELECT " ROW " FROM segments g " JOINS " WHERE g.id = ";

static const struct list_filter filters[] = {
	{ "session", "g.session_id = ?::uuid", .access = LIST_INDEX },
	{ "endpoint",
	    "g.endpoint_id IN (SELECT id FROM endpoints WHERE team_id = "
	    "$2::bigint AND name = ?)",
	    .access = LIST_ENDPOINT },
	{ "device", "g.endpoint_id IN (" LIST_DEVICES ")",
	    .access = LIST_DEVICE },
	{ "user",
	    "g.person_id = (SELECT id FROM people WHERE team_id = $2::bigint "
	    "AND name = ?)",
	    .access = LIST_INDEX },
	{ "reviewed",
	    "team_key(g.team_id, g.review) = team_key($2::bigint, CASE ? WHEN "
	    "'true' THEN 'reviewed' ELSE 'open' END)",
	    "true|false", LIST_WIDE },
	{ "watched",
	    "CASE ? WHEN 'true' THEN g.watched_at IS NOT NULL ELSE "
	    "g.watched_at IS NULL AND g.status = 'available' END",
	    "true|false", LIST_WIDE, "false",
	    "g.watched_at IS NULL AND g.status = 'available'" },
	{ "locked", "g.locked = (? = 'true')", "true|false", LIST_WIDE, "true",
	    "g.locked" },
	{ "status", "team_key(g.team_id, g.status) = team_key($2::bigint, ?)",
	    "recording|transfer|downloaded|encoding|available|missing|"
	    "encoding_failed|corrupted|expired|deleted",
	    .access = LIST_WIDE },
	{ "from", "g.started_at >= console_time(?, $3)", .access = LIST_RANGE },
	{ "to", "g.started_at < console_time(?, $3)", .access = LIST_RANGE },
	{ "min_bytes", "g.bytes >= ?::bigint" },
	{ "max_bytes", "g.bytes <= ?::bigint" },
};

static const struct list list = {
	.row = ROW,
	.table = "segments g",
	.alias = "g",
	.team = "g.team_id = $2::bigint",
	.from = JOINS,
	.where = "EXISTS (SELECT FROM endpoint_rights_of($1::bigint, "
		 "g.endpoint_id) r WHERE r.playback)",
	.mine = "SELECT er.endpoint_id FROM endpoint_rights er CROSS JOIN "
		"LATERAL endpoint_rights_of($1::bigint, er.endpoint_id) r "
		"WHERE er.person_id = $1::bigint AND r.playback",
	.filters = filters,
	.n_filters = N_ELEMENTS(filters),
	.key = "g.started_at",
	.key_type = "timestamptz",
	.id = "g.id",
	.id_type = "uuid",
};

void
recordings_list_run(struct request *r)
{
	list_run(r, &list);
}

void
recordings_get_run(struct request *r)
{
	const char *params[] = { r->id };

	request_query(r,
	    "SELECT " ROW "::text FROM segments g " JOINS
	    " WHERE g.id = $1::uuid",
	    1, params, change_show);
}

/* ---- changes ---- */

/* A change and the entry that says so; value is $6 in set and needs. */
struct change {
	const char *action, *set, *needs;
	const char *refusal; /* why a row is left as it is */
};

static const struct change lock = { "lock", "locked = true",
	"status NOT IN ('expired', 'deleted')",
	"The recording's file is gone." };
static const struct change unlock = { "unlock", "locked = false", "true", "" };
static const struct change set_notes = { "notes", "notes = $6", "true", "" };
static const struct change delete = { "delete",
	"status = 'deleted', status_detail = $6",
	"NOT locked AND status IN ('available', 'missing', 'corrupted')",
	"The recording is locked, gone already, or not stored yet." };

static void
on_changed(struct request *r, PGresult *res)
{
	const struct change *c = r->state;

	if (PQntuples(res) == 1)
		recordings_get_run(r);
	else
		request_problem(r, 409, "not-done", c->refusal);
}

static void
run(struct request *r, const struct change *c, const char *value)
{
	char sql[1024], detail[REQUEST_ORIGIN_MAX];
	const char *params[] = { r->id, r->person.team_text, r->person.name,
		c->action, detail, value };

	request_origin(r, detail);
	snprintf(sql, sizeof(sql),
	    "WITH u AS (UPDATE segments SET %s WHERE id = $1::uuid AND %s "
	    "RETURNING id), a AS (INSERT INTO audit (team_id, actor, action, "
	    "object, detail) SELECT $2::bigint, $3, $4, id::text, $5::jsonb || "
	    "CASE WHEN $6 = '' THEN '{}' ELSE jsonb_build_object('value', "
	    "$6::text) END FROM u) SELECT id FROM u",
	    c->set, c->needs);
	r->state = (void *)(uintptr_t)c;
	request_query(r, sql, 6, params, on_changed);
}

void
recordings_lock_run(struct request *r)
{
	run(r, &lock, "");
}

void
recordings_unlock_run(struct request *r)
{
	run(r, &unlock, "");
}

void
recordings_patch_run(struct request *r)
{
	const char *notes = request_text(r, "notes");

	if (notes == NULL || strlen(notes) > NOTES_MAX ||
	    json_object_size(r->body) != 1)
		request_invalid(
		    r, "/notes", "A text of at most 10000 bytes is expected.");
	else
		run(r, &set_notes, notes);
}

void
recordings_delete_run(struct request *r)
{
	char reason[REASON_MAX + 1] = "";

	if (!request_param(r, "reason", reason, sizeof(reason)))
		request_invalid(
		    r, "?reason", "A reason of 1 to 500 bytes is expected.");
	else
		run(r, &delete, reason);
}

/* ---- reviews ---- */

static void
show_reviewed(struct request *r, const char *answer)
{
	recordings_get_run(r);
}

void
recordings_review_run(struct request *r)
{
	static const struct member members[] = {
		{ "remark", .kind = MEMBER_LINES, .hi = REMARK_MAX },
	};

	if (json_object_size(r->body) == 0 ||
	    body_is_right(r, members, N_ELEMENTS(members)))
		change_then(r, "console_review", show_reviewed);
}

void
recordings_review_undo_run(struct request *r)
{
	change_then(r, "console_review_undo", show_reviewed);
}
