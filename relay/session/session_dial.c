/* Dialling an endpoint that the relay reaches: its name, its addresses one
 * after the other. */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/err.h"
#include "common/tcp_liveness.h"
#include "relay/session/session_internal.h"

/* A name lookup in a worker thread. */
struct lookup {
	struct job job;
	struct relay_session *session;
	char host[256], port[8];
	struct addrinfo *found;
	int result; /* of getaddrinfo */
};

static void connect_next(struct relay_session *s, const char *why_last);

/* Tries the addresses of a lookup one after the other. */
static void
connect_found(struct relay_session *s, const struct addrinfo *found, int result)
{
	s->addrs = calloc(SESSION_ADDRS, sizeof(*s->addrs));
	for (const struct addrinfo *a = found;
	     s->addrs != NULL && a != NULL && s->n_addrs < SESSION_ADDRS;
	     a = a->ai_next)
		memcpy(&s->addrs[s->n_addrs++], a->ai_addr, a->ai_addrlen);
	if (s->n_addrs == 0)
		session_endpoint_refuse(s, "cannot be reached",
		    result != 0 ? gai_strerror(result) : "no address");
	else
		connect_next(s, "");
}

static void
looked_up(struct job *j)
{
	struct lookup *k = (struct lookup *)j;
	struct relay_session *s = k->session;

	if (s->state == SESSION_DIAL)
		connect_found(s, k->found, k->result);
	if (k->found != NULL)
		freeaddrinfo(k->found);
	free(k);
	session_unref(s);
}

static void
run_lookup(struct job *j)
{
	struct lookup *k = (struct lookup *)j;
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
		.ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV };

	k->result = getaddrinfo(k->host, k->port, &hints, &k->found);
}

/* Starts a lookup in a worker thread. */
static void
look_up(struct relay_session *s)
{
	struct lookup *k = calloc(1, sizeof(*k));

	if (k == NULL) {
		session_refuse(s, "the relay is out of memory");
		return;
	}
	k->job = (struct job){
		.run = run_lookup, .done = looked_up, .inbox = &s->loop->inbox
	};
	k->session = s;
	k->result = EAI_AGAIN;
	snprintf(k->host, sizeof(k->host), "%s", s->authorization.host);
	snprintf(k->port, sizeof(k->port), "%s", s->authorization.port);
	session_ref(s);
	worker_submit(s->loop->relay->lookups, &k->job);
}

/* An address in digits needs no lookup. Returns false when it is a name. */
static bool
dial_address(struct relay_session *s)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV };
	struct addrinfo *found = NULL;

	if (getaddrinfo(s->authorization.host, s->authorization.port, &hints,
		&found) != 0)
		return false;
	connect_found(s, found, 0);
	freeaddrinfo(found);
	return true;
}

/* Drops the socket and its events, keeps `out`, which the handshake holds. */
static void
drop_socket(struct channel *d)
{
	if (d->readable != NULL)
		event_free(d->readable);
	if (d->writable != NULL)
		event_free(d->writable);
	d->readable = d->writable = NULL;
	d->is_reading = false;
	if (d->transport.batch != NULL)
		transport_release(&d->transport);
}

static int
open_socket(struct relay_session *s, const struct sockaddr_storage *addr)
{
	/* NOLINTNEXTLINE: a dial has an address in each turn */
	socklen_t len = addr->ss_family == AF_INET6
	    ? sizeof(struct sockaddr_in6)
	    : sizeof(struct sockaddr_in);
	int fd = socket(
	    addr->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	const int64_t ms =
	    s->loop->relay->conf.connect_seconds * 1000 / s->n_addrs;
	const struct timeval share = { ms / 1000, ms % 1000 * 1000 };
	int on = 1;

	if (fd < 0)
		return ERR_IO;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	tcp_liveness_start(
	    fd, (unsigned)s->loop->relay->conf.peer_lost_seconds);
	transport_init(&s->pump.endpoint.transport, fd, &s->loop->batch);
	buf_init(&s->pump.endpoint.in, RFB_HANDSHAKE_INPUT_MAX);
	s->pump.endpoint.readable = event_new(
	    s->loop->base, fd, EV_READ | EV_PERSIST, on_endpoint_readable, s);
	s->pump.endpoint.writable =
	    event_new(s->loop->base, fd, EV_WRITE, on_endpoint_writable, s);
	if (s->pump.endpoint.readable == NULL ||
	    s->pump.endpoint.writable == NULL)
		return ERR_NOMEM;
	if (connect(fd, (const struct sockaddr *)addr, len) != 0 &&
	    errno != EINPROGRESS)
		return ERR_IO;
	/* a silent first address leaves time for the others */
	event_add(s->pump.endpoint.writable, &share);
	return 0;
}

static void
connect_next(struct relay_session *s, const char *why_last)
{
	while (s->addr_at < s->n_addrs) {
		drop_socket(&s->pump.endpoint);
		if (open_socket(s, &s->addrs[s->addr_at++]) == 0)
			return;
		why_last = strerror(errno);
	}
	session_endpoint_refuse(s, "cannot be reached", why_last);
}

void
session_dial_writable(struct relay_session *s, bool is_late)
{
	socklen_t len = sizeof(int);
	int e = 0;

	if (is_late) {
		connect_next(s, strerror(ETIMEDOUT));
		return;
	}
	getsockopt(
	    s->pump.endpoint.transport.fd, SOL_SOCKET, SO_ERROR, &e, &len);
	if (e != 0) {
		connect_next(s, strerror(e));
		return;
	}
	free(s->addrs);
	s->addrs = NULL;
	s->n_addrs = s->addr_at = 0;
	session_set_state(
	    s, SESSION_ENDPOINT, s->loop->relay->conf.connect_seconds);
	channel_read(&s->pump.endpoint, true);
}

void
session_dial_direct(struct relay_session *s)
{
	if (s->authorization.host == NULL || s->authorization.port == NULL) {
		session_endpoint_refuse(s,
		    "has no address in its settings; set one with relaycam "
		    "endpoint set --host",
		    "");
		return;
	}
	session_set_state(
	    s, SESSION_DIAL, s->loop->relay->conf.connect_seconds);
	if (session_endpoint_greet(s) == 0 && !dial_address(s))
		look_up(s);
}
