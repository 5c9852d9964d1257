#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "rfb/client_messages.h"
#include "rfb/pixel_format_switch.h"

/* Marks a fence as ours; the number of the fence follows. */
static const uint8_t magic[4] = { 'R', 'c', 'P', 'f' };

void
rfb_format_switch_init(struct rfb_format_switch *s,
    const struct rfb_pixel_format *initial, bool is_strict)
{
	memset(s, 0, sizeof(*s));
	s->current = *initial;
	s->is_strict = is_strict;
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
static void
write_fence(uint8_t *p, uint32_t number)
{
	p[0] = RFB_CLIENT_FENCE;
	memset(p + 1, 0, 3);
	store_be32(p + 4, RFB_FENCE_REQUEST | RFB_FENCE_SYNC_NEXT);
	p[8] = RFB_FORMAT_FENCE_DATA;
	memcpy(p + 9, magic, sizeof(magic));
	store_be32(p + 13, number);
}

/* The format that the viewer has asked for last. */
static const struct rfb_pixel_format *
newest(const struct rfb_format_switch *s)
{
	return s->n_pending > 0 ? &s->pending[s->n_pending - 1].pf
				: &s->current;
}

/*
 * An end proves the border only while no request is under way: the endpoint
 * may answer one between the end and the new format. No fence is sent with a
 * request unanswered: neatvnc (May 2026) stops reading from a viewer whose
 * fence meets one.
 */
static enum rfb_format_action
choose(struct rfb_format_switch *s, enum rfb_format_wait *wait)
{
	*wait = RFB_FORMAT_READY;
	if (rfb_format_switch_is_quiet(s))
		return RFB_FORMAT_SEND;
	if (s->ends_due > 0 && !s->is_continuous && s->under_way == 0) {
		*wait = RFB_FORMAT_AFTER_END;
		return RFB_FORMAT_SEND;
	}
	if (s->has_fence && s->unanswered == 0) {
		*wait = RFB_FORMAT_AFTER_FENCE;
		return RFB_FORMAT_SEND_FENCED;
	}
	if (s->is_strict)
		return RFB_FORMAT_HOLD;
	s->n_guesses++;
	return RFB_FORMAT_SEND;
}

int
rfb_format_switch_on_set_format(struct rfb_format_switch *s,
    const struct rfb_pixel_format *pf, uint8_t fence[RFB_FORMAT_FENCE_LEN],
    enum rfb_format_action *action)
{
	struct rfb_pending_format p = { .pf = *pf };

	*action = RFB_FORMAT_SWALLOW;
	if (rfb_pixel_format_equal(newest(s), pf))
		return 0;
	if (s->n_pending == RFB_PENDING_FORMATS)
		return ERR_LIMIT;
	*action = choose(s, &p.wait);
	if (*action == RFB_FORMAT_HOLD)
		return 0;
	if (p.wait == RFB_FORMAT_AFTER_END) {
		p.count = s->ends_due;
	} else if (p.wait == RFB_FORMAT_AFTER_FENCE) {
		p.count = ++s->n_fences;
		write_fence(fence, p.count);
	}
	s->pending[s->n_pending++] = p;
	return 0;
}

void
rfb_format_switch_on_request(struct rfb_format_switch *s)
{
	if (s->unanswered < UINT32_MAX)
		s->unanswered++;
	if (s->under_way < UINT32_MAX)
		s->under_way++;
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
	s->has_picture = false;
	while (n < s->n_pending && s->pending[n].wait == RFB_FORMAT_READY)
		s->current = s->pending[n++].pf;
	s->n_pending -= n;
	memmove(
	    s->pending, s->pending + n, s->n_pending * sizeof(s->pending[0]));
	return n > 0 && !rfb_pixel_format_equal(&before, &s->current);
}

/* Continuous updates may have been on their way before a request was read:
 * they answer none for certain. */
void
rfb_format_switch_on_picture(struct rfb_format_switch *s)
{
	if (s->has_picture)
		return;
	s->has_picture = true;
	if (s->under_way > 0 && !s->is_continuous && s->ends_due == 0)
		s->under_way--;
}

void
rfb_format_switch_on_quiet(struct rfb_format_switch *s)
{
	s->under_way = 0;
}
