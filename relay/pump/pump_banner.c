/*
 * A warning over the technician's desktop, drawn into the forwarded bytes
 * only: updates of our own between messages of the endpoint's, after each of
 * its updates that drew over the banner. Rules: docs/rfb.md ("Messages of
 * our own").
 */
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/err.h"
#include "relay/draw/banner.h"
#include "relay/pump/pump_internal.h"

/* Requests that viewers still owe to updates of ours; beyond that they are
 * not viewers that answer each. */
#define SWALLOW_MAX 8

/* Bytes of the banner are made once a format; false: it cannot be drawn. */
static bool
draw(struct pump *p)
{
	struct view_area seen = view_seen(&p->view);

	banner_free(p->banner);
	p->banner = NULL;
	p->is_banner_due = p->is_banner_hit = false;
	if (p->banner_text != NULL &&
	    banner_draw(
		p->conf.font, p->banner_text, seen.w, seen.h, &p->banner) != 0)
		p->banner = NULL;
	p->is_banner_due = p->banner != NULL;
	pump_watch(p);
	return p->banner != NULL;
}

void
pump_banner_resize(struct pump *p)
{
	if (p->banner_text != NULL)
		draw(p);
}

void
pump_banner_rect(struct pump *p, const struct rfb_rect *r)
{
	struct view_area a = { r->x, r->y, r->w, r->h };

	if (!pump_is_picture(r->encoding))
		return;
	/* sent before CopyRect was taken back: it may have copied letters */
	if (r->encoding == RFB_ENC_COPYRECT)
		p->redraw = view_join(p->redraw, a);
	if (view_visible(&p->view, &a) &&
	    banner_touches(p->banner, a.x, a.y, a.w, a.h))
		p->is_banner_hit = true;
}

static int
insert_bell(struct pump *p, uint64_t offset)
{
	static const uint8_t bell = RFB_BELL;

	p->is_bell_due = false;
	pump_watch(p);
	return pump_edit(p, offset, offset, &bell, 1);
}

static int
insert_banner(struct pump *p, uint64_t offset)
{
	unsigned n = banner_n_rects(p->banner);
	uint8_t head[4] = { RFB_FRAMEBUFFER_UPDATE, 0, (uint8_t)(n >> 8),
		(uint8_t)n };
	const uint8_t *bytes;
	size_t len;
	int rc = banner_bytes(
	    p->banner, &p->pixel_format.current, p->has_hextile, &bytes, &len);

	p->is_banner_due = false;
	if (rc != 0 || len > EDITS_BYTES_MAX / 2)
		return rc;
	if (!p->wants_continuous && p->n_swallow < SWALLOW_MAX)
		p->n_swallow++;
	rc = pump_edit(p, offset, offset, head, sizeof(head));
	return rc != 0 ? rc : pump_edit(p, offset, offset, bytes, len);
}

/*
 * While an earlier edit waits for a slow viewer no more are piled up.
 */
int
pump_banner_boundary(struct pump *p, uint64_t offset)
{
	int rc = 0;

	if (p->is_bell_due)
		rc = insert_bell(p, offset);
	p->is_banner_due |= p->is_banner_hit;
	p->is_banner_hit = false;
	if (rc != 0 || !p->is_banner_due || p->banner == NULL ||
	    !pump_may_insert(p) || edits_bytes(&p->edits) > EDITS_BYTES_MAX / 2)
		return rc;
	return insert_banner(p, offset);
}

/* ---- commands ---- */

void
pump_hide_banner(struct pump *p)
{
	struct banner_area b;
	int rc = 0;

	free(p->banner_text);
	p->banner_text = NULL;
	if (p->banner_timer != NULL)
		event_del(p->banner_timer);
	if (p->banner == NULL)
		return;
	b = banner_area(p->banner);
	banner_free(p->banner);
	p->banner = NULL;
	p->is_banner_due = p->is_banner_hit = false;
	pump_watch(p);
	if (!p->is_running || pump_is_draining(p))
		return;
	/* the picture first: the endpoint must not copy what is not there */
	rc = pump_send_refresh(p, (struct view_area){ b.x, b.y, b.w, b.h });
	if (rc == 0)
		rc = pump_view_narrow(p);
	if (rc != 0)
		p->conf.ops->ended(
		    p->conf.arg, "error", "the relay is out of memory");
	else
		pump_settle(p);
}

static void
on_banner_time(evutil_socket_t fd, short what, void *arg)
{
	pump_hide_banner(arg);
}

int
pump_show_banner(struct pump *p, const char *text, unsigned seconds)
{
	char *copy = strdup(text);
	int rc = 0;

	if (!p->is_running || pump_is_draining(p) || copy == NULL) {
		free(copy);
		return !p->is_running ? ERR_AGAIN : ERR_NOMEM;
	}
	pump_hide_banner(p); /* another one, of another size */
	if (!p->is_running) {
		free(copy);
		return ERR_AGAIN;
	}
	p->banner_text = copy;
	p->is_bell_due = true;
	if (!draw(p))
		rc = ERR_UNSUPPORTED;
	if (seconds != 0)
		pump_timer(
		    p, &p->banner_timer, on_banner_time, seconds * NS_PER_S);
	if (pump_view_narrow(p) != 0)
		p->conf.ops->ended(
		    p->conf.arg, "error", "the relay is out of memory");
	else
		pump_settle(p);
	return rc;
}
