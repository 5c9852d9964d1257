/*
 * Which pixel format is in force when an update begins. The protocol has no
 * marker for it: a server draws in the new format from the moment that it
 * has read SetPixelFormat, and only the order of other messages tells when
 * that was. This machine is told both directions and answers at each
 * update's start. The rules and what they are built on: docs/rfb.md ("When
 * a pixel format takes effect"). Embedded, no I/O, not thread-safe.
 *
 *   viewer's SetPixelFormat
 *     no continuous updates ............ next update that begins
 *     an unanswered EnableCU(off) ...... after its EndOfContinuousUpdates
 *     continuous updates on, fences .... after the answer to a fence of ours
 *     anything else .................... next update; counted as a guess
 *
 * The number of requests under way decides nothing: servers merge several
 * into one update and send updates nobody asked for, so a count drifts. A
 * viewer that keeps to the protocol has none under way; see docs/rfb.md.
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
	bool is_continuous;  /* the viewer's last word, forwarded */
	bool is_announced;   /* the first EndOfCU was seen */
	bool has_fence;      /* both sides */
	uint32_t ends_due;   /* EnableCU(off) without an EndOfCU yet */
	uint32_t unanswered; /* requests since an update began */
	uint32_t n_fences;   /* asked for so far */
	uint32_t n_guesses;
};

/* initial: the format of the endpoint's ServerInit. */
void rfb_format_switch_init(
    struct rfb_format_switch *s, const struct rfb_pixel_format *initial);

/* The viewer's offer has -312 and the endpoint has sent a Fence. */
void rfb_format_switch_set_fence(struct rfb_format_switch *s, bool has_fence);

/*
 * Before the viewer's SetPixelFormat is forwarded. *fence_len is 0, or
 * RFB_FORMAT_FENCE_LEN and fence holds a ClientFence that must be sent to
 * the endpoint directly in front of it, in one write if possible.
 * Returns 0, or ERR_LIMIT if too many formats are pending.
 */
int rfb_format_switch_on_set_format(struct rfb_format_switch *s,
    const struct rfb_pixel_format *pf, uint8_t fence[RFB_FORMAT_FENCE_LEN],
    size_t *fence_len);

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

/* True while a format is announced that no update has used yet. */
static inline bool
rfb_format_switch_is_pending(const struct rfb_format_switch *s)
{
	return s->n_pending > 0;
}

#endif
