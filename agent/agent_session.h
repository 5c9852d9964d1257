/*
 * Sessions that the relay opened on this endpoint. Each is a data channel,
 * the question to the user if it is asked, and a connection to a local VNC
 * server; it lives on while the control channel is away. One loop owns all.
 *
 *	relay -> ticket -> (asking) -> server -> joined
 *	   '--------'---------'----------'---------'--> closing -> gone
 */
#ifndef AGENT_AGENT_SESSION_H
#define AGENT_AGENT_SESSION_H

#include <event2/event.h>

#include "agent/capture/captures.h"
#include "agent/child.h"
#include "agent/settings.h"
#include "agent/trust.h"
#include "common/agent_proto.h"

#define SESSION_MAX 64

struct sessions;

/* A session came to nothing before it had a data channel: the relay is told
 * on the control channel. */
typedef void session_failed_cb(
    void *arg, const char *session, const char *reason);

/* All borrowed for as long as the sessions live. */
struct sessions_to {
	struct event_base *base;
	struct children *children;
	const struct settings *settings;
	const struct trust *trust;
	struct captures *captures;
	session_failed_cb *failed;
	void *arg;
};

/* Returns NULL for memory. */
struct sessions *sessions_new(const struct sessions_to *to);

/* Ends all of them. NULL is fine. */
void sessions_free(struct sessions *all);

/* m: OPEN. */
void sessions_open(struct sessions *all, const struct agent_msg *m);

/* m: END. */
void sessions_end(struct sessions *all, const struct agent_msg *m);

/* Marks of a capture came: there may be room for more bytes. */
void sessions_wake(struct sessions *all, const char *session);

/* m: INDICATOR. */
void sessions_indicate(struct sessions *all, const struct agent_msg *m);

#endif
