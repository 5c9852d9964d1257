/*
 * The framer's messages other than rectangles. A body is everything after
 * the type byte. Source: RFC 6143 section 7.6; Fence and
 * EndOfContinuousUpdates from the community specification.
 */
#include "common/bytes.h"
#include "common/err.h"
#include "rfb/framer_internal.h"

/* Body: padding, first colour, number of colours, 6 bytes each. */
static int
colour_map(struct rfb_framer *f, const uint8_t *h)
{
	framer_next(f, 6 * (uint64_t)load_be16(h + 3), 0, NULL);
	return 0;
}

/*
 * Body: 3 bytes of padding, a signed length. A negative one announces the
 * extended clipboard: flags, then zlib data.
 */
static int
cut_text(struct rfb_framer *f, const uint8_t *h)
{
	int64_t len = (int32_t)load_be32(h + 3);
	bool is_extended = len < 0;

	/* 64 bits hold the absolute value of INT32_MIN too. */
	if (is_extended)
		len = -len;
	if (is_extended && len < 4)
		return rfb_framer_fail(
		    f, ERR_PROTOCOL, "extended clipboard without flags");
	if (len > RFB_MAX_CUT_TEXT)
		return rfb_framer_fail(f, ERR_LIMIT, "cut text too long");
	framer_next(f, (uint64_t)len, 0, NULL);
	return 0;
}

/* Body: 3 bytes of padding, flags, length, payload: in one piece. */
static int
fence(struct rfb_framer *f, const uint8_t *h)
{
	size_t len = h[7];

	if (len > RFB_MAX_FENCE)
		return rfb_framer_fail(
		    f, ERR_PROTOCOL, "fence payload over 64 bytes");
	if (f->need < 8 + len) {
		f->need = 8 + len;
		return FRAMER_MORE;
	}
	framer_next(f, 0, 0, NULL);
	return 0;
}

static int
update(struct rfb_framer *f, const uint8_t *h)
{
	uint16_t n = load_be16(h + 2);
	int rc;

	f->rects_left = n;
	f->may_switch = true;
	framer_next(f, 0, 0, NULL);
	rc = rfb_framer_emit(f, RFB_FRAMER_MESSAGE, n);
	f->may_switch = false;
	return rc;
}

/* Reports a message whose body begins with a header of need bytes. */
static int
message(struct rfb_framer *f, size_t need, framer_step *step)
{
	int rc;

	framer_next(f, 0, need, step);
	rc = rfb_framer_emit(f, RFB_FRAMER_MESSAGE, 0);
	f->is_payload = true;
	f->may_switch = false;
	return rc;
}

int
rfb_framer_message_type(struct rfb_framer *f, const uint8_t *h)
{
	f->type = h[0];
	switch (h[0]) {
	case RFB_FRAMEBUFFER_UPDATE:
		/* Announced only with its count of rectangles. */
		f->may_switch = false;
		f->need = 4;
		f->step = update;
		return FRAMER_MORE;
	case RFB_SET_COLOUR_MAP:
		return message(f, 5, colour_map);
	case RFB_BELL:
	case RFB_END_OF_CONTINUOUS_UPDATES:
		return message(f, 0, NULL);
	case RFB_SERVER_CUT_TEXT:
		return message(f, 7, cut_text);
	case RFB_SERVER_FENCE:
		return message(f, 8, fence);
	default:
		return rfb_framer_fail(
		    f, ERR_PROTOCOL, "unknown message from the server");
	}
}
