/*
 * Hextile: tiles of 16x16, each raw, or a background with subrectangles.
 * Source: RFC 6143 section 7.7.4.
 */
#include "common/bytes.h"
#include "common/err.h"
#include "rfb/enc/enc.h"

#define TILE 16

/* As for RRE: subrectangles of servers do not overlap. */
#define MAX_PAINTED 8 /* times the tile */

enum hextile_bit {
	HEXTILE_RAW = 1,
	HEXTILE_BACKGROUND = 2,
	HEXTILE_FOREGROUND = 4,
	HEXTILE_SUBRECTS = 8,
	HEXTILE_COLOURED = 16,
};

static int
hextile_begin(struct enc *e)
{
	/* A first tile that names no colours gets these. */
	e->colours = (struct enc_colours){ ENC_BLACK, ENC_BLACK };
	return 0;
}

static size_t
tile_w(const struct enc *e)
{
	return min_size(TILE, (size_t)(e->w - e->x));
}

static size_t
tile_h(const struct enc *e)
{
	return min_size(TILE, (size_t)(e->h - e->y));
}

static void
next_tile(struct enc *e)
{
	e->x += tile_w(e);
	if (e->x < e->w)
		return;
	e->x = 0;
	e->y += tile_h(e);
}

/* Bytes up to and with the count of subrectangles. */
static size_t
head_len(uint8_t bits, size_t pixel_len)
{
	size_t colours = (bits >> 1 & 1) + (bits >> 2 & 1);

	if ((bits & HEXTILE_RAW) != 0)
		return 1;
	return 1 + colours * pixel_len + (bits >> 3 & 1);
}

static size_t
subrect_len(const struct enc *e, uint8_t bits)
{
	return 2 + ((bits & HEXTILE_COLOURED) != 0 ? e->format->pixel.len : 0u);
}

static size_t
body_len(const struct enc *e, const uint8_t *p, size_t head)
{
	if ((p[0] & HEXTILE_RAW) != 0)
		return tile_w(e) * tile_h(e) * e->format->pixel.len;
	if ((p[0] & HEXTILE_SUBRECTS) == 0)
		return 0;
	return p[head - 1] * subrect_len(e, p[0]);
}

static void
raw_tile(struct enc *e, const uint8_t *p)
{
	const struct enc_pixels *px = &e->format->pixel;
	size_t w = tile_w(e), h = tile_h(e);
	uint32_t *row = e->at + e->y * e->stride + e->x;

	for (; h > 0; h--, row += e->stride, p += w * px->len)
		px->row(px, row, p, w);
}

static void
read_colours(struct enc *e, const uint8_t *p)
{
	const struct enc_pixels *px = &e->format->pixel;
	uint8_t bits = *p++;

	if ((bits & HEXTILE_BACKGROUND) != 0) {
		e->colours.background = enc_pixel(px, p);
		p += px->len;
	}
	if ((bits & HEXTILE_FOREGROUND) != 0)
		e->colours.foreground = enc_pixel(px, p);
}

/* place: x and y, then w - 1 and h - 1, four bits each. */
static int
subrect(struct enc *e, const uint8_t *place, uint32_t pixel)
{
	size_t x = place[0] >> 4, y = place[0] & 15;
	size_t w = (place[1] >> 4) + 1, h = (place[1] & 15) + 1;

	if (x + w > tile_w(e) || y + h > tile_h(e))
		return enc_fail(
		    e, ERR_PROTOCOL, "Hextile subrectangle outside its tile");
	e->n_painted += w * h;
	if (e->n_painted > MAX_PAINTED * tile_w(e) * tile_h(e))
		return enc_fail(e, ERR_LIMIT,
		    "Hextile subrectangles drawn over each other");
	enc_fill(e, e->x + x, e->y + y, w, h, pixel);
	return 0;
}

/* p: n subrectangles. */
static int
subrects(struct enc *e, uint8_t bits, const uint8_t *p, size_t n)
{
	const struct enc_pixels *px = &e->format->pixel;
	uint32_t pixel = e->colours.foreground;
	int rc = 0;

	e->n_painted = 0;
	for (; n > 0 && rc == 0; n--) {
		if ((bits & HEXTILE_COLOURED) != 0) {
			pixel = enc_pixel(px, p);
			p += px->len;
		}
		rc = subrect(e, p, pixel);
		p += 2;
	}
	return rc;
}

static int
draw_tile(struct enc *e, const uint8_t *p, size_t head)
{
	if ((p[0] & HEXTILE_RAW) != 0) {
		raw_tile(e, p + 1);
		return 0;
	}
	read_colours(e, p);
	enc_fill(e, e->x, e->y, tile_w(e), tile_h(e), e->colours.background);
	if ((p[0] & HEXTILE_SUBRECTS) == 0)
		return 0;
	return subrects(e, p[0], p + head, p[head - 1]);
}

static int
hextile_payload(struct enc *e, struct enc_span *s)
{
	const uint8_t *p;
	size_t head, len;
	int rc = 0;

	while (rc == 0 && s->p < s->end && !enc_is_drawn(e)) {
		p = enc_want(e, s, e->n_kept > 0 ? e->n_kept : 1);
		if (p == NULL)
			return 0;
		head = head_len(p[0], e->format->pixel.len);
		/* What was kept may be longer than the head by now. */
		if (e->n_kept < head && (p = enc_want(e, s, head)) == NULL)
			return 0;
		len = head + body_len(e, p, head);
		p = enc_want(e, s, len);
		if (p == NULL)
			return 0;
		rc = draw_tile(e, p, head);
		enc_done(e, s, len);
		next_tile(e);
	}
	return rc;
}

static int
hextile_end(struct enc *e)
{
	if (!enc_is_drawn(e))
		return enc_fail(e, ERR_PROTOCOL, "Hextile data too short");
	return 0;
}

const struct enc_codec enc_hextile = {
	.encoding = RFB_ENC_HEXTILE,
	.begin = hextile_begin,
	.payload = hextile_payload,
	.end = hextile_end,
};
