#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "rfb/pixel_format.h"

const struct rfb_pixel_format rfb_pixel_format_usual = {
	.bits_per_pixel = 32,
	.depth = 24,
	.true_colour = true,
	.red_max = 255,
	.green_max = 255,
	.blue_max = 255,
	.red_shift = 16,
	.green_shift = 8,
	.blue_shift = 0,
};

const struct rfb_pixel_format rfb_pixel_format_bgr233 = {
	.bits_per_pixel = 8,
	.depth = 8,
	.true_colour = true,
	.red_max = 7,
	.green_max = 7,
	.blue_max = 3,
	.red_shift = 0,
	.green_shift = 3,
	.blue_shift = 6,
};

/*
 * 2^n - 1, or the 2 that SSVNC has for eight colours. With any other maximum
 * servers disagree about the values that they send: QEMU counts its bits.
 */
static bool
is_max_legal(uint16_t max)
{
	return max == 2 || (max != 0 && (max & (max + 1)) == 0);
}

static bool
channel_fits(uint16_t max, uint8_t shift, uint8_t bits_per_pixel)
{
	unsigned n = 0;

	while (max >> n != 0)
		n++;
	return is_max_legal(max) && shift + n <= bits_per_pixel;
}

/* The bits of the pixel that carry this channel. */
static uint32_t
channel_bits(uint16_t max, uint8_t shift)
{
	return (uint32_t)rfb_channel_mask(max) << shift;
}

static uint32_t
colour_bits(const struct rfb_pixel_format *pf)
{
	return channel_bits(pf->red_max, pf->red_shift) |
	    channel_bits(pf->green_max, pf->green_shift) |
	    channel_bits(pf->blue_max, pf->blue_shift);
}

static bool
is_size_legal(const struct rfb_pixel_format *pf)
{
	if (pf->depth > pf->bits_per_pixel)
		return false;
	return pf->bits_per_pixel == 8 || pf->bits_per_pixel == 16 ||
	    pf->bits_per_pixel == 32;
}

int
rfb_pixel_format_parse(struct rfb_pixel_format *pf, const uint8_t *p)
{
	struct rfb_pixel_format in = {
		.bits_per_pixel = p[0],
		.depth = p[1],
		.big_endian = p[2] != 0,
		.true_colour = p[3] != 0,
		.red_max = load_be16(p + 4),
		.green_max = load_be16(p + 6),
		.blue_max = load_be16(p + 8),
		.red_shift = p[10],
		.green_shift = p[11],
		.blue_shift = p[12],
	};

	if (!is_size_legal(&in))
		return ERR_PROTOCOL;
	if (!in.true_colour)
		return ERR_UNSUPPORTED;
	if (!channel_fits(in.red_max, in.red_shift, in.bits_per_pixel) ||
	    !channel_fits(in.green_max, in.green_shift, in.bits_per_pixel) ||
	    !channel_fits(in.blue_max, in.blue_shift, in.bits_per_pixel))
		return ERR_PROTOCOL;
	*pf = in;
	return 0;
}

void
rfb_pixel_format_write(const struct rfb_pixel_format *pf, uint8_t *p)
{
	p[0] = pf->bits_per_pixel;
	p[1] = pf->depth;
	p[2] = pf->big_endian;
	p[3] = pf->true_colour;
	store_be16(p + 4, pf->red_max);
	store_be16(p + 6, pf->green_max);
	store_be16(p + 8, pf->blue_max);
	p[10] = pf->red_shift;
	p[11] = pf->green_shift;
	p[12] = pf->blue_shift;
	memset(p + 13, 0, 3);
}

bool
rfb_pixel_format_equal(
    const struct rfb_pixel_format *a, const struct rfb_pixel_format *b)
{
	uint8_t x[RFB_PIXEL_FORMAT_LEN], y[RFB_PIXEL_FORMAT_LEN];

	rfb_pixel_format_write(a, x);
	rfb_pixel_format_write(b, y);
	return memcmp(x, y, sizeof(x)) == 0;
}

size_t
rfb_pixel_len(const struct rfb_pixel_format *pf)
{
	return pf->bits_per_pixel / 8;
}

/* All in the lower or all in the upper three bytes. */
static bool
fits_in_3_bytes(const struct rfb_pixel_format *pf)
{
	uint32_t bits = colour_bits(pf);

	return (bits & 0xff000000) == 0 || (bits & 0xff) == 0;
}

size_t
rfb_cpixel_len(const struct rfb_pixel_format *pf)
{
	if (pf->bits_per_pixel != 32 || pf->depth > 24)
		return rfb_pixel_len(pf);
	return fits_in_3_bytes(pf) ? 3 : 4;
}

size_t
rfb_tpixel_len(const struct rfb_pixel_format *pf)
{
	bool is_packed = pf->bits_per_pixel == 32 && pf->depth == 24 &&
	    pf->red_max == 255 && pf->green_max == 255 && pf->blue_max == 255;

	return is_packed ? 3 : rfb_pixel_len(pf);
}

/*
 * Two faults of libvncserver 0.9.14: of a raw ZRLE tile in 15 bits it sends
 * half, and a colour in the highest bit of 32 counts as one in the lower three
 * bytes.
 */
static bool
is_wrong_in_libvncserver(const struct rfb_pixel_format *pf)
{
	if (pf->bits_per_pixel == 16)
		return pf->green_max <= 31;
	return (colour_bits(pf) & 0x80000000) != 0;
}

bool
rfb_pixel_format_is_clear(const struct rfb_pixel_format *pf)
{
	bool is_888 =
	    pf->red_max == 255 && pf->green_max == 255 && pf->blue_max == 255;

	if (is_wrong_in_libvncserver(pf))
		return false;
	/* QEMU keeps eight bits of a maximum: 1023 becomes 255 */
	if (pf->red_max > 255 || pf->green_max > 255 || pf->blue_max > 255)
		return false;
	if (pf->bits_per_pixel != 32)
		return true;
	if (pf->depth > 24 && fits_in_3_bytes(pf))
		return false;
	return !is_888 || pf->depth == 24;
}
