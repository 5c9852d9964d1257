/* From the technician to the endpoint. */
#include <stdio.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "relay/pump/pump_internal.h"

#define OUT_HIGH (256 * 1024) /* to the endpoint: stop reading */
#define OUT_LOW  (64 * 1024)
#define OUT_KEEP 1024

/* ---- messages for the endpoint ---- */

int
pump_send(struct pump *p, const void *data, size_t len)
{
	return buf_append(&p->endpoint.out, data, len);
}

/* Type, a flag and an area: both messages that have these. */
static int
send_area(struct pump *p, uint8_t type, bool flag, struct view_area a)
{
	uint8_t m[10] = { type, flag };

	store_be16(m + 2, a.x);
	store_be16(m + 4, a.y);
	store_be16(m + 6, a.w);
	store_be16(m + 8, a.h);
	return pump_send(p, m, sizeof(m));
}

int
pump_send_request(struct pump *p, bool incremental, struct view_area a)
{
	rfb_format_switch_on_request(&p->pixel_format);
	pump_cover_request(p, incremental, a);
	return send_area(p, RFB_FRAMEBUFFER_UPDATE_REQUEST, incremental, a);
}

int
pump_send_refresh(struct pump *p, struct view_area a)
{

	a = view_region(&p->view, a);
	if (!p->format.is_held)
		return pump_send_request(p, false, a);
	p->redraw = view_join(p->redraw, a);
	pump_watch(p);
	return 0;
}

int
pump_send_continuous(struct pump *p, bool enable, struct view_area a)
{
	p->is_continuous = enable;
	if (enable)
		a = p->cover.continuous = pump_cover_area(p, a);
	p->ends_asked += !enable;
	rfb_format_switch_on_continuous(&p->pixel_format, enable);
	return send_area(p, RFB_ENABLE_CONTINUOUS_UPDATES, enable, a);
}

/* All monitors: as the viewer wrote it, which may mean sizes to come. */
static struct view_area
continuous_area(const struct pump *p)
{
	return view_is_one(&p->view) ? view_region(&p->view, p->continuous)
				     : p->continuous;
}

int
pump_continuous(struct pump *p)
{
	bool is_wanted = p->wants_continuous && !pace_is_on(&p->pace) &&
	    !p->sw.is_active && !p->format.is_held;

	if (is_wanted == p->is_continuous)
		return 0;
	if (!is_wanted) {
		/* more than ever are under way: it goes on drawing, no harm */
		if (p->n_own_ends == PUMP_OWN_ENDS)
			return 0;
		p->own_ends[p->n_own_ends++] = p->ends_asked + 1;
	}
	return pump_send_continuous(p, is_wanted, continuous_area(p));
}

/* The first one of all announces the feature. */
bool
pump_take_end(struct pump *p)
{

	if (!p->pixel_format.is_announced)
		return false;
	p->ends_seen++;
	if (p->n_own_ends == 0 || p->own_ends[0] != p->ends_seen)
		return false;
	p->n_own_ends--;
	memmove(p->own_ends, p->own_ends + 1,
	    p->n_own_ends * sizeof(p->own_ends[0]));
	return true;
}

int
pump_send_offer(struct pump *p)
{
	uint8_t out[4 + 4 * RFB_MAX_ENCODINGS];
	struct rfb_encodings_offer offer;
	ssize_t n;

	if (buf_len(&p->offer) == 0)
		return 0;
	n = rfb_set_encodings_narrow(buf_head(&p->offer), buf_len(&p->offer),
	    &p->encodings, out, sizeof(out), &offer);
	if (n < 0)
		return (int)n;
	p->viewer_has_fence = offer.has_fence_and_continuous;
	rfb_format_switch_set_fence(
	    &p->pixel_format, p->viewer_has_fence && p->endpoint_has_fence);
	return pump_send(p, out, (size_t)n);
}

int
pump_repaint(struct pump *p)
{
	int rc;

	p->encodings.stateless_only = true;
	rc = pump_send_offer(p);
	if (rc == 0)
		rc = pump_send_refresh(p, view_seen(&p->view));
	pump_cover_start(p);
	/* the framer may be at work: it leaves at the next turn */
	event_active(p->endpoint.writable, EV_WRITE, 0);
	return rc;
}

/* ---- messages of the viewer ---- */

static int
on_set_encodings(struct pump *p, const struct rfb_client_event *ev)
{
	int rc;

	buf_consume(&p->offer, buf_len(&p->offer));
	rc = buf_append(&p->offer, ev->bytes, ev->len);
	p->has_extended_size = p->has_size = p->has_hextile = p->has_rre =
	    p->has_ext_buttons = false;
	for (size_t i = 4; i + 4 <= ev->len; i += 4) {
		int32_t encoding = (int32_t)load_be32(ev->bytes + i);

		p->has_extended_size |= encoding == RFB_ENC_EXT_DESKTOP_SIZE;
		p->has_size |= encoding == RFB_ENC_DESKTOP_SIZE;
		p->has_hextile |= encoding == RFB_ENC_HEXTILE;
		p->has_rre |= encoding == RFB_ENC_RRE;
		p->has_ext_buttons |= encoding == RFB_ENC_EXT_MOUSE_BUTTONS;
	}
	return rc != 0 ? rc : pump_send_offer(p);
}

int
pump_forward_request(struct pump *p, bool incremental, struct view_area a)
{
	if (p->format.is_held) {
		pump_hold_request(&p->format.held, incremental, a);
		return 0;
	}
	if (view_is_one(&p->view))
		pump_view_asked(p);
	return pump_send_request(p, incremental, view_region(&p->view, a));
}

/*
 * A viewer without continuous updates answers each update with a request,
 * updates of ours too. Those stop here, but only while the endpoint has
 * another one to answer: nothing may stand still for it.
 */
static bool
is_answer_to_us(struct pump *p, bool incremental)
{

	if (p->n_swallow == 0 || !incremental ||
	    p->pixel_format.unanswered == 0)
		return false;
	p->n_swallow--;
	return true;
}

static int
on_request(struct pump *p, const struct rfb_client_event *ev)
{
	struct view_area a = { ev->request.x, ev->request.y, ev->request.w,
		ev->request.h };

	if (pump_cover_viewer_asks(p) != 0)
		return ERR_NOMEM;
	if (is_answer_to_us(p, ev->request.incremental))
		return 0;
	if (p->sw.is_active) {
		pump_hold_request(&p->sw.held, ev->request.incremental, a);
		return 0;
	}
	if (pace_is_on(&p->pace))
		return pump_pace_request(p, ev->request.incremental, a);
	return pump_forward_request(p, ev->request.incremental, a);
}

static int
on_continuous(struct pump *p, const struct rfb_client_event *ev)
{

	/* it would not know the message, now or later */
	if (!p->pixel_format.is_announced)
		return 0;
	p->wants_continuous = ev->continuous.enable;
	p->continuous = (struct view_area){ ev->continuous.x, ev->continuous.y,
		ev->continuous.w, ev->continuous.h };
	p->n_swallow = 0;
	if (pump_cover_viewer_asks(p) != 0)
		return ERR_NOMEM;
	if (ev->continuous.enable && (p->sw.is_active || p->format.is_held))
		return 0;
	if (ev->continuous.enable && pace_is_on(&p->pace))
		return pump_pace_ask(p);
	/* "off" goes on also when it is off: the viewer waits for its end */
	return pump_send_continuous(
	    p, ev->continuous.enable, continuous_area(p));
}

static const char *
why_not_this_size(struct pump *p, const struct rfb_client_event *ev)
{
	if (p->encodings.is_ultravnc || !p->known.has_screens)
		return "the endpoint does not take it";
	if (p->is_view_only)
		return "view only";
	if (p->wants_withhold)
		return "pictures are held back until a recorder is ready";
	/* one monitor must not become the whole desktop */
	if (view_is_one(&p->view) || p->sw.is_active)
		return "one monitor is shown";
	if (pump_size_refuses(p, ev->desktop_size.w, ev->desktop_size.h))
		return "more pixels than this site records";
	if (pump_size_is_too_often(p))
		return "too many changes of the size within a short time";
	return NULL;
}

static int
on_desktop_size(struct pump *p, const struct rfb_client_event *ev)
{
	const char *why = why_not_this_size(p, ev);
	char size[16];

	snprintf(size, sizeof(size), "%ux%u", ev->desktop_size.w,
	    ev->desktop_size.h);
	p->conf.ops->wished(p->conf.arg, "desktop_size", size, why);
	if (why == NULL)
		return pump_send(p, ev->bytes, ev->len);
	pump_size_say_no(p);
	return 0;
}

int
pump_client_message(void *arg, const struct rfb_client_event *ev)
{
	struct pump *p = arg;

	if (ev->is_vendor)
		return 0;
	switch (ev->type) {
	case RFB_SET_PIXEL_FORMAT:
		if (ev->wants_colour_map)
			pump_format_want_map(p);
		return pump_format_set(p, &ev->pixel_format);
	case RFB_SET_ENCODINGS:
		return on_set_encodings(p, ev);
	case RFB_FRAMEBUFFER_UPDATE_REQUEST:
		return on_request(p, ev);
	case RFB_ENABLE_CONTINUOUS_UPDATES:
		return on_continuous(p, ev);
	case RFB_KEY_EVENT:
		return pump_key(p, ev);
	case RFB_POINTER_EVENT:
		return pump_pointer(p, ev);
	case RFB_SET_DESKTOP_SIZE:
		return on_desktop_size(p, ev);
	case RFB_QEMU:
		return pump_qemu(p, ev);
	case RFB_CLIENT_CUT_TEXT:
		return pump_cut_text(p, ev);
	case RFB_CLIENT_FENCE:
		return p->endpoint_has_fence ? pump_send(p, ev->bytes, ev->len)
					     : 0;
	case RFB_XVP:
	case RFB_ULTRA_KEEP_ALIVE:
	case RFB_ULTRA_SET_PALM_SCALE:
	case RFB_ULTRA_SET_SCALE:
	case RFB_ULTRA_SET_SERVER_INPUT:
	case RFB_ULTRA_SET_WINDOW:
		break; /* power control and the rest: not forwarded */
	}
	return 0;
}

void
pump_viewer_failed(struct pump *p, int rc)
{
	char reason[200];

	if (rc == ERR_EOF || rc == ERR_IO) {
		p->conf.ops->ended(p->conf.arg, "normal", pump_viewer_why(p));
		return;
	}
	snprintf(reason, sizeof(reason), "the viewer broke the protocol: %s",
	    rfb_client_messages_why(p->client_messages));
	p->conf.ops->ended(p->conf.arg, "error", reason);
}

void
pump_from_viewer(struct pump *p)
{
	size_t budget = PUMP_TURN_MAX, most = 0;
	ssize_t n = 1;
	int rc = 0;

	while (rc == 0 && budget > 0 && p->is_running &&
	    buf_len(&p->endpoint.out) < OUT_HIGH) {
		n = channel_recv(
		    &p->viewer, p->conf.scratch, p->conf.scratch_len);
		if (n <= 0)
			break;
		budget -= min_size(budget, (size_t)n);
		most = (size_t)n > most ? (size_t)n : most;
		if (!pump_is_draining(p))
			rc = rfb_client_messages_feed(
			    p->client_messages, p->conf.scratch, (size_t)n);
	}
	pump_size_tell(p);
	if (p->is_size_due || p->format.is_map_due)
		pump_settle(p);
	if (p->is_running && !pump_is_draining(p))
		pump_to_endpoint(p);
	if (p->is_running && rc != 0)
		pump_viewer_failed(p, rc);
	else if (p->is_running && n < 0 && n != ERR_AGAIN)
		pump_viewer_failed(p, (int)n);
	else if (p->is_running && n > 0 && p->viewer.is_reading)
		/* not read to the end: TLS may hold what no event reports */
		channel_wake(&p->viewer);
	wipe(p->conf.scratch, most); /* key strokes */
}

void
pump_to_endpoint(struct pump *p)
{
	size_t left;

	if (pump_is_draining(p))
		return;
	if (channel_flush(&p->endpoint) != 0) {
		pump_endpoint_failed(p, ERR_IO);
		return;
	}
	left = buf_len(&p->endpoint.out);
	/* small ones stay: no allocation a key stroke */
	if (left == 0 && p->endpoint.out.cap > OUT_KEEP)
		buf_release(&p->endpoint.out);
	if (left >= OUT_HIGH) {
		channel_read(&p->viewer, false);
	} else if (left <= OUT_LOW && !p->viewer.is_reading) {
		channel_read(&p->viewer, true);
		if (channel_has_buffered(&p->viewer))
			channel_wake(&p->viewer);
	}
}
