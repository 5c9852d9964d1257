#include "storage/scrub/scrub_object.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/db.h"
#include "common/err.h"
#include "common/http.h"
#include "common/log.h"
#include "storage/scrub/rehash.h"
#include "storage/daemon.h"
#include "manifest/object_key.h"
#include "storage/store/store.h"

/*
 * Each object has key, state as the row has it, size, SHA-256. What lies
 * beside a recording has no status of its own: '' is well.
 */
static const char row_sql[] =
    "SELECT g.object_key, g.status, g.bytes, encode(g.sha256, 'hex'), "
    "coalesce(g.poster_key, ''), coalesce(g.poster_fault, ''), "
    "g.poster_bytes, encode(g.poster_sha256, 'hex'), "
    "coalesce(e.object_key, ''), coalesce(e.manifest_fault, ''), "
    "e.manifest_bytes, encode(e.manifest_sha256, 'hex') "
    "FROM segments g LEFT JOIN evidence e ON e.segment_id = g.id "
    "WHERE g.id = $1::uuid AND g.store = $2 AND g.status IN ('available', "
    "'missing', 'corrupted') AND g.sha256 IS NOT NULL";
static const char hashed_sql[] =
    "UPDATE segments SET hashed_at = now() WHERE id = $1::uuid";

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

struct scrub_object {
	struct daemon *d;
	scrub_object_cb *on_done;
	void *arg;
	char id[37];
	bool by_bytes;
	struct object list[N_KINDS];
	size_t at; /* in list */
	struct store_object object;
};

static void next(struct scrub_object *l);

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
note(struct scrub_object *l, const char *state, const struct store_result *r)
{
	const struct object *o = &l->list[l->at];
	const char *params[] = { l->id, o->state, state, r->detail };

	l->d->counters.check_corrupted += r->err == ERR_CORRUPT;
	l->d->counters.check_missing += r->err == ERR_NOTFOUND;
	log_warn("object_status", LOG_S("segment", l->id),
	    LOG_SESSION_OF(o->key), LOG_S("what", kinds[l->at].name),
	    LOG_S("key", o->key), LOG_S("from", o->state), LOG_S("to", state),
	    LOG_S("why", r->detail));
	db_query(l->d->db, kinds[l->at].update, 4, params, NULL, NULL);
}

static void
learn(struct scrub_object *l, const struct store_result *r)
{
	const char *state = state_of(r->err, l->at);

	if (state == NULL) {
		l->on_done(l->arg, r->detail);
		return;
	}
	l->d->counters.checked++;
	if (strcmp(state, l->list[l->at].state) != 0)
		note(l, state, r);
	l->at++;
	next(l);
}

static void
on_hashed(void *arg, const struct store_result *r)
{
	struct scrub_object *l = arg;

	if (!l->d->exiting)
		learn(l, r);
}

static void
on_checked(void *arg, const struct store_result *r)
{
	struct scrub_object *l = arg;
	struct store *s = l->d->store;

	if (l->d->exiting)
		return;
	if (r->err == 0 && l->by_bytes && l->object.is_known &&
	    s->ops->read != NULL && rehash(s, &l->object, on_hashed, l) == 0)
		return;
	learn(l, r);
}

/* The next object of this recording. */
static void
next(struct scrub_object *l)
{
	const char *params[] = { l->id };
	const struct object *o;

	for (; l->at < N_KINDS; l->at++) {
		o = &l->list[l->at];
		l->object.key = o->key;
		l->object.is_known = o->is_known;
		l->object.bytes = o->bytes;
		memcpy(l->object.sha256, o->sha256, sizeof(o->sha256));
		if (o->key[0] != '\0' &&
		    l->d->store->ops->check(
			l->d->store, &l->object, on_checked, l) == 0)
			return;
	}
	if (l->by_bytes)
		db_query(l->d->db, hashed_sql, 1, params, NULL, NULL);
	l->on_done(l->arg, NULL);
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
	struct scrub_object *l = arg;

	if (l->d->exiting)
		return;
	if (!db_ok(res, "read a stored object's row")) {
		l->on_done(l->arg, "the database is away");
		return;
	}
	if (PQntuples(res) == 0) { /* gone, or deleted meanwhile */
		l->on_done(l->arg, NULL);
		return;
	}
	for (size_t i = 0; i < N_KINDS; i++)
		take_object(&l->list[i], res, 4 * (int)i);
	l->at = 0;
	next(l);
}

void
scrub_object_start(struct scrub_object *l, const char *segment, bool by_bytes)
{
	const char *params[] = { l->id, l->d->store->ops->name };

	snprintf(l->id, sizeof(l->id), "%s", segment);
	l->by_bytes = by_bytes;
	if (db_query(l->d->db, row_sql, 2, params, on_row, l) != 0)
		l->on_done(l->arg, "out of memory");
}

struct scrub_object *
scrub_object_new(struct daemon *d, scrub_object_cb *on_done, void *arg)
{
	struct scrub_object *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->d = d;
	l->on_done = on_done;
	l->arg = arg;
	return l;
}

void
scrub_object_free(struct scrub_object *l)
{
	free(l);
}
