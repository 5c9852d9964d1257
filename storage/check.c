#include "storage/check.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/db.h"
#include "common/err.h"
#include "common/http.h"
#include "common/log.h"
#include "storage/daemon.h"
#include "storage/object_key.h"
#include "storage/store.h"

#define FIRST_ID "00000000-0000-0000-0000-000000000000"

struct check {
	struct daemon *d;
	struct event *timer;
	char id[37], key[OBJECT_KEY_MAX + 1], status[16];
	struct store_object object;
};

static void next(struct check *c);

static void
pause_walk(struct check *c)
{
	struct timeval tv = { c->d->conf.check_seconds, 0 };

	strcpy(c->id, FIRST_ID);
	if (!c->d->exiting)
		evtimer_add(c->timer, &tv);
}

static const char *
status_of(int err)
{
	switch (err) {
	case 0:
		return "available";
	case ERR_NOTFOUND:
		return "missing";
	case ERR_CORRUPT:
		return "corrupted";
	default:
		return NULL; /* the store is away: nothing was learnt */
	}
}

static void
on_checked(void *arg, const struct store_result *r)
{
	struct check *c = arg;
	const char *status = status_of(r->err);
	const char *params[] = { c->id, c->status, status, r->detail };

	if (c->d->exiting)
		return;
	if (status == NULL) {
		log_warn("check_stopped", LOG_S("segment", c->id),
		    LOG_S("why", r->detail));
		pause_walk(c);
		return;
	}
	c->d->counters.checked++;
	if (strcmp(status, c->status) != 0) {
		c->d->counters.check_corrupted += r->err == ERR_CORRUPT;
		c->d->counters.check_missing += r->err == ERR_NOTFOUND;
		log_warn("object_status", LOG_S("segment", c->id),
		    LOG_S("key", c->key), LOG_S("from", c->status),
		    LOG_S("to", status), LOG_S("why", r->detail));
		/* only if nobody changed it while we looked */
		db_query(c->d->db,
		    "UPDATE segments SET status = $3, status_detail = $4 "
		    "WHERE id = $1 AND status = $2 AND store IS NOT NULL",
		    4, params, NULL, NULL);
	}
	next(c);
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
	snprintf(c->key, sizeof(c->key), "%s", PQgetvalue(res, 0, 1));
	snprintf(c->status, sizeof(c->status), "%s", PQgetvalue(res, 0, 2));
	c->object.key = c->key;
	c->object.bytes = strtoull(PQgetvalue(res, 0, 3), NULL, 10);
	if (http_unhex(PQgetvalue(res, 0, 4), c->object.sha256, 32) != 0 ||
	    c->d->store->ops->check(c->d->store, &c->object, on_checked, c) !=
		0)
		next(c);
}

static void
next(struct check *c)
{
	const char *params[] = { c->id, c->d->store->ops->name };

	if (c->d->stopping ||
	    db_query_now(c->d->db,
		"SELECT id, object_key, status, bytes, encode(sha256, 'hex') "
		"FROM segments WHERE id > $1::uuid AND store = $2 AND status "
		"IN ('available', 'missing', 'corrupted') AND sha256 IS NOT "
		"NULL ORDER BY id LIMIT 1",
		2, params, on_row, c) != 0)
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
