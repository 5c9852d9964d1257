/*
 * No picture reaches the technician while recording is enforced and no
 * recorder is ready (T1, X4). From the end of the message under way on,
 * rectangles with pictures are replaced by one pixel each, the viewer's
 * screen is made black, and a banner says why; cursor, sizes, fences and the
 * like go on. When a recorder is ready, everything is asked for anew.
 *
 * Leaving out a rectangle spoils the viewer's zlib streams for good: from
 * then on the endpoint is offered stateless encodings only, and what it still
 * sends with a state is left out too and asked for again.
 */
#include "common/bytes.h"
#include "common/clock.h"
#include "common/err.h"
#include "relay/pump/pump_internal.h"

/* An endpoint that still sends streams so long after the new offer will not
 * stop. */
#define STREAMS_NS (10 * NS_PER_S)

static bool
has_state(int32_t encoding)
{
	return encoding == RFB_ENC_ZLIB || encoding == RFB_ENC_TIGHT ||
	    encoding == RFB_ENC_ZRLE;
}

/* The viewer misses a part of the zlib streams. */
static int
lose_streams(struct session *s)
{
	struct pump *p = &s->pump;

	if (p->are_streams_lost)
		return 0;
	p->are_streams_lost = true;
	p->streams_lost_ns = clock_mono_ns();
	pump_watch(s);
	s->encodings_policy.stateless_only = true;
	return pump_send_offer(s);
}

bool
pump_withhold_takes(const struct session *s, int32_t encoding)
{
	return pump_is_picture(encoding) &&
	    (s->pump.is_withholding ||
		(s->pump.are_streams_lost && has_state(encoding)));
}

int
pump_withhold_rect(struct session *s, const struct rfb_framer_event *ev)
{
	struct pump *p = &s->pump;
	struct view_area again = { 0 };
	bool is_state = has_state(ev->rect.encoding);
	int rc = is_state ? lose_streams(s) : 0;

	if (rc == 0)
		rc = pump_view_drop(s, ev, &again);
	if (rc != 0 || p->is_withholding)
		return rc; /* everything is asked for at its end */
	p->redraw = view_join(p->redraw, again);
	if (!is_state || clock_mono_ns() - p->streams_lost_ns < STREAMS_NS)
		return 0;
	p->why = "it goes on with zlib streams, of which the viewer misses a "
		 "part";
	return ERR_UNSUPPORTED;
}

/* An update of ours: one black rectangle over all that the viewer has. */
static int
fill(struct session *s, uint64_t offset)
{
	struct pump *p = &s->pump;
	struct view_area seen = view_seen(&p->view);
	uint8_t m[4 + 12 + 4 + 4] = { RFB_FRAMEBUFFER_UPDATE, 0, 0, 1 };

	p->is_fill_due = false;
	if (!p->has_rre)
		return 0;
	store_be16(m + 8, seen.w);
	store_be16(m + 10, seen.h);
	store_be32(m + 12, RFB_ENC_RRE);
	p->is_banner_hit = p->banner != NULL;
	return pump_edit(
	    s, offset, offset, m, 20 + rfb_pixel_len(&s->format.current));
}

int
pump_withhold_boundary(struct session *s, uint64_t offset)
{
	struct pump *p = &s->pump;
	int rc = 0;

	if (p->wants_withhold != p->is_withheld) {
		p->is_withheld = p->is_fill_due = p->wants_withhold;
		if (p->is_withheld)
			rc = lose_streams(s);
		else
			p->redraw = view_region(&p->view, view_seen(&p->view));
		pump_watch(s);
	}
	if (rc == 0 && p->is_fill_due && pump_may_insert(s))
		rc = fill(s, offset);
	return rc;
}

void
session_withhold(struct session *s, bool on)
{
	struct pump *p = &s->pump;
	int rc = 0;

	if (on == p->wants_withhold || s->state != SESSION_RUNNING ||
	    pump_is_draining(s))
		return;
	p->wants_withhold = on;
	pump_watch(s);
	if (on) {
		pump_cover_drop_input(s);
		rc = pump_release_input(s);
	}
	if (rc != 0)
		session_end(s, "error", "the relay is out of memory");
	else if (on)
		session_show_banner(s,
		    "The recording was interrupted. Pictures and input are "
		    "held "
		    "back until it continues.",
		    0);
	else
		session_hide_banner(s);
	if (s->state == SESSION_RUNNING)
		pump_settle(s);
}
