#include "agent/dial.h"

#include <errno.h>
#include <event2/bufferevent_ssl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/resolve.h"
#include "common/err.h"
#include "common/tcp_liveness.h"

#define MAX_ADDRESSES 8

struct dial {
	struct event_base *base;
	struct hostport to;  /* what is wanted */
	struct hostport hop; /* what TCP goes to: it, or the proxy */
	struct proxy proxy;
	const struct trust *trust;
	const char *alpn;
	dial_cb *cb;
	void *arg;
	struct event *timer;
	struct resolve *resolve;
	struct sockaddr_storage addresses[MAX_ADDRESSES];
	socklen_t lens[MAX_ADDRESSES];
	unsigned n, next;
	unsigned timeout_s, lost_s;
	struct sockaddr_storage last; /* AF_UNSPEC: none */
	int last_errno;
	int fd;
	struct event *ev; /* of fd, while no bufferevent has it */
	struct bufferevent *bev;
	char head[PROXY_ANSWER_MAX]; /* of the proxy's answer */
	size_t head_len;
};

static void try_next(struct dial *d);

void
dial_cancel(struct dial *d)
{
	if (d == NULL)
		return;
	resolve_cancel(d->resolve);
	if (d->timer != NULL)
		event_free(d->timer);
	if (d->ev != NULL)
		event_free(d->ev);
	if (d->bev != NULL)
		bufferevent_free(d->bev);
	if (d->fd >= 0)
		close(d->fd);
	OPENSSL_cleanse(&d->proxy, sizeof(d->proxy));
	free(d);
}

/* Frees d after its one answer. bev: the connection or NULL. */
static void
finish(struct dial *d, struct bufferevent *bev, const char *why)
{
	dial_cb *cb = d->cb;
	void *arg = d->arg;
	char copy[DIAL_WHY_MAX];

	snprintf(copy, sizeof(copy), "%s", why != NULL ? why : "");
	dial_cancel(d);
	cb(arg, bev, bev != NULL ? NULL : copy);
}

/* "host:port: what", of the place where it went wrong. */
static void
fail_at(struct dial *d, const struct hostport *at, const char *what)
{
	char place[HOSTPORT_TEXT_MAX], why[DIAL_WHY_MAX];

	snprintf(why, sizeof(why), "%s%s: %s",
	    d->proxy.is_used && at == &d->hop ? "proxy " : "",
	    hostport_format(at, place), what);
	finish(d, NULL, why);
}

static void
on_tls(struct bufferevent *bev, short what, void *arg)
{
	struct dial *d = arg;
	SSL *ssl = bufferevent_openssl_get_ssl(bev);
	char why[DIAL_WHY_MAX / 2];

	if ((what & BEV_EVENT_CONNECTED) == 0) {
		trust_explain(
		    ssl, bufferevent_get_openssl_error(bev), why, sizeof(why));
		fail_at(d, &d->to, why);
		return;
	}
	if (trust_check(d->trust, ssl, d->alpn, why, sizeof(why)) != 0) {
		fail_at(d, &d->to, why);
		return;
	}
	d->bev = NULL; /* transferred */
	bufferevent_setcb(bev, NULL, NULL, NULL, NULL);
	bufferevent_disable(bev, EV_READ | EV_WRITE);
	finish(d, bev, NULL);
}

static void
start_tls(struct dial *d)
{
	SSL *ssl = trust_ssl_new(d->trust, d->to.host, d->alpn);

	if (ssl != NULL)
		d->bev = bufferevent_openssl_socket_new(d->base, d->fd, ssl,
		    BUFFEREVENT_SSL_CONNECTING, BEV_OPT_CLOSE_ON_FREE);
	if (d->bev == NULL) {
		SSL_free(ssl);
		fail_at(d, &d->to, err_text(ERR_NOMEM));
		return;
	}
	d->fd = -1; /* transferred */
	bufferevent_setcb(d->bev, NULL, NULL, on_tls, d);
	bufferevent_enable(d->bev, EV_READ | EV_WRITE);
}

/* TCP, and the tunnel if there is one, lead to the peer. */
static void
on_reached(struct dial *d)
{
	struct bufferevent *bev;

	if (d->trust != NULL) {
		start_tls(d);
		return;
	}
	bev = bufferevent_socket_new(d->base, d->fd, BEV_OPT_CLOSE_ON_FREE);
	if (bev == NULL) {
		fail_at(d, &d->to, err_text(ERR_NOMEM));
		return;
	}
	d->fd = -1; /* transferred */
	bufferevent_disable(bev, EV_READ | EV_WRITE);
	finish(d, bev, NULL);
}

/* limit: NULL, the timer over all steps is enough. */
static void
wait_for(struct dial *d, short what, event_callback_fn cb,
    const struct timeval *limit)
{
	if (d->ev != NULL)
		event_free(d->ev);
	d->ev = event_new(d->base, d->fd, what, cb, d);
	if (d->ev == NULL || event_add(d->ev, limit) != 0)
		fail_at(d, &d->hop, err_text(ERR_NOMEM));
}

static void
on_proxy_status(struct dial *d, int status)
{
	char what[64];

	if (status >= 200 && status < 300) {
		event_free(d->ev);
		d->ev = NULL;
		on_reached(d);
		return;
	}
	/* 401 is for servers, but some proxies say it too */
	if (status == 407 || status == 401)
		snprintf(what, sizeof(what), "%s the name and password",
		    d->proxy.auth[0] != '\0' ? "does not accept" : "asks for");
	else
		snprintf(what, sizeof(what), "refuses the tunnel (%d)", status);
	fail_at(d, &d->hop, what);
}

/* Reads no byte beyond the head: what follows belongs to TLS, and TLS lets
 * the client speak first. */
static void
on_proxy_answer(evutil_socket_t fd, short what, void *arg)
{
	struct dial *d = arg;
	size_t used;
	ssize_t n;
	int rc;

	n = recv(fd, d->head + d->head_len, sizeof(d->head) - d->head_len, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		fail_at(d, &d->hop,
		    n == 0 ? "closed without an answer" : strerror(errno));
		return;
	}
	d->head_len += (size_t)n;
	rc = proxy_answer(d->head, d->head_len, &used);
	if (rc == 0)
		return;
	if (rc < 0)
		fail_at(d, &d->hop, "does not answer like an HTTP proxy");
	else if (rc < 300 && used != d->head_len)
		fail_at(d, &d->hop, "sends bytes before the tunnel is used");
	else
		on_proxy_status(d, rc);
}

static void
ask_proxy(struct dial *d)
{
	char ask[PROXY_ASK_MAX];
	size_t len = proxy_request(&d->proxy, &d->to, ask);
	ssize_t n = send(d->fd, ask, len, MSG_NOSIGNAL);
	bool is_sent = n == (ssize_t)len;

	OPENSSL_cleanse(ask, sizeof(ask));
	/* a fresh connection takes a few hundred bytes, or it is broken */
	if (!is_sent) {
		fail_at(d, &d->hop, "does not take the request");
		return;
	}
	wait_for(d, EV_READ | EV_PERSIST, on_proxy_answer, NULL);
}

static void
on_connected(evutil_socket_t fd, short what, void *arg)
{
	struct dial *d = arg;
	socklen_t len = sizeof(d->last_errno);

	if ((what & EV_TIMEOUT) != 0)
		d->last_errno = ETIMEDOUT;
	else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &d->last_errno, &len) !=
	    0)
		d->last_errno = errno;
	if (d->last_errno != 0) {
		try_next(d);
		return;
	}
	if (d->proxy.is_used) {
		ask_proxy(d);
		return;
	}
	event_free(d->ev);
	d->ev = NULL;
	on_reached(d);
}

/* A socket that connects to address i, or -1 with errno. */
static int
start_connect(struct dial *d, unsigned i)
{
	int on = 1, error;
	int fd = socket(d->addresses[i].ss_family,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	tcp_liveness_start(fd, d->lost_s);
	if (connect(fd, (struct sockaddr *)&d->addresses[i], d->lens[i]) == 0 ||
	    errno == EINPROGRESS)
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

/* An address that swallows everything must not take the others' time. */
static struct timeval
share_of_time(const struct dial *d)
{
	unsigned share_ms = d->timeout_s * 1000 / d->n;

	return (struct timeval){ share_ms / 1000, share_ms % 1000 * 1000 };
}

static void
try_next(struct dial *d)
{
	struct timeval share = share_of_time(d);

	if (d->ev != NULL)
		event_free(d->ev);
	d->ev = NULL;
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
	while (d->fd < 0 && d->next < d->n) {
		d->fd = start_connect(d, d->next++);
		if (d->fd < 0)
			d->last_errno = errno;
	}
	if (d->fd < 0)
		fail_at(d, &d->hop, strerror(d->last_errno));
	else
		wait_for(
		    d, EV_WRITE, on_connected, d->next < d->n ? &share : NULL);
}

/* The same machine, whatever the port. */
static bool
is_last(const struct dial *d, const struct sockaddr *sa)
{
	const struct sockaddr_in *a4 = (const struct sockaddr_in *)sa;
	const struct sockaddr_in6 *a6 = (const struct sockaddr_in6 *)sa;
	const struct sockaddr_storage *last = &d->last;

	if (sa->sa_family != last->ss_family)
		return false;
	return sa->sa_family == AF_INET
	    ? memcmp(&a4->sin_addr,
		  &((const struct sockaddr_in *)last)->sin_addr,
		  sizeof(a4->sin_addr)) == 0
	    : sa->sa_family == AF_INET6 &&
		memcmp(&a6->sin6_addr,
		    &((const struct sockaddr_in6 *)last)->sin6_addr,
		    sizeof(a6->sin6_addr)) == 0;
}

/* Those of list that are the last one, or those that are not. */
static void
take_addresses(struct dial *d, const struct addrinfo *list, bool last)
{
	for (; list != NULL && d->n < MAX_ADDRESSES; list = list->ai_next) {
		if (is_last(d, list->ai_addr) != last)
			continue;
		memcpy(&d->addresses[d->n], list->ai_addr, list->ai_addrlen);
		d->lens[d->n++] = list->ai_addrlen;
	}
}

static void
on_resolved(void *arg, const struct addrinfo *list, const char *why)
{
	struct dial *d = arg;

	d->resolve = NULL; /* it frees itself */
	take_addresses(d, list, false);
	take_addresses(d, list, true);
	if (d->n == 0)
		fail_at(d, &d->hop, why != NULL ? why : "no address");
	else
		try_next(d);
}

static void
on_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct dial *d = arg;

	fail_at(d, d->bev != NULL ? &d->to : &d->hop, "no answer in time");
}

struct dial *
dial_start(
    struct event_base *base, const struct dial_to *to, dial_cb *cb, void *arg)
{
	struct timeval limit = { .tv_sec = to->timeout_s };
	struct dial *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return NULL;
	d->base = base;
	d->to = *to->to;
	if (to->proxy != NULL)
		d->proxy = *to->proxy;
	d->hop = d->proxy.is_used ? d->proxy.at : d->to;
	d->trust = to->trust;
	d->alpn = to->alpn;
	d->timeout_s = to->timeout_s;
	d->lost_s = to->lost_s;
	if (to->last != NULL)
		d->last = *to->last;
	d->cb = cb;
	d->arg = arg;
	d->fd = -1;
	d->timer = evtimer_new(base, on_timeout, d);
	d->resolve = resolve_start(base, &d->hop, on_resolved, d);
	if (d->timer == NULL || d->resolve == NULL ||
	    event_add(d->timer, &limit) != 0) {
		dial_cancel(d);
		return NULL;
	}
	return d;
}
