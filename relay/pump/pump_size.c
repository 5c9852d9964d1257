/*
 * The size of the endpoint's screen and the site's limit on it: a technician
 * who asks for more is answered in the endpoint's place, an endpoint that
 * has more ends the session.
 */
#include <string.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "relay/pump/pump_internal.h"

#define SAY_AGAIN_NS (5 * NS_PER_S)
/* Each size that stands is a file of its own. Viewers ask when a drag rests,
 * twice a second at most; 20 at once, and then one a second. */
#define WISHES_MAX 20

/* ExtendedDesktopSize, community specification: x, y of the rectangle. */
#define REASON_THIS_CLIENT 1
#define STATUS_PROHIBITED  1

/* ---- from the endpoint ---- */

static bool
is_resize(const struct rfb_rect *r)
{
	if (r->encoding == RFB_ENC_DESKTOP_SIZE)
		return true;
	/* a refused wish of this client's leaves the size undefined */
	return r->encoding == RFB_ENC_EXT_DESKTOP_SIZE &&
	    (r->x != REASON_THIS_CLIENT || r->y == 0);
}

int
pump_size_rect(struct pump *p, const struct rfb_framer_event *ev)
{
	const struct rfb_rect *r = &ev->rect;

	if (!is_resize(r))
		return 0;
	if (!p->conf.ops->may_resize(p->conf.arg, r->w, r->h, p->size_text)) {
		p->why = p->size_text;
		return ERR_LIMIT;
	}
	p->conf.ops->resized(p->conf.arg, ev->offset, r->w, r->h);
	return 0;
}

/* ---- from the viewer ---- */

bool
pump_size_refuses(struct pump *p, unsigned w, unsigned h)
{

	if (p->conf.ops->may_resize(p->conf.arg, w, h, p->size_text))
		return false;
	p->is_size_refused = true;
	return true;
}

bool
pump_size_is_too_often(struct pump *p)
{
	uint64_t now = clock_mono_ns();

	p->size_credit_ns = p->size_asked_ns == 0
	    ? WISHES_MAX * NS_PER_S
	    : min_u64(p->size_credit_ns + (now - p->size_asked_ns),
		  WISHES_MAX * NS_PER_S);
	p->size_asked_ns = now;
	if (p->size_credit_ns < NS_PER_S)
		return true;
	p->size_credit_ns -= NS_PER_S;
	return false;
}

void
pump_size_say_no(struct pump *p)
{
	p->is_size_due = p->has_extended_size;
	pump_watch(p);
}

void
pump_size_tell(struct pump *p)
{
	uint64_t now = clock_mono_ns();

	if (!p->is_size_refused || !p->is_running)
		return;
	p->is_size_refused = false;
	if (p->size_said_ns != 0 && now < p->size_said_ns + SAY_AGAIN_NS) {
		pump_settle(p);
		return;
	}
	p->size_said_ns = now;
	log_info("resize_refused", LOG_S("session", p->conf.id),
	    LOG_S("why", p->size_text));
	p->conf.ops->warn(p->conf.arg, p->size_text);
	if (p->is_running)
		pump_settle(p);
}

/* "Prohibited", with the size and the screens as they are. */
int
pump_size_boundary(struct pump *p, uint64_t offset)
{
	static const uint8_t head[4] = { RFB_FRAMEBUFFER_UPDATE, 0, 0, 1 };
	uint8_t rect[VIEW_SIZE_LEN];
	size_t len;
	int rc;

	if (!p->is_size_due || edits_bytes(&p->edits) > EDITS_BYTES_MAX / 2)
		return 0;
	p->is_size_due = false;
	pump_watch(p);
	len = view_write_size(&p->view, true, rect);
	store_be16(rect, REASON_THIS_CLIENT);
	store_be16(rect + 2, STATUS_PROHIBITED);
	rc = pump_edit(p, offset, offset, head, sizeof(head));
	return rc != 0 ? rc : pump_edit(p, offset, offset, rect, len);
}
