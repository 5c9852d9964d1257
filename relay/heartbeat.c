#include "relay/heartbeat.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/db.h"
#include "common/log.h"
#include "relay/node_watch.h"
#include "relay/relay.h"

#define HEARTBEATS_PER_LIMIT 6

#define HEARTBEAT(table)                                                       \
	"(extract(epoch FROM " table ".heartbeat_at) * 1000000)::bigint"

/* $1 we, $2 host, $3 version. Answers those that carry something. */
static const char heartbeat_sql[] =
    "WITH me AS (INSERT INTO nodes (id, program, host, version) VALUES ($1, "
    "'relay', $2, $3) ON CONFLICT (id) DO UPDATE SET heartbeat_at = "
    "clock_timestamp(), stopped_at = NULL, version = $3) "
    "SELECT n.id, " HEARTBEAT(
	"n") ", n.stopped_at IS NOT NULL FROM nodes n WHERE "
	     "n.id <> $1 AND n.program = 'relay' AND n.id IN ("
	     "SELECT node_id FROM sessions WHERE ended_at IS NULL UNION "
	     "SELECT agent_node FROM endpoints UNION "
	     "SELECT parked_node FROM endpoints UNION "
	     "SELECT node_id FROM attended_codes)";

/* What a relay carried that is gone; g has its id and last heartbeat. */
#define WRITE_OFF(sessions_of, agents_of, parked_of, codes_of, attended_of)    \
	"s AS (UPDATE sessions s SET ended_at = greatest(g.heartbeat_at, "     \
	"s.started_at), lost_at = clock_timestamp(), end_code = 'node_lost', " \
	"end_reason = 'the relay that carried it stopped', recording = false " \
	"FROM g WHERE s.node_id = g.id"                                        \
	" AND s.ended_at IS NULL" sessions_of                                  \
	" RETURNING s.id, s.team_id, g.host, g.heartbeat_at), "                \
	"a AS (INSERT INTO audit (team_id, actor, action, object, detail) "    \
	"SELECT team_id, 'relay', 'session_lost', id::text, "                  \
	"jsonb_build_object('host', host, 'last_heartbeat', heartbeat_at) "    \
	"FROM s), "                                                            \
	"e AS (UPDATE endpoints e SET agent_node = NULL, agent_channel = NULL" \
	" FROM g WHERE e.agent_node = g.id AND e.kind <> 'attended'" agents_of \
	"), "                                                                  \
	"p AS (UPDATE endpoints e SET parked_node = NULL FROM g WHERE "        \
	"e.parked_node = g.id" parked_of "), "                                 \
	"c AS (DELETE FROM attended_codes c USING g WHERE c.node_id = "        \
	"g.id" codes_of " RETURNING c.code), "                                 \
	"d AS (UPDATE endpoints e SET deleted_at = clock_timestamp() WHERE "   \
	"e.kind = 'attended' AND e.deleted_at IS NULL AND (e.name IN (SELECT " \
	"code FROM c) OR e.agent_node IN (SELECT id FROM g)" attended_of ")) " \
	"SELECT pg_notify('relaycam_node', g.id::text), (SELECT count(*) "     \
	"FROM s) FROM g"

/* $1 the relay, $2 its heartbeat as we saw it, so that one that came since
 * keeps everything. */
static const char write_off_sql[] =
    "WITH g AS (SELECT id, host, heartbeat_at FROM nodes n WHERE id = $1 "
    "AND " HEARTBEAT("n") " = $2::bigint FOR UPDATE), " WRITE_OFF(
	"", "", "", "", "");

/*
 * $1 we, $2 when this run began, our clock, $3 seconds since then. What the
 * run before left; the database's clock need not be ours.
 */
#define BEFORE(at) " AND " at " < clock_timestamp() - make_interval(secs => $3)"
static const char clean_up_sql[] =
    "WITH g AS (SELECT id, host, heartbeat_at FROM nodes WHERE id = $1 FOR "
    "UPDATE), " WRITE_OFF(" AND s.started_at < to_timestamp($2)",
	BEFORE("e.agent_seen_at"), BEFORE("e.parked_at"),
	BEFORE("c.created_at"), BEFORE("e.created_at"));

struct heartbeat {
	struct relay *relay;
	struct db *db;
	struct event *timer;
	struct node_watch watch;
	char host[65];
	char started[32]; /* seconds since 1970 */
	uint64_t started_ns;
	bool is_under_way, has_cleaned_up;
	bool is_known; /* the last heartbeat is in the database */
	const char *trouble;
};

static void
broken(struct heartbeat *h, const char *trouble)
{
	if (h->is_known)
		log_warn("heartbeat_failed", LOG_S("why", trouble));
	h->is_known = false;
	h->trouble = trouble;
	node_watch_broken(&h->watch);
}

static void
on_written_off(void *arg, PGresult *res)
{
	if (db_ok(res, "what a lost relay carried") && PQntuples(res) == 1)
		log_warn("relay_lost",
		    LOG_S("sessions_lost", PQgetvalue(res, 0, 1)));
}

static void
look_at_others(struct heartbeat *h, const PGresult *res)
{
	uint64_t now = clock_mono_ns();

	node_watch_begin(&h->watch, now);
	for (int i = 0; i < PQntuples(res); i++) {
		const char *params[] = { PQgetvalue(res, i, 0),
			PQgetvalue(res, i, 1) };

		if (node_watch_see(&h->watch, params[0], params[1],
			*PQgetvalue(res, i, 2) == 't', now))
			db_query_now(
			    h->db, write_off_sql, 2, params, on_written_off, h);
	}
	node_watch_end(&h->watch);
}

static void
on_heartbeat(void *arg, PGresult *res)
{
	struct heartbeat *h = arg;

	h->is_under_way = false;
	if (!db_ok(res, "heartbeat")) {
		broken(h, db_why(res));
		return;
	}
	h->is_known = true;
	h->trouble = NULL;
	look_at_others(h, res);
}

static void
send_heartbeat(struct heartbeat *h)
{
	const char *params[] = { h->relay->node_id, h->host, RELAYCAM_VERSION };

	h->is_under_way =
	    db_query_now(h->db, heartbeat_sql, 3, params, on_heartbeat, h) == 0;
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct heartbeat *h = arg;

	if (h->is_under_way)
		broken(h, db_why(NULL));
	else
		send_heartbeat(h);
}

static void
on_cleaned_up(void *arg, PGresult *res)
{
	struct heartbeat *h = arg;

	h->has_cleaned_up = db_ok(res, "sessions of the run before");
}

static void
clean_up(struct heartbeat *h)
{
	char seconds[32];
	const char *params[] = { h->relay->node_id, h->started, seconds };

	/* on its way it gets later */
	snprintf(seconds, sizeof(seconds), "%.3f",
	    (double)(clock_mono_ns() - h->started_ns) / 1e9 + 1);
	db_query_now(h->db, clean_up_sql, 3, params, on_cleaned_up, h);
}

void
heartbeat_connected(struct heartbeat *h, bool connected)
{
	if (!connected) {
		broken(h, db_trouble(h->db));
		return;
	}
	/* before the heartbeat says that we live */
	if (!h->has_cleaned_up)
		clean_up(h);
	if (!h->is_under_way)
		send_heartbeat(h);
}

const char *
heartbeat_trouble(const struct heartbeat *h)
{
	const char *trouble = db_trouble(h->db);

	return trouble != NULL ? trouble : h->trouble;
}

struct heartbeat *
heartbeat_new(struct relay *r, struct event_base *base, struct db *db)
{
	struct heartbeat *h = calloc(1, sizeof(*h));
	uint64_t ms = (uint64_t)r->conf.node_lost_seconds * 1000;
	struct timeval tv;

	if (h == NULL)
		return NULL;
	h->relay = r;
	h->db = db;
	h->trouble = "cannot be reached";
	h->watch.limits.lost_ns = ms * NS_PER_MS;
	ms /= HEARTBEATS_PER_LIMIT;
	h->watch.limits.heartbeat_ns = ms * NS_PER_MS;
	tv = (struct timeval){ (time_t)(ms / 1000),
		(suseconds_t)(ms % 1000) * 1000 };
	gethostname(h->host, sizeof(h->host) - 1);
	h->started_ns = clock_mono_ns();
	snprintf(h->started, sizeof(h->started), "%.6f",
	    (double)clock_wall_ns() / 1e9);
	h->timer = event_new(base, -1, EV_PERSIST, on_timer, h);
	if (h->timer == NULL || event_add(h->timer, &tv) != 0) {
		heartbeat_free(h);
		return NULL;
	}
	return h;
}

void
heartbeat_free(struct heartbeat *h)
{
	if (h != NULL && h->timer != NULL)
		event_free(h->timer);
	free(h);
}
