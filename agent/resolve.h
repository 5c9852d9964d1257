/*
 * Addresses of a host without waiting: getaddrinfo(3) in a thread of its
 * own, so that the system's own ways (hosts file, mDNS) count and running
 * sessions do not stand still. One loop owns a look-up.
 */
#ifndef AGENT_RESOLVE_H
#define AGENT_RESOLVE_H

#include <event2/event.h>
#include <netdb.h>

#include "agent/hostport.h"

struct resolve;

/* list: borrowed for the call; NULL when there is none, and why then says
 * so. Called once, from the loop; the look-up is freed when it returns. */
typedef void resolve_cb(
    void *arg, const struct addrinfo *list, const char *why);

/* Returns NULL when memory, pipes or threads are out. */
struct resolve *resolve_start(struct event_base *base,
    const struct hostport *name, resolve_cb *cb, void *arg);

/* Forgets a look-up that has not been answered; NULL is fine. */
void resolve_cancel(struct resolve *r);

#endif
