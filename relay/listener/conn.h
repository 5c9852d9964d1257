/*
 * A connection that is not known for what it is yet: it came in at a listener
 * that begins with TLS, or that must look at the first bytes. Once it is
 * known, its channel and slot are handed over (conn_ops.h) and the conn frees
 * itself.
 *
 *   LOOK -> TLS -> HTTP -> session | file sent, closed
 *                  AGENT -> agent (its control channel)
 *                  DATA -> the session whose ticket it brings
 *                  HELLO -> parked session
 *
 * Everything has to happen within relay.handshake_seconds; what is asked for
 * afterwards, within the life of its pool (conn_limits.h). On its loop.
 */
#ifndef RELAY_LISTENER_CONN_H
#define RELAY_LISTENER_CONN_H

#include <stdbool.h>
#include <sys/queue.h>

#include "common/connection_limit.h"
#include "relay/listener/conn_ops.h"
#include "relay/listener/listener.h"
#include "relay/wire/channel.h"

enum conn_state {
	CONN_LOOK, /* is it TLS? */
	CONN_TLS,
	CONN_HTTP,
	CONN_AGENT,
	CONN_DATA,
	CONN_HELLO, /* of a VNC server that dialled out */
};

struct conn {
	TAILQ_ENTRY(conn) link;
	struct loop *loop;
	enum conn_state state;
	struct channel channel;
	struct connection_slot slot;
	struct event *deadline;
	struct conn_peer peer;
	void *lookup;          /* of conn_reverse.c, under way */
	bool is_local;         /* from loopback */
	bool is_closing;       /* the last answer is on its way */
	bool is_waiting;       /* an answer is on its way, more may be asked */
	bool is_busy, is_gone; /* closed within its own callback */
};

/* Takes fd and the slot. On failure the connection is closed and logged. */
void conn_start(struct loop *l, const struct listen_addr *addr, int fd,
    const struct listener_peer *peer, struct connection_slot *slot);

/* Logs why, unless a load balancer only looked, and closes. */
void conn_close(struct conn *c, const char *why);

/* A function of conn_ops.h took what it wants: closes and frees the rest. */
void conn_handed_over(struct conn *c);

/* Sends what is in channel.out, then closes. */
void conn_finish(struct conn *c);

/* Sends what is in channel.out, then reads on. */
void conn_wait(struct conn *c);

/* ALPN and client certificates for the web listener's context. */
void conn_prepare_ctx(SSL_CTX *ctx);

/* What each kind does with its input, which is in channel.in: */
void conn_feed_http(struct conn *c);    /* conn_http.c */
void conn_feed_ticket(struct conn *c);  /* conn_ticket.c */
void conn_feed_reverse(struct conn *c); /* conn_reverse.c */

/* The answer of a lookup under way is not awaited any more. */
void conn_lookup_cancel(struct conn *c);

#endif
