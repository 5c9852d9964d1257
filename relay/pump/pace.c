#include "relay/pump/pace.h"

#include "common/bytes.h"
#include "common/clock.h"

void
pace_set(struct pace *p, unsigned fps)
{
	fps = (unsigned)min_size(fps, PACE_MAX_FPS);
	p->interval_ns = fps != 0 ? NS_PER_S / fps : 0;
	p->next_ns = 0;
}

/*
 * One goes now. A late one does not move those after it, so that timers that
 * are late by a little do not add up.
 */
static void
count(struct pace *p, uint64_t now_ns)
{
	if (now_ns - p->next_ns < p->interval_ns)
		p->next_ns += p->interval_ns;
	else
		p->next_ns = now_ns + p->interval_ns;
}

bool
pace_request(
    struct pace *p, struct view_area *a, bool *is_full, uint64_t now_ns)
{
	p->held = p->has_held ? view_join(p->held, *a) : *a;
	p->has_held = true;
	p->is_held_full |= *is_full;
	return pace_take(p, a, is_full, now_ns);
}

bool
pace_take(struct pace *p, struct view_area *a, bool *is_full, uint64_t now_ns)
{
	if (pace_wait(p, now_ns) != 0)
		return false;
	*a = p->held;
	*is_full = p->is_held_full;
	pace_forget(p);
	if (pace_is_on(p))
		count(p, now_ns);
	return true;
}

uint64_t
pace_wait(const struct pace *p, uint64_t now_ns)
{
	if (!p->has_held)
		return UINT64_MAX;
	if (!pace_is_on(p) || now_ns >= p->next_ns)
		return 0;
	return p->next_ns - now_ns;
}
