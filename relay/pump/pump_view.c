/* One monitor as if it were all: rectangles on their way to the viewer. */
#include <string.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/err.h"
#include "relay/pump/pump_internal.h"

/* A mark's value, common/tee.h: index, geometry, name. */
void
pump_view_mark(struct pump *p, uint64_t offset)
{
	const struct view *v = &p->view;
	const struct view_monitor *m = view_find(v, v->index);
	uint8_t value[TEE_MARK_VALUE] = { 0 };

	p->is_monitor_mark_due = false;
	store_be32(value, v->index);
	store_be16(value + 4, v->area.x);
	store_be16(value + 6, v->area.y);
	store_be16(value + 8, v->area.w);
	store_be16(value + 10, v->area.h);
	if (m != NULL)
		memcpy(value + 12, m->name, VIEW_NAME_LEN - 1);
	p->conf.ops->mark(
	    p->conf.arg, TEE_MARK_MONITOR, offset, value, sizeof(value));
}

int
pump_view_narrow(struct pump *p)
{
	bool is_narrow = view_is_one(&p->view) || p->banner != NULL ||
	    (p->sw.is_active && p->sw.index != 0);

	if (is_narrow == p->encodings.drop_copyrect)
		return 0;
	p->encodings.drop_copyrect = is_narrow;
	return pump_send_offer(p);
}

/*
 * When a desktop shrinks, Xvnc forgets a request for what is no longer part
 * of it, and with that to tell that it shrank. While nothing comes, a pixel
 * that will always be there is asked for too, once.
 */
#define PROBE_NS (500 * NS_PER_MS)

static void
on_probe_time(evutil_socket_t fd, short what, void *arg)
{
	struct pump *p = arg;
	struct view_area corner = { 0, 0, 1, 1 };

	if (p->is_probed || p->pixel_format.unanswered == 0 ||
	    p->sw.is_active || !view_is_one(&p->view) || p->format.is_held)
		return;
	p->is_probed = true;
	if (pump_send_request(p, true, corner) != 0)
		p->conf.ops->ended(
		    p->conf.arg, "error", "the relay is out of memory");
	else
		pump_settle(p);
}

void
pump_view_asked(struct pump *p)
{
	const struct view_area *a = &p->view.area;

	if ((a->x != 0 || a->y != 0) && !p->is_continuous)
		pump_timer(p, &p->probe_timer, on_probe_time, PROBE_NS);
}

static int
move(struct pump *p, uint64_t offset, const struct rfb_rect *r)
{
	uint8_t xy[4];

	store_be16(xy, r->x);
	store_be16(xy + 2, r->y);
	return pump_edit(p, offset, offset + sizeof(xy), xy, sizeof(xy));
}

int
pump_view_drop(
    struct pump *p, const struct rfb_framer_event *ev, struct view_area *redraw)
{
	struct rfb_rect r = ev->rect;
	uint8_t m[12 + 4] = { 0 };

	view_drop(&p->view, &r, redraw);
	store_be16(m, r.x);
	store_be16(m + 2, r.y);
	store_be16(m + 4, r.w);
	store_be16(m + 6, r.h);
	store_be32(m + 8, (uint32_t)r.encoding);
	p->is_dropping = true;
	return pump_edit(p, ev->offset, ev->offset + 12, m,
	    12 + rfb_pixel_len(&p->pixel_format.current));
}

int
pump_view_rect(struct pump *p, const struct rfb_framer_event *ev)
{
	struct rfb_rect r = ev->rect;
	struct view_area again = { 0 };

	switch (view_translate(&p->view, &r, &again)) {
	case VIEW_PASS:
		break;
	case VIEW_MOVE:
		return move(p, ev->offset, &r);
	case VIEW_DROP:
		return pump_withhold_rect(p, ev);
	case VIEW_RESIZE:
		/* what it becomes is known at its end */
		p->rect_at = p->hold_at = ev->offset;
		break;
	}
	return 0;
}

/* ExtendedDesktopSize promises that the endpoint takes SetDesktopSize. */
static bool
is_size_extended(const struct pump *p)
{
	return p->has_extended_size && (p->known.has_screens || !p->has_size);
}

int
pump_view_insert_size(struct pump *p, uint64_t offset)
{
	static const uint8_t head[4] = { RFB_FRAMEBUFFER_UPDATE, 0, 0, 1 };
	uint8_t size[VIEW_SIZE_LEN];
	size_t len = view_write_size(&p->view, is_size_extended(p), size);
	int rc = pump_edit(p, offset, offset, head, sizeof(head));

	return rc != 0 ? rc : pump_edit(p, offset, offset, size, len);
}

int
pump_view_screens(struct pump *p, const struct rfb_framer_event *ev)
{
	return buf_append(&p->screens, ev->data, ev->len);
}

/* In place of the resize the viewer gets the size of what it sees. */
static int
replace(struct pump *p, const struct rfb_framer_event *ev)
{
	uint8_t out[VIEW_SIZE_LEN];
	size_t len = view_write_size(
	    &p->view, ev->rect.encoding == RFB_ENC_EXT_DESKTOP_SIZE, out);

	p->hold_at = PUMP_NOTHING_HELD;
	return pump_edit(p, p->rect_at, ev->offset, out, len);
}

/* x is the reason, y the status: a refused wish of the viewer's (1, not 0)
 * leaves the size undefined. */
static bool
is_refusal(const struct rfb_rect *r)
{
	return r->encoding == RFB_ENC_EXT_DESKTOP_SIZE && r->x == 1 &&
	    r->y != 0;
}

int
pump_view_resize(struct pump *p, const struct rfb_framer_event *ev)
{
	const struct rfb_rect *r = &ev->rect;
	bool is_first = !p->has_layout;
	int rc = 0;

	if (r->encoding == RFB_ENC_DESKTOP_SIZE)
		rc = view_note_size(&p->view, r->w, r->h);
	else if (!is_refusal(r))
		rc = view_note_screens(&p->view, r->w, r->h,
		    buf_head(&p->screens), buf_len(&p->screens));
	buf_consume(&p->screens, buf_len(&p->screens));
	if (rc < 0)
		return rc;
	p->is_resize_untold |= p->is_hiding && rc > 0;
	p->is_fill_due |= p->is_withheld && rc > 0;
	if (rc > 0)
		pump_cover_resize(p);
	if (view_is_one(&p->view) && p->hold_at == p->rect_at) {
		int failed = replace(p, ev);

		if (failed != 0)
			return failed;
	} else if (rc > 0) {
		pump_banner_resize(p);
	}
	p->has_layout |=
	    r->encoding == RFB_ENC_EXT_DESKTOP_SIZE && !is_refusal(r);
	if (rc > 0 || (is_first && p->has_layout))
		return pump_switch_layout(p, is_first && p->has_layout);
	return 0;
}
