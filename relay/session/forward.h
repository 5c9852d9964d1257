/*
 * A parked connection that a session of another relay claimed: this relay
 * dials that one, as an agent does with its data channel
 * (docs/agent-protocol.md), stands for the endpoint with the ServerInit that
 * it knows, and then passes bytes on, both ways. On the parked one's loop.
 */
#ifndef RELAY_SESSION_FORWARD_H
#define RELAY_SESSION_FORWARD_H

#include <jansson.h>

struct loop;

/* A session's order "parked", by NOTIFY relaycam_dial. */
void forward_on_order(struct loop *l, const json_t *order);

/* Ends those of this loop. */
void forward_end_all(struct loop *l);

#endif
