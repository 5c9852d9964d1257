#include "console/events/stream.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/tcp_liveness.h"
#include "common/tls_connections.h"
#include "console/api/answer.h"
#include "console/api/enter.h"
#include "console/api/request.h"
#include "console/conf.h"
#include "console/events/feed.h"
#include "console/worker.h"

_Static_assert(STREAM_HASH == CREDENTIAL_HASH_MAX, "room for the hash");
_Static_assert(STREAM_ADDRESS == REQUEST_ADDRESS, "room for the address");

/* When to come back, so that not all do at once. */
#define RETRY_MS        1000
#define RETRY_SPREAD_MS 2000

/* ---- what is sent ---- */

/* A chunk (RFC 9112 section 7.1). Returns 0 or an error. */
static int
send_text(struct stream *s, const char *text, size_t len)
{
	char size[20];
	int n = snprintf(size, sizeof(size), "%zx\r\n", len);
	int rc = 0;

	if (s->is_chunked)
		rc = tls_stream_queue(&s->out, size, (size_t)n);
	if (rc == 0)
		rc = tls_stream_queue(&s->out, text, len);
	if (rc == 0 && s->is_chunked)
		rc = tls_stream_queue(&s->out, "\r\n", 2);
	if (rc == 0)
		tls_stream_flush(&s->out);
	s->is_held = tls_stream_waiting(&s->out) >= STREAM_MARK;
	return rc;
}

void
stream_send(struct stream *s, const char *text, size_t len, int64_t id)
{
	if (send_text(s, text, len) == 0)
		s->after = id;
	else
		stream_end(s);
}

void
stream_beat(struct stream *s)
{
	if (tls_stream_waiting(&s->out) == 0)
		send_text(s, ":\n\n", 3);
}

/* ---- beginning and end ---- */

/* The feed asks for nothing more for it. */
static void
leave(struct stream *s)
{
	if (s->feed == NULL)
		return;
	if (s->slot != NULL)
		*s->slot = NULL;
	s->slot = NULL;
	feed_remove(s->feed, s);
	s->feed = NULL;
}

static void
on_drained(void *arg)
{
	struct stream *s = arg;

	if (!s->is_held)
		return;
	s->is_held = false;
	if (s->feed != NULL)
		feed_wake(s->feed);
}

static void
on_closed(void *arg)
{
	struct stream *s = arg;

	leave(s);
	tls_stream_release(&s->out);
	s->worker->n_requests--;
	free(s);
}

static const struct tls_stream_events stream_events = {
	.drained = on_drained,
	.closed = on_closed,
};

static void
take_person(struct stream *s, const struct request *r)
{
	s->is_token = r->person.is_token;
	s->person = r->person.id;
	credential_hash(&r->person, s->credential);
	memcpy(s->address, r->client, sizeof(s->address));
}

/* The head as evhttp wrote it, and its connection without evhttp. r is freed.
 * Returns 0 or an error. */
static int
take_over(struct stream *s, struct request *r)
{
	struct evhttp_request *http = r->http;
	struct evbuffer *out =
	    bufferevent_get_output(evhttp_connection_get_bufferevent(
		evhttp_request_get_connection(http)));
	size_t len = evbuffer_get_length(out);
	int seconds = (int)s->worker->conf->console.request_seconds;
	struct tls_detached tls;
	char *head = malloc(len);
	int rc = head != NULL ? 0 : ERR_NOMEM;

	if (rc == 0 && evbuffer_copyout(out, head, len) != (ssize_t)len)
		rc = ERR_NOMEM;
	if (rc == 0)
		rc = tls_connections_take(http, &tls);
	if (rc != 0) {
		free(head);
		request_break(r);
		return rc;
	}
	r->http = NULL;
	request_free(r);
	rc = tls_stream_init(&s->out, s->worker->base, &tls, STREAM_MAX,
	    seconds, &stream_events, s);
	tcp_liveness_start(tls.fd, (unsigned)seconds);
	if (rc == 0)
		rc = tls_stream_queue(&s->out, head, len);
	free(head);
	return rc;
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
	s->worker = r->worker;
	s->after = -1;
	take_person(s, r);
	request_field(r, "Content-Type", "text/event-stream");
	/* nginx sends on what it has, then */
	request_field(r, "X-Accel-Buffering", "no");
	request_begin(r, 200);
	s->is_chunked =
	    evhttp_find_header(evhttp_request_get_output_headers(r->http),
		"Transfer-Encoding") != NULL;
	if (take_over(s, r) != 0) {
		tls_stream_release(&s->out);
		free(s);
		return NULL;
	}
	s->worker->n_requests++;
	s->feed = f;
	feed_add(f, s);
	snprintf(text, sizeof(text), "retry: %u\n\n",
	    RETRY_MS + randombytes_uniform(RETRY_SPREAD_MS));
	if (send_text(s, text, strlen(text)) == 0)
		return s;
	stream_end(s);
	return NULL;
}

void
stream_end(struct stream *s)
{
	leave(s);
	if (s->is_chunked)
		tls_stream_queue(&s->out, "0\r\n\r\n", 5);
	tls_stream_finish(&s->out);
}
