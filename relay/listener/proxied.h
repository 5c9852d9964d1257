/*
 * A connection of a load balancer whose PROXY protocol header is awaited
 * (common/proxy_protocol.h); then it is one of its listener's. On its loop.
 */
#ifndef RELAY_LISTENER_PROXIED_H
#define RELAY_LISTENER_PROXIED_H

#include <sys/socket.h>

struct loop;
struct listener;

/* addr: of the balancer. Takes fd. */
void proxied_start(
    struct listener *n, int fd, const struct sockaddr_storage *addr);

/* Closes those of this loop. */
void proxied_close_all(struct loop *l);

#endif
