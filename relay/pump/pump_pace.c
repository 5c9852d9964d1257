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
pump_pace_mark(struct session *s, uint64_t offset)
{
	uint32_t fps = s->rate != 0 ? s->rate : (uint32_t)s->account.frame_rate;
	uint8_t value[4];

	s->pump.is_rate_mark_due = false;
	store_be32(value, fps);
	session_record_mark(
	    s, TEE_MARK_FRAME_RATE, offset, value, sizeof(value));
}

static void on_pace_time(evutil_socket_t fd, short what, void *arg);

static int
wait(struct session *s, uint64_t now)
{
	uint64_t ns = pace_wait(&s->pump.pace, now);

	if (ns == UINT64_MAX)
		return 0;
	return pump_timer(s, &s->pump.pace_timer, on_pace_time, ns);
}

/* What was held goes now, if it may. */
static int
take_held(struct session *s)
{
	struct pump *p = &s->pump;
	uint64_t now = clock_mono_ns();
	struct view_area a;
	bool is_full;

	if (!pace_take(&p->pace, &a, &is_full, now))
		return wait(s, now);
	if (p->sw.is_active) {
		pump_hold_request(&p->sw.held, !is_full, a);
		return 0;
	}
	return pump_forward_request(s, !is_full, a);
}

static void
on_pace_time(evutil_socket_t fd, short what, void *arg)
{
	struct session *s = arg;

	if (take_held(s) != 0)
		session_end(s, "error", "the relay is out of memory");
	else
		pump_settle(s);
}

int
pump_pace_request(struct session *s, bool incremental, struct view_area a)
{
	uint64_t now = clock_mono_ns();
	bool is_full = !incremental;

	if (pace_request(&s->pump.pace, &a, &is_full, now))
		return pump_forward_request(s, !is_full, a);
	return wait(s, now);
}

int
pump_pace_ask(struct session *s)
{
	struct pump *p = &s->pump;

	if (!pace_is_on(&p->pace) || !p->wants_continuous || p->sw.is_active ||
	    p->pace.has_held || s->format.unanswered > 0)
		return 0;
	return pump_pace_request(s, true, p->continuous);
}

/* Metering began, changed or ended. */
static int
apply(struct session *s)
{
	struct pump *p = &s->pump;
	int rc;

	if (!pace_is_on(&p->pace) && p->wants_continuous)
		pace_forget(&p->pace);
	rc = pump_continuous(s);
	if (rc == 0)
		rc = take_held(s);
	return rc != 0 ? rc : pump_pace_ask(s);
}

void
session_set_frame_rate(struct session *s, unsigned fps)
{
	struct pump *p = &s->pump;

	s->rate = (unsigned)min_size(fps, PACE_MAX_FPS);
	if (s->state != SESSION_RUNNING || pump_is_draining(s))
		return;
	pace_set(&p->pace, s->rate);
	p->is_rate_mark_due = true;
	if (apply(s) != 0)
		session_end(s, "error", "the relay is out of memory");
	else
		pump_settle(s);
}
