/*
 * Cursor With Alpha. A recording shows no cursor (T8), yet this one has to
 * be decoded: its pixels may come in an encoding whose zlib stream is the
 * screen's own. Source: community specification, pseudo-encoding -314.
 */
#include "common/bytes.h"
#include "common/err.h"
#include "rfb/enc/enc.h"

/* Inside it pixels are R, G, B, A whatever format is set; nobody looks at
 * the colours. Depth 32 keeps CPIXEL and TPIXEL at 4 bytes. */
static const struct rfb_pixel_format rgba = {
	.bits_per_pixel = 32,
	.depth = 32,
	.true_colour = true,
	.red_max = 255,
	.green_max = 255,
	.blue_max = 255,
	.red_shift = 0,
	.green_shift = 8,
	.blue_shift = 16,
};

static int
cursor_begin(struct enc *e)
{
	size_t area = (size_t)e->w * e->h;
	int rc;

	e->inner = NULL;
	if (e->w > RFB_MAX_CURSOR || e->h > RFB_MAX_CURSOR)
		return enc_fail(e, ERR_LIMIT, "cursor too large");
	if (enc_format_set(&e->cursor_format, &rgba) != 0)
		return enc_fail(e, ERR_NOMEM, "out of memory");
	rc = enc_grow(e, (void **)&e->cursor, &e->cursor_cap,
	    (area + 1) * sizeof(*e->cursor));
	e->at = e->cursor;
	e->stride = e->w;
	e->format = &e->cursor_format;
	return rc;
}

static int
begin_inner(struct enc *e, int32_t encoding)
{
	e->inner = enc_find_picture(encoding);
	if (e->inner == NULL || e->inner == &enc_copyrect)
		return enc_fail(
		    e, ERR_PROTOCOL, "unknown encoding inside a cursor");
	return e->inner->begin(e);
}

static int
cursor_payload(struct enc *e, struct enc_span *s)
{
	const uint8_t *p;
	int rc = 0;

	if (e->inner == NULL) {
		p = enc_want(e, s, 4);
		if (p == NULL)
			return 0;
		rc = begin_inner(e, (int32_t)load_be32(p));
		enc_done(e, s, 4);
	}
	if (rc != 0 || s->p == s->end)
		return rc;
	return e->inner->payload(e, s);
}

static int
cursor_end(struct enc *e)
{
	if (e->inner == NULL)
		return enc_fail(e, ERR_PROTOCOL, "cursor without an encoding");
	return e->inner->end(e);
}

const struct enc_codec enc_cursor_alpha = {
	.encoding = RFB_ENC_CURSOR_ALPHA,
	.begin = cursor_begin,
	.payload = cursor_payload,
	.end = cursor_end,
};
