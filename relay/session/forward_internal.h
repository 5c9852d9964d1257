/* What forward.c and forward_dial.c share. */
#ifndef RELAY_SESSION_FORWARD_INTERNAL_H
#define RELAY_SESSION_FORWARD_INTERNAL_H

#include <event2/util.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/agent_proto.h"
#include "relay/listener/conn_limits.h"
#include "relay/relay.h"
#include "relay/session/forward.h"
#include "relay/wire/channel.h"

struct addrinfo;

enum forward_state {
	FORWARD_LOOKUP,
	FORWARD_CONNECT,
	FORWARD_TLS,
	FORWARD_TICKET,  /* shown, ACCEPTED is awaited */
	FORWARD_VERSION, /* then what the other relay says as a client */
	FORWARD_TYPE,
	FORWARD_CLIENT_INIT,
	FORWARD_RUNNING,
};

struct forward {
	struct job job; /* the order on its way, then the name lookup */
	TAILQ_ENTRY(forward) link;
	struct loop *loop;
	enum forward_state state;
	int64_t endpoint_id;
	char session[UUID_TEXT_MAX], ticket[AGENT_TICKET_MAX];
	char host[AGENT_ADDRESS_MAX], port[8];
	/* of the lookup */
	struct addrinfo *found;
	const struct addrinfo *next;
	SSL_CTX *ctx;
	char why[256];
	bool is_looking_up, is_gone;
	struct rfb_handshake_client *handshake; /* its ServerInit */
	struct channel endpoint, relay;
	struct event *deadline;
	struct connection_slot slot;
};

/* Says so to the session, if it waits; why: for people. f may be freed. */
void forward_end(struct forward *f, const char *why);
/* Of one that is on no list any more. */
void forward_release(struct forward *f);

/* "host:port" or "[host]:port" of the other relay. */
bool forward_read_address(struct forward *f, const char *address);
/* Looks its name up and connects; then the ticket is shown. */
void forward_dial(struct forward *f);
/* The socket is ready, until TLS is up. */
void forward_dial_ready(struct forward *f);

/* Events of the other relay's side. */
void forward_relay_readable(evutil_socket_t fd, short what, void *arg);
void forward_relay_writable(evutil_socket_t fd, short what, void *arg);

#endif
