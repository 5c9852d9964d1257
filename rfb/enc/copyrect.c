/* CopyRect: a part of the picture moves. Source: RFC 6143 section 7.7.2. */
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "rfb/enc/enc.h"

/* Rows in the order in which none is overwritten before it was read. */
static void
move(struct enc *e, const uint32_t *from)
{
	bool is_down = from < e->at;
	size_t row;

	for (size_t i = 0; i < e->h; i++) {
		row = is_down ? e->h - 1 - i : i;
		memmove(e->at + row * e->stride, from + row * e->stride,
		    e->w * sizeof(*from));
	}
}

static int
copyrect_begin(struct enc *e)
{
	return 0;
}

static int
copyrect_payload(struct enc *e, struct enc_span *s)
{
	const uint8_t *p = enc_want(e, s, 4);
	uint32_t x, y;

	if (p == NULL)
		return 0;
	x = load_be16(p);
	y = load_be16(p + 2);
	if (x + e->w > e->width || y + e->h > e->height)
		return enc_fail(
		    e, ERR_PROTOCOL, "CopyRect from outside the framebuffer");
	move(e, e->pixels + y * e->stride + x);
	enc_done(e, s, 4);
	e->has_header = true;
	return 0;
}

static int
copyrect_end(struct enc *e)
{
	if (!e->has_header)
		return enc_fail(e, ERR_PROTOCOL, "CopyRect without a source");
	return 0;
}

const struct enc_codec enc_copyrect = {
	.encoding = RFB_ENC_COPYRECT,
	.begin = copyrect_begin,
	.payload = copyrect_payload,
	.end = copyrect_end,
};
