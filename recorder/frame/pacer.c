#include "recorder/frame/pacer.h"

#include <string.h>

void
pacer_init(struct pacer *p, unsigned frame_rate)
{
	memset(p, 0, sizeof(*p));
	p->slowdown = 1;
	p->damage_ns = PACER_NEVER;
	pacer_set_rate(p, frame_rate);
}

void
pacer_set_rate(struct pacer *p, unsigned frame_rate)
{
	p->rate = frame_rate;
}

void
pacer_set_slowdown(struct pacer *p, unsigned n)
{
	p->slowdown = n > PACER_SLOWDOWN_MAX ? PACER_SLOWDOWN_MAX : n;
}

void
pacer_damage(struct pacer *p, uint64_t now_ns, size_t n_dirty, size_t n_tiles)
{
	if (p->damage_ns == PACER_NEVER)
		p->damage_ns = now_ns;
	p->n_dirty = n_dirty;
	p->n_tiles = n_tiles;
}

void
pacer_found(struct pacer *p, size_t n_dirty)
{
	p->n_dirty = n_dirty;
}

void
pacer_input(struct pacer *p, uint64_t now_ns)
{
	p->input_ns = now_ns;
}

static bool
is_tiny(const struct pacer *p)
{
	bool had_input = p->input_ns != 0 && p->damage_ns != PACER_NEVER &&
	    p->damage_ns < p->input_ns + PACER_INPUT_NS;

	return !had_input && p->n_dirty <= PACER_TINY_TILES &&
	    p->n_dirty <= p->n_tiles / PACER_TINY_SHARE;
}

static bool
is_much(const struct pacer *p)
{
	return p->n_dirty > 0 && p->n_dirty >= p->n_tiles / PACER_MOTION_SHARE;
}

uint64_t
pacer_interval_ns(const struct pacer *p)
{
	unsigned most = PACER_USUAL_RATE;

	if (is_tiny(p))
		most = PACER_TINY_RATE;
	else if (is_much(p) && p->n_motion >= PACER_MOTION_N)
		most = p->rate;
	return NS_PER_S / (p->rate < most ? p->rate : most);
}

static uint64_t
later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

uint64_t
pacer_due(const struct pacer *p)
{
	uint64_t next = p->last_ns + pacer_interval_ns(p) * p->slowdown;

	if (p->damage_ns == PACER_NEVER || p->last_ns == 0)
		return p->damage_ns;
	if (p->looked_ns != 0)
		next = later(next, p->looked_ns + NS_PER_S / p->rate);
	return later(p->damage_ns, next);
}

uint64_t
pacer_quiet_due(const struct pacer *p)
{
	if (!p->is_coarse || p->damage_ns != PACER_NEVER ||
	    p->tries >= PACER_QUIET_MAX)
		return PACER_NEVER;
	return p->last_ns + (PACER_QUIET_NS << p->tries);
}

bool
pacer_is_key_due(const struct pacer *p, uint64_t t_ns)
{
	return t_ns >= p->last_key_ns + PACER_KEY_NS;
}

void
pacer_taken(struct pacer *p, uint64_t t_ns, bool was_key, bool was_quiet,
    bool is_coarse)
{
	bool goes_on = t_ns <= p->last_ns + PACER_MOTION_NS * p->slowdown;

	if (!is_much(p))
		p->n_motion = 0;
	else if (!goes_on)
		p->n_motion = 1;
	else if (p->n_motion < PACER_MOTION_N)
		p->n_motion++;
	p->n_dirty = 0;
	p->last_ns = t_ns;
	if (was_key)
		p->last_key_ns = t_ns;
	p->tries = was_quiet ? p->tries + 1 : 0;
	p->is_coarse = is_coarse;
	p->damage_ns = PACER_NEVER;
}

void
pacer_nothing(struct pacer *p, uint64_t t_ns, bool was_quiet)
{
	p->n_dirty = 0;
	p->looked_ns = t_ns;
	p->damage_ns = PACER_NEVER;
	if (was_quiet)
		p->is_coarse = false;
}
