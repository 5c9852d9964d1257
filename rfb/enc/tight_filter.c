/*
 * Tight's filters, as sinks of inflated bytes.
 * Source: community specification, "Tight Encoding".
 */
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "rfb/enc/enc.h"

ssize_t
enc_tight_copy(struct enc *e, const uint8_t *p, size_t n)
{
	return enc_draw_pixels(e, &e->format->tpixel, p, n);
}

static ssize_t
bad_index(struct enc *e)
{
	return enc_fail(e, ERR_PROTOCOL, "Tight palette index out of range");
}

/* A bit a pixel, the high one first; each row begins with a new byte. */
static void
mono_row(const uint32_t *palette, uint32_t *dst, const uint8_t *p, size_t w)
{
	size_t i;

	for (; w >= 8; w -= 8, dst += 8, p++) {
		for (i = 0; i < 8; i++)
			dst[i] = palette[*p >> (7 - i) & 1];
	}
	for (i = 0; i < w; i++)
		dst[i] = palette[*p >> (7 - i) & 1];
}

/* A palette of one has no second colour. */
static bool
has_set_bit(const uint8_t *p, size_t w)
{
	for (; w >= 8; w -= 8, p++) {
		if (*p != 0)
			return true;
	}
	return w > 0 && *p >> (8 - w) != 0;
}

ssize_t
enc_tight_mono(struct enc *e, const uint8_t *p, size_t n)
{
	size_t row = (e->w + 7u) / 8;
	const uint8_t *from = p, *end = p + n;

	for (; (size_t)(end - p) >= row && !enc_is_drawn(e); p += row) {
		if (e->tight.n_colours < 2 && has_set_bit(p, e->w))
			return bad_index(e);
		mono_row(e->palette, e->at + e->y * e->stride, p, e->w);
		e->y++;
	}
	return p - from;
}

/* Returns the highest index; palette entries not in use are black. */
static unsigned
indexed_run(const uint32_t *palette, uint32_t *dst, const uint8_t *p, size_t n)
{
	unsigned highest = 0;

	for (size_t i = 0; i < n; i++) {
		dst[i] = palette[p[i]];
		highest = p[i] > highest ? p[i] : highest;
	}
	return highest;
}

ssize_t
enc_tight_indexed(struct enc *e, const uint8_t *p, size_t n)
{
	const uint8_t *from = p, *end = p + n;
	size_t k;

	while (p < end && !enc_is_drawn(e)) {
		k = min_size((size_t)(end - p), (size_t)(e->w - e->x));
		if (indexed_run(e->palette, e->at + e->y * e->stride + e->x, p,
			k) >= e->tight.n_colours)
			return bad_index(e);
		p += k;
		e->x += k;
		if (e->x == e->w) {
			e->x = 0;
			e->y++;
		}
	}
	return p - from;
}

/* Gradient: each colour is sent as its difference from this guess, which is
 * cut to what the colour can hold. */
static int
guess(int left, int above, int above_left, int max)
{
	int v = left + above - above_left;

	return v < 0 ? 0 : v > max ? max : v;
}

static uint32_t
read_value(const struct rfb_pixel_format *pf, const uint8_t *p)
{
	if (pf->bits_per_pixel == 16)
		return pf->big_endian ? load_be16(p) : p[0] | p[1] << 8;
	return pf->big_endian ? load_be32(p) : __builtin_bswap32(load_be32(p));
}

static void
write_value(const struct rfb_pixel_format *pf, uint8_t *p, uint32_t v)
{
	unsigned len = pf->bits_per_pixel / 8;

	for (unsigned i = 0; i < len; i++)
		p[pf->big_endian ? len - 1 - i : i] = (uint8_t)(v >> 8 * i);
}

/* The three differences of the pixel at p. */
static void
read_parts(const struct enc_pixels *px, const uint8_t *p, uint16_t *parts)
{
	const struct rfb_pixel_format *pf = &px->pf;
	uint32_t v;

	if (px->len == 3) {
		parts[0] = p[0];
		parts[1] = p[1];
		parts[2] = p[2];
		return;
	}
	v = read_value(pf, p);
	parts[0] = v >> pf->red_shift & pf->red_max;
	parts[1] = v >> pf->green_shift & pf->green_max;
	parts[2] = v >> pf->blue_shift & pf->blue_max;
}

static uint32_t
from_parts(const struct enc_pixels *px, const uint16_t *parts)
{
	const struct rfb_pixel_format *pf = &px->pf;
	uint8_t wire[4];

	if (px->len == 3)
		return parts[2] | (uint32_t)parts[1] << 8 |
		    (uint32_t)parts[0] << 16 | ENC_BLACK;
	write_value(pf, wire,
	    (uint32_t)parts[0] << pf->red_shift |
		(uint32_t)parts[1] << pf->green_shift |
		(uint32_t)parts[2] << pf->blue_shift);
	return enc_pixel(px, wire);
}

/* above and now: rows with a black pixel in front, 3 values a pixel. */
static void
gradient_row(const struct enc_pixels *px, uint32_t *dst, const uint8_t *p,
    size_t w, const uint16_t *above, uint16_t *now)
{
	const uint16_t max[3] = { px->pf.red_max, px->pf.green_max,
		px->pf.blue_max };
	uint16_t parts[3];

	for (size_t x = 0; x < w; x++, p += px->len) {
		read_parts(px, p, parts);
		for (size_t c = 0; c < 3; c++) {
			parts[c] += guess(now[3 * x + c], above[3 * x + 3 + c],
			    above[3 * x + c], max[c]);
			parts[c] &= max[c];
			now[3 * x + 3 + c] = parts[c];
		}
		dst[x] = from_parts(px, parts);
	}
}

#define GRADIENT_ROW (3 * (ENC_TIGHT_MAX_WIDTH + 1))

/* Two rows; the one above the first is black. */
static int
open_gradient(struct enc *e)
{
	if (e->gradient == NULL)
		e->gradient = malloc(2 * GRADIENT_ROW * sizeof(*e->gradient));
	if (e->gradient == NULL)
		return enc_fail(e, ERR_NOMEM, "out of memory");
	if (e->y == 0)
		memset(e->gradient, 0, 2 * GRADIENT_ROW * sizeof(*e->gradient));
	return 0;
}

ssize_t
enc_tight_gradient(struct enc *e, const uint8_t *p, size_t n)
{
	const struct enc_pixels *px = &e->format->tpixel;
	size_t row = (size_t)e->w * px->len;
	const uint8_t *from = p, *end = p + n;
	uint16_t *above, *now;

	if (open_gradient(e) != 0)
		return ERR_NOMEM;
	for (; (size_t)(end - p) >= row && !enc_is_drawn(e); p += row) {
		now = e->gradient + (e->y % 2) * GRADIENT_ROW;
		above = e->gradient + ((e->y + 1) % 2) * GRADIENT_ROW;
		gradient_row(px, e->at + e->y * e->stride, p, e->w, above, now);
		e->y++;
	}
	return p - from;
}
