#include "console/webhooks.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/http.h"
#include "common/log.h"
#include "common/trace_context.h"
#include "common/uuid.h"
#include "console/conf.h"
#include "console/db_pool.h"
#include "console/http/fetch.h"
#include "console/http/webhook_sign.h"
#include "console/worker.h"

#define LOOK_SECONDS    1
#define TIDY_LOOKS      60
#define SENT_AT_ONCE    16 /* also in claim_sql */
#define ANSWER_MAX      4096
#define SECRET_TEXT_MAX 128

/* $1: seconds of the lease, longer than an answer may take. The order is random
 * so that receivers with much to get keep no other waiting. */
static const char claim_sql[] =
    "WITH due AS (SELECT d.id FROM (SELECT id FROM webhooks WHERE enabled "
    "ORDER BY random()) w CROSS JOIN LATERAL ("
    "SELECT id FROM webhook_deliveries WHERE webhook_id = w.id AND next_at "
    "<= clock_timestamp() ORDER BY next_at LIMIT 4 FOR UPDATE SKIP LOCKED) d "
    "LIMIT 16) "
    "UPDATE webhook_deliveries d SET next_at = clock_timestamp() + "
    "make_interval(secs => $1::integer), tries = tries + 1 "
    "FROM due, webhooks w WHERE d.id = due.id AND w.id = d.webhook_id "
    "RETURNING d.id, w.id, w.url, encode(w.secret_sealed, 'hex'), d.body, "
    "webhook_trace(d.event, d.body)";

/* $1 the delivery, $2 the HTTP status. */
static const char delivered_sql[] =
    "SELECT webhook_delivered($1::uuid, $2::integer)";

/* $1, $2 (NULL: no answer) as above, $3 what is wrong, $4 seconds of the
 * first pause. */
static const char failed_sql[] =
    "SELECT webhook_failed($1::uuid, $2::integer, $3, $4::integer)";

/* It was not sent: its receiver has as many as it may have. */
static const char put_back_sql[] =
    "UPDATE webhook_deliveries SET next_at = clock_timestamp() + interval "
    "'2 seconds', tries = greatest(tries - 1, 0) WHERE id = $1";

static const char tidy_sql[] = "SELECT webhook_tidy()";

struct delivery {
	LIST_ENTRY(delivery) link;
	struct webhooks *hooks;
	char id[UUID_TEXT_MAX];
};

struct webhooks {
	struct worker *worker;
	struct fetcher *fetcher;
	struct event *timer;
	unsigned n_looks;
	bool is_asking;
	LIST_HEAD(, delivery) under_way;
};

static void
delivery_free(struct delivery *d)
{
	LIST_REMOVE(d, link);
	free(d);
}

static void
note_failure(
    struct webhooks *h, const char *id, const char *status, const char *why)
{
	char pause[24], text[200];
	const char *params[] = { id, status, text, pause };

	snprintf(text, sizeof(text), "%s", why);
	snprintf(pause, sizeof(pause), "%lld",
	    (long long)h->worker->conf->console.webhook_retry_seconds);
	db_pool_query(h->worker->db, failed_sql, 4, params, NULL, NULL);
	atomic_fetch_add(&h->worker->place->counters.webhooks_failed, 1);
	log_warn("webhook_failed", LOG_S("delivery", id), LOG_S("why", text));
}

static void
on_answer(void *arg, const struct fetch_answer *a)
{
	struct delivery *d = arg;
	char status[16], why[64];
	const char *params[] = { d->id, status };

	snprintf(status, sizeof(status), "%u", a->status);
	if (a->err != 0) {
		note_failure(d->hooks, d->id, NULL, a->why);
	} else if (a->status / 100 == 2) {
		db_pool_query(
		    d->hooks->worker->db, delivered_sql, 2, params, NULL, NULL);
		atomic_fetch_add(
		    &d->hooks->worker->place->counters.webhooks_ok, 1);
		log_debug("webhook_delivered", LOG_S("delivery", d->id));
	} else {
		snprintf(why, sizeof(why), "it answered %u%s", a->status,
		    a->status / 100 == 3 ? "; redirects are not followed" : "");
		note_failure(d->hooks, d->id, status, why);
	}
	delivery_free(d);
}

/* hex: the sealed secret. */
static int
open_secret(
    const struct webhooks *h, const char *hex, char out[SECRET_TEXT_MAX])
{
	uint8_t sealed[SECRET_TEXT_MAX + SEAL_OVERHEAD];
	size_t len = strlen(hex) / 2;
	int n;

	if (len <= SEAL_OVERHEAD || len >= sizeof(sealed) ||
	    http_unhex(hex, sealed, len) != 0)
		return ERR_CORRUPT;
	n = seal_open(h->worker->seal_key, sealed, len, (uint8_t *)out);
	if (n < 0)
		return n;
	out[n] = '\0';
	return 0;
}

/* The fields of one delivery. Returns 0 or ERR_CORRUPT. */
static int
sign(const struct webhooks *h, const char *id, const char *hex,
    const char *body, char lines[3][128])
{
	char secret[SECRET_TEXT_MAX], signature[WEBHOOK_SIGNATURE_MAX];
	uint64_t now = clock_wall_ns() / NS_PER_S;
	int rc = open_secret(h, hex, secret);

	if (rc == 0)
		rc = webhook_sign(secret, id, now, body, signature);
	wipe(secret, sizeof(secret));
	if (rc != 0)
		return ERR_CORRUPT;
	snprintf(lines[0], 128, "webhook-id: %s", id);
	snprintf(
	    lines[1], 128, "webhook-timestamp: %llu", (unsigned long long)now);
	snprintf(lines[2], 128, "webhook-signature: %s", signature);
	return 0;
}

static void
put_back(struct webhooks *h, const char *id)
{
	const char *params[] = { id };

	db_pool_query(h->worker->db, put_back_sql, 1, params, NULL, NULL);
}

/* The field of the session's trace; NULL: it tells of no session. */
static const char *
trace_line(const PGresult *res, int row, char line[16 + TRACE_PARENT_MAX])
{
	char field[TRACE_PARENT_MAX];

	if (trace_parent(PQgetvalue(res, row, 5), field) != 0)
		return NULL;
	snprintf(line, 16 + TRACE_PARENT_MAX, "traceparent: %s", field);
	return line;
}

static void
deliver(struct webhooks *h, const PGresult *res, int row)
{
	const char *id = PQgetvalue(res, row, 0);
	const char *body = PQgetvalue(res, row, 4);
	char lines[3][128], trace[16 + TRACE_PARENT_MAX];
	const char *headers[] = { "Content-Type: application/json", lines[0],
		lines[1], lines[2], trace_line(res, row, trace), NULL };
	const struct fetch rq = { .url = PQgetvalue(res, row, 2),
		.body = body,
		.headers = headers,
		.max = ANSWER_MAX };
	struct delivery *d;

	if (sign(h, id, PQgetvalue(res, row, 3), body, lines) != 0) {
		note_failure(h, id, NULL,
		    "its secret cannot be opened with [secrets] "
		    "seal_key_file; remove it and add it again");
		return;
	}
	d = calloc(1, sizeof(*d));
	if (d == NULL) {
		put_back(h, id);
		return;
	}
	d->hooks = h;
	snprintf(d->id, sizeof(d->id), "%s", id);
	LIST_INSERT_HEAD(&h->under_way, d, link);
	if (fetch_start(
		h->fetcher, PQgetvalue(res, row, 1), &rq, on_answer, d) != 0) {
		put_back(h, id);
		delivery_free(d);
	}
}

static void
on_claimed(void *arg, PGresult *res)
{
	struct webhooks *h = arg;

	h->is_asking = false;
	if (h->worker->is_stopping || !db_ok(res, "webhooks that are due"))
		return;
	for (int i = 0; i < PQntuples(res); i++)
		deliver(h, res, i);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct webhooks *h = arg;
	char lease[24];
	const char *params[] = { lease };

	if (h->is_asking || h->worker->is_stopping ||
	    db_pool_trouble(h->worker->db) != NULL)
		return;
	snprintf(lease, sizeof(lease), "%lld",
	    (long long)h->worker->conf->console.provider_seconds + 5);
	h->is_asking = db_pool_query(h->worker->db, claim_sql, 1, params,
			   on_claimed, h) == 0;
	if (h->n_looks++ % TIDY_LOOKS == 0)
		db_pool_query(h->worker->db, tidy_sql, 0, NULL, NULL, NULL);
}

struct webhooks *
webhooks_new(struct worker *w)
{
	const struct timeval tv = { LOOK_SECONDS, 0 };
	const struct conf_console *c = &w->conf->console;
	struct webhooks *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return NULL;
	h->worker = w;
	LIST_INIT(&h->under_way);
	h->fetcher = fetcher_new(w->base,
	    &(struct fetcher_conf){ .ca_file = c->provider_ca_file,
		.seconds = (long)c->provider_seconds,
		.max = 4 * SENT_AT_ONCE,
		.max_per_client = SENT_AT_ONCE / 2,
		.may_be_private = c->provider_private_addresses });
	h->timer = event_new(w->base, -1, EV_PERSIST, on_timer, h);
	if (h->fetcher == NULL || h->timer == NULL ||
	    event_add(h->timer, &tv) != 0) {
		webhooks_free(h);
		return NULL;
	}
	return h;
}

void
webhooks_free(struct webhooks *h)
{
	struct delivery *d;

	if (h == NULL)
		return;
	if (h->fetcher != NULL)
		fetcher_free(h->fetcher);
	while ((d = LIST_FIRST(&h->under_way)) != NULL)
		delivery_free(d);
	if (h->timer != NULL)
		event_free(h->timer);
	free(h);
}
