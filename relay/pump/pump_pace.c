/*
 * The technician's frame rate: update requests are metered. Where the viewer
 * wants continuous updates the endpoint does not get to know, and the relay
 * asks in the viewer's stead.
 */
#include "common/bytes.h"
#include "common/clock.h"
#include "common/err.h"
#include "relay/pump/pump_internal.h"

void
pump_pace_mark(struct pump *p, uint64_t offset)
{
	uint32_t fps = p->rate != 0 ? p->rate : p->conf.frame_rate;
	uint8_t value[4];

	p->is_rate_mark_due = false;
	store_be32(value, fps);
	p->conf.ops->mark(
	    p->conf.arg, TEE_MARK_FRAME_RATE, offset, value, sizeof(value));
}

static void on_pace_time(evutil_socket_t fd, short what, void *arg);

static int
wait(struct pump *p, uint64_t now)
{
	uint64_t ns = pace_wait(&p->pace, now);

	if (ns == UINT64_MAX)
		return 0;
	return pump_timer(p, &p->pace_timer, on_pace_time, ns);
}

/* What was held goes now, if it may. */
static int
take_held(struct pump *p)
{
	uint64_t now = clock_mono_ns();
	struct view_area a;
	bool is_full;

	if (!pace_take(&p->pace, &a, &is_full, now))
		return wait(p, now);
	if (p->sw.is_active) {
		pump_hold_request(&p->sw.held, !is_full, a);
		return 0;
	}
	return pump_forward_request(p, !is_full, a);
}

static void
on_pace_time(evutil_socket_t fd, short what, void *arg)
{
	struct pump *p = arg;

	if (take_held(p) != 0)
		p->conf.ops->ended(
		    p->conf.arg, "error", "the relay is out of memory");
	else
		pump_settle(p);
}

int
pump_pace_request(struct pump *p, bool incremental, struct view_area a)
{
	uint64_t now = clock_mono_ns();
	bool is_full = !incremental;

	if (pace_request(&p->pace, &a, &is_full, now))
		return pump_forward_request(p, !is_full, a);
	return wait(p, now);
}

int
pump_pace_ask(struct pump *p)
{

	if (!pace_is_on(&p->pace) || !p->wants_continuous || p->sw.is_active ||
	    p->pace.has_held || p->pixel_format.unanswered > 0)
		return 0;
	return pump_pace_request(p, true, p->continuous);
}

/* Metering began, changed or ended. */
static int
apply(struct pump *p)
{
	int rc;

	if (!pace_is_on(&p->pace) && p->wants_continuous)
		pace_forget(&p->pace);
	rc = pump_continuous(p);
	if (rc == 0)
		rc = take_held(p);
	return rc != 0 ? rc : pump_pace_ask(p);
}

void
pump_set_frame_rate(struct pump *p, unsigned fps)
{

	p->rate = (unsigned)min_size(fps, PACE_MAX_FPS);
	if (!p->is_running || pump_is_draining(p))
		return;
	pace_set(&p->pace, p->rate);
	p->is_rate_mark_due = true;
	if (apply(p) != 0)
		p->conf.ops->ended(
		    p->conf.arg, "error", "the relay is out of memory");
	else
		pump_settle(p);
}
