/*
 * Pixels of every legal format to B, G, R, 255. Formats with a byte a
 * colour only move bytes; 8- and 16-bit pixels go through a table; what is
 * left (10 bits a colour) is computed.
 */
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "rfb/enc/enc.h"

static uint32_t
load_le32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* B, G, R, anything: what nearly every server sends. */
static void
row_bgrx(
    const struct enc_pixels *px, uint32_t *dst, const uint8_t *src, size_t n)
{
	for (size_t i = 0; i < n; i++)
		dst[i] = load_le32(src + 4 * i) | ENC_BLACK;
}

static uint32_t
bgr(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | ENC_BLACK;
}

static uint32_t
rgb(const uint8_t *p)
{
	return p[2] | (uint32_t)p[1] << 8 | (uint32_t)p[0] << 16 | ENC_BLACK;
}

/* The CPIXEL of the usual format. All but the last are read as words,
 * which take one byte of the pixel that follows. */
static void
row_bgr(
    const struct enc_pixels *px, uint32_t *dst, const uint8_t *src, size_t n)
{
	for (; n > 1; n--, src += 3)
		*dst++ = load_le32(src) | ENC_BLACK;
	if (n > 0)
		*dst = bgr(src);
}

/* The TPIXEL of the usual format. */
static void
row_rgb(
    const struct enc_pixels *px, uint32_t *dst, const uint8_t *src, size_t n)
{
	for (; n > 1; n--, src += 3)
		*dst++ = __builtin_bswap32(load_le32(src)) >> 8 | ENC_BLACK;
	if (n > 0)
		*dst = rgb(src);
}

static void
row_bytes(
    const struct enc_pixels *px, uint32_t *dst, const uint8_t *src, size_t n)
{
	for (size_t i = 0; i < n; i++, src += px->len)
		dst[i] = src[px->blue_at] | (uint32_t)src[px->green_at] << 8 |
		    (uint32_t)src[px->red_at] << 16 | ENC_BLACK;
}

static void
row_table8(
    const struct enc_pixels *px, uint32_t *dst, const uint8_t *src, size_t n)
{
	for (size_t i = 0; i < n; i++)
		dst[i] = px->table[src[i]];
}

static void
row_table16(
    const struct enc_pixels *px, uint32_t *dst, const uint8_t *src, size_t n)
{
	for (size_t i = 0; i < n; i++, src += 2)
		dst[i] = px->table[src[0] | (unsigned)src[1] << 8];
}

/* To 0..255, rounded. */
static uint32_t
scale(uint32_t value, uint8_t shift, uint16_t max)
{
	uint32_t c = value >> shift & rfb_channel_mask(max);

	if (c > max)
		c = max;
	return max == 0 ? 0 : (c * 255 + max / 2) / max;
}

static uint32_t
from_value(const struct rfb_pixel_format *pf, uint32_t v)
{
	return scale(v, pf->blue_shift, pf->blue_max) |
	    scale(v, pf->green_shift, pf->green_max) << 8 |
	    scale(v, pf->red_shift, pf->red_max) << 16 | ENC_BLACK;
}

static uint32_t
read_value(const struct enc_pixels *px, const uint8_t *p)
{
	uint32_t v = 0;

	for (unsigned i = 0; i < px->len; i++)
		v |= (uint32_t)p[px->pf.big_endian ? px->len - 1 - i : i]
		    << 8 * i;
	return v << px->left;
}

static void
row_values(
    const struct enc_pixels *px, uint32_t *dst, const uint8_t *src, size_t n)
{
	for (size_t i = 0; i < n; i++, src += px->len)
		dst[i] = from_value(&px->pf, read_value(px, src));
}

/* Indexed by the pixel as it lies in memory, whatever its byte order. */
static void
fill_table(uint32_t *table, const struct rfb_pixel_format *pf)
{
	uint32_t n = 1u << pf->bits_per_pixel;
	bool is_swapped = pf->bits_per_pixel == 16 && pf->big_endian;

	for (uint32_t i = 0; i < n; i++)
		table[i] = from_value(
		    pf, is_swapped ? __builtin_bswap16((uint16_t)i) : i);
}

static bool
is_byte_a_colour(const struct rfb_pixel_format *pf)
{
	return pf->bits_per_pixel == 32 && pf->red_max == 255 &&
	    pf->green_max == 255 && pf->blue_max == 255 &&
	    pf->red_shift % 8 == 0 && pf->green_shift % 8 == 0 &&
	    pf->blue_shift % 8 == 0;
}

/* Where a colour's byte stands in a pixel that begins with byte first. */
static uint8_t
byte_at(const struct rfb_pixel_format *pf, uint8_t shift, unsigned first)
{
	unsigned at = shift / 8u;

	return (uint8_t)((pf->big_endian ? 3 - at : at) - first);
}

static bool
is_order(const struct enc_pixels *px, unsigned len, unsigned red, unsigned blue)
{
	return px->len == len && px->red_at == red && px->green_at == 1 &&
	    px->blue_at == blue;
}

static enc_row_fn *
row_of_bytes(const struct enc_pixels *px)
{
	if (is_order(px, 4, 2, 0))
		return row_bgrx;
	if (is_order(px, 3, 2, 0))
		return row_bgr;
	if (is_order(px, 3, 0, 2))
		return row_rgb;
	return row_bytes;
}

/* 32-bit pixels of which len bytes are sent, from byte first on. */
static struct enc_pixels
wide_pixels(const struct rfb_pixel_format *pf, size_t len, unsigned first)
{
	struct enc_pixels px = { .len = (uint8_t)len, .pf = *pf };
	bool has_high = len == 3 && (first == 1) != pf->big_endian;

	px.left = has_high ? 8 : 0;
	if (!is_byte_a_colour(pf)) {
		px.row = row_values;
		return px;
	}
	px.red_at = byte_at(pf, pf->red_shift, first);
	px.green_at = byte_at(pf, pf->green_shift, first);
	px.blue_at = byte_at(pf, pf->blue_shift, first);
	px.row = row_of_bytes(&px);
	return px;
}

/*
 * The first byte of a pixel that a 3-byte CPIXEL has: the one left out is
 * the lowest or the highest. Where both are empty, byte 0 is kept, as
 * TigerVNC does; the RFC does not say.
 */
static unsigned
cpixel_first(const struct rfb_pixel_format *pf)
{
	uint32_t used = (uint32_t)rfb_channel_mask(pf->red_max)
		<< pf->red_shift |
	    (uint32_t)rfb_channel_mask(pf->green_max) << pf->green_shift |
	    (uint32_t)rfb_channel_mask(pf->blue_max) << pf->blue_shift;

	return (used & (pf->big_endian ? 0xffu : 0xff000000u)) != 0;
}

static void
set_wide(struct enc_format *f)
{
	const struct rfb_pixel_format *pf = &f->pf;
	size_t c = rfb_cpixel_len(pf);

	f->pixel = wide_pixels(pf, 4, 0);
	f->cpixel = wide_pixels(pf, c, c == 3 ? cpixel_first(pf) : 0);
	f->tpixel = f->pixel;
	if (rfb_tpixel_len(pf) == 3)
		f->tpixel = (struct enc_pixels){
			.len = 3,
			.pf = *pf,
			.row = row_rgb,
			.green_at = 1,
			.blue_at = 2,
		};
}

static int
set_narrow(struct enc_format *f, const struct rfb_pixel_format *pf)
{
	struct enc_pixels px = {
		.len = pf->bits_per_pixel / 8,
		.pf = *pf,
		.row = pf->bits_per_pixel == 8 ? row_table8 : row_table16,
	};

	if (f->table == NULL)
		f->table = malloc(65536 * sizeof(*f->table));
	if (f->table == NULL)
		return ERR_NOMEM;
	fill_table(f->table, pf);
	px.table = f->table;
	f->pixel = f->cpixel = f->tpixel = px;
	return 0;
}

int
enc_format_set(struct enc_format *f, const struct rfb_pixel_format *pf)
{
	if (pf->bits_per_pixel != 32 && set_narrow(f, pf) != 0)
		return ERR_NOMEM;
	f->pf = *pf;
	if (pf->bits_per_pixel == 32)
		set_wide(f);
	return 0;
}

void
enc_format_release(struct enc_format *f)
{
	free(f->table);
}
