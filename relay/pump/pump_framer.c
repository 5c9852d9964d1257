/* What the framer says about the endpoint's bytes, and what follows. */

#include "common/bytes.h"
#include "common/err.h"
#include "relay/pump/pump_internal.h"

int
pump_edit(
    struct pump *p, uint64_t from, uint64_t to, const void *bytes, size_t len)
{
	int rc = edits_add(&p->edits, p->ring.forwarded, from, to, bytes, len);

	if (rc != 0)
		p->why = rc == ERR_NOMEM
		    ? "the relay is out of memory"
		    : "too much of its stream has to be rewritten";
	return rc;
}

static int
on_server_fence(struct pump *p, const struct rfb_framer_event *ev)
{
	uint32_t flags;

	p->endpoint_has_fence = true;
	rfb_format_switch_set_fence(&p->pixel_format, p->viewer_has_fence);
	/* padding 3, flags 4, length 1, payload: one span, rfb/framer.h */
	if (ev->len < 8 || ev->len < 8u + ev->data[7])
		return 0;
	flags = load_be32(ev->data + 3);
	if (!rfb_format_switch_on_fence(
		&p->pixel_format, flags, ev->data + 8, ev->data[7]))
		return 0;
	return pump_edit(p, p->message_at, ev->offset + ev->len, NULL, 0);
}

/* The viewer begins to ask, and had not been told of a resize. */
static int
insert_size(struct pump *p, uint64_t offset)
{

	if (!p->is_resize_untold || p->cover.is_hidden)
		return 0;
	p->is_resize_untold = false;
	return pump_view_insert_size(p, offset);
}

static int
on_update_begins(struct pump *p, uint64_t offset)
{
	uint8_t pf[RFB_PIXEL_FORMAT_LEN];
	bool is_new = rfb_format_switch_on_update(&p->pixel_format);

	p->has_update = true;
	p->is_probed = false;
	p->is_hiding = p->cover.is_hidden;
	if (insert_size(p, offset) != 0 ||
	    pump_format_map_boundary(p, offset) != 0)
		return ERR_LIMIT;
	p->is_withholding = p->is_withheld;
	if (p->format.is_held)
		pump_format_update(p, offset);
	if (pump_cover_update(p) != 0)
		return ERR_NOMEM;
	if (p->is_watching)
		pump_switch_update(p);
	if (p->is_monitor_mark_due)
		pump_view_mark(p, offset);
	if (p->is_rate_mark_due)
		pump_pace_mark(p, offset);
	if (p->is_hiding && pump_edit(p, offset, offset + 4, NULL, 0) != 0)
		return ERR_LIMIT;
	if (!is_new)
		return 0;
	rfb_pixel_format_write(&p->pixel_format.current, pf);
	p->conf.ops->mark(
	    p->conf.arg, TEE_MARK_PIXEL_FORMAT, offset, pf, sizeof(pf));
	return rfb_framer_set_pixel_format(p->framer, &p->pixel_format.current);
}

/* An endpoint says what it knows by a rectangle, or by sending the message
 * itself. Nothing optional is sent to it before. */
static void
note_known(struct pump *p, int32_t encoding)
{
	struct pump_known *k = &p->known;

	switch (encoding) {
	case RFB_ENC_EXT_DESKTOP_SIZE:
		k->has_screens = true;
		break;
	case RFB_ENC_QEMU_EXT_KEY:
		k->has_ext_key = true;
		break;
	case RFB_ENC_EXT_MOUSE_BUTTONS:
		rfb_client_messages_allow_ext_buttons(p->client_messages);
		break;
	default:
		break;
	}
}

/* The first rectangle of an update that draws. */
static int
on_picture(struct pump *p)
{
	rfb_format_switch_on_picture(&p->pixel_format);
	return pump_cover_picture(p);
}

static int
on_end_of_continuous(struct pump *p, uint64_t offset)
{
	bool is_ours = pump_take_end(p);

	rfb_format_switch_on_end_of_continuous(&p->pixel_format);
	return is_ours ? pump_edit(p, offset, offset + 1, NULL, 0) : 0;
}

static int
on_message(struct pump *p, const struct rfb_framer_event *ev)
{
	p->message_at = ev->offset;
	switch (ev->type) {
	case RFB_FRAMEBUFFER_UPDATE:
		return on_update_begins(p, ev->offset);
	case RFB_END_OF_CONTINUOUS_UPDATES:
		return on_end_of_continuous(p, ev->offset);
	case RFB_SERVER_FENCE:
		/* whether it answers one of ours is known at its end, and not
		 * a byte of it may be out by then */
		p->hold_at = ev->offset;
		return 0;
	case RFB_SERVER_CUT_TEXT:
		pump_clipboard_begin(p, ev->offset);
		return 0;
	case RFB_SET_COLOUR_MAP:
		/* not for a viewer: the format is always true colour */
		return pump_edit(p, ev->offset, ev->offset + 1, NULL, 0);
	default:
		return 0;
	}
}

static int
on_rect(struct pump *p, const struct rfb_framer_event *ev)
{
	if (p->sw.is_active)
		pump_switch_rect(p, &ev->rect);
	if (p->format.is_held)
		pump_format_rect(p, &ev->rect);
	if (p->is_hiding) {
		p->is_dropping = true;
		return pump_edit(p, ev->offset, ev->offset + 12, NULL, 0);
	}
	if (p->banner != NULL)
		pump_banner_rect(p, &ev->rect);
	if (pump_withhold_takes(p, ev->rect.encoding))
		return pump_withhold_rect(p, ev);
	return view_is_one(&p->view) ? pump_view_rect(p, ev) : 0;
}

static int
on_payload(struct pump *p, const struct rfb_framer_event *ev)
{
	int rc = 0;

	if (ev->type == RFB_SERVER_FENCE)
		return on_server_fence(p, ev);
	if (ev->type == RFB_SERVER_CUT_TEXT)
		return pump_clipboard_payload(p, ev);
	if (ev->type == RFB_SET_COLOUR_MAP)
		return pump_edit(p, ev->offset, ev->offset + ev->len, NULL, 0);
	if (ev->rect.encoding == RFB_ENC_EXT_DESKTOP_SIZE)
		rc = pump_view_screens(p, ev);
	if (rc == 0 && p->is_dropping)
		rc = pump_edit(p, ev->offset, ev->offset + ev->len, NULL, 0);
	return rc;
}

static int
on_rect_end(struct pump *p, const struct rfb_framer_event *ev)
{
	p->is_dropping = false;
	if (ev->rect.encoding >= 0)
		return 0;
	if (ev->rect.encoding == RFB_ENC_EXT_DESKTOP_SIZE ||
	    ev->rect.encoding == RFB_ENC_DESKTOP_SIZE)
		return pump_view_resize(p, ev);
	return 0;
}

static int
on_message_end(struct pump *p, uint64_t offset)
{
	int rc;

	p->is_hiding = p->is_withholding = false;
	rc = pump_boundary(p, offset);
	pump_watch(p);
	return rc;
}

int
pump_framer_event(void *arg, const struct rfb_framer_event *ev)
{
	struct pump *p = arg;

	switch (ev->kind) {
	case RFB_FRAMER_MESSAGE:
		return on_message(p, ev);
	case RFB_FRAMER_RECT:
		meter_add(&p->meter, rfb_rect_work(&ev->rect));
		if (ev->rect.encoding < 0) {
			note_known(p, ev->rect.encoding);
			if (pump_size_rect(p, ev) != 0)
				return ERR_LIMIT;
		}
		if (!p->pixel_format.has_picture &&
		    pump_is_picture(ev->rect.encoding) && on_picture(p) != 0)
			return ERR_NOMEM;
		return p->is_watching ? on_rect(p, ev) : 0;
	case RFB_FRAMER_PAYLOAD:
		return on_payload(p, ev);
	case RFB_FRAMER_RECT_END:
		return on_rect_end(p, ev);
	case RFB_FRAMER_MESSAGE_END:
		p->hold_at = PUMP_NOTHING_HELD;
		p->conf.ops->boundary(p->conf.arg, ev->offset);
		if (p->is_watching || pace_is_on(&p->pace))
			return on_message_end(p, ev->offset);
		return 0;
	}
	return 0;
}

void
pump_watch(struct pump *p)
{

	p->is_watching = view_is_one(&p->view) || p->sw.is_active ||
	    p->banner != NULL || p->is_bell_due || p->is_size_due ||
	    p->redraw.w != 0 || p->format.is_held || p->cover.is_hidden ||
	    p->is_hiding || p->is_resize_untold || p->are_streams_lost ||
	    p->wants_withhold || p->is_withheld || p->format.is_map_due;
}

bool
pump_is_between(const struct pump *p, uint64_t *offset)
{
	*offset = rfb_framer_offset(p->framer);
	return rfb_framer_is_between_messages(p->framer);
}

bool
pump_may_insert(const struct pump *p)
{

	return p->has_update && !pump_format_is_pending(p) &&
	    !p->cover.is_hidden && !p->is_resize_untold;
}

/* Asks again for what was spoilt or left out. */
static int
redraw(struct pump *p)
{
	struct view_area a = p->redraw;

	if (a.w == 0 || p->format.is_held)
		return 0;
	p->redraw = (struct view_area){ 0 };
	pump_watch(p);
	return pump_send_request(p, false, a);
}

int
pump_boundary(struct pump *p, uint64_t offset)
{
	int rc = pump_format_boundary(p, offset);

	if (rc == 0)
		rc = pump_switch_boundary(p, offset);
	if (rc == 0)
		rc = insert_size(p, offset);
	if (rc == 0)
		rc = pump_withhold_boundary(p, offset);
	if (rc == 0)
		rc = redraw(p);
	if (rc == 0)
		rc = pump_format_map_boundary(p, offset);
	if (rc == 0)
		rc = pump_size_boundary(p, offset);
	if (rc == 0)
		rc = pump_banner_boundary(p, offset);
	if (rc == 0)
		rc = pump_pace_ask(p);
	return rc;
}

void
pump_settle(struct pump *p)
{
	uint64_t offset;
	int rc = 0;

	if (!p->is_running || pump_is_draining(p))
		return;
	if (pump_is_between(p, &offset))
		rc = pump_boundary(p, offset);
	if (rc != 0)
		p->conf.ops->ended(
		    p->conf.arg, "error", "the relay is out of memory");
	if (p->is_running)
		pump_to_endpoint(p);
	if (p->is_running)
		pump_to_viewer(p);
	if (p->is_running && p->is_status_due) {
		p->is_status_due = false;
		p->conf.ops->changed(p->conf.arg, PUMP_CHANGED_STATUS);
	}
}
