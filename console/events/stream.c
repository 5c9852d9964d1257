#include "console/events/stream.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/tcp_liveness.h"
#include "console/api/answer.h"
#include "console/api/request.h"
#include "console/conf.h"
#include "console/events/feed.h"
#include "console/worker.h"

#define READ_AHEAD 4096 /* of a client that sends more requests */
/* When to come back, so that not all do at once. */
#define RETRY_MS        1000
#define RETRY_SPREAD_MS 2000

static struct bufferevent *
bev_of(const struct stream *s)
{
	return evhttp_connection_get_bufferevent(
	    evhttp_request_get_connection(s->request->http));
}

/* ---- what is sent ---- */

static void
on_taken(struct evhttp_connection *conn, void *arg)
{
	struct stream *s = arg;

	if (s->is_held) {
		s->is_held = false;
		feed_wake(s->feed);
	}
}

/* False: no memory. */
static bool
send_text(struct stream *s, const char *text, size_t len)
{
	struct evbuffer *out = bufferevent_get_output(bev_of(s));
	struct evbuffer *copy = evbuffer_new();

	if (copy == NULL || evbuffer_add(copy, text, len) != 0) {
		if (copy != NULL)
			evbuffer_free(copy);
		return false;
	}
	evhttp_send_reply_chunk_with_cb(s->request->http, copy, on_taken, s);
	evbuffer_free(copy);
	s->is_held = evbuffer_get_length(out) >= STREAM_MARK;
	return true;
}

void
stream_send(struct stream *s, const char *text, size_t len, int64_t id)
{
	if (send_text(s, text, len))
		s->after = id;
	else
		stream_end(s);
}

void
stream_beat(struct stream *s)
{
	if (evbuffer_get_length(bufferevent_get_output(bev_of(s))) == 0)
		send_text(s, ":\n\n", 3);
}

/* ---- beginning and end ---- */

static void
release(struct request *r)
{
	struct stream *s = r->state;

	if (s->slot != NULL)
		*s->slot = NULL;
	feed_remove(s->feed, s);
	free(s);
}

/* The client went away, or took nothing for too long. */
static void
on_closed(struct evhttp_connection *conn, void *arg)
{
	struct request *r = arg;

	request_lost(r);
	request_free(r);
}

/* It may be silent for as long as it likes; but who takes nothing goes. */
static void
set_times(const struct stream *s, int seconds)
{
	const struct timeval tv = { seconds, 0 };
	struct bufferevent *bev = bev_of(s);

	bufferevent_set_timeouts(bev, NULL, &tv);
	bufferevent_setwatermark(bev, EV_READ, 0, READ_AHEAD);
	tcp_liveness_start(bufferevent_getfd(bev), (unsigned)seconds);
}

/* The fields are of no use any more, and take 2 KB. */
static void
forget_fields(struct evhttp_request *http)
{
	evhttp_clear_headers(evhttp_request_get_input_headers(http));
	evhttp_clear_headers(evhttp_request_get_output_headers(http));
	/* evhttp looks for this at the end */
	evhttp_add_header(
	    evhttp_request_get_output_headers(http), "Connection", "close");
}

struct stream *
stream_begin(struct request *r, struct feed *f)
{
	struct stream *s = calloc(1, sizeof(*s));
	char text[32];

	if (s == NULL) {
		request_problem(r, 503, "unavailable", "Out of memory.");
		return NULL;
	}
	s->feed = f;
	s->request = r;
	s->after = -1;
	evhttp_connection_set_closecb(
	    evhttp_request_get_connection(r->http), on_closed, r);
	request_field(r, "Content-Type", "text/event-stream");
	/* nginx sends on what it has, then */
	request_field(r, "X-Accel-Buffering", "no");
	request_begin(r, 200);
	forget_fields(r->http);
	r->state = s;
	r->release = release;
	feed_add(f, s);
	set_times(s, (int)r->worker->conf->console.request_seconds);
	snprintf(text, sizeof(text), "retry: %u\n\n",
	    RETRY_MS + randombytes_uniform(RETRY_SPREAD_MS));
	send_text(s, text, strlen(text));
	return s;
}

void
stream_end(struct stream *s)
{
	request_end(s->request);
}
