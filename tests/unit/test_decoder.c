/* The decoder's plain encodings, formats, screens and cursors, by hand. */
#include <unistd.h>

#include "tests/unit/decoder_case.h"

static struct bytes stream, inner;

static struct bytes *
fresh(void)
{
	stream.len = 0;
	inner.len = 0;
	return &stream;
}

static void
put_one(struct bytes *b, unsigned x, unsigned y, unsigned w, unsigned h,
    int32_t encoding)
{
	put_update(b, 1);
	put_rect(b, x, y, w, h, encoding);
}

static void
test_raw_draws_inside_its_place(void **state)
{
	struct rfb_pixel_format pf = usual_format();
	struct bytes *b = fresh();
	struct case_run r;

	put_one(b, 1, 2, 3, 2, RFB_ENC_RAW);
	for (uint32_t i = 0; i < 6; i++)
		put_bgr(b, 0x102030 + i, 4);
	r = case_decode(b, &pf, 5, 5);
	assert_int_equal(r.rc, 0);
	assert_int_equal(case_pixel(&r, 1, 2), 0x102030);
	assert_int_equal(case_pixel(&r, 3, 3), 0x102035);
	assert_int_equal(case_pixel(&r, 0, 2), 0);
	assert_int_equal(case_pixel(&r, 4, 3), 0);
	assert_int_equal(case_pixel(&r, 1, 4), 0);
	assert_int_equal(r.n, 2);
	assert_int_equal(r.events[0].kind, RFB_DECODER_DAMAGE);
	assert_int_equal(r.events[0].x, 1);
	assert_int_equal(r.events[0].y, 2);
	assert_int_equal(r.events[0].w, 3);
	assert_int_equal(r.events[0].h, 2);
	assert_int_equal(r.events[1].kind, RFB_DECODER_UPDATE_END);
	case_release(&r);
}

struct format_case {
	struct rfb_pixel_format pf;
	uint8_t wire[4];
	uint32_t rgb;
};

/* Bits, depth, big-endian, true colour, maxima, shifts. */
static const struct format_case formats[] = {
	{ { 32, 24, 0, 1, 255, 255, 255, 16, 8, 0 }, { 3, 2, 1, 9 }, 0x010203 },
	{ { 32, 24, 1, 1, 255, 255, 255, 16, 8, 0 }, { 9, 1, 2, 3 }, 0x010203 },
	{ { 32, 24, 0, 1, 255, 255, 255, 0, 8, 16 }, { 1, 2, 3, 9 }, 0x010203 },
	{ { 32, 24, 0, 1, 255, 255, 255, 24, 16, 8 }, { 9, 3, 2, 1 },
	    0x010203 },
	{ { 32, 32, 1, 1, 255, 255, 255, 24, 16, 8 }, { 1, 2, 3, 9 },
	    0x010203 },
	{ { 32, 24, 0, 1, 255, 255, 255, 17, 9, 1 }, { 6, 4, 2, 0 }, 0x010203 },
	{ { 16, 16, 0, 1, 31, 63, 31, 11, 5, 0 }, { 0xe0, 0x07 }, 0x00ff00 },
	{ { 16, 16, 1, 1, 31, 63, 31, 11, 5, 0 }, { 0x07, 0xe0 }, 0x00ff00 },
	{ { 16, 15, 0, 1, 31, 31, 31, 10, 5, 0 }, { 0x1f, 0x40 }, 0x8400ff },
	{ { 8, 8, 0, 1, 7, 7, 3, 0, 3, 6 }, { 0xc1 }, 0x2400ff },
	{ { 8, 3, 0, 1, 1, 1, 1, 0, 1, 2 }, { 5 }, 0xff00ff },
	/* SSVNC's eight colours overlap: what comes is never less than seen */
	{ { 8, 8, 0, 1, 2, 2, 2, 0, 1, 2 }, { 14 }, 0xffffff },
	{ { 8, 8, 0, 1, 2, 2, 2, 0, 1, 2 }, { 1 }, 0x800000 },
	{ { 8, 8, 0, 1, 2, 2, 2, 0, 2, 4 }, { 0x19 }, 0x80ff80 },
	{ { 32, 30, 0, 1, 1023, 1023, 1023, 20, 10, 0 }, { 0xff, 3, 0, 0x20 },
	    0x8000ff },
	{ { 32, 30, 1, 1, 1023, 1023, 1023, 20, 10, 0 }, { 0x20, 0, 3, 0xff },
	    0x8000ff },
};

static void
test_every_format(void **state)
{
	for (size_t i = 0; i < N_ELEMENTS(formats); i++) {
		const struct format_case *f = &formats[i];
		struct bytes *b = fresh();
		struct case_run r;

		put_one(b, 0, 0, 2, 2, RFB_ENC_RAW);
		for (unsigned n = 0; n < 4; n++)
			put_bytes(b, f->wire, rfb_pixel_len(&f->pf));
		r = case_decode(b, &f->pf, 2, 2);
		assert_int_equal(r.rc, 0);
		assert_int_equal(case_pixel(&r, 0, 0), f->rgb);
		assert_int_equal(case_pixel(&r, 1, 1), f->rgb);
		case_release(&r);
	}
}

/* A CPIXEL is a pixel less the byte that no colour uses. */
static void
test_cpixel_of_every_format(void **state)
{
	for (size_t i = 0; i < N_ELEMENTS(formats); i++) {
		const struct format_case *f = &formats[i];
		struct bytes *b = fresh();
		struct packer p = { 0 };
		size_t len = rfb_cpixel_len(&f->pf);
		size_t skip = len == 3 && f->wire[0] == 9;
		struct case_run r;

		put_one(b, 0, 0, 3, 1, RFB_ENC_ZRLE);
		put8(&inner, 0);
		for (unsigned n = 0; n < 3; n++)
			put_bytes(&inner, f->wire + skip, len);
		put_packed(b, &p, &inner);
		r = case_decode(b, &f->pf, 3, 1);
		assert_int_equal(r.rc, 0);
		assert_int_equal(case_pixel(&r, 0, 0), f->rgb);
		assert_int_equal(case_pixel(&r, 2, 0), f->rgb);
		case_release(&r);
		packer_release(&p);
	}
}

static int
switch_format(struct rfb_decoder *d, const struct bytes *b, size_t at,
    const struct rfb_pixel_format *pf)
{
	assert_int_equal(rfb_decoder_feed(d, b->data, at), 0);
	assert_int_equal(rfb_decoder_set_pixel_format(d, pf), 0);
	return rfb_decoder_feed(d, b->data + at, b->len - at);
}

static void
test_format_switch(void **state)
{
	struct rfb_pixel_format pf = usual_format();
	struct case_run r = { 0 };
	struct bytes *b = fresh();
	struct rfb_decoder *d;
	size_t at;

	put_one(b, 0, 0, 1, 1, RFB_ENC_RAW);
	put_bgr(b, 0x123456, 4);
	at = b->len;
	put_one(b, 1, 0, 1, 1, RFB_ENC_RAW);
	put16(b, 0xe007);
	d = rfb_decoder_new(2, 1, &pf, case_event, &r);
	assert_non_null(d);
	assert_int_equal(switch_format(d, b, at, &formats[6].pf), 0);
	case_keep(&r, d);
	assert_int_equal(case_pixel(&r, 0, 0), 0x123456);
	assert_int_equal(case_pixel(&r, 1, 0), 0x00ff00);
	case_release(&r);
	/* Inside a message it is refused and changes nothing. */
	assert_int_equal(rfb_decoder_feed(d, b->data, 6), 0);
	assert_int_equal(rfb_decoder_set_pixel_format(d, &pf), ERR_PROTOCOL);
	rfb_decoder_free(d);
}

/* 4x4 with the value of each pixel its place. */
static void
put_numbered(struct bytes *b)
{
	put_one(b, 0, 0, 4, 4, RFB_ENC_RAW);
	for (uint32_t i = 0; i < 16; i++)
		put_bgr(b, i, 4);
}

static void
check_copy(unsigned from_x, unsigned from_y, unsigned to_x, unsigned to_y)
{
	struct rfb_pixel_format pf = usual_format();
	struct bytes *b = fresh();
	struct case_run r;

	put_numbered(b);
	put_one(b, to_x, to_y, 3, 3, RFB_ENC_COPYRECT);
	put16(b, from_x);
	put16(b, from_y);
	r = case_decode(b, &pf, 4, 4);
	assert_int_equal(r.rc, 0);
	for (unsigned y = 0; y < 3; y++) {
		for (unsigned x = 0; x < 3; x++)
			assert_int_equal(case_pixel(&r, to_x + x, to_y + y),
			    (from_y + y) * 4 + from_x + x);
	}
	case_release(&r);
}

static void
test_copyrect_overlapping_each_way(void **state)
{
	check_copy(0, 0, 1, 1);
	check_copy(1, 1, 0, 0);
	check_copy(0, 1, 1, 0);
	check_copy(1, 0, 0, 1);
	check_copy(0, 0, 1, 0);
	check_copy(1, 0, 0, 0);
	check_copy(0, 0, 0, 0);
}

static void
check_rre(int32_t encoding, void (*put_place)(struct bytes *, unsigned))
{
	struct rfb_pixel_format pf = usual_format();
	struct bytes *b = fresh();
	struct case_run r;

	put_one(b, 1, 1, 4, 3, encoding);
	put32(b, 2);
	put_bgr(b, 0x111111, 4);
	put_bgr(b, 0x222222, 4);
	put_place(b, 1);
	put_place(b, 0);
	put_place(b, 3);
	put_place(b, 3);
	put_bgr(b, 0x333333, 4);
	put_place(b, 0);
	put_place(b, 2);
	put_place(b, 1);
	put_place(b, 1);
	r = case_decode(b, &pf, 6, 5);
	assert_int_equal(r.rc, 0);
	assert_int_equal(case_pixel(&r, 0, 0), 0);
	assert_int_equal(case_pixel(&r, 1, 1), 0x111111);
	assert_int_equal(case_pixel(&r, 2, 1), 0x222222);
	assert_int_equal(case_pixel(&r, 4, 3), 0x222222);
	assert_int_equal(case_pixel(&r, 1, 3), 0x333333);
	assert_int_equal(case_pixel(&r, 5, 3), 0);
	case_release(&r);
}

static void
test_rre_and_corre(void **state)
{
	check_rre(RFB_ENC_RRE, put16);
	check_rre(RFB_ENC_CORRE, put8);
}

/* 20x17: a raw tile, a background carried on, plain and coloured
 * subrectangles. */
static void
test_hextile(void **state)
{
	struct rfb_pixel_format pf = usual_format();
	struct bytes *b = fresh();
	struct case_run r;

	put_one(b, 0, 0, 20, 17, RFB_ENC_HEXTILE);
	put8(b, 2 | 4 | 8); /* background, foreground, subrectangles */
	put_bgr(b, 0x0000aa, 4);
	put_bgr(b, 0x00bb00, 4);
	put8(b, 1);
	put8(b, 0x21); /* at 2, 1 */
	put8(b, 0xde); /* 14 x 15: to the edges */
	put8(b, 1);    /* 4x16 raw */
	for (unsigned i = 0; i < 64; i++)
		put_bgr(b, i + 1, 4);
	put8(b, 8 | 16); /* 16x1: coloured, the background goes on */
	put8(b, 2);
	put_bgr(b, 0xcc0000, 4);
	put8(b, 0x00);
	put8(b, 0x00);
	put_bgr(b, 0xdd0000, 4);
	put8(b, 0xf0);
	put8(b, 0x00);
	put8(b, 8); /* 4x1: the foreground goes on */
	put8(b, 1);
	put8(b, 0x10);
	put8(b, 0x20);
	r = case_decode(b, &pf, 20, 17);
	assert_int_equal(r.rc, 0);
	assert_int_equal(case_pixel(&r, 0, 0), 0x0000aa);
	assert_int_equal(case_pixel(&r, 2, 1), 0x00bb00);
	assert_int_equal(case_pixel(&r, 15, 15), 0x00bb00);
	assert_int_equal(case_pixel(&r, 16, 0), 1);
	assert_int_equal(case_pixel(&r, 19, 15), 64);
	assert_int_equal(case_pixel(&r, 0, 16), 0xcc0000);
	assert_int_equal(case_pixel(&r, 7, 16), 0x0000aa);
	assert_int_equal(case_pixel(&r, 15, 16), 0xdd0000);
	assert_int_equal(case_pixel(&r, 16, 16), 0x0000aa);
	assert_int_equal(case_pixel(&r, 19, 16), 0x00bb00);
	case_release(&r);
}

/* Two rectangles of one stream: the second refers back to the first. */
static void
test_zlib_stream_goes_on(void **state)
{
	struct rfb_pixel_format pf = usual_format();
	struct bytes *b = fresh();
	struct packer p = { 0 };
	struct case_run r;

	for (uint32_t i = 0; i < 12; i++)
		put_bgr(&inner, i * 0x10101, 4);
	put_update(b, 2);
	put_rect(b, 0, 0, 4, 3, RFB_ENC_ZLIB);
	put_packed(b, &p, &inner);
	put_rect(b, 4, 3, 3, 4, RFB_ENC_ZLIB);
	put_packed(b, &p, &inner);
	r = case_decode(b, &pf, 8, 8);
	assert_int_equal(r.rc, 0);
	assert_int_equal(case_pixel(&r, 3, 2), 11 * 0x10101);
	assert_int_equal(case_pixel(&r, 4, 3), 0);
	assert_int_equal(case_pixel(&r, 4, 4), 3 * 0x10101);
	assert_int_equal(case_pixel(&r, 6, 6), 11 * 0x10101);
	case_release(&r);
	packer_release(&p);
}

static void
put_screens(struct bytes *b, unsigned n)
{
	put8(b, n);
	put_n(b, 3, 0);
	for (unsigned i = 0; i < n; i++) {
		put32(b, 7 + i);
		put16(b, 4 * i);
		put16(b, 0);
		put16(b, 4);
		put16(b, 9);
		put32(b, 5);
	}
}

static void
test_resize_keeps_the_overlap(void **state)
{
	struct rfb_pixel_format pf = usual_format();
	struct bytes *b = fresh();
	struct case_run r;

	put_numbered(b);
	put_one(b, 0, 0, 6, 3, RFB_ENC_DESKTOP_SIZE);
	r = case_decode(b, &pf, 4, 4);
	assert_int_equal(r.rc, 0);
	assert_int_equal(r.w, 6);
	assert_int_equal(r.h, 3);
	assert_int_equal(case_pixel(&r, 3, 2), 11);
	assert_int_equal(case_pixel(&r, 4, 2), 0);
	assert_int_equal(r.events[2].kind, RFB_DECODER_RESIZE);
	assert_int_equal(r.events[2].w, 6);
	assert_int_equal(r.events[2].h, 3);
	assert_int_equal(r.n, 4);
	case_release(&r);
}

static void
test_layout(void **state)
{
	struct rfb_pixel_format pf = usual_format();
	struct bytes *b = fresh();
	struct case_run r;

	put_update(b, 3);
	put_rect(b, 0, 0, 4, 4, RFB_ENC_EXT_DESKTOP_SIZE); /* same size */
	put_screens(b, 1);
	put_rect(b, 1, 3, 9, 9, RFB_ENC_EXT_DESKTOP_SIZE); /* refused */
	put_screens(b, 1);
	put_rect(b, 0, 0, 7, 8, RFB_ENC_EXT_DESKTOP_SIZE);
	put_screens(b, 3);
	r = case_decode(b, &pf, 4, 4);
	assert_int_equal(r.rc, 0);
	assert_int_equal(r.n, 4);
	assert_int_equal(r.events[0].kind, RFB_DECODER_LAYOUT);
	assert_int_equal(r.events[0].n_screens, 1);
	assert_int_equal(r.events[1].kind, RFB_DECODER_RESIZE);
	assert_int_equal(r.events[2].kind, RFB_DECODER_LAYOUT);
	assert_int_equal(r.events[2].n_screens, 3);
	assert_int_equal(r.screens[0].id, 7);
	assert_int_equal(r.screens[0].flags, 5);
	assert_int_equal(r.screens[0].h, 8);
	/* Clipped, and one that lies outside. */
	assert_int_equal(r.screens[1].x, 4);
	assert_int_equal(r.screens[1].w, 3);
	assert_int_equal(r.screens[2].x, 0);
	assert_int_equal(r.screens[2].w, 0);
	case_release(&r);
}

/* Cursors of every kind leave the picture alone, LastRect ends an update,
 * and other messages pass. */
static void
test_cursors_are_dropped(void **state)
{
	struct rfb_pixel_format pf = usual_format();
	struct bytes *b = fresh();
	struct case_run r;

	put_update(b, 65535);
	put_rect(b, 0, 0, 2, 2, RFB_ENC_CURSOR);
	put_n(b, 2 * 2 * 4 + 2, 0x55);
	put_rect(b, 0, 0, 2, 2, RFB_ENC_XCURSOR);
	put_n(b, 6 + 4, 0x55);
	put_rect(b, 0, 0, 2, 2, RFB_ENC_VMWARE_CURSOR);
	put16(b, 0x100);
	put_n(b, 16, 0x55);
	put_rect(b, 9, 9, 2, 2, RFB_ENC_CURSOR_ALPHA);
	put32(b, RFB_ENC_RAW);
	put_n(b, 16, 0x55);
	put_rect(b, 3, 3, 0, 0, RFB_ENC_POINTER_POS);
	put_rect(b, 0, 0, 1, 1, RFB_ENC_RAW);
	put_bgr(b, 0xabcdef, 4);
	put_rect(b, 0, 0, 0, 0, RFB_ENC_LAST_RECT);
	put8(b, RFB_BELL);
	put8(b, RFB_SERVER_CUT_TEXT);
	put_n(b, 3, 0);
	put32(b, 2);
	put16(b, 0x4142);
	r = case_decode(b, &pf, 4, 4);
	assert_int_equal(r.rc, 0);
	assert_int_equal(r.n, 2);
	assert_int_equal(case_pixel(&r, 0, 0), 0xabcdef);
	assert_int_equal(case_pixel(&r, 1, 1), 0);
	case_release(&r);
}

/* The cursor's ZRLE moves the stream on which the screen's goes on. */
static void
test_alpha_cursor_advances_the_stream(void **state)
{
	struct rfb_pixel_format pf = usual_format();
	struct bytes *b = fresh();
	struct packer p = { 0 };
	struct case_run r;

	put_update(b, 2);
	put_rect(b, 0, 0, 8, 8, RFB_ENC_CURSOR_ALPHA);
	put32(b, RFB_ENC_ZRLE);
	put8(&inner, 0);
	for (uint32_t i = 0; i < 64; i++)
		put_bgr(&inner, i * 0x30201, 4);
	put_packed(b, &p, &inner);
	inner.len = 0;
	put8(&inner, 0);
	for (uint32_t i = 0; i < 64; i++)
		put_bgr(&inner, i * 0x30201, 3);
	put_rect(b, 0, 0, 8, 8, RFB_ENC_ZRLE);
	put_packed(b, &p, &inner);
	r = case_decode(b, &pf, 8, 8);
	assert_int_equal(r.rc, 0);
	assert_int_equal(r.n, 2);
	assert_int_equal(case_pixel(&r, 7, 7), 63 * 0x30201);
	case_release(&r);
	packer_release(&p);
}

/* Nothing to draw is no damage. */
static void
test_empty_rectangles(void **state)
{
	struct rfb_pixel_format pf = usual_format();
	struct bytes *b = fresh();
	struct packer p = { 0 };
	struct case_run r;

	put_update(b, 6);
	put_rect(b, 0, 0, 0, 3, RFB_ENC_RAW);
	put_rect(b, 4, 4, 0, 0, RFB_ENC_HEXTILE);
	put_rect(b, 0, 0, 2, 0, RFB_ENC_RRE);
	put32(b, 0);
	put32(b, 0);
	put_rect(b, 0, 0, 0, 0, RFB_ENC_COPYRECT);
	put32(b, 0);
	put_rect(b, 0, 0, 3, 0, RFB_ENC_ZLIB);
	put_packed(b, &p, &inner);
	put_rect(b, 0, 0, 0, 3, RFB_ENC_ZRLE);
	put32(b, 0);
	r = case_decode(b, &pf, 4, 4);
	assert_int_equal(r.rc, 0);
	assert_int_equal(r.n, 1);
	assert_int_equal(r.events[0].kind, RFB_DECODER_UPDATE_END);
	case_release(&r);
	packer_release(&p);
}

/* A decoder that joins in midway: what it cannot inflate it leaves out, and
 * goes on with the rest. */
static void
test_joining_midway(void **state)
{
	struct rfb_pixel_format pf = usual_format();
	struct case_run r = { 0 };
	struct bytes *b = fresh();
	struct rfb_decoder *d;

	put_update(b, 5);
	put_rect(b, 0, 0, 4, 4, RFB_ENC_ZLIB);
	put32(b, 9);
	put_n(b, 9, 0x55);
	put_rect(b, 0, 0, 4, 4, RFB_ENC_ZRLE);
	put32(b, 9);
	put_n(b, 9, 0x55);
	put_rect(b, 0, 0, 2, 2, RFB_ENC_CURSOR_ALPHA);
	put32(b, RFB_ENC_ZRLE);
	put32(b, 9);
	put_n(b, 9, 0x55);
	put_rect(b, 0, 0, 4, 4, RFB_ENC_TIGHT);
	put8(b, 0);
	put8(b, 9);
	put_n(b, 9, 0x55);
	put_rect(b, 1, 1, 1, 1, RFB_ENC_RAW);
	put_bgr(b, 0x123456, 4);
	d = rfb_decoder_new(4, 4, &pf, case_event, &r);
	assert_non_null(d);
	rfb_decoder_skip_stateful(d);
	assert_int_equal(case_feed(d, b, 3), 0);
	case_keep(&r, d);
	assert_int_equal(rfb_decoder_n_skipped(d), 3);
	assert_int_equal(r.n, 2);
	assert_int_equal(r.events[0].kind, RFB_DECODER_DAMAGE);
	assert_int_equal(r.events[0].x, 1);
	assert_int_equal(case_pixel(&r, 0, 0), 0);
	assert_int_equal(case_pixel(&r, 1, 1), 0x123456);
	case_release(&r);
	rfb_decoder_free(d);
}

/* Bytes of this process in memory. */
static size_t
resident(void)
{
	unsigned long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%*u %lu", &pages), 1);
	fclose(f);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* A session starts at once, however large its screen. */
static void
test_fresh_memory_is_not_touched(void **state)
{
	const size_t w = 7680, h = 4320;
	struct rfb_pixel_format pf = usual_format();
	struct case_run r = { 0 };
	struct bytes *b = fresh();
	size_t before = resident();
	struct rfb_decoder *d;
	const uint32_t *px;

	(void)state;
	put_one(b, 0, 0, 1, 1, RFB_ENC_RAW);
	put_bgr(b, 0x123456, 4);
	d = rfb_decoder_new((uint16_t)w, (uint16_t)h, &pf, case_event, &r);
	assert_non_null(d);
	assert_int_equal(case_feed(d, b, SIZE_MAX), 0);
	/* a sanitizer notes an eighth of what is allocated */
	assert_true(resident() < before + w * h * 4 / 4);
	px = (const uint32_t *)(const void *)rfb_decoder_pixels(d);
	assert_int_equal(px[0], 0xff123456);
	for (size_t i = 1; i < w * h; i++)
		if (px[i] != 0)
			fail_msg("pixel %zu is not black", i);
	rfb_decoder_free(d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fresh_memory_is_not_touched),
		cmocka_unit_test(test_raw_draws_inside_its_place),
		cmocka_unit_test(test_every_format),
		cmocka_unit_test(test_cpixel_of_every_format),
		cmocka_unit_test(test_format_switch),
		cmocka_unit_test(test_copyrect_overlapping_each_way),
		cmocka_unit_test(test_rre_and_corre),
		cmocka_unit_test(test_hextile),
		cmocka_unit_test(test_zlib_stream_goes_on),
		cmocka_unit_test(test_resize_keeps_the_overlap),
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_cursors_are_dropped),
		cmocka_unit_test(test_alpha_cursor_advances_the_stream),
		cmocka_unit_test(test_empty_rectangles),
		cmocka_unit_test(test_joining_midway),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
