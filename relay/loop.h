/*
 * An event loop of the relay: the top of all modules that run on it. It opens
 * the listeners, says where connections go, and ends when it may.
 */
#ifndef RELAY_LOOP_H
#define RELAY_LOOP_H

#include "relay/relay.h"

/* Prepares a loop. Returns 0 or ERR_NOMEM. */
int loop_init(struct loop *l, struct relay *r, unsigned index);
/* Listens at relay.listen_addrs[index] with fd, which is taken. Returns 0 or
 * ERR_NOMEM. */
int loop_listen(struct loop *l, unsigned index, int fd);
/* Runs until LOOP_STOP, or LOOP_DRAIN with no session left. */
void *loop_main(void *loop);
/* Frees all loops, once their threads have ended. */
void loops_release(struct relay *r);
/* Drains or stops a loop. Any thread. */
void loop_tell(struct loop *l, enum loop_command c);

#endif
