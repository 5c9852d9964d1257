#include "agent/capture/exchange.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "agent/wire.h"
#include "common/agent_proto.h"
#include "common/bytes.h"
#include "common/clock.h"
#include "common/err.h"

#define PIECE     65536       /* of the file */
#define QUEUE_MAX (2 * PIECE) /* bytes that wait in the connection */
#define TICK_MS   50          /* of the clock that meters and watches */
#define BODY_MAX                                                               \
	(64 * 1024) /* of an answer; longer ones end the connection            \
		     */

struct exchange {
	struct bufferevent *bev;
	struct event *timer;
	exchange_cb *cb;
	void *arg;
	bool is_asked;  /* an answer is due */
	bool is_head;   /* its answer has no body */
	bool is_broken; /* closed while nothing was asked */
	bool has_head;
	size_t body_len; /* of the answer */
	int fd;
	uint64_t at, to; /* of the file, what is still to be queued */
	uint64_t rate, allowed, metered_ns;
	uint64_t moved_ns; /* when something was sent or came */
	struct exchange_answer answer;
};

/* Copies the value of a field of the head; false: there is none that fits. */
static bool
get_field(const struct exchange_answer *a, const char *name, char *out,
    size_t out_len)
{
	size_t n = strlen(name);

	for (const char *line = strstr(a->head, "\r\n"); line != NULL;
	     line = strstr(line, "\r\n")) {
		const char *value;
		size_t len;

		line += 2;
		if (strncasecmp(line, name, n) != 0 || line[n] != ':')
			continue;
		value = line + n + 1 + strspn(line + n + 1, " \t");
		len = strcspn(value, "\r\n");
		if (len >= out_len)
			return false;
		memcpy(out, value, len);
		out[len] = '\0';
		return true;
	}
	return false;
}

bool
exchange_number(
    const struct exchange_answer *a, const char *name, uint64_t *out)
{
	char text[20];
	size_t len;

	if (!get_field(a, name, text, sizeof(text)))
		return false;
	len = strlen(text);
	if (len == 0 || strspn(text, "0123456789") != len)
		return false;
	*out = strtoull(text, NULL, 10);
	return true;
}

/* The last thing done with x before it returns to the loop. */
static void
fail(struct exchange *x, const char *why)
{
	x->is_broken = true;
	bufferevent_disable(x->bev, EV_READ | EV_WRITE);
	event_del(x->timer);
	if (!x->is_asked)
		return;
	x->is_asked = false;
	x->cb(x->arg, NULL, why);
}

/* How many bytes the rate allows to be queued now. An unused allowance ends
 * after a quarter of a second. */
static size_t
meter(struct exchange *x)
{
	uint64_t now = clock_mono_ns(), past = now - x->metered_ns;
	uint64_t most = x->rate / 4 + 1;

	if (x->rate == 0)
		return PIECE;
	x->allowed += x->rate * (min_u64(past, NS_PER_S) / NS_PER_MS) / 1000;
	x->allowed = min_u64(x->allowed, most);
	x->metered_ns = now - past % NS_PER_MS;
	return (size_t)min_u64(x->allowed, PIECE);
}

/* Queues bytes of the file up to QUEUE_MAX. False: the exchange failed. */
static bool
fill(struct exchange *x)
{
	struct evbuffer *out = bufferevent_get_output(x->bev);
	uint8_t piece[PIECE];

	while (x->at < x->to && evbuffer_get_length(out) < QUEUE_MAX) {
		size_t want = (size_t)min_u64(meter(x), x->to - x->at);
		ssize_t n;

		if (want == 0)
			break;
		n = pread(x->fd, piece, want, (off_t)x->at);
		if (n <= 0) {
			fail(x, "the capture's file cannot be read");
			return false;
		}
		if (bufferevent_write(x->bev, piece, (size_t)n) != 0) {
			fail(x, err_text(ERR_NOMEM));
			return false;
		}
		x->at += (uint64_t)n;
		if (x->rate != 0)
			x->allowed -= (uint64_t)n;
	}
	return true;
}

static void
on_write(struct bufferevent *bev, void *arg)
{
	struct exchange *x = arg;

	x->moved_ns = clock_mono_ns();
	if (x->is_asked)
		fill(x);
}

/* A tunnel that swallows everything, or a server that never answers. */
static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct exchange *x = arg;
	bool is_sent = x->at == x->to &&
	    evbuffer_get_length(bufferevent_get_output(x->bev)) == 0;
	uint64_t limit = is_sent ? EXCHANGE_THINKING_S : EXCHANGE_SILENT_S;

	if (clock_mono_ns() - x->moved_ns > limit * NS_PER_S)
		fail(x,
		    is_sent ? "it does not answer"
			    : "it does not take what is sent");
	else
		fill(x);
}

/* ---- answers ---- */

static void
answered(struct exchange *x)
{
	char text[64] = "";

	get_field(&x->answer, "Connection", text, sizeof(text));
	x->answer.keeps =
	    x->answer.keeps && x->at == x->to && strcasecmp(text, "close") != 0;
	x->is_asked = false;
	event_del(x->timer);
	x->cb(x->arg, &x->answer, NULL);
}

/* The head is there, len bytes with its empty line. False: it is none. */
static bool
read_head(struct exchange *x, size_t len)
{
	struct exchange_answer *a = &x->answer;
	uint64_t body = 0;
	int minor;

	bufferevent_read(x->bev, a->head, len);
	a->head[len] = '\0';
	if (memchr(a->head, '\0', len) != NULL ||
	    sscanf(a->head, "HTTP/1.%1d %3d", &minor, &a->status) != 2 ||
	    a->status < 100)
		return false;
	if (a->status < 200)
		return true; /* the answer follows */
	a->keeps = minor == 1;
	x->has_head = true;
	x->body_len = 0;
	if (x->is_head || a->status == 204 || a->status == 304)
		return true;
	if (exchange_number(a, "Content-Length", &body) && body <= BODY_MAX)
		x->body_len = (size_t)body;
	else
		a->keeps = false; /* where it ends is not looked for */
	return true;
}

static void
keep_text(struct exchange *x)
{
	struct evbuffer *in = bufferevent_get_input(x->bev);
	char text[EXCHANGE_TEXT_MAX];
	size_t len = min_size(x->body_len, sizeof(text) - 1);

	evbuffer_copyout(in, text, len);
	text[len] = '\0';
	text[strcspn(text, "\r\n")] = '\0';
	agent_proto_clean(x->answer.text, sizeof(x->answer.text), text);
	evbuffer_drain(in, x->body_len);
}

static void
on_read(struct bufferevent *bev, void *arg)
{
	struct evbuffer *in = bufferevent_get_input(bev);
	struct exchange *x = arg;

	x->moved_ns = clock_mono_ns();
	if (!x->is_asked) {
		fail(x, "it answers what was not asked");
		return;
	}
	while (!x->has_head) {
		struct evbuffer_ptr end =
		    evbuffer_search(in, "\r\n\r\n", 4, NULL);

		if (end.pos < 0 && evbuffer_get_length(in) < EXCHANGE_HEAD_MAX)
			return;
		if (end.pos < 0 || end.pos + 4 >= EXCHANGE_HEAD_MAX ||
		    !read_head(x, (size_t)end.pos + 4)) {
			fail(x, "what it answers is not HTTP");
			return;
		}
	}
	if (evbuffer_get_length(in) < x->body_len)
		return;
	keep_text(x);
	answered(x);
}

static void
on_event(struct bufferevent *bev, short what, void *arg)
{
	fail(arg,
	    (what & BEV_EVENT_EOF) != 0 ? "it closed the connection"
					: wire_why(bev, what));
}

/* ---- requests ---- */

struct exchange *
exchange_new(struct event_base *base, struct bufferevent *bev, exchange_cb *cb,
    void *arg)
{
	struct exchange *x = calloc(1, sizeof(*x));

	if (x != NULL)
		x->timer = event_new(base, -1, EV_PERSIST, on_timer, x);
	if (x == NULL || x->timer == NULL) {
		wire_close(bev);
		free(x);
		return NULL;
	}
	x->bev = bev;
	x->cb = cb;
	x->arg = arg;
	bufferevent_setcb(bev, on_read, on_write, on_event, x);
	bufferevent_setwatermark(bev, EV_WRITE, PIECE, 0);
	bufferevent_setwatermark(bev, EV_READ, 0, 2 * BODY_MAX);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
	return x;
}

int
exchange_send(struct exchange *x, const struct exchange_request *r)
{
	static const struct timeval tick = { 0, TICK_MS * 1000 };
	struct evbuffer *out = bufferevent_get_output(x->bev);

	if (x->is_broken)
		return ERR_IO;
	x->fd = r->fd;
	x->at = r->from;
	x->to = r->to;
	x->rate = r->rate;
	x->allowed = 0;
	x->metered_ns = x->moved_ns = clock_mono_ns();
	x->is_head = strcmp(r->method, "HEAD") == 0;
	x->has_head = false;
	x->answer = (struct exchange_answer){ 0 };
	if (evbuffer_add_printf(out, "%s %s HTTP/1.1\r\n%s", r->method, r->path,
		r->fields) < 0 ||
	    (!x->is_head &&
		evbuffer_add_printf(out, "Content-Length: %llu\r\n",
		    (unsigned long long)(r->to - r->from)) < 0) ||
	    evbuffer_add(out, "\r\n", 2) != 0 ||
	    event_add(x->timer, &tick) != 0)
		return ERR_NOMEM;
	x->is_asked = true;
	return 0;
}

uint64_t
exchange_at(const struct exchange *x)
{
	return x->at;
}

void
exchange_free(struct exchange *x)
{
	if (x == NULL)
		return;
	event_free(x->timer);
	wire_close(x->bev);
	free(x);
}
