#include "console/node.h"

#include <event2/event.h>
#include <openssl/sha.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/db.h"
#include "common/uuid.h"
#include "console/conf.h"
#include "console/db_pool.h"
#include "console/worker.h"

#define HEARTBEAT_S 5
#define TIDY_BEATS  12 /* once a minute */

/* Workers beat one after the other: a row that is fresh stays as it is. */
static const char beat_sql[] =
    "INSERT INTO nodes (id, program, host, version, started_at) "
    "VALUES ($1, 'console', $2, $3, to_timestamp($4::double precision)) "
    "ON CONFLICT (id) DO UPDATE SET host = $2, version = $3, "
    "started_at = to_timestamp($4::double precision), "
    "heartbeat_at = clock_timestamp(), stopped_at = NULL "
    "WHERE nodes.heartbeat_at < clock_timestamp() - interval '4 seconds' "
    "OR nodes.stopped_at IS NOT NULL OR nodes.version <> $3";

static const char stop_sql[] =
    "UPDATE nodes SET heartbeat_at = clock_timestamp(), stopped_at = "
    "clock_timestamp() WHERE id = $1";

/* Tokens that expired are listed for a month more, so that people see why
 * their program is refused. */
static const char tidy_sql[] =
    "WITH l AS (DELETE FROM logins WHERE expires_at < now()) "
    "DELETE FROM api_tokens WHERE expires_at < now() - interval '30 days'";

struct node {
	struct worker *worker;
	struct event *timer;
	unsigned n_beats;
	char id[UUID_TEXT_MAX], host[65], started[24];
};

static void
make_id(struct node *n)
{
	char text[512];
	uint8_t h[SHA256_DIGEST_LENGTH];
	int len = snprintf(text, sizeof(text), "relaycam-console\n%s\n%s",
	    n->host, n->worker->conf->console.listen);

	if ((size_t)len >= sizeof(text))
		len = sizeof(text) - 1;
	SHA256((const uint8_t *)text, (size_t)len, h);
	uuid_of_hash(h, n->id);
}

void
node_beat(struct node *n)
{
	const char *params[] = { n->id, n->host, RELAYCAM_VERSION, n->started };

	db_pool_query(n->worker->db, beat_sql, 4, params, NULL, NULL);
	/* one worker is enough for that */
	if (n->worker->number == 0 && n->n_beats % TIDY_BEATS == 0)
		db_pool_query(n->worker->db, tidy_sql, 0, NULL, NULL, NULL);
	n->n_beats++;
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	node_beat(arg);
}

static void
on_stopped(void *arg, PGresult *res)
{
	((struct worker *)arg)->n_requests--;
}

void
node_stop(struct node *n)
{
	const char *params[] = { n->id };

	event_del(n->timer);
	if (db_pool_query(
		n->worker->db, stop_sql, 1, params, on_stopped, n->worker) == 0)
		n->worker->n_requests++;
}

struct node *
node_new(struct worker *w)
{
	const struct timeval tv = { HEARTBEAT_S, 0 };
	struct node *n = calloc(1, sizeof(*n));

	if (n == NULL)
		return NULL;
	n->worker = w;
	if (gethostname(n->host, sizeof(n->host) - 1) != 0)
		snprintf(n->host, sizeof(n->host), "localhost");
	snprintf(n->started, sizeof(n->started), "%llu",
	    (unsigned long long)w->shared->started_at);
	make_id(n);
	n->timer = event_new(w->base, -1, EV_PERSIST, on_timer, n);
	if (n->timer == NULL || event_add(n->timer, &tv) != 0) {
		node_free(n);
		return NULL;
	}
	return n;
}

void
node_free(struct node *n)
{
	if (n != NULL && n->timer != NULL)
		event_free(n->timer);
	free(n);
}
