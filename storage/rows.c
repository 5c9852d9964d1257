#include "storage/rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/http.h"

/* clang-format off */
#define TIME(n) \
	"timestamptz 'epoch' + ($" n "::bigint / 1000) * interval '1 us'"

/*
 * Ends of a session that its row knows; after other ends more segments
 * follow. node_id is NULL only in sessions made here; only those learn their
 * end here.
 */
#define IS_LAST \
	"$25::text IN ('normal', 'endpoint', 'max_duration', 'command', 'error')"

#define TRACE "(SELECT trace_id FROM sessions x WHERE x.id = g.session_id)"

#define IS_FINAL(g) "(" g ".status IN ('available', 'expired', 'deleted'))"

/* What g has is longer than that; of two that are as long the one that was
 * repaired is the shorter one: its last frame may be cut off. */
#define IS_LONGER(g, frames, recovered) \
	"(" g ".frames > " frames "::bigint OR (" g ".frames = " frames "::bigint" \
	" AND " recovered "::boolean AND NOT " g ".recovered))"

/* g was made anew of what the store had, and the node that was lost is back
 * with its own files: all others wait for it. */
#define IS_BACK \
	"(g.lost_node = g.spool_node AND g.lost_node <> $29::uuid AND EXISTS" \
	" (SELECT FROM nodes n WHERE n.id = g.lost_node AND n.stopped_at IS NULL" \
	" AND n.heartbeat_at > now() - interval '10 minutes'))"

static const char upsert_sql[] =
"WITH s AS ("
" INSERT INTO sessions (id, team_id, endpoint_id, person_id, access,"
"  recorded, client_addr, started_at, ended_at, end_code, end_reason,"
"  ended_mono_ns)"
" VALUES ($2::uuid, $3::bigint, $4::bigint, $5::bigint, $6, true, '', "
	TIME("16") ","
"  CASE WHEN " IS_LAST " THEN " TIME("18") " END,"
"  CASE WHEN " IS_LAST " THEN $25::text END,"
"  CASE WHEN " IS_LAST " THEN 'taken from the recording' END,"
"  CASE WHEN " IS_LAST " THEN $17::bigint END)"
" ON CONFLICT (id) DO UPDATE SET ended_at = excluded.ended_at,"
"  end_code = excluded.end_code, end_reason = excluded.end_reason,"
"  ended_mono_ns = excluded.ended_mono_ns"
" WHERE sessions.node_id IS NULL AND sessions.ended_at IS NULL"
"  AND excluded.ended_at IS NOT NULL),"
" kept AS (SELECT g.status, g.seq, " TRACE ", g.status = 'available' AND "
	IS_LONGER("g", "$21", "$24") ", g.lost_node IS NOT NULL, NOT " IS_FINAL("g")
"  FROM segments g WHERE g.id = $1::uuid AND g.session_id = $2::uuid"
"  AND (" IS_FINAL("g") " OR " IS_BACK ")),"
" w AS (INSERT INTO segments AS g (id, session_id, team_id, endpoint_id, person_id,"
" seq, split_reason, monitor,"
" monitor_name, frame_rate, width, height, codec, start_mono_ns, started_at,"
" end_mono_ns, ended_at, first_frame, last_frame, frames, duration_ms, bytes,"
" recovered, object_key, status, status_detail, spool_node,"
" gap_start_mono_ns, end_why, is_capture, is_provisional) "
"SELECT $1::uuid, $2::uuid, $3::bigint, $4::bigint, $5::bigint,"
" $7::integer, $8, $9::integer, $10,"
" $11::integer, $12::integer, $13::integer, $14, $15::bigint, "
	TIME("16") ", $17::bigint, " TIME("18") ", $19::bigint, $20::bigint,"
" $21::bigint, $22::bigint, $23::bigint, $24::boolean, $26, $27, $28,"
" (SELECT id FROM nodes WHERE id = $29::uuid), $30::bigint,"
" nullif($25::text, ''), $31::boolean, $32::boolean "
"WHERE NOT EXISTS (SELECT FROM kept)"
" AND NOT EXISTS (SELECT FROM sessions x WHERE x.id = $2::uuid"
" AND (x.team_id, x.endpoint_id, x.person_id)"
" <> ($3::bigint, $4::bigint, $5::bigint)) "
"ON CONFLICT (id) DO UPDATE SET"
" status = CASE WHEN g.status = 'encoding' AND g.encode_until > now()"
"   AND g.encode_node <> $29::uuid AND excluded.is_capture"
"  THEN g.status ELSE excluded.status END,"
" status_detail = coalesce(nullif(excluded.status_detail, ''),"
"  CASE WHEN NOT excluded.is_capture AND g.lost_node IS DISTINCT FROM"
"   $29::uuid THEN g.lost_why END, ''),"
" end_mono_ns = coalesce(excluded.end_mono_ns, g.end_mono_ns),"
" ended_at = coalesce(excluded.ended_at, g.ended_at),"
" first_frame = coalesce(excluded.first_frame, g.first_frame),"
" last_frame = coalesce(excluded.last_frame, g.last_frame),"
" frames = coalesce(excluded.frames, g.frames),"
" duration_ms = coalesce(excluded.duration_ms, g.duration_ms),"
" bytes = coalesce(excluded.bytes, g.bytes),"
" recovered = excluded.recovered OR g.recovered,"
" object_key = excluded.object_key,"
" spool_node = excluded.spool_node,"
" gap_start_mono_ns = coalesce(excluded.gap_start_mono_ns,"
"  g.gap_start_mono_ns),"
" end_why = coalesce(excluded.end_why, g.end_why),"
" is_capture = excluded.is_capture,"
" is_provisional = g.is_provisional AND excluded.is_capture,"
" capture_key = CASE WHEN g.is_capture AND g.object_key <>"
"  excluded.object_key THEN g.object_key ELSE g.capture_key END "
"WHERE g.session_id = excluded.session_id AND NOT " IS_FINAL("g") " "
"RETURNING status, seq, " TRACE ", false, lost_node IS NOT NULL, false) "
"SELECT * FROM w UNION ALL SELECT * FROM kept";

/*
 * What holds no picture gives its number up; what is still being repaired may
 * turn out so. Captures get theirs when they are encoded.
 */
#define PROVISIONAL "10000" /* their numbers are above it: out of the way */
static const char free_seq_sql[] =
"WITH taken AS (SELECT id, status = 'recording' AND NOT is_capture AS is_open,"
"  status = 'missing' AND frames IS NULL AND end_mono_ns = start_mono_ns"
"  AS is_empty FROM segments WHERE session_id = $1::uuid"
"  AND seq = $2::integer AND id <> $3::uuid),"
" gone AS (DELETE FROM segments WHERE id IN"
"  (SELECT id FROM taken WHERE is_empty)) "
"SELECT CASE WHEN (SELECT coalesce(bool_and(is_empty), true) FROM taken)"
"   THEN $2::integer"
"  WHEN $4::boolean AND (SELECT is_open FROM taken) THEN 0"
"  ELSE (SELECT greatest(max(seq), CASE WHEN $5::boolean THEN " PROVISIONAL
" ELSE 0 END)"
"   + 1 FROM segments WHERE session_id = $1::uuid"
"   AND ($5::boolean OR NOT is_provisional)) END";

/* Of a recording that is made `available`. */
#define ENDED_AT "coalesce(" TIME("16") ", ended_at)"

/*
 * T12: kept for the days that the team's settings say now; those of the
 * manifest stand for a team whose settings are not there. FOR SHARE: a row that
 * another daemon made `available` while this statement waited for it is seen as
 * it is now; no row would say that it was deleted, and the object would go.
 */
static const char available_sql[] =
"WITH u AS (DELETE FROM uploads WHERE segment_id = $1::uuid),"
" w AS (UPDATE segments g SET status = 'available',"
" status_detail = CASE WHEN lost_node = $14::uuid THEN ''"
"  ELSE coalesce(lost_why, '') END,"
" lost_why = CASE WHEN lost_node = $14::uuid THEN NULL ELSE lost_why END,"
" lost_node = nullif(lost_node, $14::uuid),"
" progress = 100, store = $2, object_key = $3, bytes = $4,"
" sha256 = $5::bytea, stored_at = coalesce(stored_at, now()),"
" spool_node = NULL, expires_at = coalesce("
"  CASE WHEN lost_node IS DISTINCT FROM $14::uuid AND sha256 IS NOT NULL"
"   THEN expires_at END,"
"  retention_end(" ENDED_AT ", coalesce(stored_at, now()), coalesce(("
"   SELECT a.retention_days FROM sessions s JOIN access_settings a"
"   ON a.team_id = s.team_id AND a.access = s.access"
"   WHERE s.id = g.session_id), $6::int),"
"   make_interval(secs => $13::bigint))),"
" end_mono_ns = coalesce($15::bigint, end_mono_ns), ended_at = " ENDED_AT ","
" first_frame = coalesce($17::bigint, first_frame),"
" last_frame = coalesce($18::bigint, last_frame),"
" frames = coalesce($19::bigint, frames),"
" duration_ms = coalesce($20::bigint, duration_ms),"
" recovered = $21::boolean OR recovered AND lost_node IS DISTINCT FROM $14::uuid,"
" end_why = coalesce(nullif($22, ''), end_why),"
" activity = coalesce($7::bytea, activity),"
" merged = CASE WHEN $12::bigint IS NULL THEN merged ELSE $11::bytea END,"
" n_merged = coalesce($12::bigint, n_merged),"
" poster_key = coalesce($8, poster_key),"
" poster_bytes = CASE WHEN $8 IS NULL THEN poster_bytes ELSE $9::bigint END,"
" poster_sha256 = CASE WHEN $8 IS NULL THEN poster_sha256 ELSE $10::bytea END,"
" poster_fault = CASE WHEN $8 IS NULL THEN poster_fault END "
"WHERE id = $1::uuid AND status NOT IN ('expired', 'deleted')"
" AND (status = 'available' AND " IS_LONGER("g", "$19", "$21") ") IS NOT TRUE "
"RETURNING expires_at),"
" latest AS (SELECT status, expires_at FROM segments WHERE id = $1::uuid FOR SHARE) "
"SELECT expires_at, true FROM w UNION ALL SELECT expires_at, false FROM latest"
" WHERE status = 'available' AND NOT EXISTS (SELECT FROM w)";
/* clang-format on */

static int64_t day_seconds_ = 86400;

struct params {
	const char *v[32];
	char text[32][24];
	int n;
};

static void
add_text(struct params *p, const char *s)
{
	p->v[p->n++] = s;
}

static void
add_int(struct params *p, int64_t i, bool known)
{
	snprintf(p->text[p->n], sizeof(p->text[0]), "%" PRId64, i);
	p->v[p->n] = known ? p->text[p->n] : NULL;
	p->n++;
}

int
rows_upsert(struct db *db, const struct manifest *m,
    const struct rows_state *state, db_result_cb *cb, void *arg)
{
	struct params p = { .n = 0 };
	bool end = m->is_closed;
	bool frames = end && m->first_frame > 0;

	add_text(&p, m->segment);
	add_text(&p, m->session);
	add_int(&p, m->team_id, true);
	add_int(&p, m->endpoint_id, true);
	add_int(&p, m->person_id, true);
	add_text(&p, m->access);
	add_int(&p, m->seq, true);
	add_text(&p, m->split_reason);
	add_int(&p, m->monitor, true);
	add_text(&p, m->monitor_name);
	add_int(&p, m->frame_rate, true);
	add_int(&p, m->width, true);
	add_int(&p, m->height, true);
	add_text(&p, m->codec);
	add_int(&p, m->start_mono_ns, true);
	add_int(&p, m->start_wall_ns, true);
	add_int(&p, m->end_mono_ns, end);
	add_int(&p, m->end_wall_ns, end);
	add_int(&p, m->first_frame, frames);
	add_int(&p, m->last_frame, frames);
	add_int(&p, m->frames, frames);
	add_int(&p, m->duration_ms, end);
	add_int(&p, m->bytes, end);
	add_text(&p, m->recovered ? "true" : "false");
	add_text(&p, end ? m->end : "");
	add_text(&p, m->object_key);
	add_text(&p, state->status);
	add_text(&p, state->detail);
	add_text(&p, state->node);
	add_int(&p, m->gap_start_mono_ns, m->gap_start_mono_ns > 0);
	add_text(&p, state->is_capture ? "true" : "false");
	add_text(&p, state->is_provisional ? "true" : "false");
	return db_queue_prepared(db, upsert_sql, p.n, p.v, cb, arg);
}

bool
rows_is_seq_taken(const PGresult *res)
{
	const char *name = PQresultErrorField(res, PG_DIAG_CONSTRAINT_NAME);

	return name != NULL && strcmp(db_sqlstate(res), "23505") == 0 &&
	    strcmp(name, "segments_session_id_seq_key") == 0;
}

int
rows_free_seq(struct db *db, const struct manifest *m, bool is_capture,
    bool may_wait, db_result_cb *cb, void *arg)
{
	struct params p = { .n = 0 };

	add_text(&p, m->session);
	add_int(&p, m->seq, true);
	add_text(&p, m->segment);
	add_text(&p, may_wait ? "true" : "false");
	add_text(&p, is_capture ? "true" : "false");
	return db_query(db, free_seq_sql, p.n, p.v, cb, arg);
}

void
rows_progress(struct db *db, const char *segment, int percent)
{
	struct params p = { .n = 0 };

	add_text(&p, segment);
	add_int(&p, percent, true);
	db_query_now(db,
	    "UPDATE segments SET progress = $2 WHERE id = $1 AND "
	    "status IN ('transfer', 'encoding')",
	    p.n, p.v, NULL, NULL);
}

void
rows_upload_failed(struct db *db, const char *segment, const char *detail,
    int64_t retry_seconds)
{
	struct params p = { .n = 0 };

	add_text(&p, segment);
	add_text(&p, detail);
	add_int(&p, retry_seconds, retry_seconds >= 0);
	db_query_now(db,
	    "UPDATE uploads SET attempts = attempts + 1, last_error = $2, "
	    "next_try_at = now() + make_interval(secs => $3) "
	    "WHERE segment_id = $1",
	    p.n, p.v, NULL, NULL);
}

/* As bytea text; heap. */
static char *
bytea_text(const uint8_t *data, size_t len)
{
	char *text = malloc(2 * len + 3);

	if (text == NULL)
		return NULL;
	strcpy(text, "\\x");
	http_hex(data, len, text + 2);
	return text;
}

int
rows_available(struct db *db, const struct manifest *m,
    const struct rows_stored *what, db_result_cb *cb, void *arg)
{
	bool has_poster = what->poster_key[0] != '\0';
	char hex[70] = "\\x", poster[70] = "\\x", *activity = NULL;
	char *merged = NULL;
	struct params p = { .n = 0 };
	int rc;

	http_hex(what->sha256, 32, hex + 2);
	http_hex(what->poster_sha256, 32, poster + 2);
	add_text(&p, m->segment);
	add_text(&p, what->store);
	add_text(&p, m->object_key);
	add_int(&p, m->bytes, true);
	add_text(&p, hex);
	add_int(&p, m->retention_days, true);
	if (m->activity != NULL)
		activity = bytea_text(m->activity, m->activity_len);
	add_text(&p, activity);
	add_text(&p, has_poster ? what->poster_key : NULL);
	add_int(&p, (int64_t)what->poster_bytes, has_poster);
	add_text(&p, has_poster ? poster : NULL);
	if (m->merged != NULL)
		merged = bytea_text(m->merged, m->merged_len);
	add_text(&p, merged);
	add_int(&p, m->n_merged, m->n_merged >= 0);
	add_int(&p, day_seconds_, true);
	add_text(&p, what->node);
	add_int(&p, m->end_mono_ns, m->is_closed);
	add_int(&p, m->end_wall_ns, m->is_closed);
	add_int(&p, m->first_frame, m->first_frame > 0);
	add_int(&p, m->last_frame, m->first_frame > 0);
	add_int(&p, m->frames, m->first_frame > 0);
	add_int(&p, m->duration_ms, m->is_closed);
	add_text(&p, m->recovered ? "true" : "false");
	add_text(&p, m->is_closed ? m->end : "");
	rc = db_queue_prepared(db, available_sql, p.n, p.v, cb, arg);
	free(activity);
	free(merged);
	return rc;
}

void
rows_set_day(int64_t seconds)
{
	day_seconds_ = seconds;
}
