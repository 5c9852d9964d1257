/*
 * The first words of the agent on a control channel: who it is, and with which
 * token it enrols (docs/agent-protocol.md). No state.
 */
#ifndef AGENT_GREETING_H
#define AGENT_GREETING_H

#include <event2/bufferevent.h>

#include "agent/control.h"

/* Sends HELLO, and ENROL in that mode. Returns 0 or an error of wire_send. */
int greeting_send(struct bufferevent *bev, const struct control_to *to);

#endif
