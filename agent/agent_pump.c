#include "agent/agent_pump.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/wire.h"
#include "common/clock.h"
#include "common/tcp_liveness.h"

/* What is queued goes on being sent for so long after the other side ended. */
#define LINGER_S 5

struct side {
	struct agent_pump *pump;
	struct bufferevent *bev;
	uint64_t bytes; /* received */
	bool is_paused; /* the other side is full */
	struct tcp_liveness tcp;
};

struct agent_pump {
	struct side sides[2];
	struct event *timer; /* lingering; and the first turn */
	struct event *looks; /* at both peers */
	unsigned lost_s;
	struct pump_tap tap; /* of side 1 */
	bool is_ending;
	unsigned ended; /* which */
	char why[160];
	pump_cb *cb;
	void *arg;
};

static struct side *
other(struct side *s)
{
	return &s->pump->sides[s == s->pump->sides];
}

static struct evbuffer *
queue_of(struct side *s)
{
	return bufferevent_get_output(s->bev);
}

static void
free_timers(struct agent_pump *p)
{
	if (p != NULL && p->timer != NULL)
		event_free(p->timer);
	if (p != NULL && p->looks != NULL)
		event_free(p->looks);
}

static void
finish(struct agent_pump *p)
{
	const uint64_t bytes[2] = { p->sides[0].bytes, p->sides[1].bytes };
	pump_cb *cb = p->cb;
	void *arg = p->arg;
	unsigned ended = p->ended;
	char why[sizeof(p->why)];

	snprintf(why, sizeof(why), "%s", p->why);
	pump_free(p);
	cb(arg, ended, why, bytes);
}

/* The other side takes no more, or the tap. */
static bool
is_full(struct side *s)
{
	const struct pump_tap *tap = &s->pump->tap;

	return evbuffer_get_length(queue_of(other(s))) >= PUMP_MAX ||
	    (s == &s->pump->sides[1] && tap->has_room != NULL &&
		!tap->has_room(tap->arg));
}

/* All that s has received goes into the other's queue. */
static void
move(struct side *s)
{
	struct evbuffer *in = bufferevent_get_input(s->bev);
	struct side *to = other(s);

	s->bytes += evbuffer_get_length(in);
	if (s == &s->pump->sides[1] && s->pump->tap.bytes != NULL)
		s->pump->tap.bytes(
		    s->pump->tap.arg, in, evbuffer_get_length(in));
	bufferevent_write_buffer(to->bev, in);
	if (s->is_paused || !is_full(s))
		return;
	s->is_paused = true;
	bufferevent_disable(s->bev, EV_READ);
}

static void
resume(struct side *s)
{
	if (!s->is_paused)
		return;
	s->is_paused = false;
	move(s);
	if (!s->is_paused)
		bufferevent_enable(s->bev, EV_READ);
}

static void
on_read(struct bufferevent *bev, void *arg)
{
	move(arg);
}

/* The queue of s is half empty, or empty when it is the last one. */
static void
on_write(struct bufferevent *bev, void *arg)
{
	struct side *s = arg, *from = other(s);

	if (s->pump->is_ending) {
		if (evbuffer_get_length(queue_of(s)) == 0)
			finish(s->pump);
		return;
	}
	resume(from);
}

static void
on_event(struct bufferevent *bev, short what, void *arg)
{
	const struct timeval linger = { .tv_sec = LINGER_S };
	struct side *s = arg, *to = other(s);
	struct agent_pump *p = s->pump;

	if (p->is_ending) { /* the one that was still being written to */
		finish(p);
		return;
	}
	p->is_ending = true;
	p->ended = s == &p->sides[1];
	snprintf(p->why, sizeof(p->why), "%s",
	    (what & BEV_EVENT_EOF) != 0 ? "closed" : wire_why(bev, what));
	move(s);
	bufferevent_disable(s->bev, EV_READ | EV_WRITE);
	bufferevent_disable(to->bev, EV_READ);
	bufferevent_setwatermark(to->bev, EV_WRITE, 0, 0);
	if (evbuffer_get_length(queue_of(to)) == 0 ||
	    event_add(p->timer, &linger) != 0)
		finish(p);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct agent_pump *p = arg;

	if (p->is_ending) {
		finish(p);
		return;
	}
	/* what came before the pump was there is announced by nobody */
	move(&p->sides[0]);
	move(&p->sides[1]);
}

/* A side that is not read from reports no error by itself. */
static bool
is_lost_unheard(struct side *s)
{
	struct tcp_liveness_state state = tcp_liveness_look(&s->tcp,
	    bufferevent_getfd(s->bev), s->pump->lost_s, clock_mono_ns());

	return state.is_lost && s->is_paused;
}

static void
on_looks(evutil_socket_t fd, short what, void *arg)
{
	struct agent_pump *p = arg;

	for (unsigned i = 0; i < 2 && !p->is_ending; i++) {
		if (!is_lost_unheard(&p->sides[i]))
			continue;
		errno = ETIMEDOUT;
		on_event(p->sides[i].bev, BEV_EVENT_ERROR, &p->sides[i]);
		return; /* p may be freed */
	}
}

static int
start_looks(struct agent_pump *p)
{
	const unsigned ms = p->lost_s * 1000 / TCP_LIVENESS_LOOKS;
	const struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	return event_add(p->looks, &tv);
}

static void
start_side(struct side *s, struct agent_pump *p, struct bufferevent *bev)
{
	*s = (struct side){ .pump = p, .bev = bev };
	bufferevent_setcb(bev, on_read, on_write, on_event, s);
	bufferevent_setwatermark(bev, EV_WRITE, PUMP_MAX / 2, 0);
	bufferevent_setwatermark(bev, EV_READ, 0, PUMP_MAX);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
}

struct agent_pump *
pump_new(struct event_base *base, struct bufferevent *side0,
    struct bufferevent *side1, unsigned lost_s, pump_cb *cb, void *arg)
{
	const struct timeval now = { 0 };
	struct agent_pump *p = calloc(1, sizeof(*p));

	if (p != NULL) {
		p->timer = evtimer_new(base, on_timer, p);
		p->looks = event_new(base, -1, EV_PERSIST, on_looks, p);
	}
	if (p == NULL || p->timer == NULL || p->looks == NULL) {
		wire_close(side0);
		wire_close(side1);
		free_timers(p);
		free(p);
		return NULL;
	}
	p->lost_s = lost_s;
	p->cb = cb;
	p->arg = arg;
	start_side(&p->sides[0], p, side0);
	start_side(&p->sides[1], p, side1);
	if (event_add(p->timer, &now) != 0 || start_looks(p) != 0) {
		pump_free(p);
		return NULL;
	}
	return p;
}

void
pump_set_tap(struct agent_pump *p, const struct pump_tap *tap)
{
	p->tap = *tap;
}

void
pump_wake(struct agent_pump *p)
{
	if (!p->is_ending && !is_full(&p->sides[1]))
		resume(&p->sides[1]);
}

void
pump_free(struct agent_pump *p)
{
	if (p == NULL)
		return;
	wire_close(p->sides[0].bev);
	wire_close(p->sides[1].bev);
	free_timers(p);
	free(p);
}
