/*
 * RRE and CoRRE: a background and subrectangles, places in 16 or 8 bits.
 * Source: RFC 6143 section 7.7.3; CoRRE from the community specification.
 */
#include "common/bytes.h"
#include "common/err.h"
#include "rfb/enc/enc.h"

/* Servers' subrectangles do not overlap. A few bytes that paint everything,
 * as many times as there are pixels, are an attack on the clock. */
#define MAX_PAINTED 8 /* times the rectangle */

struct place {
	uint16_t x, y, w, h;
};

static int
rre_begin(struct enc *e)
{
	e->n_painted = 0;
	return 0;
}

static bool
header(struct enc *e, struct enc_span *s)
{
	const struct enc_pixels *px = &e->format->pixel;
	const uint8_t *p = enc_want(e, s, 4u + px->len);

	if (p == NULL)
		return false;
	e->n_left = load_be32(p);
	enc_fill(e, 0, 0, e->w, e->h, enc_pixel(px, p + 4));
	enc_done(e, s, 4u + px->len);
	e->has_header = true;
	return true;
}

static int
draw(struct enc *e, const struct place *at, uint32_t pixel)
{
	if ((uint32_t)at->x + at->w > e->w || (uint32_t)at->y + at->h > e->h)
		return enc_fail(
		    e, ERR_PROTOCOL, "RRE subrectangle outside its rectangle");
	e->n_painted += (uint64_t)at->w * at->h;
	if (e->n_painted > MAX_PAINTED * (uint64_t)e->w * e->h)
		return enc_fail(
		    e, ERR_LIMIT, "RRE subrectangles drawn over each other");
	enc_fill(e, at->x, at->y, at->w, at->h, pixel);
	return 0;
}

static struct place
read_place(const uint8_t *p, size_t place_len)
{
	if (place_len == 4)
		return (struct place){ p[0], p[1], p[2], p[3] };
	return (struct place){ load_be16(p), load_be16(p + 2), load_be16(p + 4),
		load_be16(p + 6) };
}

static int
subrectangles(struct enc *e, struct enc_span *s, size_t place_len)
{
	const struct enc_pixels *px = &e->format->pixel;
	size_t len = px->len + place_len;
	struct place place;
	const uint8_t *p;
	int rc = 0;

	while (rc == 0 && e->n_left > 0) {
		p = enc_want(e, s, len);
		if (p == NULL)
			return 0;
		place = read_place(p + px->len, place_len);
		rc = draw(e, &place, enc_pixel(px, p));
		enc_done(e, s, len);
		e->n_left--;
	}
	return rc;
}

static int
payload(struct enc *e, struct enc_span *s, size_t place_len)
{
	if (!e->has_header && !header(e, s))
		return 0;
	return subrectangles(e, s, place_len);
}

static int
rre_payload(struct enc *e, struct enc_span *s)
{
	return payload(e, s, 8);
}

static int
corre_payload(struct enc *e, struct enc_span *s)
{
	return payload(e, s, 4);
}

static int
rre_end(struct enc *e)
{
	if (!e->has_header || e->n_left > 0)
		return enc_fail(e, ERR_PROTOCOL, "RRE data too short");
	return 0;
}

const struct enc_codec enc_rre = {
	.encoding = RFB_ENC_RRE,
	.begin = rre_begin,
	.payload = rre_payload,
	.end = rre_end,
};

const struct enc_codec enc_corre = {
	.encoding = RFB_ENC_CORRE,
	.begin = rre_begin,
	.payload = corre_payload,
	.end = rre_end,
};
