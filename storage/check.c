#include "storage/check.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/db.h"
#include "common/err.h"
#include "common/http.h"
#include "common/log.h"
#include "storage/daemon.h"
#include "storage/object_key.h"
#include "storage/store/store.h"

#define FIRST_ID "00000000-0000-0000-0000-000000000000"

/*
 * Each object has key, state as the row has it, size, SHA-256. What lies
 * beside a recording has no status of its own: '' is well.
 */
static const char next_sql[] =
    "SELECT g.id, "
    "g.object_key, g.status, g.bytes, encode(g.sha256, 'hex'), "
    "coalesce(g.poster_key, ''), coalesce(g.poster_fault, ''), "
    "g.poster_bytes, encode(g.poster_sha256, 'hex'), "
    "coalesce(e.object_key, ''), coalesce(e.manifest_fault, ''), "
    "e.manifest_bytes, encode(e.manifest_sha256, 'hex') "
    "FROM segments g LEFT JOIN evidence e ON e.segment_id = g.id "
    "WHERE g.id > $1::uuid AND g.store = $2 AND g.status IN ('available', "
    "'missing', 'corrupted') AND g.sha256 IS NOT NULL ORDER BY g.id LIMIT 1";

/* Only if nobody changed it while we looked. $4: the sentence. */
static const char media_sql[] =
    "UPDATE segments SET status = $3, status_detail = $4 "
    "WHERE id = $1 AND status = $2 AND store IS NOT NULL";
static const char poster_sql[] =
    "UPDATE segments SET poster_fault = nullif($3, '') WHERE id = $1 AND "
    "coalesce(poster_fault, '') = $2 AND poster_key IS NOT NULL AND "
    "$4::text IS NOT NULL";
static const char manifest_sql[] =
    "UPDATE evidence SET manifest_fault = nullif($3, '') WHERE "
    "segment_id = $1 AND coalesce(manifest_fault, '') = $2 AND "
    "$4::text IS NOT NULL";

static const struct {
	const char *name, *well, *update;
} kinds[] = {
	{ "recording", "available", media_sql },
	{ "poster", "", poster_sql },
	{ "manifest", "", manifest_sql },
};
#define N_KINDS N_ELEMENTS(kinds)

struct object {
	char key[OBJECT_KEY_MAX + 1]; /* "": there is none */
	char state[16];
	bool is_known;
	uint64_t bytes;
	uint8_t sha256[32];
};

struct check {
	struct daemon *d;
	struct event *timer;
	char id[37];
	struct object list[N_KINDS];
	size_t at; /* in list */
	struct store_object object;
};

static void next(struct check *c);
static void look(struct check *c);

static void
pause_walk(struct check *c)
{
	struct timeval tv = { c->d->conf.check_seconds, 0 };

	strcpy(c->id, FIRST_ID);
	if (!c->d->exiting)
		evtimer_add(c->timer, &tv);
}

static const char *
state_of(int err, size_t kind)
{
	switch (err) {
	case 0:
		return kinds[kind].well;
	case ERR_NOTFOUND:
		return "missing";
	case ERR_CORRUPT:
		return "corrupted";
	default:
		return NULL; /* the store is away: nothing was learnt */
	}
}

static void
note(struct check *c, const char *state, const struct store_result *r)
{
	const struct object *o = &c->list[c->at];
	const char *params[] = { c->id, o->state, state, r->detail };

	c->d->counters.check_corrupted += r->err == ERR_CORRUPT;
	c->d->counters.check_missing += r->err == ERR_NOTFOUND;
	log_warn("object_status", LOG_S("segment", c->id),
	    LOG_S("what", kinds[c->at].name), LOG_S("key", o->key),
	    LOG_S("from", o->state), LOG_S("to", state),
	    LOG_S("why", r->detail));
	db_query(c->d->db, kinds[c->at].update, 4, params, NULL, NULL);
}

static void
on_checked(void *arg, const struct store_result *r)
{
	struct check *c = arg;
	const char *state = state_of(r->err, c->at);

	if (c->d->exiting)
		return;
	if (state == NULL) {
		log_warn("check_stopped", LOG_S("segment", c->id),
		    LOG_S("why", r->detail));
		pause_walk(c);
		return;
	}
	c->d->counters.checked++;
	if (strcmp(state, c->list[c->at].state) != 0)
		note(c, state, r);
	c->at++;
	look(c);
}

/* The next object of this recording, or the next recording. */
static void
look(struct check *c)
{
	const struct object *o;

	while (c->at < N_KINDS) {
		o = &c->list[c->at];
		c->object.key = o->key;
		c->object.is_known = o->is_known;
		c->object.bytes = o->bytes;
		memcpy(c->object.sha256, o->sha256, sizeof(o->sha256));
		if (o->key[0] != '\0' &&
		    c->d->store->ops->check(
			c->d->store, &c->object, on_checked, c) == 0)
			return;
		c->at++;
	}
	next(c);
}

static void
take_object(struct object *o, const PGresult *res, int col)
{
	snprintf(o->key, sizeof(o->key), "%s", PQgetvalue(res, 0, col));
	snprintf(o->state, sizeof(o->state), "%s", PQgetvalue(res, 0, col + 1));
	o->is_known = !PQgetisnull(res, 0, col + 2) &&
	    http_unhex(PQgetvalue(res, 0, col + 3), o->sha256, 32) == 0;
	o->bytes = strtoull(PQgetvalue(res, 0, col + 2), NULL, 10);
}

static void
on_row(void *arg, PGresult *res)
{
	struct check *c = arg;

	if (c->d->exiting)
		return;
	if (!db_ok(res, "read stored objects") || PQntuples(res) == 0) {
		pause_walk(c);
		return;
	}
	snprintf(c->id, sizeof(c->id), "%s", PQgetvalue(res, 0, 0));
	for (size_t i = 0; i < N_KINDS; i++)
		take_object(&c->list[i], res, 1 + 4 * (int)i);
	c->at = 0;
	look(c);
}

static void
next(struct check *c)
{
	const char *params[] = { c->id, c->d->store->ops->name };

	if (c->d->stopping ||
	    db_query_now(c->d->db, next_sql, 2, params, on_row, c) != 0)
		pause_walk(c);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	next(arg);
}

int
check_new(struct daemon *d)
{
	struct check *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return ERR_NOMEM;
	d->check = c;
	c->d = d;
	c->timer = evtimer_new(d->base, on_timer, c);
	if (c->timer == NULL)
		return ERR_NOMEM;
	pause_walk(c);
	return 0;
}

void
check_free(struct check *c)
{
	if (c != NULL && c->timer != NULL)
		event_free(c->timer);
	free(c);
}
