#include "console/events/batch.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/db.h"
#include "common/err.h"
#include "console/api/rows.h"
#include "console/events/event_text.h"
#include "console/events/feed.h"
#include "console/events/feed_internal.h"
#include "console/events/stream.h"
#include "console/worker.h"

enum col { ID, NAME, LISTENERS, OBJECT, DATA }; /* of batch_sql_new() */

/* ---- the statement ---- */

char *
batch_sql_new(void)
{
	char *sql = NULL;
	size_t len;
	FILE *f = open_memstream(&sql, &len);

	if (f == NULL)
		return NULL;
	fprintf(f,
	    "SELECT v.id, v.name, v.listeners, v.object, CASE "
	    "WHEN v.name LIKE 'session%%' THEN (%sv.object::uuid)::text "
	    "WHEN v.name = 'recording_changed' THEN (%sv.object::uuid)::text "
	    "WHEN v.name = 'endpoint_changed' THEN (SELECT "
	    "console_endpoint(e)::text FROM endpoints e WHERE e.id = "
	    "v.object::bigint AND e.deleted_at IS NULL) "
	    "WHEN v.name LIKE '%%removed' THEN "
	    "json_build_object('id', v.object)::text ELSE '{}' END "
	    "FROM console_events($1::bytea[], $2::boolean[], $3::bigint[], "
	    "$4::integer) v ORDER BY v.id",
	    session_row_sql, recording_row_sql);
	if (fclose(f) == 0)
		return sql;
	free(sql);
	return NULL;
}

static bool
belongs(const struct batch *b, const struct stream *s)
{
	bool is_late = s->after < b->feed->horizon; /* or begins */

	return !s->is_held && s->slot == NULL && is_late == b->is_late;
}

/* Numbers the streams. Returns 0 or ERR_NOMEM. */
static int
choose_streams(struct batch *b)
{
	struct stream **asked;
	struct stream *s;

	b->n = 0;
	asked = realloc(b->asked,
	    (b->feed->n_streams > 0 ? b->feed->n_streams : 1) * sizeof(*asked));
	if (asked == NULL)
		return ERR_NOMEM;
	b->asked = asked;
	TAILQ_FOREACH(s, &b->feed->streams, link) {
		if (!belongs(b, s))
			continue;
		b->asked[b->n] = s;
		s->slot = &b->asked[b->n++];
	}
	return 0;
}

/* No stream is asked for any more. */
static void
let_go(struct batch *b)
{
	for (unsigned i = 0; i < b->n; i++)
		if (b->asked[i] != NULL)
			b->asked[i]->slot = NULL;
	b->n = 0;
}

static void
write_hash(FILE *f, const struct stream *s)
{
	fprintf(f, "\"\\\\x%s\"", s->credential);
}

static void
write_kind(FILE *f, const struct stream *s)
{
	fputs(s->is_token ? "t" : "f", f);
}

static void
write_after(FILE *f, const struct stream *s)
{
	if (s->after < 0)
		fputs("NULL", f);
	else
		fprintf(f, "%" PRId64, s->after);
}

/* An array of PostgreSQL, a member per stream; NULL: no memory. */
static char *
write_array(const struct batch *b, void (*write)(FILE *, const struct stream *))
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (f == NULL)
		return NULL;
	for (unsigned i = 0; i < b->n; i++) {
		fputc(i == 0 ? '{' : ',', f);
		write(f, b->asked[i]);
	}
	fputc('}', f);
	if (fclose(f) == 0)
		return text;
	free(text);
	return NULL;
}

static void on_rows(void *arg, PGresult *res);

static int
ask(struct batch *b)
{
	char most[16];
	char *texts[3] = { write_array(b, write_hash),
		write_array(b, write_kind), write_array(b, write_after) };
	const char *params[4] = { texts[0], texts[1], texts[2], most };
	int rc = ERR_NOMEM;

	snprintf(most, sizeof(most), "%d",
	    b->is_late ? FEED_BATCH_LATE : FEED_BATCH);
	if (texts[0] != NULL && texts[1] != NULL && texts[2] != NULL)
		rc = db_query_now(
		    b->feed->db, b->feed->sql, 4, params, on_rows, b);
	for (int i = 0; i < 3; i++)
		free(texts[i]);
	return rc;
}

/* Without a database nothing is asked: its return wakes all. */
static void
run(struct batch *b)
{
	struct worker_counters *n = &b->feed->worker->place->counters;

	if (choose_streams(b) != 0 || b->n == 0)
		return;
	b->is_running = true;
	if (ask(b) == 0) {
		atomic_fetch_add(&n->queries, 1);
		return;
	}
	b->is_running = false;
	let_go(b);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct batch *b = arg;

	if (!b->is_running)
		run(b);
}

void
batch_wake(struct batch *b)
{
	uint64_t next_ns = b->ran_ns + FEED_MS * NS_PER_MS;
	uint64_t now_ns = clock_mono_ns();
	struct timeval tv = { 0, 0 };

	b->is_due = b->is_running;
	if (b->is_running || event_pending(b->timer, EV_TIMEOUT, NULL))
		return;
	if (b->ran_ns != 0 && next_ns > now_ns)
		tv.tv_usec = (suseconds_t)((next_ns - now_ns) / 1000);
	event_add(b->timer, &tv);
}

/* ---- its answer ---- */

/* One row, to the streams that it is for. */
static void
deliver(struct batch *b, const PGresult *res, int row, struct evbuffer *text)
{
	const char *at = PQgetvalue(res, row, LISTENERS);
	const char *name = PQgetvalue(res, row, NAME);
	int64_t id = strtoll(PQgetvalue(res, row, ID), NULL, 10);
	bool is_end = strcmp(name, "closed") == 0;
	size_t len;
	unsigned n;

	if (strcmp(name, "access") == 0)
		name = "reset";
	event_text_add(text, id, name, PQgetvalue(res, row, DATA));
	len = evbuffer_get_length(text);
	while ((n = event_array_next(&at)) != 0) {
		struct stream *s = n <= b->n ? b->asked[n - 1] : NULL;

		if (s == NULL || s->is_held)
			continue;
		if (is_end)
			stream_end(s);
		else
			stream_send(
			    s, (char *)evbuffer_pullup(text, -1), len, id);
	}
	evbuffer_drain(text, len);
}

/* All of a batch. Returns whether there is more. */
static bool
deliver_all(struct batch *b, const PGresult *res, struct evbuffer *text)
{
	int64_t to = 0, top = 0;

	for (int i = 0; i < PQntuples(res); i++) {
		if (strcmp(PQgetvalue(res, i, NAME), "position") == 0) {
			to = strtoll(PQgetvalue(res, i, ID), NULL, 10);
			top = strtoll(PQgetvalue(res, i, OBJECT), NULL, 10);
		} else if (!PQgetisnull(res, i, DATA)) {
			deliver(b, res, i, text);
		}
	}
	for (unsigned i = 0; i < b->n; i++) {
		struct stream *s = b->asked[i];

		if (s != NULL && !s->is_held && s->after >= 0 && s->after < to)
			s->after = to;
	}
	if (!b->is_late)
		b->feed->horizon = to;
	return to < top;
}

static void
on_rows(void *arg, PGresult *res)
{
	struct batch *b = arg;
	struct evbuffer *text = evbuffer_new();
	bool has_more = false;

	b->is_running = false;
	b->ran_ns = clock_mono_ns();
	/* an error is tried again at the next beat */
	if (text != NULL && res != NULL && db_ok(res, "events"))
		has_more = deliver_all(b, res, text);
	if (text != NULL)
		evbuffer_free(text);
	let_go(b);
	if (b->is_due || has_more)
		batch_wake(b);
	/* those that have caught up are among the others now */
	if (b->is_late && res != NULL)
		batch_wake(&b->feed->live);
}

/* ---- life ---- */

int
batch_init(struct batch *b, struct feed *f, bool is_late)
{
	b->feed = f;
	b->is_late = is_late;
	b->timer = event_new(f->worker->base, -1, 0, on_timer, b);
	return b->timer != NULL ? 0 : ERR_NOMEM;
}

void
batch_release(struct batch *b)
{
	if (b->timer != NULL)
		event_free(b->timer);
	free(b->asked);
}
