/*
 * How large an endpoint's screen may be (max_pixels), and what a change of
 * its size means for its recorder: memory for a live encoder, or a capture.
 */
#include <stdio.h>

#include "common/clock.h"
#include "common/log.h"
#include "relay/session/session_internal.h"
#include "rfb/protocol.h"

/* Where nothing is recorded, no recorder needs memory for it. */
bool
session_size_is_allowed(const struct relay_session *s, unsigned w, unsigned h)
{
	if (!s->authorization.recording && !session_may_record_by_hand(s))
		return true;
	return w <= RFB_MAX_SIDE && h <= RFB_MAX_SIDE &&
	    (uint64_t)w * h <= (uint64_t)s->loop->relay->conf.max_pixels;
}

void
session_size_say(const struct relay_session *s, unsigned w, unsigned h,
    char out[PUMP_SIZE_TEXT])
{
	snprintf(out, PUMP_SIZE_TEXT,
	    "%ux%u pixels are more than this site records: %lld in all, "
	    "%d a side ([relay] max_pixels)",
	    w, h, (long long)s->loop->relay->conf.max_pixels, RFB_MAX_SIDE);
}

uint64_t
session_live_bytes(unsigned w, unsigned h)
{
	return (uint64_t)w * h * LIVE_BYTES_A_PIXEL;
}

void
session_size_changed(
    struct relay_session *s, uint64_t offset, unsigned w, unsigned h)
{
	struct relay *r = s->loop->relay;
	const char *setting = live_budget_resize(
	    &r->live, &s->live_share, session_live_bytes(w, h));

	/* recording by hand stays live: docs/capture.md */
	if (setting == NULL || !s->is_recorded || s->is_captured)
		return;
	s->is_captured = true;
	/* what it begins with is much */
	recorder_watch_pardon(&s->watch, clock_mono_ns());
	atomic_fetch_add(&r->stats.captures, 1);
	log_info("session_captured", LOG_S("session", s->id),
	    LOG_S("setting", setting), LOG_U("width", w), LOG_U("height", h));
	session_record_mark(s, TEE_MARK_CAPTURE, offset, NULL, 0);
}
