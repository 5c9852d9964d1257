/* Raw: pixels in reading order. Source: RFC 6143 section 7.7.1. */
#include "common/err.h"
#include "rfb/enc/enc.h"

static int
raw_begin(struct enc *e)
{
	return 0;
}

static int
raw_payload(struct enc *e, struct enc_span *s)
{
	const struct enc_pixels *px = &e->format->pixel;
	const uint8_t *p;

	while (s->p < s->end && !enc_is_drawn(e)) {
		/* Once for a pixel that two pieces share. */
		p = enc_want(e, s, px->len);
		if (p == NULL)
			return 0;
		if (e->n_kept > 0) {
			enc_draw_pixels(e, px, p, px->len);
			enc_done(e, s, px->len);
		} else {
			s->p +=
			    enc_draw_pixels(e, px, p, (size_t)(s->end - s->p));
		}
	}
	return 0;
}

static int
raw_end(struct enc *e)
{
	if (!enc_is_drawn(e))
		return enc_fail(e, ERR_PROTOCOL, "Raw data too short");
	return 0;
}

const struct enc_codec enc_raw = {
	.encoding = RFB_ENC_RAW,
	.begin = raw_begin,
	.payload = raw_payload,
	.end = raw_end,
};
