#include "relay/node.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/db.h"
#include "common/err.h"
#include "common/log.h"
#include "common/metrics_print.h"
#include "common/metrics_server.h"
#include "common/uuid.h"
#include "relay/heartbeat.h"
#include "relay/listener/conn_limits.h"
#include "relay/relay.h"

#define CLEAN_UP_SECONDS 10

struct node {
	struct relay *relay;
	struct event_base *base;
	struct db *db;
	struct heartbeat *heartbeat;
	struct event *clean_up;
	struct metrics_server *metrics;
};

static void
on_state(void *arg, bool connected)
{
	struct node *n = arg;

	heartbeat_connected(n->heartbeat, connected);
}

/* What is over its time. */
static void
clean_up_rows(struct node *n)
{
	db_query_now(n->db,
	    "WITH c AS (DELETE FROM attended_codes WHERE expires_at < "
	    "clock_timestamp() RETURNING code) UPDATE endpoints SET "
	    "deleted_at = clock_timestamp() WHERE kind = 'attended' AND "
	    "deleted_at IS NULL AND name IN (SELECT code FROM c)",
	    0, NULL, NULL, NULL);
	db_query_now(n->db,
	    "WITH k AS (DELETE FROM known_logins WHERE last_at < now() - "
	    "interval '30 days') DELETE FROM login_failures WHERE last_at < "
	    "now() - interval '15 minutes'",
	    0, NULL, NULL, NULL);
}

/* One row a minute and kind (reject_log.h). */
static void
write_rejects(struct node *n)
{
	static const char *const actions[REJECT_KINDS] = {
		[REJECT_REVERSE] = "reverse_refused",
		[REJECT_AGENT] = "agent_refused",
		[REJECT_LEFT] = "login_abandoned",
	};
	struct reject_entry r;
	char count[24];

	for (unsigned i = 0; i < REJECT_KINDS; i++) {
		const char *params[] = { actions[i], r.object, r.client,
			count };

		if (!reject_log_take(
			&n->relay->rejects, i, clock_mono_ns(), &r))
			continue;
		snprintf(count, sizeof(count), "%llu", (unsigned long long)r.n);
		db_query(n->db,
		    "INSERT INTO audit (actor, action, object, detail) VALUES "
		    "('relay', $1, $2, jsonb_build_object('client', $3::text, "
		    "'count', $4::bigint))",
		    4, params, NULL, NULL);
	}
}

static void
on_clean_up(evutil_socket_t fd, short what, void *arg)
{
	clean_up_rows(arg);
	write_rejects(arg);
	log_report_suppressed();
}

static unsigned
print_metrics(void *arg, struct metrics_out *out)
{
	struct node *n = arg;
	struct relay_stats *st = &n->relay->stats;
	struct connection_limit *limit = n->relay->connections;
	unsigned attended = connection_limit_count(limit, POOL_ATTENDED);
	struct live_limits live = live_budget_used(&n->relay->live);
	const struct metric rows[] = {
		{ "connections_total", "counter", "Connections accepted.",
		    atomic_load(&st->connections) },
		{ "proxy_checks_total", "counter",
		    "Connections with which a load balancer only checked that "
		    "the relay is there.",
		    atomic_load(&st->checks) },
		{ "sessions_total", "counter", "Sessions that ran.",
		    atomic_load(&st->sessions) },
		{ "turned_away_total", "counter",
		    "Connections closed at once, beyond a bound.",
		    atomic_load(&st->turned_away) },
		{ "active", "gauge", "Connections now, of all kinds.",
		    atomic_load(&st->active) },
		{ "evicted_total", "counter",
		    "Connections that had not logged in and were closed: their "
		    "time was over, or others came.",
		    connection_limit_evicted(limit) },
		{ "logins", "gauge", "Connections now that have not logged in.",
		    conn_limits_count_logins(limit) },
		{ "sessions_active", "gauge", "Sessions now.",
		    connection_limit_count(limit, POOL_SESSION) },
		{ "agents", "gauge", "Agents whose control channel is here.",
		    connection_limit_count(limit, POOL_AGENT) + attended },
		{ "attended", "gauge", "Of these, with a session code.",
		    attended },
		{ "parked", "gauge", "Servers that dialled in and wait.",
		    connection_limit_count(limit, POOL_PARKED) },
		{ "refused_total", "counter", "Technicians turned away.",
		    atomic_load(&st->refused) },
		{ "logins_accepted_total", "counter",
		    "Passwords, tickets and logins of browsers that were "
		    "right.",
		    atomic_load(&st->logins_accepted) },
		{ "login_failures_total", "counter", "Wrong passwords.",
		    atomic_load(&st->login_failures) },
		{ "recorder_failures_total", "counter",
		    "Recorders that died or never got ready.",
		    atomic_load(&st->recorder_failures) },
		{ "recorder_restarts_total", "counter",
		    "Recorders that took the place of a dead one.",
		    atomic_load(&st->recorder_restarts) },
		{ "recorder_overloads_total", "counter",
		    "Recorders that fell behind and went on as captures.",
		    atomic_load(&st->recorder_overloads) },
		{ "captures_total", "counter",
		    "Sessions captured, to be encoded later.",
		    atomic_load(&st->captures) },
		{ "live_recorders", "gauge",
		    "Sessions whose recorder encodes while they run.",
		    live.recorders },
		{ "live_cpu_permille", "gauge",
		    "Thousandths of a core that they used lately.",
		    live.permille },
		{ "spool_flushes_total", "counter",
		    "Flushes of the spool for all recorders together.",
		    atomic_load(&n->relay->flush.page->passes) },
		{ "spool_flush_failures_total", "counter",
		    "Of these, failed; recorders sync their files then.",
		    atomic_load(&n->relay->flush.page->failures) },
		{ "endpoint_bytes_total", "counter", "Bytes from endpoints.",
		    atomic_load(&st->bytes_from_endpoints) },
		{ "technician_bytes_total", "counter",
		    "Bytes from technicians.",
		    atomic_load(&st->bytes_from_technicians) },
	};

	metrics_print(out, "relaycam_relay_", rows, N_ELEMENTS(rows));
	measures_print(n->relay, out);
	metrics_print_process(out, "relaycam_relay_");
	return 200;
}

static unsigned
print_readyz(void *arg, struct metrics_out *out)
{
	struct node *n = arg;
	const char *trouble = heartbeat_trouble(n->heartbeat);

	if (atomic_load(&n->relay->draining))
		evbuffer_add_printf(out->body, "draining\n");
	else if (trouble != NULL)
		evbuffer_add_printf(out->body, "the database %s\n", trouble);
	else {
		evbuffer_add_printf(out->body, "ready\n");
		return 200;
	}
	return 503;
}

static const struct metrics_page pages[] = {
	{ "/metrics", print_metrics },
	{ "/healthz", metrics_print_healthz },
	{ "/readyz", print_readyz },
};

/* An empty metrics_listen serves nothing. */
static int
serve(struct node *n, const char *where)
{
	const struct metrics_server_conf conf = { .setting =
						      "relay.metrics_listen",
		.listen = where,
		.pages = pages,
		.n_pages = N_ELEMENTS(pages),
		.arg = n };
	char err[400];
	int rc;

	if (where == NULL || *where == '\0')
		return 0;
	rc = metrics_server_new(&n->metrics, n->base, &conf, err, sizeof(err));
	if (rc != 0)
		log_error("cannot_listen", LOG_S("why", err));
	return rc;
}

void
node_identity(char *out, const char *listen)
{
	char text[512], host[65] = "";
	struct stat ns = { 0 };
	uint8_t b[16];

	gethostname(host, sizeof(host) - 1);
	stat("/proc/self/ns/net", &ns);
	snprintf(text, sizeof(text), "relay|%s|%llu|%s", host,
	    (unsigned long long)ns.st_ino, listen);
	crypto_generichash(
	    b, sizeof(b), (uint8_t *)text, strlen(text), NULL, 0);
	uuid_of_hash(b, out);
}

struct node *
node_new(struct relay *r, struct event_base *base)
{
	struct node *n = calloc(1, sizeof(*n));
	struct timeval tv = { CLEAN_UP_SECONDS, 0 };

	if (n == NULL)
		return NULL;
	n->relay = r;
	n->base = base;
	n->clean_up = event_new(base, -1, EV_PERSIST, on_clean_up, n);
	n->db = db_new(base, &r->database, on_state, n);
	if (n->db != NULL)
		n->heartbeat = heartbeat_new(r, base, n->db);
	if (n->clean_up == NULL || n->heartbeat == NULL ||
	    event_add(n->clean_up, &tv) != 0 ||
	    serve(n, r->conf.metrics_listen) != 0) {
		node_free(n);
		return NULL;
	}
	return n;
}

static void
on_stopped(void *arg, PGresult *res)
{
	struct node *n = arg;

	event_base_loopbreak(n->base);
}

void
node_free(struct node *n)
{
	const char *params[1];
	struct timeval second = { 1, 0 };

	if (n == NULL)
		return;
	params[0] = n->relay->node_id;
	if (n->heartbeat != NULL && heartbeat_trouble(n->heartbeat) == NULL &&
	    db_query_now(n->db,
		"UPDATE nodes SET stopped_at = clock_timestamp() WHERE "
		"id = $1",
		1, params, on_stopped, n) == 0) {
		event_base_loopexit(n->base, &second);
		event_base_dispatch(n->base);
	}
	metrics_server_free(n->metrics);
	if (n->clean_up != NULL)
		event_free(n->clean_up);
	db_free(n->db);
	heartbeat_free(n->heartbeat); /* it was answered for the last time */
	free(n);
}
