/*
 * The viewer's pixel format on its way to the endpoint. Where nothing tells
 * from which update on it holds, format and requests wait until the relay
 * has shown that nothing is under way (rfb/quiet_probe.h):
 *
 *   relay -> endpoint   offer with Raw only; continuous updates off; a
 *                       request of one pixel, and others until an answer
 *                       is beyond doubt; then the format, the offer, and the
 *                       viewer's requests
 *   relay -> viewer     what it had asked for before, in the old format; the
 *                       answers to the relay's questions are left out
 *
 * An endpoint that shows nothing for DEADLINE_NS ends the session: the
 * recording could be misread otherwise. Rules: docs/rfb.md.
 */
#include <sodium.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "relay/pump/pump_internal.h"
#include "rfb/colour_map.h"

#define LOOK_NS     (100 * NS_PER_MS)
#define ANSWER_NS   (4 * NS_PER_S) /* QEMU takes 3 s on a quiet screen */
#define DEADLINE_NS (15 * NS_PER_S)

void
pump_hold_request(struct pump_held *h, bool incremental, struct view_area a)
{
	h->area = h->is_any ? view_join(h->area, a) : a;
	h->is_any = true;
	h->is_full |= !incremental;
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct pump *p = arg;

	if (!p->format.is_held &&
	    !rfb_format_switch_is_waiting(&p->pixel_format))
		return;
	p->conf.ops->refused(p->conf.arg,
	    "the endpoint did not show where it changed the pixel format, so "
	    "its pictures cannot be recorded");
}

/* A new format while an older one still waits does not give it more time. */
static int
set_deadline(struct pump *p, bool was_waiting)
{
	if (was_waiting)
		return 0;
	return pump_timer(p, &p->format.deadline, on_deadline, DEADLINE_NS);
}

/* ---- asking ---- */

static int
ask(struct pump *p, bool incremental)
{
	const struct rfb_quiet_probe *q = &p->format.probe;

	return pump_send_request(
	    p, incremental, (struct view_area){ q->x, q->y, 1, 1 });
}

static int
ask_other(struct pump *p)
{
	struct pump_format *f = &p->format;
	struct view_area a = view_region(&p->view, view_seen(&p->view));
	const struct rfb_rect area = { a.x, a.y, a.w, a.h, RFB_ENC_RAW };

	rfb_quiet_probe_ask(&f->probe, &area, randombytes_random());
	f->asked_ns = clock_mono_ns();
	return ask(p, false);
}

/* Is it time for another question? Not while pictures come. */
static bool
is_due(const struct pump *p)
{
	const struct pump_format *f = &p->format;
	uint64_t offset;

	return f->n_pictures == 0 && p->pixel_format.ends_due == 0 &&
	    pump_is_between(p, &offset) &&
	    (f->probe.n_asked == 0 || f->probe.is_spoilt ||
		clock_mono_ns() - f->asked_ns >= ANSWER_NS);
}

static void
on_look_time(evutil_socket_t fd, short what, void *arg)
{
	struct pump *p = arg;
	struct pump_format *f = &p->format;
	int rc = 0;

	if (!f->is_held)
		return;
	if (is_due(p))
		rc = ask_other(p);
	f->n_pictures = 0;
	if (rc == 0)
		rc = pump_timer(p, &f->timer, on_look_time, LOOK_NS);
	if (rc != 0)
		p->conf.ops->ended(
		    p->conf.arg, "error", "the relay is out of memory");
	else
		pump_settle(p);
}

/* ---- the format ---- */

static int
hold(struct pump *p, const struct rfb_pixel_format *pf)
{
	struct pump_format *f = &p->format;
	int rc;

	f->is_held = true;
	f->has_update = f->is_droppable = false;
	f->pf = *pf;
	f->held = (struct pump_held){ 0 };
	rfb_quiet_probe_init(&f->probe);
	pump_watch(p);
	p->encodings.raw_only = true;
	rc = pump_send_offer(p);
	if (rc == 0)
		rc = pump_continuous(p);
	if (rc == 0 && p->pixel_format.ends_due == 0)
		rc = ask_other(p);
	if (rc == 0)
		rc = pump_timer(p, &f->timer, on_look_time, LOOK_NS);
	return rc;
}

/* The offer again if it depends on this format. */
static int
narrow(struct pump *p, bool is_unclear)
{
	if (is_unclear == p->encodings.is_format_unclear)
		return 0;
	p->encodings.is_format_unclear = is_unclear;
	return pump_send_offer(p);
}

/* Sends a format that may go now; nothing is drawn in an unclear one by
 * encodings that depend on it. */
static int
send_format(struct pump *p, const struct rfb_pixel_format *pf,
    const uint8_t *fence, size_t fence_len)
{
	uint8_t m[4 + RFB_PIXEL_FORMAT_LEN] = { RFB_SET_PIXEL_FORMAT };
	bool is_unclear = !rfb_pixel_format_is_clear(pf);
	int rc = is_unclear ? narrow(p, true) : 0;

	if (rc == 0 && fence_len != 0)
		rc = pump_send(p, fence, fence_len);
	rfb_pixel_format_write(pf, m + 4);
	if (rc == 0)
		rc = pump_send(p, m, sizeof(m));
	return rc == 0 && !is_unclear ? narrow(p, false) : rc;
}

int
pump_format_set(struct pump *p, const struct rfb_pixel_format *pf)
{
	struct pump_format *f = &p->format;
	uint8_t fence[RFB_FORMAT_FENCE_LEN];
	enum rfb_format_action action;
	bool was_waiting =
	    f->is_held || rfb_format_switch_is_waiting(&p->pixel_format);
	int rc;

	if (f->is_held) {
		f->pf = *pf;
		return 0;
	}
	rc = rfb_format_switch_on_set_format(
	    &p->pixel_format, pf, fence, &action);
	if (rc != 0 || action == RFB_FORMAT_SWALLOW)
		return rc;
	if (action == RFB_FORMAT_HOLD)
		rc = hold(p, pf);
	else
		rc = send_format(p, pf, fence,
		    action == RFB_FORMAT_SEND_FENCED ? sizeof(fence) : 0);
	if (rc == 0 &&
	    (f->is_held || rfb_format_switch_is_waiting(&p->pixel_format)))
		rc = set_deadline(p, was_waiting);
	return rc;
}

void
pump_format_want_map(struct pump *p)
{
	p->format.is_map_due = true;
	pump_watch(p);
}

int
pump_format_map_boundary(struct pump *p, uint64_t offset)
{
	uint8_t map[RFB_COLOUR_MAP_LEN];

	if (!p->format.is_map_due ||
	    edits_bytes(&p->edits) > EDITS_BYTES_MAX / 2)
		return 0;
	p->format.is_map_due = false;
	pump_watch(p);
	rfb_colour_map_write(map);
	return pump_edit(p, offset, offset, map, sizeof(map));
}

/* All that waited goes. */
static int
release(struct pump *p)
{
	struct pump_format *f = &p->format;
	struct pump_held held = f->held;
	int rc;

	f->is_held = false;
	event_del(f->timer);
	event_del(f->deadline);
	pump_watch(p);
	rc = pump_format_set(p, &f->pf);
	p->encodings.raw_only = false;
	if (rc == 0)
		rc = pump_send_offer(p);
	if (rc == 0)
		rc = pump_continuous(p);
	if (rc == 0 && held.is_any)
		rc = pump_forward_request(p, !held.is_full, held.area);
	return rc;
}

/* ---- what comes meanwhile ---- */

void
pump_format_update(struct pump *p, uint64_t offset)
{
	struct pump_format *f = &p->format;

	f->has_update = true;
	rfb_quiet_probe_update(&f->probe);
	/* edits of other kinds would stand inside the removal */
	f->is_droppable = !view_is_one(&p->view) && !p->is_hiding &&
	    !p->is_withholding && !p->are_streams_lost;
	f->update_at = offset;
	if (f->is_droppable)
		p->hold_at = offset;
}

/* It has something for the viewer. */
static void
let_go(struct pump *p)
{
	if (!p->format.is_droppable)
		return;
	p->format.is_droppable = false;
	p->hold_at = PUMP_NOTHING_HELD;
}

void
pump_format_rect(struct pump *p, const struct rfb_rect *r)
{

	if (pump_is_picture(r->encoding)) {
		p->format.n_pictures++;
		if (!rfb_quiet_probe_rect(&p->format.probe, r) ||
		    r->encoding != RFB_ENC_RAW)
			let_go(p);
	} else if (r->encoding != RFB_ENC_LAST_RECT) {
		let_go(p);
	}
}

/* An update ended: what it says about the question. */
static int
look(struct pump *p, uint64_t offset)
{
	struct pump_format *f = &p->format;
	bool is_ours = f->is_droppable;

	f->has_update = f->is_droppable = false;
	switch (rfb_quiet_probe_end(&f->probe)) {
	case RFB_QUIET_ANSWERED:
		if (p->pixel_format.ends_due == 0)
			rfb_format_switch_on_quiet(&p->pixel_format);
		return is_ours ? pump_edit(p, f->update_at, offset, NULL, 0)
			       : 0;
	case RFB_QUIET_ASK_AGAIN:
		return ask(p, true);
	case RFB_QUIET_ASK_OTHER: /* on_look_time */
	case RFB_QUIET_WAIT:
		break;
	}
	return 0;
}

int
pump_format_boundary(struct pump *p, uint64_t offset)
{
	struct pump_format *f = &p->format;
	int rc = 0;

	if (!f->is_held)
		return 0;
	if (f->has_update)
		rc = look(p, offset);
	if (rc != 0 || !rfb_format_switch_may_send(&p->pixel_format))
		return rc;
	return release(p);
}
