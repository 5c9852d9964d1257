#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/bytes.h"
#include "common/err.h"
#include "rfb/pixel_format.h"

/* 32 bits, depth 24, little-endian, red 16, green 8, blue 0. */
static const uint8_t usual[RFB_PIXEL_FORMAT_LEN] = { 32, 24, 0, 1, 0, 255, 0,
	255, 0, 255, 16, 8, 0, 0, 0, 0 };

struct change {
	unsigned at;
	uint8_t value;
	int expected;
};

static int
parse_changed(struct rfb_pixel_format *pf, unsigned at, uint8_t value)
{
	uint8_t wire[RFB_PIXEL_FORMAT_LEN];

	memcpy(wire, usual, sizeof(wire));
	wire[at] = value;
	return rfb_pixel_format_parse(pf, wire);
}

static void
usual_format_round_trips(void **state)
{
	struct rfb_pixel_format pf;
	uint8_t wire[RFB_PIXEL_FORMAT_LEN];

	assert_int_equal(rfb_pixel_format_parse(&pf, usual), 0);
	assert_int_equal(pf.bits_per_pixel, 32);
	assert_int_equal(pf.depth, 24);
	assert_int_equal(pf.red_shift, 16);
	assert_int_equal(pf.blue_max, 255);
	memset(wire, 0xee, sizeof(wire));
	rfb_pixel_format_write(&pf, wire);
	assert_memory_equal(wire, usual, sizeof(wire));
}

static void
hostile_formats_are_refused(void **state)
{
	static const struct change changes[] = { { 0, 24, ERR_PROTOCOL },
		{ 0, 0, ERR_PROTOCOL }, { 0, 64, ERR_PROTOCOL },
		{ 0, 16, ERR_PROTOCOL }, { 1, 33, ERR_PROTOCOL },
		{ 3, 0, ERR_UNSUPPORTED }, { 5, 0, ERR_PROTOCOL },
		{ 5, 254, ERR_PROTOCOL }, { 7, 100, ERR_PROTOCOL }, { 8, 1, 0 },
		{ 8, 2, ERR_PROTOCOL }, { 10, 25, ERR_PROTOCOL }, { 5, 2, 0 },
		{ 5, 4, ERR_PROTOCOL }, { 5, 128, ERR_PROTOCOL },
		{ 11, 255, ERR_PROTOCOL }, { 12, 24, 0 },
		{ 12, 31, ERR_PROTOCOL } };
	struct rfb_pixel_format pf;

	for (size_t i = 0; i < N_ELEMENTS(changes); i++)
		assert_int_equal(
		    parse_changed(&pf, changes[i].at, changes[i].value),
		    changes[i].expected);
}

static void
refused_format_leaves_the_target_alone(void **state)
{
	struct rfb_pixel_format pf;

	memset(&pf, 0x5a, sizeof(pf));
	assert_int_equal(parse_changed(&pf, 0, 7), ERR_PROTOCOL);
	assert_int_equal(pf.depth, 0x5a);
	assert_int_equal(pf.red_max, 0x5a5a);
}

static void
any_nonzero_byte_is_true_colour(void **state)
{
	struct rfb_pixel_format a, b;

	assert_int_equal(parse_changed(&a, 3, 255), 0);
	assert_int_equal(rfb_pixel_format_parse(&b, usual), 0);
	assert_true(rfb_pixel_format_equal(&a, &b));
	b.blue_shift = 24;
	assert_false(rfb_pixel_format_equal(&a, &b));
}

static void
assert_lens(unsigned bpp, unsigned depth, const uint16_t *max,
    const uint8_t *shift, const size_t *expected)
{
	struct rfb_pixel_format pf = { .bits_per_pixel = (uint8_t)bpp,
		.depth = (uint8_t)depth,
		.true_colour = true,
		.red_max = max[0],
		.green_max = max[1],
		.blue_max = max[2],
		.red_shift = shift[0],
		.green_shift = shift[1],
		.blue_shift = shift[2] };

	assert_int_equal(rfb_pixel_len(&pf), expected[0]);
	assert_int_equal(rfb_cpixel_len(&pf), expected[1]);
	assert_int_equal(rfb_tpixel_len(&pf), expected[2]);
}

static void
compact_pixels_follow_the_rules(void **state)
{
	static const uint16_t eight[] = { 255, 255, 255 };
	static const uint16_t ten[] = { 1023, 1023, 1023 };
	static const uint16_t rgb565[] = { 31, 63, 31 };
	static const uint16_t rgb332[] = { 7, 7, 3 };
	static const uint8_t low[] = { 16, 8, 0 }, high[] = { 24, 16, 8 };
	static const uint8_t spread[] = { 24, 8, 0 }, shift10[] = { 20, 10, 0 };
	static const uint8_t shift565[] = { 11, 5, 0 },
			     shift332[] = { 0, 3, 6 };

	assert_lens(32, 24, eight, low, (size_t[]){ 4, 3, 3 });
	assert_lens(32, 24, eight, high, (size_t[]){ 4, 3, 3 });
	assert_lens(32, 24, eight, spread, (size_t[]){ 4, 4, 3 });
	assert_lens(32, 32, eight, low, (size_t[]){ 4, 4, 4 });
	assert_lens(32, 30, ten, shift10, (size_t[]){ 4, 4, 4 });
	assert_lens(32, 16, rgb565, shift565, (size_t[]){ 4, 3, 4 });
	assert_lens(16, 16, rgb565, shift565, (size_t[]){ 2, 2, 2 });
	assert_lens(8, 8, rgb332, shift332, (size_t[]){ 1, 1, 1 });
}

/* As viewers ask for them: TigerVNC's low colours, UltraVNC, bVNC, SSVNC,
 * TightVNC, gtk-vnc, a screen of 10 bits a colour. */
static void
formats_of_the_field_are_taken(void **state)
{
	static const uint8_t formats[][RFB_PIXEL_FORMAT_LEN] = {
		{ 8, 3, 0, 1, 0, 1, 0, 1, 0, 1, 2, 1, 0 },
		{ 8, 8, 0, 1, 0, 2, 0, 2, 0, 2, 0, 1, 2 },
		{ 8, 6, 0, 1, 0, 3, 0, 3, 0, 3, 4, 2, 0 },
		{ 8, 8, 0, 1, 0, 7, 0, 7, 0, 3, 0, 3, 6 },
		{ 8, 8, 0, 1, 0, 7, 0, 7, 0, 3, 5, 2, 0 },
		{ 16, 15, 0, 1, 0, 31, 0, 31, 0, 31, 10, 5, 0 },
		{ 16, 16, 1, 1, 0, 63, 0, 31, 0, 31, 0, 6, 11 },
		{ 16, 12, 0, 1, 0, 15, 0, 15, 0, 15, 8, 4, 0 },
		{ 32, 30, 0, 1, 3, 255, 3, 255, 3, 255, 20, 10, 0 },
		{ 32, 32, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0 },
		{ 32, 24, 1, 1, 0, 255, 0, 255, 0, 255, 0, 8, 16 },
	};
	struct rfb_pixel_format pf;

	for (size_t i = 0; i < N_ELEMENTS(formats); i++)
		assert_int_equal(rfb_pixel_format_parse(&pf, formats[i]), 0);
}

/* Where the depth decides, servers do not agree. */
static void
clear_formats(void **state)
{
	static const struct {
		uint8_t at, value;
		bool is_clear;
	} cases[] = { { 1, 24, true }, { 1, 32, false }, { 1, 25, false },
		{ 1, 16, false }, { 5, 127, true }, { 0, 32, true } };
	struct rfb_pixel_format pf;

	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		parse_changed(&pf, cases[i].at, cases[i].value);
		assert_int_equal(
		    rfb_pixel_format_is_clear(&pf), cases[i].is_clear);
	}
	assert_true(rfb_pixel_format_is_clear(&rfb_pixel_format_usual));
	assert_true(rfb_pixel_format_is_clear(&rfb_pixel_format_bgr233));
	/* 30 bits: to QEMU they are 8 a colour */
	pf = (struct rfb_pixel_format){ 32, 30, false, true, 1023, 1023, 1023,
		20, 10, 0 };
	assert_false(rfb_pixel_format_is_clear(&pf));
	/* 15 bits, and the highest bit of 32: libvncserver */
	pf = (struct rfb_pixel_format){ 16, 16, false, true, 31, 63, 31, 11, 5,
		0 };
	assert_true(rfb_pixel_format_is_clear(&pf));
	pf.green_max = 31;
	assert_false(rfb_pixel_format_is_clear(&pf));
	pf = rfb_pixel_format_usual;
	pf.red_shift = 24;
	assert_false(rfb_pixel_format_is_clear(&pf));
	/* 7 bits a colour in 28: three bytes or four */
	pf = (struct rfb_pixel_format){ 32, 28, false, true, 127, 127, 127, 16,
		8, 0 };
	assert_false(rfb_pixel_format_is_clear(&pf));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(usual_format_round_trips),
		cmocka_unit_test(hostile_formats_are_refused),
		cmocka_unit_test(refused_format_leaves_the_target_alone),
		cmocka_unit_test(any_nonzero_byte_is_true_colour),
		cmocka_unit_test(compact_pixels_follow_the_rules),
		cmocka_unit_test(formats_of_the_field_are_taken),
		cmocka_unit_test(clear_formats),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
