/*
 * The control channel of an endpoint's agent (docs/agent-protocol.md), on
 * the loop that accepted it. Which relay and which channel an agent is on
 * stands in its endpoint's row; a session anywhere reaches it by NOTIFY
 * relaycam_dial, and the agent then dials its data channel to the relay of
 * that session.
 *
 *   HELLO -> LOOK_UP -> [ENROL ->] READY     any of them -> gone
 */
#ifndef RELAY_AGENT_AGENT_H
#define RELAY_AGENT_AGENT_H

#include <jansson.h>

struct channel;
struct conn_peer;
struct connection_slot;
struct loop;

/* What the listeners hand over (conn_ops.h). */
void agent_start(struct loop *l, const struct conn_peer *peer,
    struct channel *channel, struct connection_slot *slot);
void agent_data_arrived(struct loop *l, const struct conn_peer *peer,
    const char *ticket, struct channel *channel, struct connection_slot *slot);

/* An order of NOTIFY relaycam_dial, for an agent of some loop; borrowed. */
void agents_on_order(struct loop *l, const json_t *order);

/* This endpoint's row has changed: is its agent still the enrolled one?
 * NULL: those of all endpoints, when notices may have been lost. */
void agents_check(struct loop *l, const char *endpoint_id);

/* The database is there again, or took this relay for lost: its rows say
 * what is connected. */
void agents_restore(struct loop *l);

/* The relay is being stopped: agents are told and go to another. */
void agents_close(struct loop *l);

#endif
