#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "rfb/client_messages.h"
#include "rfb/pixel_format_switch.h"

/* Marks a fence as ours; the number of the fence follows. */
static const uint8_t magic[4] = { 'R', 'c', 'P', 'f' };

void
rfb_format_switch_init(
    struct rfb_format_switch *s, const struct rfb_pixel_format *initial)
{
	memset(s, 0, sizeof(*s));
	s->current = *initial;
}

void
rfb_format_switch_set_fence(struct rfb_format_switch *s, bool has_fence)
{
	s->has_fence = has_fence;
}

/*
 * A ClientFence with Request and SyncNext: the endpoint answers it when it
 * has dealt with the message behind it, before anything it sends later.
 */
static size_t
write_fence(uint8_t *p, uint32_t number)
{
	p[0] = RFB_CLIENT_FENCE;
	memset(p + 1, 0, 3);
	store_be32(p + 4, RFB_FENCE_REQUEST | RFB_FENCE_SYNC_NEXT);
	p[8] = RFB_FORMAT_FENCE_DATA;
	memcpy(p + 9, magic, sizeof(magic));
	store_be32(p + 13, number);
	return RFB_FORMAT_FENCE_LEN;
}

/*
 * With a request unanswered no fence is sent: neatvnc (May 2026) stops
 * reading from a viewer whose fence meets one.
 */
static enum rfb_format_wait
choose_wait(const struct rfb_format_switch *s)
{
	if (s->ends_due > 0)
		return RFB_FORMAT_AFTER_END;
	if (s->is_continuous && s->has_fence && s->unanswered == 0)
		return RFB_FORMAT_AFTER_FENCE;
	return RFB_FORMAT_READY;
}

int
rfb_format_switch_on_set_format(struct rfb_format_switch *s,
    const struct rfb_pixel_format *pf, uint8_t fence[RFB_FORMAT_FENCE_LEN],
    size_t *fence_len)
{
	struct rfb_pending_format *p = &s->pending[s->n_pending];

	*fence_len = 0;
	if (s->n_pending == RFB_PENDING_FORMATS)
		return ERR_LIMIT;
	*p = (struct rfb_pending_format){ .pf = *pf, .wait = choose_wait(s) };
	s->n_pending++;
	if (p->wait == RFB_FORMAT_AFTER_END) {
		p->count = s->ends_due;
	} else if (p->wait == RFB_FORMAT_AFTER_FENCE) {
		p->count = ++s->n_fences;
		*fence_len = write_fence(fence, p->count);
	} else if (s->is_continuous || s->unanswered > 0) {
		s->n_guesses++;
	}
	return 0;
}

void
rfb_format_switch_on_request(struct rfb_format_switch *s)
{
	if (s->unanswered < UINT32_MAX)
		s->unanswered++;
}

void
rfb_format_switch_on_continuous(struct rfb_format_switch *s, bool is_enabled)
{
	s->is_continuous = is_enabled;
	if (!is_enabled && s->ends_due < UINT32_MAX)
		s->ends_due++;
}

/* The first one only says that the endpoint knows continuous updates. */
void
rfb_format_switch_on_end_of_continuous(struct rfb_format_switch *s)
{
	if (!s->is_announced) {
		s->is_announced = true;
		return;
	}
	if (s->ends_due == 0)
		return;
	s->ends_due--;
	for (size_t i = 0; i < s->n_pending; i++) {
		if (s->pending[i].wait == RFB_FORMAT_AFTER_END &&
		    --s->pending[i].count == 0)
			s->pending[i].wait = RFB_FORMAT_READY;
	}
}

/* Endpoints read in order: an answer settles all earlier fences too. */
bool
rfb_format_switch_on_fence(struct rfb_format_switch *s, uint32_t flags,
    const uint8_t *data, size_t len)
{
	uint32_t number;

	if ((flags & RFB_FENCE_REQUEST) != 0 || len != RFB_FORMAT_FENCE_DATA ||
	    memcmp(data, magic, sizeof(magic)) != 0)
		return false;
	number = load_be32(data + sizeof(magic));
	for (size_t i = 0; i < s->n_pending; i++) {
		if (s->pending[i].wait == RFB_FORMAT_AFTER_FENCE &&
		    s->pending[i].count <= number)
			s->pending[i].wait = RFB_FORMAT_READY;
	}
	return true;
}

/* Formats take effect in the order of their announcement. */
bool
rfb_format_switch_on_update(struct rfb_format_switch *s)
{
	struct rfb_pixel_format before = s->current;
	size_t n = 0;

	s->unanswered = 0;
	while (n < s->n_pending && s->pending[n].wait == RFB_FORMAT_READY)
		s->current = s->pending[n++].pf;
	s->n_pending -= n;
	memmove(
	    s->pending, s->pending + n, s->n_pending * sizeof(s->pending[0]));
	return n > 0 && !rfb_pixel_format_equal(&before, &s->current);
}
