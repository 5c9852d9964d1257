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
lose_streams(struct pump *p)
{

	if (p->are_streams_lost)
		return 0;
	p->are_streams_lost = true;
	p->streams_lost_ns = clock_mono_ns();
	pump_watch(p);
	p->encodings.stateless_only = true;
	return pump_send_offer(p);
}

bool
pump_withhold_takes(const struct pump *p, int32_t encoding)
{
	return pump_is_picture(encoding) &&
	    (p->is_withholding || (p->are_streams_lost && has_state(encoding)));
}

int
pump_withhold_rect(struct pump *p, const struct rfb_framer_event *ev)
{
	struct view_area again = { 0 };
	bool is_state = has_state(ev->rect.encoding);
	int rc = is_state ? lose_streams(p) : 0;

	if (rc == 0)
		rc = pump_view_drop(p, ev, &again);
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
fill(struct pump *p, uint64_t offset)
{
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
	    p, offset, offset, m, 20 + rfb_pixel_len(&p->pixel_format.current));
}

int
pump_withhold_boundary(struct pump *p, uint64_t offset)
{
	int rc = 0;

	if (p->wants_withhold != p->is_withheld) {
		p->is_withheld = p->is_fill_due = p->wants_withhold;
		if (p->is_withheld)
			rc = lose_streams(p);
		else
			p->redraw = view_region(&p->view, view_seen(&p->view));
		pump_watch(p);
	}
	if (rc == 0 && p->is_fill_due && pump_may_insert(p))
		rc = fill(p, offset);
	return rc;
}

void
pump_withhold(struct pump *p, bool on)
{
	int rc = 0;

	if (on == p->wants_withhold || !p->is_running || pump_is_draining(p))
		return;
	p->wants_withhold = on;
	pump_watch(p);
	if (on) {
		pump_cover_drop_input(p);
		rc = pump_release_input(p);
	}
	if (rc != 0)
		p->conf.ops->ended(
		    p->conf.arg, "error", "the relay is out of memory");
	else if (on)
		pump_show_banner(p,
		    "The recording was interrupted. Pictures and input are "
		    "held "
		    "back until it continues.",
		    0);
	else
		pump_hide_banner(p);
	if (p->is_running)
		pump_settle(p);
}
