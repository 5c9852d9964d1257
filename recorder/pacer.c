#include "recorder/pacer.h"

#include <string.h>

void
pacer_init(struct pacer *p, unsigned frame_rate)
{
	memset(p, 0, sizeof(*p));
	p->stretch = 1;
	p->damage_ns = PACER_NEVER;
	pacer_set_rate(p, frame_rate);
}

void
pacer_set_rate(struct pacer *p, unsigned frame_rate)
{
	p->interval_ns = NS_PER_S / frame_rate;
}

void
pacer_set_stretch(struct pacer *p, unsigned n)
{
	p->stretch = n > PACER_STRETCH_MAX ? PACER_STRETCH_MAX : n;
}

void
pacer_damage(struct pacer *p, uint64_t now_ns)
{
	if (p->damage_ns == PACER_NEVER)
		p->damage_ns = now_ns;
	p->tries = 0;
}

uint64_t
pacer_due(const struct pacer *p)
{
	uint64_t next = p->last_ns + p->interval_ns * p->stretch;

	if (p->damage_ns == PACER_NEVER || p->last_ns == 0)
		return p->damage_ns;
	return p->damage_ns > next ? p->damage_ns : next;
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
	p->last_ns = t_ns;
	if (was_key)
		p->last_key_ns = t_ns;
	if (was_quiet)
		p->tries++;
	p->is_coarse = is_coarse;
	p->damage_ns = PACER_NEVER;
}

void
pacer_nothing(struct pacer *p)
{
	p->damage_ns = PACER_NEVER;
	p->is_coarse = false;
}
