/* What the framer says about the endpoint's bytes, and what follows. */

#include "common/bytes.h"
#include "common/err.h"
#include "relay/pump/pump_internal.h"

int
pump_edit(struct session *s, uint64_t from, uint64_t to, const void *bytes,
    size_t len)
{
	int rc =
	    edits_add(&s->pump.edits, s->ring.forwarded, from, to, bytes, len);

	if (rc != 0)
		s->pump.why = rc == ERR_NOMEM
		    ? "the relay is out of memory"
		    : "too much of its stream has to be rewritten";
	return rc;
}

static int
on_server_fence(struct session *s, const struct rfb_framer_event *ev)
{
	uint32_t flags;

	s->endpoint_has_fence = true;
	rfb_format_switch_set_fence(&s->format, s->viewer_has_fence);
	/* padding 3, flags 4, length 1, payload: one span, rfb/framer.h */
	if (ev->len < 8 || ev->len < 8u + ev->data[7])
		return 0;
	flags = load_be32(ev->data + 3);
	if (!rfb_format_switch_on_fence(
		&s->format, flags, ev->data + 8, ev->data[7]))
		return 0;
	return pump_edit(s, s->pump.message_at, ev->offset + ev->len, NULL, 0);
}

/* The viewer begins to ask, and had not been told of a resize. */
static int
insert_size(struct session *s, uint64_t offset)
{
	struct pump *p = &s->pump;

	if (!p->is_resize_untold || p->cover.is_hidden)
		return 0;
	p->is_resize_untold = false;
	return pump_view_insert_size(s, offset);
}

static int
on_update_begins(struct session *s, uint64_t offset)
{
	struct pump *p = &s->pump;
	uint8_t pf[RFB_PIXEL_FORMAT_LEN];
	bool is_new = rfb_format_switch_on_update(&s->format);

	p->has_update = true;
	p->is_probed = false;
	p->is_hiding = p->cover.is_hidden;
	if (insert_size(s, offset) != 0 ||
	    pump_format_map_boundary(s, offset) != 0)
		return ERR_LIMIT;
	p->is_withholding = p->is_withheld;
	if (p->format.is_held)
		pump_format_update(s, offset);
	if (pump_cover_update(s) != 0)
		return ERR_NOMEM;
	if (p->is_watching)
		pump_switch_update(s);
	if (p->is_monitor_mark_due)
		pump_view_mark(s, offset);
	if (p->is_rate_mark_due)
		pump_pace_mark(s, offset);
	if (p->is_hiding && pump_edit(s, offset, offset + 4, NULL, 0) != 0)
		return ERR_LIMIT;
	if (!is_new)
		return 0;
	rfb_pixel_format_write(&s->format.current, pf);
	session_record_mark(s, TEE_MARK_PIXEL_FORMAT, offset, pf, sizeof(pf));
	return rfb_framer_set_pixel_format(s->framer, &s->format.current);
}

/* An endpoint says what it knows by a rectangle, or by sending the message
 * itself. Nothing optional is sent to it before. */
static void
note_known(struct session *s, int32_t encoding)
{
	struct pump_known *k = &s->pump.known;

	switch (encoding) {
	case RFB_ENC_EXT_DESKTOP_SIZE:
		k->has_screens = true;
		break;
	case RFB_ENC_QEMU_EXT_KEY:
		k->has_ext_key = true;
		break;
	case RFB_ENC_EXT_MOUSE_BUTTONS:
		rfb_client_messages_allow_ext_buttons(s->client_messages);
		break;
	default:
		break;
	}
}

/* The first rectangle of an update that draws. */
static int
on_picture(struct session *s)
{
	rfb_format_switch_on_picture(&s->format);
	return pump_cover_picture(s);
}

static int
on_end_of_continuous(struct session *s, uint64_t offset)
{
	bool is_ours = pump_take_end(s);

	rfb_format_switch_on_end_of_continuous(&s->format);
	return is_ours ? pump_edit(s, offset, offset + 1, NULL, 0) : 0;
}

static int
on_message(struct session *s, const struct rfb_framer_event *ev)
{
	s->pump.message_at = ev->offset;
	switch (ev->type) {
	case RFB_FRAMEBUFFER_UPDATE:
		return on_update_begins(s, ev->offset);
	case RFB_END_OF_CONTINUOUS_UPDATES:
		return on_end_of_continuous(s, ev->offset);
	case RFB_SERVER_FENCE:
		/* whether it answers one of ours is known at its end, and not
		 * a byte of it may be out by then */
		s->pump.hold_at = ev->offset;
		return 0;
	case RFB_SERVER_CUT_TEXT:
		pump_clipboard_begin(s, ev->offset);
		return 0;
	case RFB_SET_COLOUR_MAP:
		/* not for a viewer: the format is always true colour */
		return pump_edit(s, ev->offset, ev->offset + 1, NULL, 0);
	default:
		return 0;
	}
}

static int
on_rect(struct session *s, const struct rfb_framer_event *ev)
{
	if (s->pump.sw.is_active)
		pump_switch_rect(s, &ev->rect);
	if (s->pump.format.is_held)
		pump_format_rect(s, &ev->rect);
	if (s->pump.is_hiding) {
		s->pump.is_dropping = true;
		return pump_edit(s, ev->offset, ev->offset + 12, NULL, 0);
	}
	if (s->pump.banner != NULL)
		pump_banner_rect(s, &ev->rect);
	if (pump_withhold_takes(s, ev->rect.encoding))
		return pump_withhold_rect(s, ev);
	return view_is_one(&s->pump.view) ? pump_view_rect(s, ev) : 0;
}

static int
on_payload(struct session *s, const struct rfb_framer_event *ev)
{
	int rc = 0;

	if (ev->type == RFB_SERVER_FENCE)
		return on_server_fence(s, ev);
	if (ev->type == RFB_SERVER_CUT_TEXT)
		return pump_clipboard_payload(s, ev);
	if (ev->type == RFB_SET_COLOUR_MAP)
		return pump_edit(s, ev->offset, ev->offset + ev->len, NULL, 0);
	if (ev->rect.encoding == RFB_ENC_EXT_DESKTOP_SIZE)
		rc = pump_view_screens(s, ev);
	if (rc == 0 && s->pump.is_dropping)
		rc = pump_edit(s, ev->offset, ev->offset + ev->len, NULL, 0);
	return rc;
}

static int
on_rect_end(struct session *s, const struct rfb_framer_event *ev)
{
	s->pump.is_dropping = false;
	if (ev->rect.encoding >= 0)
		return 0;
	if (ev->rect.encoding == RFB_ENC_EXT_DESKTOP_SIZE ||
	    ev->rect.encoding == RFB_ENC_DESKTOP_SIZE)
		return pump_view_resize(s, ev);
	return 0;
}

static int
on_message_end(struct session *s, uint64_t offset)
{
	int rc;

	s->pump.is_hiding = s->pump.is_withholding = false;
	rc = pump_boundary(s, offset);
	pump_watch(s);
	return rc;
}

int
pump_framer_event(void *arg, const struct rfb_framer_event *ev)
{
	struct session *s = arg;

	switch (ev->kind) {
	case RFB_FRAMER_MESSAGE:
		return on_message(s, ev);
	case RFB_FRAMER_RECT:
		meter_add(&s->pump.meter, rfb_rect_work(&ev->rect));
		if (ev->rect.encoding < 0) {
			note_known(s, ev->rect.encoding);
			if (pump_size_rect(s, ev) != 0)
				return ERR_LIMIT;
		}
		if (!s->format.has_picture &&
		    pump_is_picture(ev->rect.encoding) && on_picture(s) != 0)
			return ERR_NOMEM;
		return s->pump.is_watching ? on_rect(s, ev) : 0;
	case RFB_FRAMER_PAYLOAD:
		return on_payload(s, ev);
	case RFB_FRAMER_RECT_END:
		return on_rect_end(s, ev);
	case RFB_FRAMER_MESSAGE_END:
		s->pump.hold_at = PUMP_NOTHING_HELD;
		if (s->restart == RESTART_BOUNDARY)
			session_restart_boundary(s, ev->offset);
		if (s->pump.is_watching || pace_is_on(&s->pump.pace))
			return on_message_end(s, ev->offset);
		return 0;
	}
	return 0;
}

void
pump_watch(struct session *s)
{
	struct pump *p = &s->pump;

	p->is_watching = view_is_one(&p->view) || p->sw.is_active ||
	    p->banner != NULL || p->is_bell_due || p->is_size_due ||
	    p->redraw.w != 0 || p->format.is_held || p->cover.is_hidden ||
	    p->is_hiding || p->is_resize_untold || p->are_streams_lost ||
	    p->wants_withhold || p->is_withheld || p->format.is_map_due;
}

bool
pump_is_between(const struct session *s, uint64_t *offset)
{
	*offset = rfb_framer_offset(s->framer);
	return rfb_framer_is_between_messages(s->framer);
}

bool
pump_may_insert(const struct session *s)
{
	const struct pump *p = &s->pump;

	return p->has_update && !pump_format_is_pending(s) &&
	    !p->cover.is_hidden && !p->is_resize_untold;
}

/* Asks again for what was spoilt or left out. */
static int
redraw(struct session *s)
{
	struct view_area a = s->pump.redraw;

	if (a.w == 0 || s->pump.format.is_held)
		return 0;
	s->pump.redraw = (struct view_area){ 0 };
	pump_watch(s);
	return pump_send_request(s, false, a);
}

int
pump_boundary(struct session *s, uint64_t offset)
{
	int rc = pump_format_boundary(s, offset);

	if (rc == 0)
		rc = pump_switch_boundary(s, offset);
	if (rc == 0)
		rc = insert_size(s, offset);
	if (rc == 0)
		rc = pump_withhold_boundary(s, offset);
	if (rc == 0)
		rc = redraw(s);
	if (rc == 0)
		rc = pump_format_map_boundary(s, offset);
	if (rc == 0)
		rc = pump_size_boundary(s, offset);
	if (rc == 0)
		rc = pump_banner_boundary(s, offset);
	if (rc == 0)
		rc = pump_pace_ask(s);
	return rc;
}

void
pump_settle(struct session *s)
{
	uint64_t offset;
	int rc = 0;

	if (s->state != SESSION_RUNNING || pump_is_draining(s))
		return;
	if (pump_is_between(s, &offset))
		rc = pump_boundary(s, offset);
	if (rc != 0)
		session_end(s, "error", "the relay is out of memory");
	if (s->state == SESSION_RUNNING)
		pump_to_endpoint(s);
	if (s->state == SESSION_RUNNING)
		pump_to_viewer(s);
	if (s->state == SESSION_RUNNING && s->pump.is_status_due) {
		s->pump.is_status_due = false;
		session_status_changed(s);
	}
}
