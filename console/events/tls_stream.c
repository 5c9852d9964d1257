#include "console/events/tls_stream.h"

#include <event2/event.h>
#include <openssl/err.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/err.h"

#define READ_LEN     4096
#define READS_A_TURN 4

size_t
tls_stream_waiting(const struct tls_stream *s)
{
	return buf_len(&s->out);
}

/* `closed` is called in the loop's next turn. */
static void
die(struct tls_stream *s)
{
	s->is_dead = true;
	event_active(s->readable, EV_READ, 0);
}

/* Whether the connection lives on after an SSL call that gave n. */
static bool
is_alive(const struct tls_stream *s, int n)
{
	int why = SSL_get_error(s->tls.ssl, n);

	return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE;
}

/* ---- output ---- */

static void
wait_for_room(struct tls_stream *s)
{
	const struct timeval stall = {
		s->is_ending ? TLS_STREAM_FINISH_S : s->stall_seconds, 0
	};

	event_add(s->writable, &stall);
}

/* All of it is sent. */
static void
on_empty(struct tls_stream *s)
{
	buf_release(&s->out);
	event_del(s->writable);
	if (!s->is_ending || s->is_dead)
		return;
	ERR_clear_error();
	SSL_shutdown(s->tls.ssl); /* close_notify */
	die(s);
}

static void
flush(struct tls_stream *s)
{
	bool has_moved = false;
	int n = 1;

	while (!s->is_dead && buf_len(&s->out) > 0) {
		ERR_clear_error();
		n = SSL_write(
		    s->tls.ssl, buf_head(&s->out), (int)buf_len(&s->out));
		if (n <= 0)
			break;
		has_moved = true;
		buf_consume(&s->out, (size_t)n);
	}
	if (s->is_dead)
		return;
	if (n <= 0 && !is_alive(s, n))
		die(s);
	else if (buf_len(&s->out) == 0)
		on_empty(s);
	else if (has_moved || !event_pending(s->writable, EV_WRITE, NULL))
		wait_for_room(s);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct tls_stream *s = arg;

	if (what & EV_TIMEOUT)
		die(s);
	else
		flush(s);
	if (!s->is_dead && buf_len(&s->out) == 0)
		s->events->drained(s->arg);
}

int
tls_stream_queue(struct tls_stream *s, const void *data, size_t len)
{
	return s->is_dead || s->is_ending ? 0 : buf_append(&s->out, data, len);
}

void
tls_stream_flush(struct tls_stream *s)
{
	if (!event_pending(s->writable, EV_WRITE, NULL))
		flush(s);
}

void
tls_stream_finish(struct tls_stream *s)
{
	if (s->is_dead || s->is_ending)
		return;
	s->is_ending = true;
	event_del(s->writable); /* another time limit holds now */
	flush(s);
}

/* ---- input ---- */

/* False: the client is gone, or sends what no listener sends. */
static bool
drop_input(struct tls_stream *s)
{
	char dropped[READ_LEN];
	int n = 1;

	for (int i = 0; i < READS_A_TURN; i++) {
		ERR_clear_error();
		n = SSL_read(s->tls.ssl, dropped, sizeof(dropped));
		if (n <= 0)
			return is_alive(s, n);
		s->n_read += (size_t)n;
		if (s->n_read > TLS_STREAM_INPUT_MAX)
			return false;
	}
	if (SSL_has_pending(s->tls.ssl))
		event_active(s->readable, EV_READ, 0);
	return true;
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct tls_stream *s = arg;

	if (s->is_dead || !drop_input(s))
		s->events->closed(s->arg);
}

/* ---- life ---- */

int
tls_stream_init(struct tls_stream *s, struct event_base *base,
    const struct tls_detached *tls, size_t max, int stall_seconds,
    const struct tls_stream_events *events, void *arg)
{
	*s = (struct tls_stream){ .tls = *tls,
		.stall_seconds = stall_seconds,
		.events = events,
		.arg = arg };
	buf_init(&s->out, max);
	s->readable =
	    event_new(base, tls->fd, EV_READ | EV_PERSIST, on_readable, s);
	s->writable =
	    event_new(base, tls->fd, EV_WRITE | EV_PERSIST, on_writable, s);
	if (s->readable == NULL || s->writable == NULL ||
	    event_add(s->readable, NULL) != 0)
		return ERR_NOMEM;
	/* the TLS layer may hold more already */
	event_active(s->readable, EV_READ, 0);
	return 0;
}

void
tls_stream_release(struct tls_stream *s)
{
	if (s->tls.ssl == NULL)
		return;
	if (s->readable != NULL)
		event_free(s->readable);
	if (s->writable != NULL)
		event_free(s->writable);
	buf_release(&s->out);
	SSL_free(s->tls.ssl);
	close(s->tls.fd);
	*s = (struct tls_stream){ 0 };
}
