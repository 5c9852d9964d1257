/*
 * Where a Tight rectangle ends. Nothing is inflated: the length stands in
 * the stream or follows from the size. Source: community specification,
 * "Tight Encoding".
 *
 *      control | [filter | [palette]] | data shorter than 12, or
 *                                       compact length and that many
 *
 * The length stands in front or follows from the size whatever the width is:
 * servers of 4K screens send rectangles wider than the 2048 pixels that the
 * specification allows, and viewers show them.
 */
#include "common/err.h"
#include "rfb/framer_internal.h"

/* No known viewer takes a gradient that is wider. */
#define TIGHT_MAX_GRADIENT_WIDTH 2048

/* Data shorter than this is sent as it is. */
#define TIGHT_MIN_PACKED 12

enum tight_control {
	TIGHT_FILL = 8,
	TIGHT_JPEG = 9,
	TIGHT_HAS_FILTER = 4, /* below Fill: this bit */
	/* what Copy and an explicit filter are without deflate */
	TIGHT_PLAIN = 10,
	TIGHT_PLAIN_FILTER = TIGHT_PLAIN | TIGHT_HAS_FILTER,
};

enum tight_filter {
	TIGHT_COPY = 0,
	TIGHT_PALETTE = 1,
	TIGHT_GRADIENT = 2,
};

/* Not deflated: only one length is right. */
static int
check_data_len(struct rfb_framer *f, uint64_t len)
{
	if (f->is_plain && len != f->data_len)
		return rfb_framer_fail(f, ERR_PROTOCOL,
		    "plain Tight data of another length than its pixels");
	if (len > framer_packed_max(f->data_len))
		return rfb_framer_fail(
		    f, ERR_LIMIT, "Tight data too long for its size");
	return 0;
}

/* 1 to 3 bytes, 7 bits each, the last one 8; little end first. */
static int
compact_len(struct rfb_framer *f, const uint8_t *h)
{
	uint64_t len = h[0] & 0x7f;
	int rc;

	if (f->need < 3 && (h[f->need - 1] & 0x80) != 0) {
		f->need++;
		return FRAMER_MORE;
	}
	if (f->need > 1)
		len |= (uint64_t)(h[1] & 0x7f) << 7;
	if (f->need > 2)
		len |= (uint64_t)h[2] << 14;
	rc = check_data_len(f, len);
	if (rc == 0)
		framer_next(f, len, 0, NULL);
	return rc;
}

/* data_len bytes before compression, behind palette_len bytes. */
static int
begin_data(struct rfb_framer *f, uint64_t palette_len, uint64_t data_len)
{
	f->data_len = data_len;
	if (data_len < TIGHT_MIN_PACKED)
		framer_next(f, palette_len + data_len, 0, NULL);
	else
		framer_next(f, palette_len, 1, compact_len);
	return 0;
}

static int
begin_pixels(struct rfb_framer *f)
{
	return begin_data(f, 0, framer_area(f) * f->tpixel_len);
}

/* The number of colours less one; two colours take a bit a pixel. */
static int
palette_count(struct rfb_framer *f, const uint8_t *h)
{
	unsigned n = h[0] + 1u;
	uint64_t packed = (uint64_t)((f->rect.w + 7) / 8) * f->rect.h;

	return begin_data(
	    f, n * f->tpixel_len, n <= 2 ? packed : framer_area(f));
}

static int
filter_id(struct rfb_framer *f, const uint8_t *h)
{
	switch (h[0]) {
	case TIGHT_COPY:
		return begin_pixels(f);
	case TIGHT_PALETTE:
		framer_next(f, 0, 1, palette_count);
		return 0;
	case TIGHT_GRADIENT:
		if (f->pixel_len == 1)
			return rfb_framer_fail(
			    f, ERR_PROTOCOL, "Tight gradient of 8-bit pixels");
		if (f->rect.w > TIGHT_MAX_GRADIENT_WIDTH)
			return rfb_framer_fail(
			    f, ERR_PROTOCOL, "Tight gradient too wide");
		return begin_pixels(f);
	default:
		return rfb_framer_fail(f, ERR_PROTOCOL, "unknown Tight filter");
	}
}

/* The number of pixels bounds what libjpeg allocates for a JPEG. */
static int
begin_jpeg(struct rfb_framer *f)
{
	if (framer_area(f) > RFB_MAX_JPEG_PIXELS)
		return rfb_framer_fail(
		    f, ERR_LIMIT, "JPEG with too many pixels");
	f->data_len = framer_area(f) * 4;
	framer_next(f, 0, 1, compact_len);
	return 0;
}

static int
begin_basic(struct rfb_framer *f, bool has_filter)
{
	if (!has_filter)
		return begin_pixels(f);
	framer_next(f, 0, 1, filter_id);
	return 0;
}

int
rfb_framer_tight_control(struct rfb_framer *f, const uint8_t *h)
{
	unsigned control = h[0] >> 4;

	f->is_plain = control == TIGHT_PLAIN || control == TIGHT_PLAIN_FILTER;
	switch (control) {
	case TIGHT_FILL:
		framer_next(f, f->tpixel_len, 0, NULL);
		return 0;
	case TIGHT_JPEG:
		return begin_jpeg(f);
	case TIGHT_PLAIN:
	case TIGHT_PLAIN_FILTER:
		return begin_basic(f, control == TIGHT_PLAIN_FILTER);
	default:
		if (control > TIGHT_JPEG)
			return rfb_framer_fail(
			    f, ERR_PROTOCOL, "unknown Tight compression");
		return begin_basic(f, (control & TIGHT_HAS_FILTER) != 0);
	}
}

int
rfb_framer_tight_begin(struct rfb_framer *f)
{
	if (framer_area(f) == 0)
		return rfb_framer_fail(
		    f, ERR_PROTOCOL, "Tight rectangle without area");
	framer_next(f, 0, 1, rfb_framer_tight_control);
	return 0;
}
