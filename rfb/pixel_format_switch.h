/*
 * Which pixel format is in force when an update begins. The protocol has no
 * marker for it: a server draws in the new format from the moment that it
 * has read SetPixelFormat, and only the order of other messages tells when
 * that was. This machine is told both directions and answers at each
 * update's start. It never guesses where it is strict: the recorder would
 * misread the pictures. The rules and what they are built on: docs/rfb.md
 * ("When a pixel format takes effect"). Embedded, no I/O, not thread-safe.
 *
 *   viewer's SetPixelFormat
 *     the format in force already ...... swallowed
 *     nothing under way ................ next update that begins
 *     only an EnableCU(off) ............ after its EndOfContinuousUpdates
 *     fences, no request unanswered .... after the answer to a fence of ours
 *     anything else .................... held until nothing is under way,
 *                                        rfb/quiet_probe.h shows when; where
 *                                        not strict: next update
 *
 * Under way is what the endpoint may still draw for what was sent to it, an
 * upper bound: servers merge several requests into one update.
 */
#ifndef RFB_PIXEL_FORMAT_SWITCH_H
#define RFB_PIXEL_FORMAT_SWITCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rfb/pixel_format.h"

/* Formats announced and not in force yet; real viewers have one. */
#define RFB_PENDING_FORMATS 8

/* Payload of the fences that this machine asks for, and their message. */
#define RFB_FORMAT_FENCE_DATA 8
#define RFB_FORMAT_FENCE_LEN  (9 + RFB_FORMAT_FENCE_DATA)

enum rfb_format_wait {
	RFB_FORMAT_READY, /* from the next update on */
	RFB_FORMAT_AFTER_END,
	RFB_FORMAT_AFTER_FENCE,
};

/* What to do with a viewer's SetPixelFormat. */
enum rfb_format_action {
	RFB_FORMAT_SWALLOW, /* it changes nothing */
	RFB_FORMAT_SEND,
	RFB_FORMAT_SEND_FENCED, /* behind the fence, in one write */
	RFB_FORMAT_HOLD,        /* nothing tells where it would take effect */
};

struct rfb_pending_format {
	struct rfb_pixel_format pf;
	enum rfb_format_wait wait;
	uint32_t count; /* AFTER_END: how many are still to come;
			 * AFTER_FENCE: number of the fence */
};

struct rfb_format_switch {
	struct rfb_pixel_format current;
	struct rfb_pending_format pending[RFB_PENDING_FORMATS]; /* oldest 1st */
	size_t n_pending;
	bool is_strict;
	bool is_continuous;  /* the last word, forwarded */
	bool is_announced;   /* the first EndOfCU was seen */
	bool has_fence;      /* both sides */
	bool has_picture;    /* the update under way */
	uint32_t ends_due;   /* EnableCU(off) without an EndOfCU yet */
	uint32_t unanswered; /* requests since an update began */
	uint32_t under_way;  /* updates with pictures that may come, at most */
	uint32_t n_fences;   /* asked for so far */
	uint32_t n_guesses;  /* not strict only */
};

/* initial: the format of the endpoint's ServerInit. is_strict: there is, or
 * may be, a recorder that has to read every picture. */
void rfb_format_switch_init(struct rfb_format_switch *s,
    const struct rfb_pixel_format *initial, bool is_strict);

/* The viewer's offer has -312 and the endpoint has sent a Fence. */
void rfb_format_switch_set_fence(struct rfb_format_switch *s, bool has_fence);

/*
 * Before the viewer's SetPixelFormat is forwarded; *action says whether it
 * may be. SEND_FENCED: fence holds a ClientFence that must be sent directly
 * in front of it, in one write if possible. HOLD: nothing was noted; call
 * again once nothing is under way.
 * Returns 0, or ERR_LIMIT if too many formats are pending.
 */
int rfb_format_switch_on_set_format(struct rfb_format_switch *s,
    const struct rfb_pixel_format *pf, uint8_t fence[RFB_FORMAT_FENCE_LEN],
    enum rfb_format_action *action);

/* A FramebufferUpdateRequest goes to the endpoint, the relay's too. */
void rfb_format_switch_on_request(struct rfb_format_switch *s);

/* EnableContinuousUpdates goes to the endpoint. */
void rfb_format_switch_on_continuous(
    struct rfb_format_switch *s, bool is_enabled);

/* The endpoint's EndOfContinuousUpdates. */
void rfb_format_switch_on_end_of_continuous(struct rfb_format_switch *s);

/*
 * A Fence from the endpoint with this payload. True when it answers one of
 * ours: it must not reach the viewer.
 */
bool rfb_format_switch_on_fence(struct rfb_format_switch *s, uint32_t flags,
    const uint8_t *data, size_t len);

/*
 * An update begins. True when the format changes here: s->current is the
 * new one, for this update and those that follow.
 */
bool rfb_format_switch_on_update(struct rfb_format_switch *s);

/* The first rectangle with a picture in the update under way. An update
 * without one answers nothing for certain: QEMU sends some unasked. */
void rfb_format_switch_on_picture(struct rfb_format_switch *s);

/* It was shown that the endpoint has answered all that it was asked. */
void rfb_format_switch_on_quiet(struct rfb_format_switch *s);

/* True while a format is announced that no update has used yet. */
static inline bool
rfb_format_switch_is_pending(const struct rfb_format_switch *s)
{
	return s->n_pending > 0;
}

/* True while the newest format still waits for an end or a fence. */
static inline bool
rfb_format_switch_is_waiting(const struct rfb_format_switch *s)
{
	return s->n_pending > 0 &&
	    s->pending[s->n_pending - 1].wait != RFB_FORMAT_READY;
}

/* True when the endpoint will send no picture before it is asked again. */
static inline bool
rfb_format_switch_is_quiet(const struct rfb_format_switch *s)
{
	return s->under_way == 0 && !s->is_continuous && s->ends_due == 0;
}

/* True when a format that was held may go. */
static inline bool
rfb_format_switch_may_send(const struct rfb_format_switch *s)
{
	return rfb_format_switch_is_quiet(s) ||
	    (s->has_fence && s->unanswered == 0);
}

#endif
