/*
 * Messages over a bufferevent, for both kinds of channel. One loop owns it.
 */
#ifndef AGENT_WIRE_H
#define AGENT_WIRE_H

#include <event2/bufferevent.h>

#include "common/agent_proto.h"

/* Unsent bytes of messages above this mean a relay that does not read. */
#define WIRE_UNSENT_MAX 65536

/* Returns 0, ERR_LIMIT when too much waits, or an error of
 * agent_proto_encode. */
int wire_send(struct bufferevent *bev, const struct agent_msg *m);

/* Takes one message. Returns 1, 0 (more is needed), or an error of
 * agent_proto_parse. Bytes behind the message stay. */
int wire_receive(struct bufferevent *bev, struct agent_msg *m);

/* A sentence for an event callback's flags: how a connection ended. Static
 * or valid until the next call. */
const char *wire_why(struct bufferevent *bev, short what);

/* Says goodbye in TLS when all that was written has left, and frees. NULL
 * is fine. */
void wire_close(struct bufferevent *bev);

#endif
