#include "relay/listener/proxied.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "common/proxy_protocol.h"
#include "relay/base/client_addr.h"
#include "relay/listener/conn_limits.h"
#include "relay/listener/listener.h"
#include "relay/relay.h"

struct proxied {
	TAILQ_ENTRY(proxied) link;
	struct listener *listener;
	struct loop *loop;
	struct event *readable;
	struct connection_slot slot;
	struct sockaddr_storage addr;
	int fd; /* -1: handed on */
	size_t have;
	uint8_t data[PROXY_HEADER_MAX];
};

static void
proxied_free(struct proxied *p)
{
	TAILQ_REMOVE(&p->loop->proxied, p, link);
	connection_limit_leave(p->loop->relay->connections, &p->slot);
	event_free(p->readable);
	if (p->fd >= 0)
		close(p->fd);
	free(p);
}

static void
proxied_close(struct proxied *p, const char *why)
{
	char balancer[CLIENT_ADDR_LEN];

	client_addr_print(balancer, (struct sockaddr *)&p->addr);
	log_warn("proxy_header_refused", LOG_S("balancer", balancer),
	    LOG_S("door", p->listener->listen_addr->setting),
	    LOG_S("why", why));
	proxied_free(p);
}

static void
take_header(struct proxied *p)
{
	struct listener_peer peer = { .addr = p->addr };
	struct proxy_source source;
	struct listener *n = p->listener;
	int fd = p->fd;

	if (proxy_header_read(p->data, p->have, &source) != 0) {
		proxied_close(p, "it is none that is understood here");
		return;
	}
	peer.is_check = source.is_check;
	peer.is_local = client_addr_is_loopback((struct sockaddr *)&p->addr);
	if (!source.is_check) {
		/* of an unknown client: AF_UNSPEC, which is not local */
		memcpy(&peer.addr, &source.address, sizeof(source.address));
		peer.is_local = peer.is_local &&
		    client_addr_is_loopback(&source.address.sa);
	}
	p->fd = -1;
	proxied_free(p);
	listener_take(n, fd, &peer);
}

/* No further than to the header's end: the rest is the listener's. */
static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct proxied *p = arg;
	ssize_t n, wanted;

	for (;;) {
		wanted = proxy_header_wanted(p->data, p->have);
		if (wanted < 0) {
			proxied_close(p,
			    wanted == ERR_LIMIT ? "it is too long"
						: "the connection begins "
						  "without one (version 2)");
			return;
		}
		if (p->have >= PROXY_FIXED_LEN && p->have == (size_t)wanted) {
			take_header(p);
			return;
		}
		n = recv(fd, p->data + p->have, (size_t)wanted - p->have, 0);
		if (n > 0) {
			p->have += (size_t)n;
		} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
			proxied_free(p); /* a check without a header */
			return;
		} else if (errno == EAGAIN) {
			return;
		}
	}
}

static void
on_evicted(void *owner, enum connection_eviction why)
{
	proxied_close(owner,
	    why == CONNECTION_EXPIRED
		? "it took too long"
		: "more connections came than relay.max_logins allows");
}

void
proxied_start(struct listener *n, int fd, const struct sockaddr_storage *addr)
{
	struct loop *l = n->loop;
	struct connection_address from =
	    connection_address_of((const struct sockaddr *)addr);
	struct proxied *p = calloc(1, sizeof(*p));

	if (p == NULL) {
		close(fd);
		return;
	}
	*p = (struct proxied){
		.listener = n, .loop = l, .addr = *addr, .fd = fd
	};
	p->readable =
	    event_new(l->base, fd, EV_READ | EV_PERSIST, on_readable, p);
	if (p->readable == NULL || event_add(p->readable, NULL) != 0 ||
	    connection_limit_enter(l->relay->connections, &p->slot,
		POOL_PROXIED, &from, &l->home, clock_mono_ns()) != NULL) {
		if (p->readable != NULL)
			event_free(p->readable);
		close(fd);
		free(p);
		return;
	}
	connection_limit_own(&p->slot, on_evicted, p);
	TAILQ_INSERT_TAIL(&l->proxied, p, link);
	on_readable(fd, EV_READ, p); /* it mostly is here already */
}

void
proxied_close_all(struct loop *l)
{
	struct proxied *p;

	while ((p = TAILQ_FIRST(&l->proxied)) != NULL)
		proxied_free(p);
}
