#include "common/metrics_server.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/accept_pause.h"
#include "common/bytes.h"
#include "common/clock.h"
#include "common/connection_limit.h"
#include "common/err.h"
#include "common/log.h"
#include "common/metrics_print.h"
#include "common/metrics_request.h"

#define ACCEPTS_A_TURN 16
#define DISCARD_A_TURN 65536

/* A connection reads a head, sends an answer, and then waits for the client
 * to close: closing first could take the answer away from it. */
struct connection {
	LIST_ENTRY(connection) link;
	struct metrics_server *server;
	struct connection_slot slot;
	int fd;
	struct event *readable, *writable;
	char head[METRICS_HEAD_MAX];
	size_t len;
	struct evbuffer *answer; /* NULL: the head is not complete */
};

struct metrics_server {
	struct event_base *base;
	struct metrics_server_conf conf;
	struct evconnlistener *listener;
	struct accept_pause pause;
	unsigned n_accepted; /* in this turn */
	struct connection_limit *limit;
	struct connection_home home;
	struct event *evict, *tick, *turn;
	LIST_HEAD(, connection) connections;
};

/* ---- answers ---- */

static const struct {
	unsigned status;
	const char *reason, *fields, *text;
} answers[] = {
	{ 200, "OK", "", "" },
	{ 204, "No Content", "Allow: GET, HEAD, OPTIONS\r\n", "" },
	{ 400, "Bad Request", "", "This is not a request without a body.\n" },
	{ 404, "Not Found", "", "There is no such page.\n" },
	{ 405, "Method Not Allowed", "Allow: GET, HEAD, OPTIONS\r\n",
	    "Only GET and HEAD are answered.\n" },
	{ 431, "Request Header Fields Too Large", "",
	    "The head of the request is too long.\n" },
	{ 503, "Service Unavailable", "", "" },
};

static unsigned
status_of(ssize_t err)
{
	switch (err) {
	case ERR_UNSUPPORTED:
		return 405;
	case ERR_NOTFOUND:
		return 404;
	case ERR_LIMIT:
		return 431;
	default:
		return 400;
	}
}

static const struct metrics_page *
find_page(const struct metrics_server *s, const char *path)
{
	for (size_t i = 0; i < s->conf.n_pages; i++)
		if (strcmp(s->conf.pages[i].path, path) == 0)
			return &s->conf.pages[i];
	return NULL;
}

static unsigned
print_page(struct metrics_server *s, const struct metrics_request *req,
    struct metrics_out *out)
{
	const struct metrics_page *page = find_page(s, req->path);
	unsigned status;

	if (req->method == METRICS_OPTIONS)
		return 204;
	if (page == NULL)
		return 404;
	out->format = req->format;
	status = page->print(s->conf.arg, out);
	metrics_print_end(out);
	return status;
}

static const char *
content_type(const struct metrics_out *out)
{
	return out->has_metrics && out->format == METRICS_OPENMETRICS
	    ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
	    : "text/plain; version=0.0.4; charset=utf-8";
}

/* The whole answer to a request, or to an error of its parser. */
static int
make_answer(
    struct connection *c, const struct metrics_request *req, ssize_t parsed)
{
	struct evbuffer *body = evbuffer_new();
	struct metrics_out out = { .body = body };
	bool is_head = parsed > 0 && req->method == METRICS_HEAD;
	unsigned status;
	size_t i = 0;
	int rc = -1;

	c->answer = evbuffer_new();
	if (body != NULL && c->answer != NULL) {
		status = parsed > 0 ? print_page(c->server, req, &out)
				    : status_of(parsed);
		while (
		    i + 1 < N_ELEMENTS(answers) && answers[i].status != status)
			i++;
		if (evbuffer_get_length(body) == 0)
			evbuffer_add_printf(body, "%s", answers[i].text);
		rc = evbuffer_add_printf(c->answer,
		    "HTTP/1.1 %u %s\r\n"
		    "Content-Type: %s\r\nVary: Accept\r\n"
		    "Cache-Control: no-store\r\nConnection: close\r\n%s",
		    answers[i].status, answers[i].reason, content_type(&out),
		    answers[i].fields);
		if (rc >= 0)
			rc = status == 204
			    ? evbuffer_add_printf(c->answer, "\r\n")
			    : evbuffer_add_printf(c->answer,
				  "Content-Length: %zu\r\n\r\n",
				  evbuffer_get_length(body));
		if (rc >= 0 && !is_head)
			rc = evbuffer_add_buffer(c->answer, body);
	}
	if (body != NULL)
		evbuffer_free(body);
	return rc >= 0 ? 0 : ERR_NOMEM;
}

/* ---- one connection ---- */

static void
connection_free(struct connection *c)
{
	LIST_REMOVE(c, link);
	connection_limit_leave(c->server->limit, &c->slot);
	if (c->readable != NULL)
		event_free(c->readable);
	if (c->writable != NULL)
		event_free(c->writable);
	if (c->answer != NULL)
		evbuffer_free(c->answer);
	close(c->fd);
	free(c);
}

static void
on_evicted(void *owner, enum connection_eviction why)
{
	connection_free(owner);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct connection *c = arg;
	int n = evbuffer_write(c->answer, fd);

	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		connection_free(c);
		return;
	}
	if (evbuffer_get_length(c->answer) > 0)
		return;
	event_del(c->writable);
	shutdown(fd, SHUT_WR);
}

/* What comes behind the request is thrown away, until the client closes. */
static void
discard(struct connection *c)
{
	char bytes[4096];
	ssize_t n = 1;

	for (size_t seen = 0; n > 0 && seen < DISCARD_A_TURN; seen += (size_t)n)
		n = recv(c->fd, bytes, sizeof(bytes), 0);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		connection_free(c);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct connection *c = arg;
	struct metrics_request req = { .path = "" };
	ssize_t n, rc;

	if (c->answer != NULL) {
		discard(c);
		return;
	}
	n = recv(fd, c->head + c->len, sizeof(c->head) - c->len, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		connection_free(c);
		return;
	}
	c->len += (size_t)n;
	rc = metrics_request_parse(&req, c->head, c->len);
	if (rc == 0)
		return;
	if (make_answer(c, &req, rc) != 0 || event_add(c->writable, NULL) != 0)
		connection_free(c);
}

/* Takes fd. */
static void
connection_open(
    struct metrics_server *s, int fd, const struct connection_address *from)
{
	struct connection *c = calloc(1, sizeof(*c));
	const char *reached;

	if (c == NULL) {
		close(fd);
		return;
	}
	c->server = s;
	c->fd = fd;
	LIST_INSERT_HEAD(&s->connections, c, link);
	c->readable =
	    event_new(s->base, fd, EV_READ | EV_PERSIST, on_readable, c);
	c->writable =
	    event_new(s->base, fd, EV_WRITE | EV_PERSIST, on_writable, c);
	if (c->readable == NULL || c->writable == NULL ||
	    event_add(c->readable, NULL) != 0) {
		connection_free(c);
		return;
	}
	reached = connection_limit_enter(
	    s->limit, &c->slot, 0, from, &s->home, clock_mono_ns());
	if (reached != NULL) {
		log_warn("connection_refused",
		    LOG_S("setting", s->conf.setting), LOG_S("why", reached));
		connection_free(c);
		return;
	}
	connection_limit_own(&c->slot, on_evicted, c);
}

/* ---- all of them ---- */

static void
on_accept(struct evconnlistener *listener, evutil_socket_t fd,
    struct sockaddr *sa, int len, void *arg)
{
	struct metrics_server *s = arg;
	struct connection_address from = connection_address_of(sa);

	connection_open(s, fd, &from);
	if (s->n_accepted++ == 0)
		event_active(s->turn, EV_TIMEOUT, 0);
	if (s->n_accepted >= ACCEPTS_A_TURN)
		accept_pause_now(&s->pause, 0);
}

static void
on_turn(evutil_socket_t fd, short what, void *arg)
{
	((struct metrics_server *)arg)->n_accepted = 0;
}

static void
on_evict(evutil_socket_t fd, short what, void *arg)
{
	struct metrics_server *s = arg;

	connection_limit_run_evictions(s->limit, &s->home);
}

static void
wake(void *arg)
{
	event_active(((struct metrics_server *)arg)->evict, EV_READ, 0);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	connection_limit_expire(
	    ((struct metrics_server *)arg)->limit, clock_mono_ns());
}

/* ---- life ---- */

/* "address:port", "[v6]:port" or ":port". */
static int
split(const char *listen, char host[254], char port[8])
{
	const char *colon = strrchr(listen, ':');
	size_t len = colon != NULL ? (size_t)(colon - listen) : 0;

	if (colon == NULL || colon[1] == '\0' || strlen(colon + 1) > 5 ||
	    strspn(colon + 1, "0123456789") != strlen(colon + 1) ||
	    atoi(colon + 1) > 65535 || len >= 254)
		return ERR_CONFIG;
	strcpy(port, colon + 1);
	if (len > 1 && listen[0] == '[' && colon[-1] == ']') {
		listen++;
		len -= 2;
	}
	snprintf(host, 254, "%.*s", len > 0 ? (int)len : 7,
	    len > 0 ? listen : "0.0.0.0");
	return 0;
}

static int
open_listener(struct metrics_server *s, char *err, size_t err_len)
{
	const struct addrinfo hints = { .ai_flags = AI_PASSIVE,
		.ai_socktype = SOCK_STREAM };
	struct addrinfo *found = NULL;
	char host[254], port[8];
	int rc;

	if (split(s->conf.listen, host, port) != 0) {
		snprintf(err, err_len, "%s = %s: expected address:port",
		    s->conf.setting, s->conf.listen);
		return ERR_CONFIG;
	}
	rc = getaddrinfo(host, port, &hints, &found);
	if (rc == 0)
		s->listener = evconnlistener_new_bind(s->base, on_accept, s,
		    LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC |
			LEV_OPT_REUSEABLE,
		    -1, found->ai_addr, (int)found->ai_addrlen);
	if (s->listener == NULL)
		snprintf(err, err_len, "%s: cannot listen on %s: %s",
		    s->conf.setting, s->conf.listen,
		    rc != 0 ? gai_strerror(rc) : strerror(errno));
	if (rc == 0)
		freeaddrinfo(found);
	if (s->listener == NULL)
		return ERR_CONFIG;
	return accept_pause_init(&s->pause, s->listener, s->conf.setting);
}

static int
start(struct metrics_server *s)
{
	const struct connection_pool pool = { .setting = "connections",
		.address_setting = "connections from one address",
		.max = METRICS_CONNECTIONS,
		.per_address = METRICS_CONNECTIONS_PER_ADDRESS,
		.evicts = true,
		.life_ns = METRICS_LIFE_SECONDS * NS_PER_S };
	const struct timeval second = { 1, 0 };

	connection_home_init(&s->home, wake, s);
	s->limit = connection_limit_new(&pool, 1);
	s->evict = event_new(s->base, -1, 0, on_evict, s);
	s->turn = event_new(s->base, -1, 0, on_turn, s);
	s->tick = event_new(s->base, -1, EV_PERSIST, on_tick, s);
	return s->limit != NULL && s->evict != NULL && s->turn != NULL &&
		s->tick != NULL && event_add(s->tick, &second) == 0
	    ? 0
	    : ERR_NOMEM;
}

unsigned
metrics_print_healthz(void *arg, struct metrics_out *out)
{
	evbuffer_add_printf(out->body, "ok\n");
	return 200;
}

int
metrics_server_new(struct metrics_server **out, struct event_base *base,
    const struct metrics_server_conf *conf, char *err, size_t err_len)
{
	struct metrics_server *s = calloc(1, sizeof(*s));
	int rc;

	snprintf(err, err_len, "out of memory");
	if (s == NULL)
		return ERR_NOMEM;
	s->base = base;
	s->conf = *conf;
	LIST_INIT(&s->connections);
	rc = start(s);
	if (rc == 0)
		rc = open_listener(s, err, err_len);
	if (rc != 0) {
		metrics_server_free(s);
		return rc;
	}
	*out = s;
	return 0;
}

void
metrics_server_free(struct metrics_server *s)
{
	struct connection *c;

	if (s == NULL)
		return;
	while ((c = LIST_FIRST(&s->connections)) != NULL)
		connection_free(c);
	accept_pause_release(&s->pause);
	if (s->listener != NULL)
		evconnlistener_free(s->listener);
	if (s->evict != NULL)
		event_free(s->evict);
	if (s->turn != NULL)
		event_free(s->turn);
	if (s->tick != NULL)
		event_free(s->tick);
	connection_limit_free(s->limit);
	free(s);
}
