#include "console/events/feed.h"

#include <event2/event.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/db.h"
#include "common/err.h"
#include "console/api/request.h"
#include "console/conf.h"
#include "console/events/feed_internal.h"
#include "console/events/stream_limit.h"
#include "console/worker.h"

#define TIDY_S 1 /* after streams began or ended */

/* ---- what makes it ask ---- */

void
feed_wake(struct feed *f)
{
	batch_wake(&f->live);
	batch_wake(&f->late);
}

static void
on_notice(void *arg, const char *channel, const char *payload)
{
	feed_wake(arg);
}

static void
on_state(void *arg, bool is_connected)
{
	if (is_connected)
		feed_wake(arg);
}

/* Logins that expire tell nobody. */
static void
on_beat(evutil_socket_t fd, short what, void *arg)
{
	struct feed *f = arg;
	struct stream *s, *next;

	for (s = TAILQ_FIRST(&f->streams); s != NULL; s = next) {
		next = TAILQ_NEXT(s, link);
		stream_beat(s);
	}
	feed_wake(f);
}

/* ---- streams ---- */

/* What beginnings and ends leave behind lies in pieces between what streams
 * keep: the C library gives such pages back when it is asked only. */
static void
on_tidy(evutil_socket_t fd, short what, void *arg)
{
	malloc_trim(0);
}

static void
count(struct feed *f)
{
	const struct timeval later = { TIDY_S, 0 };

	atomic_store(&f->worker->place->counters.event_streams, f->n_streams);
	if (!event_pending(f->tidy, EV_TIMEOUT, NULL))
		event_add(f->tidy, &later);
}

void
feed_add(struct feed *f, struct stream *s)
{
	TAILQ_INSERT_TAIL(&f->streams, s, link);
	f->n_streams++;
	count(f);
}

void
feed_remove(struct feed *f, struct stream *s)
{
	TAILQ_REMOVE(&f->streams, s, link);
	f->n_streams--;
	count(f);
}

void
feed_open(struct feed *f, struct request *r, int64_t after)
{
	const struct conf_console *c = &f->worker->conf->console;
	const struct stream_limits limits = {
		.total = (unsigned)c->max_event_streams,
		.per_person = (unsigned)c->max_event_streams_per_person,
		.per_address = (unsigned)c->max_event_streams_per_address,
	};
	const char *reached =
	    stream_limit_reached(&f->streams, &limits, r->person.id, r->client);
	struct stream *s;
	char detail[128];

	if (reached != NULL || f->is_stopping) {
		snprintf(detail, sizeof(detail),
		    "There are as many event streams as %s allows.",
		    reached != NULL ? reached : "a server that stops");
		request_field(r, "Retry-After", "15");
		request_problem(r, reached != NULL ? 429 : 503,
		    reached != NULL ? "busy" : "unavailable", detail);
		return;
	}
	s = stream_begin(r, f);
	if (s == NULL)
		return;
	s->after = after;
	feed_wake(f);
}

/* ---- life ---- */

static int
make_parts(struct feed *f)
{
	const struct timeval beat = { FEED_BEAT_S, 0 };
	struct worker *w = f->worker;

	f->sql = batch_sql_new();
	f->beat = event_new(w->base, -1, EV_PERSIST, on_beat, f);
	f->tidy = event_new(w->base, -1, 0, on_tidy, f);
	if (f->sql == NULL || f->beat == NULL || f->tidy == NULL ||
	    event_add(f->beat, &beat) != 0 ||
	    batch_init(&f->live, f, false) != 0 ||
	    batch_init(&f->late, f, true) != 0)
		return ERR_NOMEM;
	f->db = db_new(w->base, &w->conf->database, on_state, f);
	if (f->db == NULL)
		return ERR_NOMEM;
	return db_listen(f->db, "relaycam_event", on_notice, f);
}

struct feed *
feed_new(struct worker *w)
{
	struct feed *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	f->worker = w;
	TAILQ_INIT(&f->streams);
	atomic_store(&w->place->counters.event_streams, 0);
	if (make_parts(f) == 0)
		return f;
	feed_free(f);
	return NULL;
}

void
feed_stop(struct feed *f)
{
	struct stream *s;

	f->is_stopping = true;
	while ((s = TAILQ_FIRST(&f->streams)) != NULL)
		stream_end(s);
}

void
feed_free(struct feed *f)
{
	if (f == NULL)
		return;
	db_free(f->db);
	batch_release(&f->live);
	batch_release(&f->late);
	if (f->beat != NULL)
		event_free(f->beat);
	if (f->tidy != NULL)
		event_free(f->tidy);
	free(f->sql);
	free(f);
}
