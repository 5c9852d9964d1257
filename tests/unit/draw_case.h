/*
 * For tests of what the relay draws: pixel formats of every kind, a decoder
 * that stands for the viewer, and allocations that fail on demand (link with
 * -Wl,--wrap=malloc,--wrap=calloc).
 */
#ifndef TESTS_DRAW_CASE_H
#define TESTS_DRAW_CASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "common/buf.h"
#include "common/bytes.h"
#include "common/err.h"
#include "relay/draw/text.h"
#include "rfb/decoder.h"
#include "rfb/protocol.h"

#define FONT "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"

/* bits, depth, big-endian, true colour, maxima, shifts */
static const struct rfb_pixel_format draw_formats[] = {
	{ 32, 24, false, true, 255, 255, 255, 16, 8, 0 }, /* the lobby's */
	{ 32, 24, false, true, 255, 255, 255, 0, 8, 16 }, /* noVNC */
	{ 32, 24, true, true, 255, 255, 255, 16, 8, 0 },
	{ 32, 24, true, true, 255, 255, 255, 24, 16, 8 },
	{ 32, 32, false, true, 255, 255, 255, 8, 16, 24 },
	{ 32, 30, false, true, 1023, 1023, 1023, 20, 10, 0 },
	{ 32, 30, true, true, 1023, 1023, 1023, 0, 10, 20 },
	{ 32, 32, false, true, 65535, 255, 255, 16, 8, 0 },
	{ 16, 16, false, true, 31, 63, 31, 11, 5, 0 },
	{ 16, 16, true, true, 31, 63, 31, 11, 5, 0 },
	{ 16, 15, false, true, 31, 31, 31, 0, 5, 10 },
	{ 16, 12, true, true, 15, 15, 15, 8, 4, 0 },
	{ 8, 8, false, true, 7, 7, 3, 0, 3, 6 }, /* BGR233 */
	{ 8, 6, true, true, 3, 3, 3, 4, 2, 0 },
	{ 8, 3, false, true, 1, 1, 1, 2, 1, 0 },
};

static inline struct text_font *
draw_font(void)
{
	struct text_font *font;

	assert_int_equal(text_font_open(FONT, &font), 0);
	return font;
}

static inline void
draw_ignore(void *arg, const struct rfb_decoder_event *ev)
{
	(void)arg;
	(void)ev;
}

/* A viewer's screen of w x h that understands pf. */
static inline struct rfb_decoder *
draw_viewer(uint16_t w, uint16_t h, const struct rfb_pixel_format *pf)
{
	struct rfb_decoder *d = rfb_decoder_new(w, h, pf, draw_ignore, NULL);

	assert_non_null(d);
	return d;
}

/* One channel came through a maximum: nearer it cannot be. */
static inline void
assert_channel(unsigned want, unsigned got, unsigned max)
{
	unsigned most = 255 / (2 * max) + 2;
	unsigned off = want > got ? want - got : got - want;

	assert_true(off <= most);
}

/* What the viewer sees at x, y is the colour at rgb. */
static inline void
assert_pixel(const struct rfb_decoder *d, const struct rfb_pixel_format *pf,
    unsigned x, unsigned y, const uint8_t *rgb)
{
	const uint8_t *p =
	    rfb_decoder_pixels(d) + y * rfb_decoder_stride(d) + x * 4;

	assert_channel(rgb[0], p[2], pf->red_max);
	assert_channel(rgb[1], p[1], pf->green_max);
	assert_channel(rgb[2], p[0], pf->blue_max);
}

/* The allocation after so many fails; negative: none does. */
static long draw_allocs_left = -1;

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);

static inline int
draw_alloc_fails(void)
{
	return draw_allocs_left >= 0 && draw_allocs_left-- == 0;
}

void *
__wrap_malloc(size_t n)
{
	return draw_alloc_fails() ? NULL : __real_malloc(n);
}

void *
__wrap_calloc(size_t n, size_t size)
{
	return draw_alloc_fails() ? NULL : __real_calloc(n, size);
}

#endif
