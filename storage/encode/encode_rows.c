#include "storage/encode/encode_rows.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/bytes.h"

/* Of a job, renewed three times within it: ENCODE_RENEW_S. */
#define LEASE "interval '60 s'"

/* clang-format off */
static const char before_sql[] =
"SELECT coalesce(max(seq) FILTER (WHERE NOT is_provisional), 0), coalesce(max(last_frame), 0),"
" coalesce(max(end_mono_ns), 0), coalesce(bool_or(status IN ('recording',"
"  'downloaded', 'encoding')), false),"
" (SELECT encode_failures FROM segments WHERE id = $2::uuid),"
" (SELECT encode_why FROM segments WHERE id = $2::uuid) "
"FROM segments WHERE session_id = $1::uuid AND id <> $2::uuid"
" AND start_mono_ns < $3::bigint";

/*
 * Not while another node has it, or its row is held: that one begins it. A
 * capture that waits and claims the same number gets one for those that
 * have none yet; what else has it keeps it.
 */
static const char begin_sql[] =
"WITH g AS (SELECT id, session_id FROM segments WHERE id = $1::uuid"
"  AND (encode_node = $3::uuid OR encode_until IS NULL OR encode_until < now())"
"  FOR UPDATE SKIP LOCKED),"
" moved AS (UPDATE segments o SET is_provisional = true, seq = (SELECT greatest(max(seq), 10000) + 1"
"   FROM segments m WHERE m.session_id = o.session_id)"
"  FROM g WHERE o.session_id = g.session_id AND o.id <> g.id"
"   AND o.seq = $2::integer AND o.is_capture"
"   AND o.status IN ('recording', 'downloaded') RETURNING o.id),"
" n AS (SELECT CASE WHEN bool_or(o.seq = $2::integer)"
"   AND NOT EXISTS (SELECT FROM moved) THEN max(o.seq) + 1"
"   ELSE $2::integer END AS seq FROM g LEFT JOIN segments o"
"   ON o.session_id = g.session_id AND o.id <> g.id"
"    AND NOT o.is_provisional),"
" u AS (UPDATE segments SET status = 'encoding', status_detail = '',"
"  progress = 0, seq = n.seq, is_provisional = false,"
"  encode_node = $3::uuid, encode_until = now() + " LEASE ","
"  encode_failures = CASE WHEN $4::boolean THEN 0 ELSE encode_failures END"
"  FROM n WHERE id IN (SELECT id FROM g)"
"  AND status IN ('recording', 'downloaded', 'encoding', 'encoding_failed')"
"  RETURNING id, status, segments.seq) "
"SELECT status, head_to, encode(head_sha256, 'hex'), u.seq "
"FROM u LEFT JOIN capture_heads h ON h.segment_id = u.id";

static const char renew_sql[] =
"UPDATE segments SET encode_until = now() + " LEASE
" WHERE id = $1::uuid AND encode_node = $2::uuid AND is_capture RETURNING id";

static const char failed_sql[] =
"UPDATE segments SET encode_failures = encode_failures + 1, encode_why = $2"
" WHERE id = $1::uuid AND is_capture";

static const char first_sql[] =
"WITH a AS (INSERT INTO audit (team_id, actor, action, object, detail)"
" SELECT s.team_id, $13, 'recording_lost', s.id::text, jsonb_build_object("
"  'why', $12::text, 'segment', g.id) FROM segments g"
" JOIN sessions s ON s.id = g.session_id WHERE g.id = $1::uuid"
"  AND $12::text <> '' AND g.lost_why IS NULL) "
"UPDATE segments SET lost_why = nullif($12::text, ''), seq = $2::integer, is_provisional = false, split_reason = $3,"
" monitor = $4::integer, monitor_name = $5, frame_rate = $6::integer,"
" width = $7::integer, height = $8::integer, start_mono_ns = $9::bigint,"
" started_at = timestamptz 'epoch' + ($10::bigint / 1000) * interval '1 us',"
" gap_start_mono_ns = $11::bigint,"
" progress = CASE WHEN status = 'encoding' THEN 100 ELSE progress END "
"WHERE id = $1::uuid RETURNING status";
/* clang-format on */

#define NUMBER_MAX 24

static const char *
number(char out[NUMBER_MAX], int64_t v)
{
	snprintf(out, NUMBER_MAX, "%" PRId64, v);
	return out;
}

int
encode_rows_before(
    struct db *db, const struct manifest *m, db_result_cb *cb, void *arg)
{
	char start[NUMBER_MAX];
	const char *params[] = { m->session, m->segment,
		number(start, m->start_mono_ns) };

	return db_query_now(
	    db, before_sql, N_ELEMENTS(params), params, cb, arg);
}

int
encode_rows_begin(struct db *db, const struct encode_claim *claim,
    db_result_cb *cb, void *arg)
{
	const char *params[] = { claim->id, claim->seq, claim->node,
		claim->by_hand ? "true" : "false" };

	return db_query_now(db, begin_sql, N_ELEMENTS(params), params, cb, arg);
}

int
encode_rows_renew(struct db *db, const char *id, const char *node,
    db_result_cb *cb, void *arg)
{
	const char *params[] = { id, node };

	return db_query_now(db, renew_sql, N_ELEMENTS(params), params, cb, arg);
}

void
encode_rows_failed(struct db *db, const char *id, const char *why)
{
	const char *params[] = { id, why };

	db_query(db, failed_sql, N_ELEMENTS(params), params, NULL, NULL);
}

int
encode_rows_first(struct db *db, const struct manifest *m, const char *lost,
    const char *actor, db_result_cb *cb, void *arg)
{
	char text[8][NUMBER_MAX];
	const char *params[] = { m->segment, number(text[0], m->seq),
		m->split_reason, number(text[1], m->monitor), m->monitor_name,
		number(text[2], m->frame_rate), number(text[3], m->width),
		number(text[4], m->height), number(text[5], m->start_mono_ns),
		number(text[6], m->start_wall_ns),
		m->gap_start_mono_ns > 0 ? number(text[7], m->gap_start_mono_ns)
					 : NULL,
		lost, actor };

	return db_query_now(db, first_sql, N_ELEMENTS(params), params, cb, arg);
}

int
encode_rows_nothing(struct db *db, const char *id, db_result_cb *cb, void *arg)
{
	return db_query_now(db,
	    "DELETE FROM segments WHERE id = $1::uuid AND status = 'encoding'",
	    1, &id, cb, arg);
}
