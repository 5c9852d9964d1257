/*
 * A connection to somewhere, made without waiting: name, TCP (each address
 * in turn), HTTP CONNECT, TLS 1.3. Ends in a bufferevent or a sentence.
 * One loop owns it.
 */
#ifndef AGENT_DIAL_H
#define AGENT_DIAL_H

#include <event2/bufferevent.h>
#include <event2/event.h>

#include "agent/hostport.h"
#include "agent/proxy.h"
#include "agent/trust.h"

#define DIAL_WHY_MAX 384

struct dial;

/* All borrowed for dial_start, but trust, for as long as it dials. */
struct dial_to {
	const struct hostport *to;
	const struct proxy *proxy; /* NULL or not used: direct */
	const struct trust *trust; /* NULL: in clear */
	const char *alpn;          /* static */
	unsigned timeout_s;        /* for all steps together */
	unsigned lost_s; /* a vanished peer is noticed within this time */
	/* the address to be tried after all others; NULL: none */
	const struct sockaddr_storage *last;
};

/*
 * bev: connected, yours, nothing enabled, no callbacks; NULL when it failed,
 * and why then says which step and what. Called once, never from within
 * dial_start; the dial is freed when it returns.
 */
typedef void dial_cb(void *arg, struct bufferevent *bev, const char *why);

/* Returns NULL for memory. */
struct dial *dial_start(
    struct event_base *base, const struct dial_to *to, dial_cb *cb, void *arg);

/* Gives up; cb is not called. NULL is fine. */
void dial_cancel(struct dial *d);

#endif
