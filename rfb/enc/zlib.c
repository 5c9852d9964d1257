/*
 * Zlib: Raw, deflated in one stream for the whole connection.
 * Source: community specification.
 */
#include "common/err.h"
#include "rfb/enc/enc.h"

static int
zlib_begin(struct enc *e)
{
	return 0;
}

static ssize_t
zlib_sink(struct enc *e, const uint8_t *p, size_t n)
{
	return enc_draw_pixels(e, &e->format->pixel, p, n);
}

static int
zlib_payload(struct enc *e, struct enc_span *s)
{
	const uint8_t *p;

	if (!e->has_header) {
		/* The length, which the framer obeys. */
		if (enc_want(e, s, 4) == NULL)
			return 0;
		enc_done(e, s, 4);
		e->has_header = true;
	}
	p = s->p;
	s->p = s->end;
	return enc_inflate(e, &e->zlib, p, (size_t)(s->end - p), zlib_sink);
}

static int
zlib_end(struct enc *e)
{
	if (!enc_is_drawn(e))
		return enc_fail(e, ERR_PROTOCOL, "Zlib data too short");
	return 0;
}

const struct enc_codec enc_zlib = {
	.encoding = RFB_ENC_ZLIB,
	.begin = zlib_begin,
	.payload = zlib_payload,
	.end = zlib_end,
};
