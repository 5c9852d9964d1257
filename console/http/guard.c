#include "console/http/guard.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/log.h"
#include "console/http/fields.h"
#include "console/http/head_check.h"
#include "console/shared.h"

struct guard {
	struct bufferevent *bev;
	struct worker_counters *counters;
	struct event *refusal; /* out of the buffer's callback */
	struct head_check check;
	bool is_dropping; /* its own change of the buffer */
	/* evhttp's, while the answer is being sent */
	bufferevent_data_cb read_cb, write_cb;
	bufferevent_event_cb event_cb;
	void *cb_arg;
};

static const char *
reason(unsigned status)
{
	return status == 413 ? "Content Too Large"
	    : status == 417  ? "Expectation Failed"
	    : status == 431  ? "Request Header Fields Too Large"
	    : status == 501  ? "Not Implemented"
			     : "Bad Request";
}

/* The whole answer; its body is a problem document (RFC 9457). */
static void
write_answer(struct guard *g)
{
	struct evbuffer *out = bufferevent_get_output(g->bev);
	char body[256];
	int n = snprintf(body, sizeof(body),
	    "{\"type\":\"/problems/%s\",\"title\":\"%s\",\"status\":%u}\n",
	    g->check.status == 413 || g->check.status == 431 ? "too-large"
							     : "bad-request",
	    reason(g->check.status), g->check.status);

	atomic_fetch_add(&g->counters->answers[4], 1);
	evbuffer_add_printf(out, "HTTP/1.1 %u %s\r\n", g->check.status,
	    reason(g->check.status));
	for (size_t i = 0; i < N_HTTP_FIELDS; i++)
		evbuffer_add_printf(out, "%s: %s\r\n", http_fields[i].name,
		    http_fields[i].value);
	evbuffer_add_printf(out,
	    "Content-Type: application/problem+json\r\n"
	    "Content-Length: %d\r\nConnection: close\r\n\r\n%s",
	    n, body);
}

/* evhttp gets the connection back, with nothing to read on it but its end. */
static void
hand_back(struct guard *g)
{
	bufferevent_setcb(
	    g->bev, g->read_cb, g->write_cb, g->event_cb, g->cb_arg);
	bufferevent_enable(g->bev, EV_READ);
	shutdown(bufferevent_getfd(g->bev), SHUT_WR);
}

static void
on_written(struct bufferevent *bev, void *arg)
{
	hand_back(arg);
}

static void
on_event(struct bufferevent *bev, short what, void *arg)
{
	struct guard *g = arg;

	bufferevent_setcb(
	    g->bev, g->read_cb, g->write_cb, g->event_cb, g->cb_arg);
	g->event_cb(bev, what, g->cb_arg); /* may free all of it */
}

static void
on_refusal(evutil_socket_t fd, short what, void *arg)
{
	struct guard *g = arg;

	log_debug("request_refused", LOG_U("status", g->check.status));
	if ((bufferevent_get_enabled(g->bev) & EV_READ) == 0) {
		/* another request is being answered: it comes to its end */
		shutdown(bufferevent_getfd(g->bev), SHUT_RD);
		return;
	}
	bufferevent_getcb(
	    g->bev, &g->read_cb, &g->write_cb, &g->event_cb, &g->cb_arg);
	bufferevent_setcb(g->bev, NULL, on_written, on_event, g);
	bufferevent_disable(g->bev, EV_READ);
	write_answer(g);
	bufferevent_enable(g->bev, EV_WRITE);
}

/* Takes the last n bytes away. */
static void
drop_tail(struct guard *g, struct evbuffer *in, size_t n)
{
	struct evbuffer *rest = evbuffer_new();

	g->is_dropping = true;
	if (rest != NULL)
		evbuffer_remove_buffer(in, rest, evbuffer_get_length(in) - n);
	evbuffer_drain(in, evbuffer_get_length(in));
	if (rest != NULL)
		evbuffer_add_buffer(in, rest);
	if (rest != NULL)
		evbuffer_free(rest);
	g->is_dropping = false;
}

/* The n newest bytes of the buffer, in its pieces. */
static unsigned
check_tail(struct guard *g, struct evbuffer *in, size_t n)
{
	struct evbuffer_ptr at;
	struct evbuffer_iovec v[8];
	int k;

	while (n > 0 && g->check.status == 0) {
		if (evbuffer_ptr_set(in, &at, evbuffer_get_length(in) - n,
			EVBUFFER_PTR_SET) != 0)
			return 400; /* cannot be */
		k = evbuffer_peek(in, (ev_ssize_t)n, &at, v, 8);
		for (int i = 0; i < k && i < 8 && n > 0; i++) {
			size_t len = v[i].iov_len < n ? v[i].iov_len : n;

			head_check_feed(&g->check, v[i].iov_base, len);
			n -= len;
		}
	}
	return g->check.status;
}

static void
on_input(struct evbuffer *in, const struct evbuffer_cb_info *info, void *arg)
{
	struct guard *g = arg;
	bool was_refused = g->check.status != 0;

	if (g->is_dropping || info->n_added == 0)
		return;
	if (!was_refused && check_tail(g, in, info->n_added) == 0)
		return;
	drop_tail(g, in, info->n_added);
	if (!was_refused)
		event_active(g->refusal, EV_READ, 0);
}

void *
guard_new(void *counters, struct bufferevent *bev)
{
	struct guard *g = calloc(1, sizeof(*g));

	if (g == NULL)
		return NULL;
	g->bev = bev;
	g->counters = counters;
	g->refusal = event_new(bufferevent_get_base(bev), -1, 0, on_refusal, g);
	if (g->refusal == NULL ||
	    evbuffer_add_cb(bufferevent_get_input(bev), on_input, g) == NULL) {
		guard_free(g);
		return NULL;
	}
	return g;
}

void
guard_free(void *guard)
{
	struct guard *g = guard;

	if (g != NULL && g->refusal != NULL)
		event_free(g->refusal);
	free(g);
}
