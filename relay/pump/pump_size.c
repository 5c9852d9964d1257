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
pump_size_rect(struct session *s, const struct rfb_framer_event *ev)
{
	const struct rfb_rect *r = &ev->rect;
	struct pump *p = &s->pump;

	if (!is_resize(r))
		return 0;
	if (!session_size_is_allowed(s, r->w, r->h)) {
		session_size_say(s, r->w, r->h, p->size_text);
		p->why = p->size_text;
		return ERR_LIMIT;
	}
	session_size_changed(s, ev->offset, r->w, r->h);
	return 0;
}

/* ---- from the viewer ---- */

bool
pump_size_refuses(struct session *s, unsigned w, unsigned h)
{
	struct pump *p = &s->pump;

	if (session_size_is_allowed(s, w, h))
		return false;
	session_size_say(s, w, h, p->size_text);
	p->is_size_refused = true;
	return true;
}

bool
pump_size_is_too_often(struct session *s)
{
	struct pump *p = &s->pump;
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
pump_size_say_no(struct session *s)
{
	s->pump.is_size_due = s->pump.has_extended_size;
	pump_watch(s);
}

void
pump_size_tell(struct session *s)
{
	struct pump *p = &s->pump;
	uint64_t now = clock_mono_ns();

	if (!p->is_size_refused || s->state != SESSION_RUNNING)
		return;
	p->is_size_refused = false;
	if (p->size_said_ns != 0 && now < p->size_said_ns + SAY_AGAIN_NS) {
		pump_settle(s);
		return;
	}
	p->size_said_ns = now;
	log_info("resize_refused", LOG_S("session", s->id),
	    LOG_S("why", p->size_text));
	session_warn(s, p->size_text, SESSION_WARNING_SECONDS);
	if (s->state == SESSION_RUNNING)
		pump_settle(s);
}

/* "Prohibited", with the size and the screens as they are. */
int
pump_size_boundary(struct session *s, uint64_t offset)
{
	static const uint8_t head[4] = { RFB_FRAMEBUFFER_UPDATE, 0, 0, 1 };
	struct pump *p = &s->pump;
	uint8_t rect[VIEW_SIZE_LEN];
	size_t len;
	int rc;

	if (!p->is_size_due || edits_bytes(&p->edits) > EDITS_BYTES_MAX / 2)
		return 0;
	p->is_size_due = false;
	pump_watch(s);
	len = view_write_size(&p->view, true, rect);
	store_be16(rect, REASON_THIS_CLIENT);
	store_be16(rect + 2, STATUS_PROHIBITED);
	rc = pump_edit(s, offset, offset, head, sizeof(head));
	return rc != 0 ? rc : pump_edit(s, offset, offset, rect, len);
}
