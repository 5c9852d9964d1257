/* The decoder's ZRLE and Tight: every sub-type that is legal, by hand. */
#include <turbojpeg.h>

#include "tests/unit/decoder_case.h"

static struct bytes stream, inner;
static struct packer packer, packers[4];

static struct bytes *
fresh(unsigned w, unsigned h, int32_t encoding)
{
	stream.len = 0;
	inner.len = 0;
	packer_release(&packer);
	for (size_t i = 0; i < N_ELEMENTS(packers); i++)
		packer_release(&packers[i]);
	put_update(&stream, 1);
	put_rect(&stream, 1, 1, w, h, encoding);
	return &stream;
}

static struct case_run
decode(void)
{
	struct rfb_pixel_format pf = usual_format();
	struct case_run r = case_decode(&stream, &pf, 80, 80);

	packer_release(&packer);
	for (size_t i = 0; i < N_ELEMENTS(packers); i++)
		packer_release(&packers[i]);
	if (r.rc != 0)
		fail_msg("%s", r.why);
	/* Nothing outside the rectangle. */
	for (unsigned i = 0; i < 80; i++) {
		assert_int_equal(case_pixel(&r, i, 0), 0);
		assert_int_equal(case_pixel(&r, 0, i), 0);
	}
	return r;
}

static struct case_run
decode_zrle(void)
{
	put_packed(&stream, &packer, &inner);
	return decode();
}

static void
test_zrle_raw_and_solid(void **state)
{
	struct case_run r;

	fresh(66, 2, RFB_ENC_ZRLE);
	put8(&inner, 0);
	for (uint32_t i = 0; i < 128; i++)
		put_bgr(&inner, 0x10000 + i, 3);
	put8(&inner, 1);
	put_bgr(&inner, 0x445566, 3);
	r = decode_zrle();
	assert_int_equal(case_pixel(&r, 1, 1), 0x10000);
	assert_int_equal(case_pixel(&r, 64, 2), 0x1007f);
	assert_int_equal(case_pixel(&r, 65, 1), 0x445566);
	assert_int_equal(case_pixel(&r, 66, 2), 0x445566);
	assert_int_equal(case_pixel(&r, 67, 1), 0);
	case_release(&r);
}

static unsigned
bits_for(unsigned n_colours)
{
	return n_colours <= 2 ? 1 : n_colours <= 4 ? 2 : 4;
}

/* 11x3 with the colours in turn; each row begins with a new byte. */
static void
check_packed_palette(unsigned n)
{
	unsigned bits = bits_for(n), at = 0, fill;
	struct case_run r;

	fresh(11, 3, RFB_ENC_ZRLE);
	put8(&inner, n);
	for (unsigned i = 0; i < n; i++)
		put_bgr(&inner, 0x020100 * (i + 1), 3);
	for (unsigned y = 0; y < 3; y++) {
		fill = 8;
		for (unsigned x = 0; x < 11; x++, at++) {
			if (fill == 8)
				put8(&inner, 0);
			fill -= bits;
			inner.data[inner.len - 1] |= (at % n) << fill;
			fill = fill == 0 ? 8 : fill;
		}
	}
	r = decode_zrle();
	for (at = 0; at < 33; at++)
		assert_int_equal(case_pixel(&r, 1 + at % 11, 1 + at / 11),
		    0x020100 * (at % n + 1));
	case_release(&r);
}

static void
test_zrle_packed_palettes(void **state)
{
	for (unsigned n = 2; n <= 16; n++)
		check_packed_palette(n);
}

/* Runs of 1, 256 and 2 + 255 + 255 pixels in 32x24, over row ends. */
static void
test_zrle_runs(void **state)
{
	struct case_run r;

	fresh(32, 24, RFB_ENC_ZRLE);
	put8(&inner, 128);
	put_bgr(&inner, 0x111111, 3);
	put8(&inner, 0);
	put_bgr(&inner, 0x222222, 3);
	put8(&inner, 255);
	put8(&inner, 0);
	put_bgr(&inner, 0x333333, 3);
	put8(&inner, 255);
	put8(&inner, 255);
	put8(&inner, 0);
	r = decode_zrle();
	assert_int_equal(case_pixel(&r, 1, 1), 0x111111);
	assert_int_equal(case_pixel(&r, 2, 1), 0x222222);
	assert_int_equal(case_pixel(&r, 1, 9), 0x222222);
	assert_int_equal(case_pixel(&r, 2, 9), 0x333333);
	assert_int_equal(case_pixel(&r, 32, 24), 0x333333);
	case_release(&r);
}

static void
test_zrle_indexed_runs(void **state)
{
	struct case_run r;

	fresh(10, 10, RFB_ENC_ZRLE);
	put8(&inner, 128 + 127);
	for (unsigned i = 0; i < 127; i++)
		put_bgr(&inner, i + 1, 3);
	put8(&inner, 126);
	put8(&inner, 0x80 | 3);
	put8(&inner, 20); /* 21 pixels */
	put8(&inner, 0x80 | 9);
	put8(&inner, 77); /* the other 78 */
	r = decode_zrle();
	assert_int_equal(case_pixel(&r, 1, 1), 127);
	assert_int_equal(case_pixel(&r, 2, 1), 4);
	assert_int_equal(case_pixel(&r, 2, 3), 4);
	assert_int_equal(case_pixel(&r, 3, 3), 10);
	assert_int_equal(case_pixel(&r, 10, 10), 10);
	case_release(&r);
}

/* Tiles that inflate to more than the scratch buffer, and rows of tiles
 * that end at odd places. */
static void
test_zrle_many_tiles(void **state)
{
	struct rfb_pixel_format pf = usual_format();
	struct case_run r;

	stream.len = inner.len = 0;
	put_update(&stream, 1);
	put_rect(&stream, 0, 0, 200, 200, RFB_ENC_ZRLE);
	for (unsigned y = 0; y < 200; y += 64) {
		for (unsigned x = 0; x < 200; x += 64) {
			size_t n =
			    min_size(64, 200 - x) * min_size(64, 200 - y);

			put8(&inner, 0);
			for (uint32_t i = 0; i < n; i++)
				put_bgr(&inner, x << 16 | y << 8 | i % 251, 3);
		}
	}
	put_packed(&stream, &packer, &inner);
	r = case_decode(&stream, &pf, 200, 200);
	packer_release(&packer);
	assert_int_equal(r.rc, 0);
	assert_int_equal(case_pixel(&r, 0, 0), 0);
	assert_int_equal(case_pixel(&r, 63, 63), 4095 % 251);
	assert_int_equal(case_pixel(&r, 64, 128), 0x408000);
	assert_int_equal(case_pixel(&r, 199, 199), 0xc0c000 | 63);
	case_release(&r);
}

static void
test_tight_fill(void **state)
{
	struct case_run r;

	fresh(70, 70, RFB_ENC_TIGHT);
	put8(&stream, 0x80);
	put_rgb(&stream, 0x0a0b0c);
	r = decode();
	assert_int_equal(case_pixel(&r, 1, 1), 0x0a0b0c);
	assert_int_equal(case_pixel(&r, 70, 70), 0x0a0b0c);
	assert_int_equal(case_pixel(&r, 71, 70), 0);
	case_release(&r);
}

/* Fewer than 12 bytes come as they are. */
static void
test_tight_plain(void **state)
{
	struct case_run r;

	fresh(3, 1, RFB_ENC_TIGHT);
	put8(&stream, 0x00);
	put_rgb(&stream, 0x010203);
	put_rgb(&stream, 0x040506);
	put_rgb(&stream, 0x070809);
	r = decode();
	assert_int_equal(case_pixel(&r, 1, 1), 0x010203);
	assert_int_equal(case_pixel(&r, 3, 1), 0x070809);
	case_release(&r);
}

static void
put_tight_copy(unsigned control, unsigned stream_id, unsigned y, uint32_t rgb)
{
	inner.len = 0;
	for (unsigned i = 0; i < 20; i++)
		put_rgb(&inner, rgb + i);
	put_rect(&stream, 1, y, 10, 2, RFB_ENC_TIGHT);
	put8(&stream, control);
	put_tight_packed(&stream, &packers[stream_id], &inner);
}

/* Four streams that go on each for itself, and one that is begun anew. */
static void
test_tight_streams_and_reset(void **state)
{
	struct case_run r;

	fresh(0, 0, 0);
	stream.len = 0;
	put_update(&stream, 8);
	put_tight_copy(0x00, 0, 1, 0x100000);
	put_tight_copy(0x10, 1, 3, 0x200000);
	put_tight_copy(0x20, 2, 5, 0x300000);
	put_tight_copy(0x30, 3, 7, 0x400000);
	put_tight_copy(0x10, 1, 9, 0x500000);
	packer_release(&packers[2]);
	put_tight_copy(0x24, 2, 11, 0x600000);
	/* A fill may reset too: stream 0 and 3. */
	put_rect(&stream, 1, 13, 1, 1, RFB_ENC_TIGHT);
	put8(&stream, 0x89);
	put_rgb(&stream, 0x123456);
	packer_release(&packers[0]);
	put_tight_copy(0x00, 0, 15, 0x700000);
	r = decode();
	for (unsigned i = 0; i < 6; i++) {
		assert_int_equal(
		    case_pixel(&r, 1, 1 + 2 * i), (i + 1) * 0x100000);
		assert_int_equal(
		    case_pixel(&r, 10, 2 + 2 * i), (i + 1) * 0x100000 + 19);
	}
	assert_int_equal(case_pixel(&r, 1, 13), 0x123456);
	assert_int_equal(case_pixel(&r, 10, 16), 0x700013);
	case_release(&r);
}

static void
test_tight_two_colours(void **state)
{
	struct case_run r;

	fresh(10, 8, RFB_ENC_TIGHT);
	put8(&stream, 0x50); /* stream 1, a filter follows */
	put8(&stream, 1);
	put8(&stream, 1);
	put_rgb(&stream, 0x0000ff);
	put_rgb(&stream, 0xff0000);
	for (unsigned y = 0; y < 8; y++) {
		put8(&inner, 0xaa);
		put8(&inner, y % 2 == 0 ? 0x80 : 0x7f);
	}
	put_tight_packed(&stream, &packer, &inner);
	r = decode();
	assert_int_equal(case_pixel(&r, 1, 1), 0xff0000);
	assert_int_equal(case_pixel(&r, 2, 1), 0x0000ff);
	assert_int_equal(case_pixel(&r, 9, 1), 0xff0000);
	assert_int_equal(case_pixel(&r, 10, 1), 0x0000ff);
	assert_int_equal(case_pixel(&r, 9, 8), 0x0000ff);
	assert_int_equal(case_pixel(&r, 10, 8), 0xff0000);
	case_release(&r);
}

static void
test_tight_palette_of_256(void **state)
{
	struct case_run r;

	fresh(64, 8, RFB_ENC_TIGHT);
	put8(&stream, 0x60);
	put8(&stream, 1);
	put8(&stream, 255);
	for (uint32_t i = 0; i < 256; i++)
		put_rgb(&stream, i * 0x10001);
	for (unsigned i = 0; i < 512; i++)
		put8(&inner, i & 255);
	put_tight_packed(&stream, &packer, &inner);
	r = decode();
	assert_int_equal(case_pixel(&r, 1, 1), 0);
	assert_int_equal(case_pixel(&r, 64, 4), 255 * 0x10001);
	assert_int_equal(case_pixel(&r, 64, 8), 255 * 0x10001);
	case_release(&r);
}

/* Differences from left + above - above left, cut to 0..255; worked out by
 * hand for one colour (the others are 0):
 *   wanted  200 250    sent  200  50
 *            10 255          -190   195 = 255 - clip(10 + 250 - 200)
 */
static void
test_tight_gradient(void **state)
{
	static const uint8_t sent[] = { 200, 50, (uint8_t)-190, 195 };
	struct case_run r;

	fresh(2, 2, RFB_ENC_TIGHT);
	put8(&stream, 0x70);
	put8(&stream, 2);
	for (size_t i = 0; i < sizeof(sent); i++) {
		put8(&inner, 0);
		put8(&inner, sent[i]);
		put8(&inner, 0);
	}
	put_tight_packed(&stream, &packer, &inner);
	r = decode();
	assert_int_equal(case_pixel(&r, 1, 1), 200 << 8);
	assert_int_equal(case_pixel(&r, 2, 1), 250 << 8);
	assert_int_equal(case_pixel(&r, 1, 2), 10 << 8);
	assert_int_equal(case_pixel(&r, 2, 2), 255 << 8);
	case_release(&r);
}

/* A guess above what fits: 31 + 31 - 0 is cut to 31 in 5 bits. */
static void
test_tight_gradient_16(void **state)
{
	struct rfb_pixel_format pf = { 16, 16, 1, 1, 31, 63, 31, 11, 5, 0 };
	/* red: 0 31 / 31 30, sent 0 31 / 31 -1 & 31; the rest 0 */
	static const uint16_t sent[] = { 0, 31 << 11, 31 << 11, 31 << 11, 0,
		0 };
	struct case_run r;

	stream.len = inner.len = 0;
	put_update(&stream, 1);
	put_rect(&stream, 0, 0, 2, 3, RFB_ENC_TIGHT);
	put8(&stream, 0x42);
	put8(&stream, 2);
	for (size_t i = 0; i < N_ELEMENTS(sent); i++)
		put16(&inner, sent[i]);
	put_tight_packed(&stream, &packer, &inner);
	r = case_decode(&stream, &pf, 2, 3);
	packer_release(&packer);
	assert_int_equal(r.rc, 0);
	assert_int_equal(case_pixel(&r, 0, 0), 0);
	assert_int_equal(case_pixel(&r, 1, 0), 0xff0000);
	assert_int_equal(case_pixel(&r, 0, 1), 0xff0000);
	assert_int_equal(case_pixel(&r, 1, 1), 0xf70000); /* 30 of 31 */
	assert_int_equal(case_pixel(&r, 0, 2), 0xff0000);
	case_release(&r);
}

static bool
is_near(uint32_t a, uint32_t b)
{
	for (unsigned i = 0; i < 24; i += 8) {
		if (abs((int)(a >> i & 255) - (int)(b >> i & 255)) > 12)
			return false;
	}
	return true;
}

/* Colours and places as they were, within what JPEG changes. */
static void
test_tight_jpeg(void **state)
{
	static uint8_t pixels[40 * 30 * 3];
	tjhandle tj = tjInitCompress();
	unsigned long n = 0;
	uint8_t *out = NULL;
	struct case_run r;

	for (unsigned i = 0; i < 40 * 30; i++) {
		pixels[3 * i] = i % 40 < 16 ? 200 : 20;
		pixels[3 * i + 1] = i / 40 < 16 ? 100 : 30;
		pixels[3 * i + 2] = 60;
	}
	assert_int_equal(tjCompress2(tj, pixels, 40, 0, 30, TJPF_RGB, &out, &n,
			     TJSAMP_444, 95, 0),
	    0);
	fresh(40, 30, RFB_ENC_TIGHT);
	put8(&stream, 0x90);
	put_compact(&stream, n);
	put_bytes(&stream, out, n);
	tjFree(out);
	tjDestroy(tj);
	r = decode();
	assert_true(is_near(case_pixel(&r, 3, 3), 0xc8643c));
	assert_true(is_near(case_pixel(&r, 36, 3), 0x14643c));
	assert_true(is_near(case_pixel(&r, 3, 29), 0xc81e3c));
	assert_int_equal(case_pixel(&r, 41, 3), 0);
	assert_int_equal(case_pixel(&r, 3, 31), 0);
	case_release(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_zrle_raw_and_solid),
		cmocka_unit_test(test_zrle_packed_palettes),
		cmocka_unit_test(test_zrle_runs),
		cmocka_unit_test(test_zrle_indexed_runs),
		cmocka_unit_test(test_zrle_many_tiles),
		cmocka_unit_test(test_tight_fill),
		cmocka_unit_test(test_tight_plain),
		cmocka_unit_test(test_tight_streams_and_reset),
		cmocka_unit_test(test_tight_two_colours),
		cmocka_unit_test(test_tight_palette_of_256),
		cmocka_unit_test(test_tight_gradient),
		cmocka_unit_test(test_tight_gradient_16),
		cmocka_unit_test(test_tight_jpeg),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
