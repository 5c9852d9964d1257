/*
 * The control channel to the relay: made, greeted, kept alive and made again
 * (docs/agent-protocol.md). One loop owns it.
 *
 *	waiting -> dialing -> greeting -> up
 *	   ^----------'-----------'-------'
 */
#ifndef AGENT_CONTROL_H
#define AGENT_CONTROL_H

#include <event2/event.h>
#include <stdbool.h>

#include "agent/settings.h"
#include "agent/trust.h"
#include "common/agent_proto.h"

struct control;

enum control_event {
	CONTROL_UP,      /* msg: the WELCOME */
	CONTROL_DOWN,    /* why; it will be tried again unless is_once */
	CONTROL_REFUSED, /* for good: why; it will not be tried again */
	CONTROL_MESSAGE, /* msg: CODE, OPEN, INDICATOR, END, CAPTURE... */
};

/* May not free the control. msg is wiped when it returns. */
typedef void control_cb(void *arg, enum control_event event,
    const struct agent_msg *msg, const char *why);

/* All borrowed for as long as the control lives. */
struct control_to {
	const struct settings *settings;
	const struct trust *trust;
	enum agent_mode mode;
	const char *secret; /* attended; NULL for none */
	const char *token;  /* AGENT_MODE_ENROL */
	bool is_once;       /* no second try */
};

/* Starts dialing at once. Returns NULL for memory. */
struct control *control_new(struct event_base *base,
    const struct control_to *to, control_cb *cb, void *arg);

/* Sends when the channel is up. Returns 0, ERR_UNAVAILABLE or an error of
 * agent_proto_encode. */
int control_send(struct control *c, const struct agent_msg *msg);

/* Closes in an orderly way what is there; cb is not called. NULL is fine. */
void control_free(struct control *c);

#endif
