#include "storage/hold.h"

#include <event2/event.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/db.h"
#include "common/err.h"
#include "common/log.h"
#include "common/uuid.h"
#include "storage/daemon.h"
#include "manifest/object_key.h"
#include "storage/store/store.h"

/* $1 and $2 the bucket, $3 the row before: one that fails bars no other. A hold
 * is taken away also where none can be set any more. */
static const char next_sql[] =
    "SELECT g.id, g.locked, g.object_key, coalesce(g.poster_key, ''), "
    "coalesce(v.object_key, '') FROM segments g "
    "LEFT JOIN evidence v ON v.segment_id = g.id "
    "WHERE g.store = 's3' AND g.locked <> g.legal_hold AND g.id > $3::uuid "
    "AND g.status IN ('available', 'corrupted', 'missing', 'deleted') "
    "AND (g.legal_hold OR EXISTS (SELECT FROM store_abilities a "
    "WHERE a.endpoint = $1 AND a.bucket = $2 AND a.object_lock)) "
    "ORDER BY g.id LIMIT 1";

static const char done_sql[] =
    "WITH u AS (UPDATE segments SET legal_hold = $2::boolean WHERE id = "
    "$1::uuid AND legal_hold <> $2::boolean AND store = 's3' RETURNING id, "
    "team_id) INSERT INTO audit (team_id, actor, action, object, detail) "
    "SELECT team_id, $3, CASE WHEN $2::boolean THEN 'legal_hold_set' ELSE "
    "'legal_hold_removed' END, id::text, '{}' FROM u";

#define FIRST_ID "00000000-0000-0000-0000-000000000000"
#define N_KEYS   3 /* object, poster, signed manifest */

struct hold {
	struct daemon *d;
	struct event *timer;
	bool is_running, is_again;
	bool is_soon; /* the timer is set to a second at most */
	char id[UUID_TEXT_MAX];
	bool is_on; /* what it is to be */
	char keys[N_KEYS][OBJECT_KEY_MAX + 1];
	size_t at;
};

static void next_row(struct hold *h);

static void
pause_walk(struct hold *h)
{
	struct timeval tv = { h->d->conf.expiry_seconds, 0 };

	h->is_running = false;
	if (h->d->exiting || h->d->stopping)
		return;
	if (!h->is_again)
		evtimer_add(h->timer, &tv);
	else
		hold_kick(h);
	h->is_again = false;
}

static void
on_noted(void *arg, PGresult *res)
{
	struct hold *h = arg;

	if (h->d->exiting)
		return;
	if (db_ok(res, "note a legal hold"))
		next_row(h);
	else
		pause_walk(h);
}

static void set_next(struct hold *h);

static void
on_set(void *arg, const struct store_result *r)
{
	struct hold *h = arg;

	if (h->d->exiting)
		return;
	/* beside it there may be less than the row says; a check finds that */
	if (r->err == 0 ||
	    (r->err == ERR_NOTFOUND && (h->at > 0 || !h->is_on))) {
		h->at++;
		set_next(h);
		return;
	}
	log_warn("legal_hold_not_changed", LOG_S("segment", h->id),
	    LOG_SESSION_OF(h->keys[h->at]), LOG_S("key", h->keys[h->at]),
	    LOG_S("why", r->detail));
	next_row(h);
}

/* The next object of the row, or the row. */
static void
set_next(struct hold *h)
{
	const char *params[] = { h->id, h->is_on ? "true" : "false",
		h->d->actor };
	struct store *store = h->d->store;

	while (h->at < N_KEYS && h->keys[h->at][0] == '\0')
		h->at++;
	if (h->at < N_KEYS) {
		if (store->ops->hold(
			store, h->keys[h->at], h->is_on, on_set, h) != 0)
			pause_walk(h);
	} else if (db_query_now(h->d->db, done_sql, N_ELEMENTS(params), params,
		       on_noted, h) != 0)
		pause_walk(h);
}

static void
on_row(void *arg, PGresult *res)
{
	struct hold *h = arg;

	if (h->d->exiting)
		return;
	if (!db_ok(res, "find recordings to hold") || PQntuples(res) == 0 ||
	    h->d->stopping) {
		pause_walk(h);
		return;
	}
	snprintf(h->id, sizeof(h->id), "%s", PQgetvalue(res, 0, 0));
	h->is_on = PQgetvalue(res, 0, 1)[0] == 't';
	for (int i = 0; i < N_KEYS; i++)
		snprintf(h->keys[i], sizeof(h->keys[i]), "%s",
		    PQgetvalue(res, 0, 2 + i));
	h->at = 0;
	set_next(h);
}

static void
next_row(struct hold *h)
{
	const char *params[] = { h->d->store_conf.s3_endpoint,
		h->d->store_conf.s3_bucket, h->id };

	if (db_query_now(
		h->d->db, next_sql, N_ELEMENTS(params), params, on_row, h) != 0)
		pause_walk(h);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct hold *h = arg;

	h->is_soon = false;
	if (h->is_running || h->d->stopping)
		return;
	h->is_running = true;
	strcpy(h->id, FIRST_ID);
	next_row(h);
}

void
hold_kick(struct hold *h)
{
	struct timeval soon = { 1, 0 };

	if (h == NULL || h->is_soon)
		return;
	if (h->is_running) {
		h->is_again = true;
		return;
	}
	h->is_soon = true;
	evtimer_add(h->timer, &soon);
}

int
hold_new(struct daemon *d)
{
	struct hold *h;

	if (d->store->ops->hold == NULL)
		return 0;
	h = calloc(1, sizeof(*h));
	if (h == NULL)
		return ERR_NOMEM;
	d->hold = h;
	h->d = d;
	h->timer = evtimer_new(d->base, on_timer, h);
	if (h->timer == NULL)
		return ERR_NOMEM;
	hold_kick(h);
	return 0;
}

void
hold_free(struct hold *h)
{
	if (h == NULL)
		return;
	if (h->timer != NULL)
		event_free(h->timer);
	free(h);
}
