/*
 * Where a connection goes once it is known what it is. The loop sets these
 * functions; the listeners know no session and no agent.
 *
 * Each function gets the connection's channel and its slot in the pool of its
 * listener, and moves out what it takes (channel_adopt, channel_detach,
 * connection_limit_hand_over). The caller closes what it leaves, and frees
 * itself. On the loop.
 */
#ifndef RELAY_LISTENER_CONN_OPS_H
#define RELAY_LISTENER_CONN_OPS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/http.h"
#include "relay/base/client_addr.h"

struct authorization;
struct channel;
struct connection_slot;
struct listen_addr;
struct loop;

/* Who is at the other end. */
struct conn_peer {
	const struct listen_addr *listen_addr; /* that it came to */
	char client_addr[CLIENT_ADDR_LEN];
	bool is_check; /* a load balancer looks whether the relay is there */
	bool has_pin;
	uint8_t pin[32]; /* SHA-256 of its certificate, if it showed one */
	/* that the request of a WebSocket belongs to (http_trace_id); "" */
	char trace_id[HTTP_TRACE_ID_MAX];
};

struct conn_ops {
	/* A VNC viewer; kind LISTEN_VNC: nothing was read of it,
	 * LISTEN_VNC_AUTH: its TLS is up, or it may do without. */
	void (*on_viewer)(struct loop *l, const struct conn_peer *peer,
	    struct channel *channel, struct connection_slot *slot);
	/* A WebSocket, its upgrade was answered. is_page: of the relay's page,
	 * else of any noVNC. */
	void (*on_websocket)(struct loop *l, const struct conn_peer *peer,
	    bool is_page, struct channel *channel,
	    struct connection_slot *slot);
	/* An agent's control channel; what it said is in channel->in. */
	void (*on_agent)(struct loop *l, const struct conn_peer *peer,
	    struct channel *channel, struct connection_slot *slot);
	/* An agent's data channel, with the ticket that it brought
	 * (AGENT_TICKET_MAX bytes). */
	void (*on_agent_data)(struct loop *l, const struct conn_peer *peer,
	    const char *ticket, struct channel *channel,
	    struct connection_slot *slot);
	/* A VNC server that dialled in for this endpoint. authorization: taken.
	 */
	void (*on_reverse)(struct loop *l, const struct conn_peer *peer,
	    struct authorization *authorization, struct channel *channel,
	    struct connection_slot *slot);
};

#endif
