/*
 * The captures that this endpoint writes of its sessions (C7). Bytes of the
 * VNC server are held back in memory until the relay has said, on the control
 * channel, where the stream of the session begins in them and which marks
 * stand between them; then they go into a sealed file of the outbox. The relay
 * decides what a failed capture means for its session. One loop owns all.
 *
 *	holding -> writing -> (left) -> closed
 *	   '----------'---------'--> failed
 */
#ifndef AGENT_CAPTURE_CAPTURES_H
#define AGENT_CAPTURE_CAPTURES_H

#include <event2/buffer.h>
#include <event2/event.h>
#include <stdbool.h>

#include "agent/capture/outbox.h"
#include "agent/settings.h"
#include "common/agent_proto.h"

#define CAPTURES_HELD_MAX (16 * 1024 * 1024) /* bytes, per session */
#define CAPTURES_LEFT_S   15 /* for the last marks when the session is over */

struct captures;
struct capture_job;

/* Tells the relay the state of a capture. Any function of this header may call
 * it. */
typedef void captures_said_cb(void *arg, const char *session,
    enum agent_capture_state st, const char *why);

/* All borrowed. */
struct captures_to {
	struct event_base *base;
	const struct settings *settings;
	struct outbox *outbox; /* NULL: none can be written */
	captures_said_cb *said;
	void *arg;
};

/* Returns NULL for memory. */
struct captures *captures_new(const struct captures_to *to);

/* Closes all as they are. NULL is fine. */
void captures_free(struct captures *all);

/* NULL, or why none could be begun now: a sentence, static. */
const char *captures_refusal(const struct captures *all);

/* on_failed: it came to its end by a failure; arg's session has to end when
 * it must be captured. Returns NULL for memory. */
struct capture_job *capture_job_new(struct captures *all, const char *session,
    void (*on_failed)(void *arg, const char *why), void *arg);

/* The first n bytes of in are on their way to the relay; they stay there. */
void capture_job_bytes(struct capture_job *j, struct evbuffer *in, size_t n);

/* No more is to be read from the server until capture_job_has_room. */
bool capture_job_has_room(const struct capture_job *j);

/* The session is over: the last marks are waited for, then it is closed.
 * on_failed is not called any more. NULL is fine. */
void capture_job_leave(struct capture_job *j);

/* m: CAPTURE and MARKS. */
void captures_begin(struct captures *all, const struct agent_msg *m);
void captures_marks(struct captures *all, const struct agent_msg *m);

#endif
