#include "rfb/quiet_probe.h"

#include "rfb/framer.h"

void
rfb_quiet_probe_init(struct rfb_quiet_probe *p)
{
	*p = (struct rfb_quiet_probe){ .has_more = true };
}

void
rfb_quiet_probe_ask(
    struct rfb_quiet_probe *p, const struct rfb_rect *area, uint32_t random)
{
	*p = (struct rfb_quiet_probe){
		.x = (uint16_t)(area->x + ((random & 0xffff) * area->w >> 16)),
		.y = (uint16_t)(area->y + ((random >> 16) * area->h >> 16)),
		.n_asked = 1,
		/* an update that has begun answers something else */
		.has_picture = true,
		.has_more = true,
	};
}

void
rfb_quiet_probe_update(struct rfb_quiet_probe *p)
{
	p->has_picture = p->has_spot = false;
	p->has_more = p->n_asked == 0;
}

bool
rfb_quiet_probe_rect(struct rfb_quiet_probe *p, const struct rfb_rect *r)
{
	bool has_spot = p->x >= r->x && p->x - r->x < r->w && p->y >= r->y &&
	    p->y - r->y < r->h;

	p->has_picture = true;
	p->has_spot |= has_spot;
	if (!has_spot || r->w > RFB_QUIET_PROBE_WIDTH || r->h != 1)
		p->has_more = true;
	return !p->has_more;
}

enum rfb_quiet_probe_result
rfb_quiet_probe_end(struct rfb_quiet_probe *p)
{
	bool is_answer = p->has_spot && !p->has_more;
	bool is_unused = p->n_asked == 1 && !p->has_picture;

	p->is_spoilt |= p->has_spot && p->has_more && p->n_asked > 0;
	p->has_spot = false;
	p->has_picture = p->has_more = true;
	if (is_answer)
		return RFB_QUIET_ANSWERED;
	if (p->is_spoilt)
		return RFB_QUIET_ASK_OTHER;
	if (!is_unused)
		return RFB_QUIET_WAIT;
	p->n_asked++;
	return RFB_QUIET_ASK_AGAIN;
}
