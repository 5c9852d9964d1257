/*
 * The technician's pace: update requests let through at most so many times
 * per second, incremental or not. One that comes too early is held, and
 * joined by those that follow it; together they are not incremental if one
 * of them was not. Pure: time is given. One owner.
 */
#ifndef RELAY_PUMP_PACE_H
#define RELAY_PUMP_PACE_H

#include <stdbool.h>
#include <stdint.h>

#include "relay/pump/view.h"

#define PACE_MAX_FPS 60

struct pace {
	uint64_t interval_ns;        /* 0: no metering */
	uint64_t next_ns;            /* no request before that */
	bool has_held, is_held_full; /* is_held_full: not incremental */
	struct view_area held;
};

/* fps: 1..PACE_MAX_FPS, or 0 to let everything through. What is held stays
 * so. */
void pace_set(struct pace *p, unsigned fps);

static inline bool
pace_is_on(const struct pace *p)
{
	return p->interval_ns != 0;
}

/*
 * A request for an area at now_ns; *is_full: not incremental. True: it may go
 * now, and *a and *is_full are what to ask for. False: held.
 */
bool pace_request(
    struct pace *p, struct view_area *a, bool *is_full, uint64_t now_ns);

/* True when a held request may go now, or may go as metering is over: *a,
 * *is_full, and nothing is held any more. */
bool pace_take(
    struct pace *p, struct view_area *a, bool *is_full, uint64_t now_ns);

/* Nanoseconds until pace_take gives something; UINT64_MAX: nothing held. */
uint64_t pace_wait(const struct pace *p, uint64_t now_ns);

/* What is held is not wanted any more. */
static inline void
pace_forget(struct pace *p)
{
	p->has_held = p->is_held_full = false;
}

#endif
