/*
 * A connection that is not known for what it is yet: it came in at a listener
 * that begins with TLS, or that must look at the first bytes. Once it is
 * known, its channel changes hands and the conn is gone
 * (relay/listener/listen_addr.h).
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

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "common/connection_limit.h"
#include "relay/listener/listen_addr.h"
#include "relay/listener/listener.h"
#include "relay/wire/channel.h"

#define CLIENT_ADDR_LEN 64

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
	const struct listen_addr *listen_addr;
	enum conn_state state;
	struct channel channel;
	struct connection_slot slot;
	struct event *deadline;
	char client_addr[CLIENT_ADDR_LEN];
	void *lookup;  /* of conn_reverse.c, under way */
	bool is_local; /* from loopback */
	bool is_check; /* by a load balancer */
	bool has_peer_pin;
	uint8_t peer_pin[32]; /* SHA-256 of its certificate, if it showed one */
	bool is_closing;      /* the last answer is on its way */
	bool is_waiting;      /* an answer is on its way, more may be asked */
	bool is_busy, is_gone; /* closed within its own callback */
};

TAILQ_HEAD(conn_list, conn);

/* Takes fd and the slot. On failure the connection is closed and logged. */
void conn_start(struct loop *l, const struct listen_addr *addr, int fd,
    const struct listener_peer *peer, struct connection_slot *slot);

/* Logs why, unless a load balancer only looked, and closes. */
void conn_close(struct conn *c, const char *why);

/* The channel was adopted by somebody else: frees the rest. */
void conn_given_away(struct conn *c);

/* Sends what is in channel.out, then closes. */
void conn_finish(struct conn *c);

/* Sends what is in channel.out, then reads on. */
void conn_wait(struct conn *c);

/* ALPN and client certificates for the web listener's context. */
void conn_prepare_ctx(SSL_CTX *ctx);

/* "203.0.113.7" of an address, or "unknown". */
void conn_name_client(char out[CLIENT_ADDR_LEN], const struct sockaddr *addr);

bool conn_is_loopback(const struct sockaddr *addr);

/* What each kind does with its input, which is in channel.in: */
void conn_feed_http(struct conn *c);    /* conn_http.c */
void conn_feed_agent(struct conn *c);   /* agent.c */
void conn_feed_data(struct conn *c);    /* agent_data.c */
void conn_feed_reverse(struct conn *c); /* conn_reverse.c */

/* The answer of a lookup under way is not awaited any more. */
void conn_lookup_cancel(struct conn *c);

#endif
