#include "relay/listener/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/agent_proto.h"
#include "common/bytes.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "common/tls.h"
#include "relay/base/loop_ref.h"
#include "relay/listener/conn_limits.h"
#include "relay/relay.h"

/* A VNC viewer waits for us to speak first: so long may a TLS client take
 * for its first byte at a listener that also does without TLS. */
#define LOOK_MS 300

#define TLS_FIRST_BYTE 22 /* a handshake record, RFC 8446 section 5.1 */

/* Within its own callback only the memory stays, until that returns. */
static void
conn_free(struct conn *c)
{
	struct loop *l = c->loop;

	if (!c->is_gone) {
		TAILQ_REMOVE(&l->conns, c, link);
		atomic_fetch_sub(&l->relay->stats.active, 1);
		conn_lookup_cancel(c);
		channel_release(&c->channel);
		connection_limit_leave(l->relay->connections, &c->slot);
		if (c->deadline != NULL)
			event_free(c->deadline);
		c->is_gone = true;
		loop_unref(l);
	}
	if (!c->is_busy)
		free(c);
}

void
conn_close(struct conn *c, const char *why)
{
	if (!c->peer.is_check)
		log_info("connection_closed",
		    LOG_S("client", c->peer.client_addr),
		    LOG_S("door", c->peer.listen_addr->setting),
		    LOG_S("why", why));
	conn_free(c);
}

void
conn_handed_over(struct conn *c)
{
	conn_free(c);
}

void
conn_finish(struct conn *c)
{
	c->is_closing = true;
	if (channel_flush(&c->channel) != 0 ||
	    (buf_len(&c->channel.out) == 0 &&
		!channel_wants_write(&c->channel)))
		conn_free(c);
	else
		channel_read(&c->channel, false);
}

/* Time for the next request, within the life that all of them have. */
static struct timeval
time_for_request(const struct conn *c)
{
	const struct relay_conf *conf = &c->loop->relay->conf;
	uint64_t now = clock_mono_ns(), all = (uint64_t)conf->login_seconds,
		 end = c->slot.since_ns +
	    (uint64_t)conn_limits_request_life_s(conf) * NS_PER_S;
	uint64_t ns = end > now ? min_u64(end - now, all * NS_PER_S) : 0;

	return (struct timeval){ (time_t)(ns / NS_PER_S),
		(suseconds_t)(ns % NS_PER_S / 1000) };
}

void
conn_wait(struct conn *c)
{
	const struct timeval tv = time_for_request(c);

	if (channel_flush(&c->channel) != 0) {
		conn_close(c, "the peer closed the connection");
		return;
	}
	c->is_waiting =
	    buf_len(&c->channel.out) > 0 || channel_wants_write(&c->channel);
	channel_read(&c->channel, !c->is_waiting);
	event_add(c->deadline, &tv);
	if (!c->is_waiting) {
		buf_release(&c->channel.out);
		/* the next request may be here already */
		if (buf_len(&c->channel.in) > 0 ||
		    channel_has_buffered(&c->channel))
			channel_wake(&c->channel);
	}
}

/* ---- what the peer offers ---- */

/* Agents show a certificate; browsers are not asked for one. */
static int
select_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
    const unsigned char *in, unsigned in_len, void *arg)
{
	static const struct tls_protocol known[] = {
		{ AGENT_ALPN_CONTROL, true },
		{ AGENT_ALPN_DATA, true },
		{ "http/1.1", false },
	};

	return tls_choose_protocol(
		   ssl, known, N_ELEMENTS(known), out, out_len, in, in_len)
	    ? SSL_TLSEXT_ERR_OK
	    : SSL_TLSEXT_ERR_ALERT_FATAL;
}

void
conn_prepare_ctx(SSL_CTX *ctx)
{
	SSL_CTX_set_alpn_select_cb(ctx, select_protocol, NULL);
}

static bool
has_alpn(const struct conn *c, const char *name)
{
	const unsigned char *p;
	unsigned len;

	SSL_get0_alpn_selected(c->channel.transport.ssl, &p, &len);
	return len == strlen(name) && memcmp(p, name, len) == 0;
}

/* ---- states ---- */

static void
feed(struct conn *c)
{
	switch (c->state) {
	case CONN_HTTP:
		conn_feed_http(c);
		break;
	case CONN_AGENT:
		c->loop->conn_ops->on_agent(
		    c->loop, &c->peer, &c->channel, &c->slot);
		conn_handed_over(c);
		break;
	case CONN_DATA:
		conn_feed_ticket(c);
		break;
	case CONN_HELLO:
		conn_feed_reverse(c);
		break;
	case CONN_LOOK:
	case CONN_TLS:
		break;
	}
}

/* Known: a viewer with VNC authentication needs no more looking. */
static bool
become_session(struct conn *c)
{
	if (c->peer.listen_addr->kind != LISTEN_VNC_AUTH)
		return false;
	c->loop->conn_ops->on_viewer(c->loop, &c->peer, &c->channel, &c->slot);
	conn_handed_over(c);
	return true;
}

static void
tls_is_up(struct conn *c)
{
	if (tls_peer_sha256(c->channel.transport.ssl, c->peer.pin) == 0)
		c->peer.has_pin = true;
	if (c->peer.listen_addr->kind == LISTEN_REVERSE)
		c->state = CONN_HELLO;
	else
		c->state = has_alpn(c, AGENT_ALPN_CONTROL) ? CONN_AGENT
		    : has_alpn(c, AGENT_ALPN_DATA)         ? CONN_DATA
							   : CONN_HTTP;
}

static void
go_on_with_tls(struct conn *c)
{
	char why[128];
	int rc = transport_handshake(&c->channel.transport);

	if (transport_wants_write(&c->channel.transport))
		event_add(c->channel.writable, NULL);
	if (rc == ERR_AGAIN)
		return;
	if (rc != 0) {
		conn_close(c, tls_error(why, sizeof(why)));
		return;
	}
	tls_is_up(c);
}

static void
set_deadline(struct conn *c)
{
	struct timeval tv = { c->loop->relay->conf.handshake_seconds, 0 };

	event_add(c->deadline, &tv);
}

static void
start_tls(struct conn *c)
{
	struct relay *r = c->loop->relay;
	SSL_CTX *ctx = c->peer.listen_addr->kind == LISTEN_WEB
	    ? tls_contexts_web(&r->tls)
	    : tls_contexts_server(&r->tls);
	int rc = transport_start_tls(&c->channel.transport, ctx, true);

	SSL_CTX_free(ctx);
	if (rc == 0 && c->peer.listen_addr->kind == LISTEN_REVERSE)
		tls_ask_certificate(c->channel.transport.ssl);
	if (rc != 0) {
		conn_close(c, "out of memory");
		return;
	}
	c->state = CONN_TLS;
	set_deadline(c);
}

/* May this peer do without TLS at this listener? */
static bool
may_be_clear(const struct conn *c)
{
	const char *clear = c->loop->relay->conf.reverse_clear;

	if (c->peer.listen_addr->kind == LISTEN_VNC_AUTH)
		return c->is_local;
	return c->peer.listen_addr->kind == LISTEN_REVERSE &&
	    (strcmp(clear, "any") == 0 ||
		(strcmp(clear, "loopback") == 0 && c->is_local));
}

/* The first byte tells TLS from the rest. */
static void
look(struct conn *c)
{
	uint8_t first;
	ssize_t n =
	    recv(c->channel.transport.fd, &first, 1, MSG_PEEK | MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		conn_close(c, "the peer closed the connection");
	else if (first == TLS_FIRST_BYTE ||
	    c->peer.listen_addr->kind == LISTEN_WEB)
		start_tls(c);
	else if (!may_be_clear(c))
		conn_close(c, "only TLS is spoken here");
	else if (!become_session(c))
		c->state = CONN_HELLO;
}

/* Reads once. Returns true when there may be more. */
static bool
read_once(struct conn *c)
{
	ssize_t n = channel_fill(&c->channel);

	if (n == ERR_AGAIN)
		return false;
	if (n <= 0) {
		conn_close(c,
		    n == ERR_LIMIT
			? "it sent too much before it said what it is"
			: "the peer closed the connection");
		return false;
	}
	return true;
}

static void
handle_readable(struct conn *c)
{
	if (c->state == CONN_LOOK)
		look(c);
	if (!c->is_gone && c->state == CONN_TLS)
		go_on_with_tls(c);
	if (c->is_gone || c->is_closing || c->state <= CONN_TLS ||
	    become_session(c))
		return;
	if (buf_len(&c->channel.in) > 0) /* came with the request before */
		feed(c);
	/* TLS may hold what no event reports */
	while (
	    !c->is_gone && !c->is_closing && !c->is_waiting && read_once(c)) {
		feed(c);
		if (c->is_gone || c->channel.transport.ssl == NULL)
			return;
	}
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	c->is_busy = true;
	handle_readable(c);
	c->is_busy = false;
	if (c->is_gone)
		conn_free(c);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	if (c->state == CONN_TLS)
		on_readable(fd, what, arg);
	else if (c->is_closing)
		conn_finish(c);
	else if (c->is_waiting)
		conn_wait(c);
	else if (channel_flush(&c->channel) != 0)
		conn_close(c, "the peer closed the connection");
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	/* nothing came: a VNC viewer that waits for the relay to speak */
	if (c->state != CONN_LOOK ||
	    c->peer.listen_addr->kind != LISTEN_VNC_AUTH || !may_be_clear(c) ||
	    !become_session(c))
		conn_close(c, "it took too long");
}

static void
on_evicted(void *owner, enum connection_eviction why)
{
	conn_close(owner,
	    why == CONNECTION_EXPIRED
		? "it took too long"
		: "more connections came than relay.max_logins and "
		  "max_logins_per_address allow");
}

void
conn_start(struct loop *l, const struct listen_addr *addr, int fd,
    const struct listener_peer *peer, struct connection_slot *slot)
{
	struct timeval look = { 0, LOOK_MS * 1000 };
	struct conn *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		connection_limit_leave(l->relay->connections, slot);
		close(fd);
		return;
	}
	c->loop = l;
	c->peer.listen_addr = addr;
	connection_limit_hand_over(l->relay->connections, slot, &c->slot);
	connection_limit_own(&c->slot, on_evicted, c);
	TAILQ_INSERT_TAIL(&l->conns, c, link);
	loop_ref(l);
	atomic_fetch_add(&l->relay->stats.active, 1);
	client_addr_print(
	    c->peer.client_addr, (const struct sockaddr *)&peer->addr);
	c->is_local = peer->is_local;
	c->peer.is_check = peer->is_check;
	c->deadline = evtimer_new(l->base, on_deadline, c);
	if (channel_init(&c->channel, l, fd, on_readable, on_writable, c) !=
		0 ||
	    c->deadline == NULL) {
		conn_close(c, "out of memory");
		return;
	}
	set_deadline(c);
	if (addr->kind == LISTEN_VNC_AUTH && c->is_local)
		event_add(c->deadline, &look);
	channel_read(&c->channel, true);
}
