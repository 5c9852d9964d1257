/*
 * From one monitor to another, at a point of the stream where nothing of the
 * old one is under way any more:
 *
 *   relay -> endpoint   offer without CopyRect; continuous updates off;
 *                       a request, not incremental, of one pixel (the spot)
 *                       of the new monitor; the viewer's requests wait
 *   endpoint -> relay   EndOfContinuousUpdates (for us)
 *                       an update with the spot: it answers all that was
 *                       asked before; behind it lies the border
 *   relay -> viewer     its desktop's new size
 *   relay -> endpoint   everything of the new monitor, then as before
 *
 * Why this is enough, and for whom it is not: docs/rfb.md ("One monitor").
 */
#include <string.h>

#include <stdio.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "relay/pump/pump_internal.h"

#define ANSWER_NS (2 * NS_PER_S)
/* Xvnc sends the -308 of one change within some 50 ms. */
#define SETTLE_NS (300 * NS_PER_MS)

/* ---- begin ---- */

/*
 * Asks for the spot, not while a format waits for quiet. Xvnc answers such a
 * request with an update that has the screens only, and then waits for another
 * one.
 */
static int
ask(struct pump *p)
{
	const struct view_monitor *m = view_find(&p->view, p->sw.index);

	if (p->format.is_held)
		return 0;
	if (p->sw.is_asked)
		return p->pixel_format.unanswered > 0
		    ? 0
		    : pump_send_request(p, true, p->sw.spot);
	p->sw.spot = (struct view_area){ 0, 0, 1, 1 };
	if (m != NULL)
		p->sw.spot = (struct view_area){ m->x, m->y, 1, 1 };
	p->sw.is_asked = true;
	return pump_send_request(p, false, p->sw.spot);
}

static void set_wait(struct pump *p);

/* The endpoint does not answer: all stays as it was. */
static void
give_up(struct pump *p)
{
	struct pump_held held = p->sw.held;

	log_warn("monitor_switch_unanswered", LOG_S("session", p->conf.id),
	    LOG_U("monitor", p->sw.index));
	p->sw.is_active = false;
	pump_watch(p);
	p->is_status_due = true;
	if (pump_view_narrow(p) != 0 || pump_continuous(p) != 0 ||
	    (held.is_any &&
		pump_forward_request(p, !held.is_full, held.area) != 0)) {
		p->conf.ops->ended(
		    p->conf.arg, "error", "the relay is out of memory");
		return;
	}
	pump_settle(p);
}

static void
on_no_answer(evutil_socket_t fd, short what, void *arg)
{
	struct pump *p = arg;

	if (!p->sw.is_active)
		return;
	/* a slow line that brings something may take longer */
	if (p->sw.progress != p->endpoint.transport.bytes_in)
		set_wait(p);
	else
		give_up(p);
}

static void
set_wait(struct pump *p)
{
	p->sw.progress = p->endpoint.transport.bytes_in;
	pump_timer(p, &p->sw.timer, on_no_answer, ANSWER_NS);
}

int
pump_switch_begin(struct pump *p, unsigned index)
{
	int rc;

	if (!p->sw.is_active)
		p->sw.held = (struct pump_held){ 0 };
	p->sw.is_active = true;
	p->sw.index = index;
	p->sw.is_asked = p->sw.is_counted = p->sw.is_covered = false;
	pump_watch(p);
	set_wait(p);
	rc = pump_view_narrow(p);
	if (rc == 0)
		rc = pump_continuous(p);
	return rc != 0 ? rc : ask(p);
}

/* ---- the border ---- */

/* An update begins: after the request, and after what continuous updates
 * had sent? */
void
pump_switch_update(struct pump *p)
{
	struct pump_switch *sw = &p->sw;

	sw->is_counted = sw->is_active && sw->is_asked && p->n_own_ends == 0;
	sw->is_covered = false;
}

void
pump_switch_rect(struct pump *p, const struct rfb_rect *r)
{
	struct pump_switch *sw = &p->sw;

	if (sw->is_counted && pump_is_picture(r->encoding) &&
	    sw->spot.x >= r->x && sw->spot.x < r->x + r->w &&
	    sw->spot.y >= r->y && sw->spot.y < r->y + r->h)
		sw->is_covered = true;
}

static bool
is_same_size(struct view_area a, struct view_area b)
{
	return a.w == b.w && a.h == b.h;
}

/* The viewer asks for its new desktop in its own time: until then for as
 * much as it had asked for, all of it. */
static void
stretch(struct pump *p, struct view_area was, struct view_area is)
{
	if (p->continuous.w >= was.w && p->continuous.h >= was.h)
		p->continuous = is;
}

static int
cross(struct pump *p, uint64_t offset)
{
	struct pump_held held = p->sw.held;
	struct view_area was = view_seen(&p->view), is;
	int rc = view_choose(&p->view, p->sw.index);

	p->sw.is_active = p->sw.is_covered = false;
	event_del(p->sw.timer);
	if (rc != 0)
		return 0; /* the list has no such monitor any more */
	is = view_seen(&p->view);
	p->redraw = (struct view_area){ 0 }; /* of the old one */
	stretch(p, was, is);
	p->is_monitor_mark_due = true;
	p->is_status_due = true;
	pump_watch(p);
	if (!is_same_size(was, is)) {
		rc = pump_view_insert_size(p, offset);
		pump_banner_resize(p);
	}
	if (rc == 0)
		rc = pump_view_narrow(p);
	if (rc == 0)
		rc = pump_send_refresh(p, is);
	if (rc == 0)
		rc = pump_continuous(p);
	if (rc == 0 && held.is_any)
		rc = pump_forward_request(p, true, is);
	return rc;
}

int
pump_switch_boundary(struct pump *p, uint64_t offset)
{
	struct pump_switch *sw = &p->sw;

	if (!sw->is_active)
		return 0;
	if (sw->is_counted && sw->is_covered)
		return cross(p, offset);
	return ask(p);
}

/* ---- the list of monitors ---- */

/* The monitor of the user name ("alice@desk1+2"), once they are known. */
static int
fulfil_wish(struct pump *p)
{
	unsigned index = p->conf.monitor;
	bool is_there = view_find(&p->view, index) != NULL;
	char text[12];

	p->has_wish = false;
	snprintf(text, sizeof(text), "%u", index);
	p->conf.ops->wished(p->conf.arg, "monitor", text,
	    is_there ? NULL : "there is no such monitor");
	if (is_there)
		return pump_switch_begin(p, index);
	log_info("monitor_missing", LOG_S("session", p->conf.id),
	    LOG_U("monitor", index), LOG_U("monitors", p->view.now.n));
	return 0;
}

static bool
is_viewed_as(const struct view *v, const struct view_monitor *m)
{
	return m->x == v->area.x && m->y == v->area.y && m->w == v->area.w &&
	    m->h == v->area.h;
}

/* The monitor that is viewed, in a new list. */
static int
follow(struct pump *p, unsigned index)
{
	struct view *v = &p->view;
	const struct view_monitor *m = view_find(v, index);

	if (m == NULL)
		log_info("monitor_gone", LOG_S("session", p->conf.id),
		    LOG_U("monitor", v->index));
	if (m == NULL || !is_viewed_as(v, m))
		return pump_switch_begin(p, index);
	if (v->index != index)
		p->is_monitor_mark_due = true;
	return view_choose(v, index);
}

static int
settle(struct pump *p)
{
	bool was_one = view_is_one(&p->view);
	unsigned index = view_settle(&p->view);

	p->is_status_due = true;
	if (p->sw.is_active)
		return pump_switch_begin(p,
		    view_find(&p->view, p->sw.index) != NULL ? p->sw.index : 0);
	if (p->has_wish)
		return fulfil_wish(p);
	return was_one ? follow(p, index) : 0;
}

static void
on_settled(evutil_socket_t fd, short what, void *arg)
{
	struct pump *p = arg;

	if (settle(p) != 0)
		p->conf.ops->ended(
		    p->conf.arg, "error", "the relay is out of memory");
	else
		pump_settle(p);
}

int
pump_switch_layout(struct pump *p, bool at_once)
{
	if (at_once)
		return settle(p);
	return pump_timer(p, &p->settle_timer, on_settled, SETTLE_NS);
}

/* ---- commands ---- */

/* Is it there already, or on its way there? */
static bool
is_done(const struct pump *p, unsigned index)
{
	const struct view_monitor *m = view_find(&p->view, index);

	if (p->sw.is_active)
		return p->sw.index == index;
	if (index == 0)
		return !view_is_one(&p->view);
	return p->view.index == index && is_viewed_as(&p->view, m);
}

static bool
may_resize(const struct pump *p, unsigned index)
{
	struct view_area whole = { 0, 0, p->view.now.width,
		p->view.now.height };
	const struct view_monitor *m = view_find(&p->view, index);

	if (m != NULL)
		whole = (struct view_area){ 0, 0, m->w, m->h };
	return p->has_extended_size || p->has_size ||
	    is_same_size(view_seen(&p->view), whole);
}

int
pump_set_monitor(struct pump *p, unsigned index)
{
	int rc;

	if (!p->is_running || pump_is_draining(p))
		return ERR_AGAIN;
	if (index != 0 && view_find(&p->view, index) == NULL)
		return ERR_NOTFOUND;
	if (is_done(p, index))
		return 0;
	if (buf_len(&p->offer) == 0)
		return ERR_AGAIN; /* what it can do is not known yet */
	if (p->wants_withhold)
		return ERR_AGAIN; /* a recorder is on its way to this one */
	if (!may_resize(p, index))
		return ERR_UNSUPPORTED;
	p->has_wish = false;
	rc = pump_switch_begin(p, index);
	if (rc == 0)
		pump_settle(p);
	return rc;
}

unsigned
pump_monitor(const struct pump *p)
{
	return p->view.index;
}

const struct view_monitor *
pump_monitors(const struct pump *p, unsigned *n)
{
	*n = p->view.now.n;
	return p->view.now.monitors;
}
