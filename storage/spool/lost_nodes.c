#include "storage/spool/lost_nodes.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/db.h"
#include "common/err.h"
#include "common/http.h"
#include "common/log.h"
#include "common/uuid.h"
#include "storage/daemon.h"
#include "storage/node.h"
#include "storage/spool/lost_copy.h"
#include "storage/spool/spool.h"
#include "storage/spool/stop_point.h"
#include "storage/store/store.h"

#define TICK_S    1
#define SWEEP_S   10
#define SETTLED_S 30 /* several heartbeats, after PostgreSQL was away */

/* clang-format off */
/*
 * Since when a node has been silent is noted when a daemon sees it: after an
 * outage of PostgreSQL, or in a database that was restored from a backup, the
 * heartbeats are as old as that, and every node has all of the time again.
 */
#define IS_LOST(node, seconds) \
	"(" node ".silent_since >= " node ".heartbeat_at AND " node \
	".silent_since < now() - make_interval(secs => " seconds "::float8))"

/* Several heartbeats. */
static const char silent_sql[] =
"UPDATE nodes SET silent_since = now() WHERE program = 'storage'"
" AND heartbeat_at < now() - interval '30 seconds'"
" AND (silent_since < heartbeat_at) IS NOT FALSE";

/*
 * $1 this node, $2 seconds, $3 a segment of this node's, or NULL: of any that
 * is lost. Another daemon that took one and died has it for ten minutes.
 */
static const char claim_sql[] =
"UPDATE uploads u SET recover_node = $1::uuid,"
" recover_until = now() + interval '10 minutes' "
"FROM segments g JOIN nodes n ON n.id = g.spool_node "
"LEFT JOIN evidence e ON e.segment_id = g.id "
"WHERE u.segment_id = (SELECT x.segment_id FROM uploads x"
"  JOIN segments y ON y.id = x.segment_id JOIN nodes m ON m.id = y.spool_node"
"  WHERE x.is_early AND x.manifest IS NOT NULL AND y.store IS NULL"
"  AND y.status IN ('recording', 'transfer', 'corrupted')"
"  AND (x.recover_until IS NULL OR x.recover_until < now()"
"   OR x.recover_node = $1::uuid AND $3::uuid IS NOT NULL)"
"  AND CASE WHEN $3::uuid IS NULL THEN m.id <> $1::uuid AND " IS_LOST("m", "$2")
"   ELSE y.id = $3::uuid AND m.id = $1::uuid END"
"  ORDER BY y.started_at LIMIT 1 FOR UPDATE OF x SKIP LOCKED)"
" AND g.id = u.segment_id "
"RETURNING g.id, g.session_id, u.object_key, u.part_bytes, u.manifest, n.host,"
" coalesce(e.head_from, 0), n.id = $1::uuid";

static const char parts_sql[] =
"SELECT part, CASE WHEN etag <> '' THEN bytes ELSE 0 END,"
" encode(sha256, 'hex'), coalesce(next_bytes, 0),"
" coalesce(encode(next_sha256, 'hex'), '')"
" FROM upload_parts WHERE segment_id = $1::uuid ORDER BY part";

/* The segment is this node's, or its node is lost still: one that came back
 * goes on with it. */
#define IS_OURS(node, seconds) \
	"(spool_node = " node "::uuid OR EXISTS (SELECT FROM nodes n" \
	" WHERE n.id = spool_node AND " IS_LOST("n", seconds) "))"

/*
 * $2 bytes and $3 hash of what is left, $4 this node, $6 the sentence, $7
 * seconds. What was seen of it while it grew may have been more: the audit log
 * keeps that.
 */
static const char recovered_sql[] =
"WITH was AS (SELECT e.head_to, encode(e.head_sha256, 'hex') AS sha256,"
"  e.head_at FROM evidence e WHERE e.segment_id = $1::uuid AND e.root IS NULL),"
" g AS (UPDATE segments SET lost_why = $6, status_detail = $6,"
"  lost_node = coalesce(nullif(spool_node, $4::uuid), lost_node),"
"  spool_node = $4::uuid WHERE id = $1::uuid AND store IS NULL AND status IN"
"  ('recording', 'transfer', 'corrupted') AND " IS_OURS("$4", "$7")
"  RETURNING team_id),"
" cut AS (UPDATE evidence SET head_to = $2::bigint, head_sha256 = $3::bytea"
"  WHERE segment_id = $1::uuid AND root IS NULL AND head_to > $2::bigint"
"  AND head_from < $2::bigint AND EXISTS (SELECT FROM g)),"
" a AS (INSERT INTO audit (team_id, actor, action, object, detail) SELECT g.team_id,"
" $5, 'recording_recovered', $1::text, jsonb_build_object('bytes', $2::bigint,"
" 'seen_bytes', was.head_to, 'seen_sha256', was.sha256, 'seen_at', was.head_at,"
" 'why', $6::text) FROM g JOIN segments old ON old.id = $1::uuid"
"  AND old.lost_why IS DISTINCT FROM $6 LEFT JOIN was ON true) "
"SELECT FROM g";

/*
 * Nothing of it is left, or the object in the store $5 is something else than
 * was sent: its row keeps that one, until its time is over. $3 this node, $4
 * seconds, $6 seconds of a day of retention.
 */
static const char nothing_sql[] =
"WITH g AS (SELECT id FROM segments WHERE id = $1::uuid AND store IS NULL AND "
	IS_OURS("$3", "$4") " FOR UPDATE),"
" u AS (DELETE FROM uploads WHERE segment_id IN (SELECT id FROM g)) "
"UPDATE segments SET status = CASE WHEN $5::text IS NULL THEN 'missing'"
"  ELSE 'corrupted' END, status_detail = $2, store = $5,"
" expires_at = CASE WHEN $5::text IS NOT NULL THEN retention_end("
"  coalesce(ended_at, started_at), now(), coalesce((SELECT a.retention_days"
"   FROM sessions s JOIN access_settings a ON a.team_id = s.team_id"
"   AND a.access = s.access WHERE s.id = segments.session_id), 90),"
"  make_interval(secs => $6::bigint)) END,"
" end_mono_ns = coalesce(end_mono_ns, start_mono_ns),"
" ended_at = coalesce(ended_at, started_at), recovered = true,"
" end_why = coalesce(end_why, 'crash') WHERE id IN (SELECT id FROM g)"
" AND status IN ('recording', 'transfer')";

/* $1 seconds. */
static const char missing_sql[] =
"UPDATE segments g SET status = 'missing', status_detail ="
" 'its node ' || n.host || ' is lost, last seen ' ||"
" utc_text(n.heartbeat_at) || ', and nothing of it was in the store',"
" end_mono_ns = coalesce(g.end_mono_ns, g.start_mono_ns),"
" ended_at = coalesce(g.ended_at, g.started_at),"
" recovered = g.recovered OR g.status = 'recording',"
" end_why = coalesce(g.end_why, 'crash') "
"FROM nodes n WHERE n.id = g.spool_node AND n.program = 'storage'"
" AND " IS_LOST("n", "$1")
" AND g.store IS NULL AND g.status IN ('recording', 'transfer', 'downloaded',"
" 'encoding', 'encoding_failed') AND NOT EXISTS (SELECT FROM uploads u"
"  WHERE u.segment_id = g.id AND u.is_early AND u.manifest IS NOT NULL)"
" RETURNING g.id, g.session_id, n.host";
/* clang-format on */

struct lost_nodes {
	struct daemon *d;
	struct event *timer;
	uint64_t sweep_ns, next_ns; /* clock_mono_ns */
	uint64_t retry_ns;          /* one of this node's that failed */
	uint64_t connected_ns;      /* to PostgreSQL, since; 0: it is away */
	bool is_sweeping, is_busy;
	char wanted[UUID_TEXT_MAX]; /* of this node; "": none */
	/* the segment that is being recovered */
	char id[UUID_TEXT_MAX], session[UUID_TEXT_MAX], host[256];
	char key[OBJECT_KEY_MAX + 1];
	char why[STORE_DETAIL_MAX];
	bool is_own;
	char *manifest; /* heap */
	struct lost_part *parts;
	struct lost_copy copy;
	struct lost_copied copied;
};

/* After which a node is lost. */
static const char *
lost_seconds(const struct lost_nodes *l, char out[24])
{
	snprintf(out, 24, "%" PRId64, l->d->conf.lost_node_seconds);
	return out;
}

/* Ends with this one; the next one follows at once, or later. A copy that was
 * not placed is of no use: the next try makes another one. */
static void
end(struct lost_nodes *l, int64_t pause_s)
{
	if (l->id[0] != '\0')
		lost_copy_remove(l->d, l->id);
	l->id[0] = '\0';
	free(l->manifest);
	free(l->parts);
	l->manifest = NULL;
	l->parts = NULL;
	l->is_busy = false;
	l->next_ns = clock_mono_ns() + (uint64_t)pause_s * NS_PER_S;
}

static void
later(struct lost_nodes *l, const char *why)
{
	log_warn("segment_not_recovered", LOG_S("segment", l->id),
	    LOG_S("session", l->session), LOG_S("why", why));
	end(l, l->d->conf.retry_seconds);
	l->retry_ns = l->next_ns;
}

/* ---- into the spool ---- */

static void
on_recovered(void *arg, PGresult *res)
{
	struct lost_nodes *l = arg;
	int rc;

	if (l->d->exiting || !db_ok(res, "note a recovered recording")) {
		later(l, "PostgreSQL is away");
		return;
	}
	if (PQntuples(res) == 0) {
		later(l, "its row says something else now");
		return;
	}
	stop_point("lost_copy_noted");
	rc = lost_copy_place(l->d, l->id, l->session);
	if (rc != 0) {
		later(l,
		    rc == ERR_EXISTS
			? "files of it are in the spool"
			: "it cannot be moved into the spool");
		return;
	}
	log_warn("segment_recovered", LOG_S("segment", l->id),
	    LOG_S("session", l->session), LOG_S("node", l->host),
	    LOG_U("bytes", l->copied.bytes));
	spool_kick(l->d->spool, false);
	end(l, 0);
}

static void
on_nothing(void *arg, PGresult *res)
{
	struct lost_nodes *l = arg;

	db_ok(res, "note that nothing is left of a segment");
	end(l, 0);
}

/* What is there is nothing, or something else than was sent (is_object). */
static void
nothing(struct lost_nodes *l, const char *detail, bool is_object)
{
	char why[STORE_DETAIL_MAX], seconds[24], day[24];
	const char *params[] = { l->id, why, node_id(l->d->node),
		lost_seconds(l, seconds),
		is_object ? l->d->store->ops->name : NULL, day };

	snprintf(
	    day, sizeof(day), "%" PRId64, l->d->conf.retention_day_seconds);
	snprintf(why, sizeof(why), "%.100s; %.130s", l->why, detail);
	log_error("segment_lost", LOG_S("segment", l->id),
	    LOG_S("session", l->session), LOG_S("why", why));
	if (db_query(l->d->db, nothing_sql, N_ELEMENTS(params), params,
		on_nothing, l) != 0)
		later(l, "out of memory");
}

static void
on_copied(void *arg, const struct lost_copied *what)
{
	struct lost_nodes *l = arg;
	char bytes[24], sum[70] = "\\x", seconds[24];
	const char *params[] = { l->id, bytes, sum, node_id(l->d->node),
		l->d->actor, l->why, lost_seconds(l, seconds) };

	l->copied = *what;
	if (what->r.err == ERR_CORRUPT) {
		nothing(l, what->r.detail, true);
		return;
	}
	if (what->r.err != 0) {
		later(l, what->r.detail);
		return;
	}
	stop_point("lost_copy_made");
	snprintf(bytes, sizeof(bytes), "%" PRIu64, what->bytes);
	http_hex(what->head_sha256, SHA256_LEN, sum + 2);
	if (db_query(l->d->db, recovered_sql, N_ELEMENTS(params), params,
		on_recovered, l) != 0)
		later(l, "out of memory");
}

static void
on_joined(void *arg, const struct store_result *r)
{
	struct lost_nodes *l = arg;

	if (l->d->exiting)
		end(l, 0);
	else if (r->err == ERR_NOTFOUND)
		nothing(l, r->detail, false);
	else if (r->err != 0)
		later(l, r->detail);
	else {
		stop_point("lost_joined");
		if (lost_copy_start(l->d, &l->copy, on_copied, l) != 0)
			later(l, "out of memory");
	}
}

/* ---- which ---- */

static bool
take_parts(struct lost_nodes *l, PGresult *res)
{
	size_t n = (size_t)PQntuples(res);
	struct lost_part *p = calloc(n + 1, sizeof(*p));

	for (int row = 0; p != NULL && row < (int)n; row++) {
		size_t i = strtoull(PQgetvalue(res, row, 0), NULL, 10) - 1;

		for (int k = 0; i < n && k < 2; k++)
			if (http_unhex(PQgetvalue(res, row, 2 + 2 * k),
				p[i].sha256[k], SHA256_LEN) == 0)
				p[i].bytes[k] = strtoull(
				    PQgetvalue(res, row, 1 + 2 * k), NULL, 10);
	}
	l->parts = p;
	l->copy.parts = p;
	l->copy.n_parts = n;
	return p != NULL;
}

static void
on_parts(void *arg, PGresult *res)
{
	struct lost_nodes *l = arg;

	if (l->d->exiting || !db_ok(res, "read early parts") ||
	    !take_parts(l, res)) {
		later(l, "its parts cannot be read");
		return;
	}
	if (l->d->store->ops->early_end(
		l->d->store, l->id, l->key, on_joined, l) != 0)
		later(l, "out of memory");
}

static void
take_claim(struct lost_nodes *l, PGresult *res)
{
	snprintf(l->id, sizeof(l->id), "%s", PQgetvalue(res, 0, 0));
	snprintf(l->session, sizeof(l->session), "%s", PQgetvalue(res, 0, 1));
	snprintf(l->key, sizeof(l->key), "%s", PQgetvalue(res, 0, 2));
	snprintf(l->host, sizeof(l->host), "%s", PQgetvalue(res, 0, 5));
	l->is_own = PQgetvalue(res, 0, 7)[0] == 't';
	l->manifest = strdup(PQgetvalue(res, 0, 4));
	l->copy = (struct lost_copy){ .segment = l->id,
		.key = l->key,
		.manifest = l->manifest,
		.part_bytes = strtoull(PQgetvalue(res, 0, 3), NULL, 10),
		.head_from = strtoull(PQgetvalue(res, 0, 6), NULL, 10) };
	snprintf(l->why, sizeof(l->why),
	    "%s %.64s %s: what was recorded after the last upload is lost",
	    l->is_own ? "its files on node" : "its node", l->host,
	    l->is_own ? "are gone" : "is lost");
}

static void
on_claimed(void *arg, PGresult *res)
{
	struct lost_nodes *l = arg;
	const char *params[] = { l->id };

	if (l->d->exiting || !db_ok(res, "take a lost segment") ||
	    PQntuples(res) == 0) {
		end(l, SWEEP_S);
		return;
	}
	take_claim(l, res);
	stop_point("lost_claimed");
	log_info("segment_recovery", LOG_S("segment", l->id),
	    LOG_S("session", l->session), LOG_S("node", l->host),
	    LOG_S("key", l->key));
	if (l->manifest == NULL || l->copy.part_bytes == 0 ||
	    db_query(l->d->db, parts_sql, 1, params, on_parts, l) != 0)
		later(l, "out of memory");
}

static void
claim(struct lost_nodes *l)
{
	char seconds[24], wanted[UUID_TEXT_MAX];
	const char *params[] = { node_id(l->d->node), lost_seconds(l, seconds),
		l->wanted[0] != '\0' ? wanted : NULL };

	strcpy(wanted, l->wanted);
	l->wanted[0] = '\0';
	l->is_busy = true;
	if (db_query_now(l->d->db, claim_sql, 3, params, on_claimed, l) != 0)
		end(l, TICK_S);
}

static void
on_swept(void *arg, PGresult *res)
{
	struct lost_nodes *l = arg;

	l->is_sweeping = false;
	if (l->d->exiting || !db_ok(res, "find lost segments"))
		return;
	for (int i = 0; i < PQntuples(res); i++)
		log_error("segment_lost",
		    LOG_S("segment", PQgetvalue(res, i, 0)),
		    LOG_S("session", PQgetvalue(res, i, 1)),
		    LOG_S("node", PQgetvalue(res, i, 2)),
		    LOG_S("why", "nothing of it was in the store"));
}

static void
sweep(struct lost_nodes *l, uint64_t now)
{
	char seconds[24];
	const char *params[] = { lost_seconds(l, seconds) };

	l->sweep_ns = now + SWEEP_S * NS_PER_S;
	db_query_now(l->d->db, silent_sql, 0, NULL, NULL, NULL);
	l->is_sweeping =
	    db_query_now(l->d->db, missing_sql, 1, params, on_swept, l) == 0;
}

/*
 * A node that was silent before PostgreSQL went away, or before a backup was
 * made, comes back with PostgreSQL: its heartbeat is awaited first.
 */
static bool
is_database_settled(struct lost_nodes *l, uint64_t now)
{
	int64_t seconds = l->d->conf.lost_node_seconds;

	if (!db_is_connected(l->d->db))
		l->connected_ns = 0;
	else if (l->connected_ns == 0)
		l->connected_ns = now;
	if (seconds > SETTLED_S)
		seconds = SETTLED_S;
	return l->connected_ns != 0 &&
	    now - l->connected_ns >= (uint64_t)seconds * NS_PER_S;
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct lost_nodes *l = arg;
	uint64_t now = clock_mono_ns();
	bool is_settled = is_database_settled(l, now);

	if (l->d->stopping || !db_is_connected(l->d->db))
		return;
	if (is_settled && !l->is_sweeping && now >= l->sweep_ns)
		sweep(l, now);
	if (!l->is_busy && l->d->store->ops->early_end != NULL &&
	    ((is_settled && now >= l->next_ns) || l->wanted[0] != '\0'))
		claim(l);
}

void
lost_nodes_want(struct lost_nodes *l, const char *segment)
{
	if (l == NULL || clock_mono_ns() < l->retry_ns ||
	    (l->is_busy && strcmp(l->id, segment) == 0))
		return; /* later, or it is being recovered */
	snprintf(l->wanted, sizeof(l->wanted), "%s", segment);
}

int
lost_nodes_new(struct daemon *d)
{
	struct lost_nodes *l = calloc(1, sizeof(*l));
	struct timeval tv = { TICK_S, 0 };

	if (l == NULL)
		return ERR_NOMEM;
	d->lost_nodes = l;
	l->d = d;
	lost_copy_tidy(d);
	l->timer = event_new(d->base, -1, EV_PERSIST, on_timer, l);
	return l->timer != NULL && event_add(l->timer, &tv) == 0 ? 0
								 : ERR_NOMEM;
}

void
lost_nodes_free(struct lost_nodes *l)
{
	if (l == NULL)
		return;
	if (l->timer != NULL)
		event_free(l->timer);
	free(l->manifest);
	free(l->parts);
	free(l);
}
