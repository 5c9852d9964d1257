#include "relay/listener/listener.h"

#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "common/tcp_liveness.h"
#include "relay/base/client_addr.h"
#include "relay/listener/conn.h"
#include "relay/listener/conn_limits.h"
#include "relay/listener/proxied.h"
#include "relay/relay.h"

#define ACCEPTS_A_TURN      16
#define RETRY_MS            200
#define TURNED_AWAY_SECONDS 10 /* between two lines of the log */

/* A flood makes one line in a while. */
static void
log_turned_away(const struct sockaddr *addr, const char *setting)
{
	static _Atomic uint64_t next_ns, n_silent;
	uint64_t now = clock_mono_ns(), next = atomic_load(&next_ns);
	char client[CLIENT_ADDR_LEN];

	atomic_fetch_add(&n_silent, 1);
	if (now < next ||
	    !atomic_compare_exchange_strong(
		&next_ns, &next, now + TURNED_AWAY_SECONDS * NS_PER_S))
		return;
	client_addr_print(client, addr);
	log_warn("connection_refused", LOG_S("client", client),
	    LOG_S("setting", setting),
	    LOG_U("times", atomic_exchange(&n_silent, 0)));
}

/* Closes at once, with a reset: the kernel keeps nothing of it. */
static void
turn_away(int fd)
{
	const struct linger none = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
	close(fd);
}

/* A viewer is one from its first byte. */
static void
give_viewer(struct listener *n, int fd, const struct listener_peer *peer,
    struct connection_slot *slot)
{
	struct loop *l = n->loop;
	struct conn_peer to = { .listen_addr = n->listen_addr,
		.is_check = peer->is_check };
	struct channel channel;

	client_addr_print(to.client_addr, (const struct sockaddr *)&peer->addr);
	channel_open(&channel, l, fd);
	l->conn_ops->on_viewer(l, &to, &channel, slot);
	channel_release(&channel);
	connection_limit_leave(l->relay->connections, slot);
}

void
listener_take(struct listener *n, int fd, const struct listener_peer *peer)
{
	const struct sockaddr *addr = (const struct sockaddr *)&peer->addr;
	struct relay *r = n->loop->relay;
	struct connection_address from = connection_address_of(addr);
	struct connection_slot slot;
	const char *setting;
	int on = 1;

	atomic_fetch_add(
	    peer->is_check ? &r->stats.checks : &r->stats.connections, 1);
	setting = connection_limit_enter(r->connections, &slot,
	    POOL_VNC + (unsigned)n->listen_addr->kind, &from, &n->loop->home,
	    clock_mono_ns());
	if (setting != NULL) {
		atomic_fetch_add(&r->stats.turned_away, 1);
		log_turned_away(addr, setting);
		turn_away(fd);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	tcp_liveness_start(fd, (unsigned)r->conf.peer_lost_seconds);
	if (n->listen_addr->kind == LISTEN_VNC)
		give_viewer(n, fd, peer, &slot);
	else
		conn_start(n->loop, n->listen_addr, fd, peer, &slot);
}

static void
take(struct listener *n, int fd, const struct sockaddr_storage *addr)
{
	const struct sockaddr *sa = (const struct sockaddr *)addr;
	const struct listener_peer peer = { .addr = *addr,
		.is_local = client_addr_is_loopback(sa) };

	if (proxy_networks_have(&n->loop->relay->proxies, sa))
		proxied_start(n, fd, addr);
	else
		listener_take(n, fd, &peer);
}

/* accept(2) says what is the system's fault; the rest is the peer's. */
static bool
is_short(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS ||
	    error == ENOMEM;
}

static void
pause_accepting(struct listener *n)
{
	const struct timeval tv = { 0, RETRY_MS * 1000 };

	log_error("accept_failed", LOG_S("door", n->listen_addr->setting),
	    LOG_ERRNO(), LOG_I("again_in_ms", RETRY_MS));
	event_del(n->readable);
	event_add(n->retry, &tv);
}

static void
on_retry(evutil_socket_t fd, short what, void *arg)
{
	event_add(((struct listener *)arg)->readable, NULL);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct listener *n = arg;
	struct sockaddr_storage addr;

	for (unsigned i = 0; i < ACCEPTS_A_TURN; i++) {
		socklen_t len = sizeof(addr);
		int peer = accept4(fd, (struct sockaddr *)&addr, &len,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (peer >= 0)
			take(n, peer, &addr);
		else if (errno == EAGAIN || errno == EWOULDBLOCK)
			return;
		else if (is_short(errno)) {
			pause_accepting(n);
			return;
		}
	}
}

int
listener_open(
    struct listener *n, struct loop *l, const struct listen_addr *addr, int fd)
{
	*n = (struct listener){ .loop = l, .listen_addr = addr, .fd = fd };
	n->readable =
	    event_new(l->base, fd, EV_READ | EV_PERSIST, on_readable, n);
	n->retry = evtimer_new(l->base, on_retry, n);
	if (n->readable == NULL || n->retry == NULL ||
	    event_add(n->readable, NULL) != 0) {
		listener_close(n);
		return ERR_NOMEM;
	}
	return 0;
}

void
listener_close(struct listener *n)
{
	if (n->loop == NULL)
		return;
	if (n->readable != NULL)
		event_free(n->readable);
	if (n->retry != NULL)
		event_free(n->retry);
	close(n->fd);
	*n = (struct listener){ .loop = NULL };
}
