/*
 * A loop's listening socket at an address: accepts a bounded number of
 * connections per wakeup, so that sessions on the loop get their turn, and
 * pauses when descriptors or memory are short. On its loop.
 */
#ifndef RELAY_LISTENER_LISTENER_H
#define RELAY_LISTENER_LISTENER_H

#include <stdbool.h>
#include <sys/socket.h>

#include "relay/listener/listen_addr.h"

struct event;
struct loop;

/* Who a connection is of. */
struct listener_peer {
	struct sockaddr_storage addr; /* behind a load balancer: its client's */
	bool is_local;                /* all the way from loopback */
	bool is_check;                /* a balancer looks whether we are here */
};

struct listener {
	struct loop *loop;
	const struct listen_addr *listen_addr;
	int fd;
	struct event *readable, *retry;
};

/* Listens at an address; fd: a listening socket, taken. Returns 0 or ERR_NOMEM.
 */
int listener_open(
    struct listener *n, struct loop *l, const struct listen_addr *addr, int fd);
/* Lets a connection in. Takes fd. */
void listener_take(
    struct listener *n, int fd, const struct listener_peer *peer);
/* Safe to repeat, and on what was never opened (all zeros). */
void listener_close(struct listener *n);

#endif
