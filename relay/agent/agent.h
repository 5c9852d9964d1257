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

#include <sys/queue.h>

struct agent;
struct loop;

/* NOTIFY relaycam_dial: something for an agent, perhaps one of this loop. */
void agents_on_dial(void *loop, const char *channel, const char *payload);

/* This endpoint's row has changed: is its agent still the enrolled one?
 * NULL: those of all endpoints, when notices may have been lost. */
void agents_check(struct loop *l, const char *endpoint_id);

/* The database is there again, or took this relay for lost: its rows say
 * what is connected. */
void agents_restore(struct loop *l);

/* The relay is being stopped: agents are told and go to another. */
void agents_close(struct loop *l);

/*
 * Compares versions such as "0.1.0" number by number; what is not a number
 * ends the comparison. Returns < 0, 0 or > 0.
 */
int agent_version_compare(const char *a, const char *b);

#endif
