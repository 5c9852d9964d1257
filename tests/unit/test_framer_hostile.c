/*
 * What the framer must refuse; docs/rfb.md says where each class of bug was
 * real. Each case is refused in one piece, byte by byte and in odd pieces,
 * with the same events before it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/err.h"
#include "tests/unit/rfb_bytes.h"

#define WIDTH  4000
#define HEIGHT 3000

static struct bytes in;
static struct trace whole, cut;
static struct rfb_pixel_format format;

static int
run(struct trace *tr, size_t piece_max)
{
	struct rfb_framer *f;
	int rc;

	tr->n = 0;
	tr->stop_at = -1;
	f = rfb_framer_new(WIDTH, HEIGHT, &format, trace_event, tr);
	assert_non_null(f);
	rc = feed_pieces(f, in.data, in.len, piece_max, 5);
	if (rc != 0) {
		assert_int_equal(rfb_framer_feed(f, in.data, 1), rc);
		assert_string_not_equal(rfb_framer_why(f), "no error");
	}
	rfb_framer_free(f);
	return rc;
}

static void
assert_result(int expected)
{
	static const size_t piece_max[] = { 1, 2, 7 };

	assert_int_equal(run(&whole, 0), expected);
	for (size_t i = 0; i < N_ELEMENTS(piece_max); i++) {
		assert_int_equal(run(&cut, piece_max[i]), expected);
		assert_true(is_same_trace(&whole, &cut));
	}
}

static void
begin(unsigned x, unsigned y, unsigned w, unsigned h, int32_t encoding)
{
	in.len = 0;
	put_update(&in, 1);
	put_rect(&in, x, y, w, h, encoding);
}

static int
set_up(void **state)
{
	format = usual_format();
	return 0;
}

static void
unknown_messages_are_refused(void **state)
{
	static const uint8_t known[] = { 0, 1, 2, 3, 150, 248 };

	for (unsigned type = 0; type < 256; type++) {
		if (memchr(known, (int)type, sizeof(known)) != NULL)
			continue;
		in.len = 0;
		put8(&in, RFB_BELL);
		put8(&in, type);
		assert_result(ERR_PROTOCOL);
		assert_int_equal(whole.n, 2);
	}
}

static void
encodings_off_the_list_are_refused(void **state)
{
	static const int32_t off[] = { 3, 8, 9, 10, 15, 17, 18, 19, 20, 21, 22,
		25, 29, 50, 0x48323634, -1, -26, -32, -222, -225, -254, -259,
		-260, -305, -306, -309, -310, -311, -312, -313, -315, -317,
		-1000, 0x574d5665, 0x574d5667, 0x574d5669, 0x574d566a,
		(int32_t)0xC0A1E5CE, (int32_t)0xFFFF0000, INT32_MIN,
		INT32_MAX };

	for (size_t i = 0; i < N_ELEMENTS(off); i++) {
		begin(0, 0, 1, 1, off[i]);
		assert_result(ERR_PROTOCOL);
		assert_int_equal(whole.n, 1);
		begin(0, 0, 1, 1, RFB_ENC_CURSOR_ALPHA);
		put32(&in, (uint32_t)off[i]);
		assert_result(ERR_PROTOCOL);
	}
}

static void
cursor_in_cursor_and_copy_in_cursor_are_refused(void **state)
{
	static const int32_t inner[] = { RFB_ENC_COPYRECT, RFB_ENC_CURSOR,
		RFB_ENC_CURSOR_ALPHA, RFB_ENC_DESKTOP_SIZE, RFB_ENC_LAST_RECT };

	for (size_t i = 0; i < N_ELEMENTS(inner); i++) {
		begin(0, 0, 8, 8, RFB_ENC_CURSOR_ALPHA);
		put32(&in, (uint32_t)inner[i]);
		assert_result(ERR_PROTOCOL);
	}
}

static const int32_t pictures[] = { RFB_ENC_RAW, RFB_ENC_COPYRECT, RFB_ENC_RRE,
	RFB_ENC_CORRE, RFB_ENC_HEXTILE, RFB_ENC_ZLIB, RFB_ENC_TIGHT,
	RFB_ENC_ZRLE };

static void
assert_place(unsigned x, unsigned y, unsigned w, unsigned h, int expected)
{
	for (size_t i = 0; i < N_ELEMENTS(pictures); i++) {
		begin(x, y, w, h, pictures[i]);
		assert_result(expected);
	}
}

static void
rectangles_outside_are_refused_by_each_side(void **state)
{
	assert_place(0, 0, WIDTH, HEIGHT, 0);
	assert_place(WIDTH - 1, HEIGHT - 1, 1, 1, 0);
	assert_place(0, 0, WIDTH + 1, 1, ERR_PROTOCOL);
	assert_place(0, 0, 1, HEIGHT + 1, ERR_PROTOCOL);
	assert_place(WIDTH, 0, 1, 1, ERR_PROTOCOL);
	assert_place(0, HEIGHT, 1, 1, ERR_PROTOCOL);
	/* The area fits, a side does not. */
	assert_place(0, 0, HEIGHT, WIDTH, ERR_PROTOCOL);
	/* A sum that wraps in 16 bits. */
	assert_place(65535, 0, 1, 1, ERR_PROTOCOL);
	assert_place(1, 1, 65535, 1, ERR_PROTOCOL);
	assert_place(65535, 65535, 65535, 65535, ERR_PROTOCOL);
}

static void
rectangles_outside_a_shrunk_screen_are_refused(void **state)
{
	in.len = 0;
	put_update(&in, 2);
	put_rect(&in, 0, 0, 10, 10, RFB_ENC_DESKTOP_SIZE);
	put_rect(&in, 0, 0, 11, 10, RFB_ENC_RAW);
	assert_result(ERR_PROTOCOL);
}

static void
subrectangle_counts_are_bounded(void **state)
{
	static const int32_t encodings[] = { RFB_ENC_RRE, RFB_ENC_CORRE };

	for (size_t i = 0; i < 2; i++) {
		begin(0, 0, 10, 10, encodings[i]);
		put32(&in, 100);
		assert_result(0);
		begin(0, 0, 10, 10, encodings[i]);
		put32(&in, 101);
		assert_result(ERR_LIMIT);
		begin(0, 0, WIDTH, HEIGHT, encodings[i]);
		put32(&in, UINT32_MAX);
		assert_result(ERR_LIMIT);
		begin(0, 0, 0, 10, encodings[i]);
		put32(&in, 1);
		assert_result(ERR_LIMIT);
	}
}

static void
hextile_bits_that_do_not_exist_are_refused(void **state)
{
	for (unsigned bits = 32; bits < 256; bits++) {
		begin(0, 0, 20, 16, RFB_ENC_HEXTILE);
		put8(&in, 0);
		put8(&in, bits);
		assert_result(ERR_PROTOCOL);
	}
}

static void
compressed_lengths_are_bounded(void **state)
{
	static const int32_t encodings[] = { RFB_ENC_ZLIB, RFB_ENC_ZRLE };
	uint32_t max = 3 * 10 * 10 * 4 + 4096;

	for (size_t i = 0; i < 2; i++) {
		begin(0, 0, 10, 10, encodings[i]);
		put32(&in, max);
		assert_result(0);
		begin(0, 0, 10, 10, encodings[i]);
		put32(&in, max + 1);
		assert_result(ERR_LIMIT);
		begin(0, 0, WIDTH, HEIGHT, encodings[i]);
		put32(&in, UINT32_MAX);
		assert_result(ERR_LIMIT);
	}
}

static void
assert_tight(
    unsigned w, unsigned h, const uint8_t *data, size_t len, int expected)
{
	begin(0, 0, w, h, RFB_ENC_TIGHT);
	for (size_t i = 0; i < len; i++)
		put8(&in, data[i]);
	assert_result(expected);
}

static void
tight_controls_are_checked(void **state)
{
	for (unsigned c = 0; c < 0x100; c++)
		assert_tight(9, 9, (uint8_t[]){ (uint8_t)c }, 1,
		    c < 0xb0 || c >> 4 == 0xe ? 0 : ERR_PROTOCOL);
	for (unsigned filter = 0; filter < 256; filter++)
		assert_tight(9, 9, (uint8_t[]){ 0x40, (uint8_t)filter }, 2,
		    filter > 2 ? ERR_PROTOCOL : 0);
}

static void
tight_width_is_bounded_for_gradients(void **state)
{
	static const uint8_t controls[] = { 0x80, 0x00, 0x90, 0xa0 };

	for (size_t i = 0; i < N_ELEMENTS(controls); i++)
		assert_tight(2049, 1, &controls[i], 1, 0);
	assert_tight(2049, 1, (uint8_t[]){ 0x50, 1 }, 2, 0);
	assert_tight(2048, 1, (uint8_t[]){ 0x50, 2 }, 2, 0);
	assert_tight(2049, 1, (uint8_t[]){ 0x50, 2 }, 2, ERR_PROTOCOL);
	assert_tight(2049, 1, (uint8_t[]){ 0xe0, 2 }, 2, ERR_PROTOCOL);
}

/* 60 bytes: not deflated, nothing else will do. */
static void
tight_plain_data_has_one_length(void **state)
{
	assert_tight(5, 4, (uint8_t[]){ 0xa0, 60 }, 2, 0);
	assert_tight(5, 4, (uint8_t[]){ 0xa0, 59 }, 2, ERR_PROTOCOL);
	assert_tight(5, 4, (uint8_t[]){ 0xa0, 61 }, 2, ERR_PROTOCOL);
	assert_tight(5, 4, (uint8_t[]){ 0xe0, 0, 61 }, 3, ERR_PROTOCOL);
	assert_tight(5, 4, (uint8_t[]){ 0x00, 61 }, 2, 0);
}

static void
tight_without_area_is_refused(void **state)
{
	assert_tight(0, 9, NULL, 0, ERR_PROTOCOL);
	assert_tight(9, 0, NULL, 0, ERR_PROTOCOL);
}

static void
tight_gradient_needs_more_than_a_byte(void **state)
{
	format.bits_per_pixel = 8;
	format.depth = 8;
	assert_tight(9, 9, (uint8_t[]){ 0x40, 2 }, 2, ERR_PROTOCOL);
	format.bits_per_pixel = 16;
	format.depth = 16;
	assert_tight(9, 9, (uint8_t[]){ 0x40, 2 }, 2, 0);
}

/* 3 * 12 + 4096 = 4132: 36 and 32 * 128. */
static void
tight_lengths_are_bounded(void **state)
{
	assert_tight(4, 1, (uint8_t[]){ 0, 0xa4, 0x20 }, 3, 0);
	assert_tight(4, 1, (uint8_t[]){ 0, 0xa5, 0x20 }, 3, ERR_LIMIT);
	assert_tight(4, 1, (uint8_t[]){ 0, 0xff, 0xff, 0xff }, 4, ERR_LIMIT);
	assert_tight(4, 1, (uint8_t[]){ 0x90, 0xff, 0xff, 0xff }, 4, ERR_LIMIT);
}

static void
cursors_are_bounded(void **state)
{
	static const int32_t cursors[] = { RFB_ENC_CURSOR, RFB_ENC_XCURSOR,
		RFB_ENC_CURSOR_ALPHA, RFB_ENC_VMWARE_CURSOR };

	for (size_t i = 0; i < N_ELEMENTS(cursors); i++) {
		begin(0, 0, 1024, 1024, cursors[i]);
		assert_result(0);
		begin(0, 0, 1025, 1, cursors[i]);
		assert_result(ERR_LIMIT);
		begin(0, 0, 1, 1025, cursors[i]);
		assert_result(ERR_LIMIT);
	}
	begin(0, 0, 8, 8, RFB_ENC_VMWARE_CURSOR);
	put16(&in, 0x0200);
	assert_result(ERR_PROTOCOL);
}

static void
resizes_are_bounded(void **state)
{
	static const int32_t resizes[] = { RFB_ENC_DESKTOP_SIZE,
		RFB_ENC_EXT_DESKTOP_SIZE };

	for (size_t i = 0; i < 2; i++) {
		begin(0, 0, RFB_MAX_SIDE, RFB_MAX_SIDE, resizes[i]);
		assert_result(0);
		begin(0, 0, RFB_MAX_SIDE + 1, 1, resizes[i]);
		assert_result(ERR_LIMIT);
		begin(0, 0, 1, 65535, resizes[i]);
		assert_result(ERR_LIMIT);
		begin(0, 0, 0, 100, resizes[i]);
		assert_result(ERR_PROTOCOL);
		begin(0, 0, 100, 0, resizes[i]);
		assert_result(ERR_PROTOCOL);
	}
	/* Reason 1 with status 0 succeeded; reason 2 is another client's. */
	begin(1, 0, 0, 0, RFB_ENC_EXT_DESKTOP_SIZE);
	assert_result(ERR_PROTOCOL);
	begin(2, 1, 0, 0, RFB_ENC_EXT_DESKTOP_SIZE);
	assert_result(ERR_PROTOCOL);
}

static void
screens_and_names_are_bounded(void **state)
{
	begin(0, 0, 9, 9, RFB_ENC_EXT_DESKTOP_SIZE);
	put32(&in, (uint32_t)RFB_MAX_SCREENS << 24);
	assert_result(0);
	begin(0, 0, 9, 9, RFB_ENC_EXT_DESKTOP_SIZE);
	put32(&in, (RFB_MAX_SCREENS + 1u) << 24);
	assert_result(ERR_LIMIT);
	begin(0, 0, 0, 0, RFB_ENC_DESKTOP_NAME);
	put32(&in, RFB_MAX_NAME);
	assert_result(0);
	begin(0, 0, 0, 0, RFB_ENC_DESKTOP_NAME);
	put32(&in, RFB_MAX_NAME + 1);
	assert_result(ERR_LIMIT);
	begin(0, 0, 0, 0, RFB_ENC_DESKTOP_NAME);
	put32(&in, UINT32_MAX);
	assert_result(ERR_LIMIT);
}

static void
assert_cut_text(uint32_t len, int expected)
{
	in.len = 0;
	put32(&in, (uint32_t)RFB_SERVER_CUT_TEXT << 24);
	put32(&in, len);
	assert_result(expected);
}

static void
cut_text_is_bounded(void **state)
{
	assert_cut_text(RFB_MAX_CUT_TEXT, 0);
	assert_cut_text(RFB_MAX_CUT_TEXT + 1, ERR_LIMIT);
	assert_cut_text(INT32_MAX, ERR_LIMIT);
	assert_cut_text((uint32_t)-4, 0);
	assert_cut_text((uint32_t)-3, ERR_PROTOCOL);
	assert_cut_text((uint32_t)-1, ERR_PROTOCOL);
	assert_cut_text((uint32_t)-RFB_MAX_CUT_TEXT, 0);
	assert_cut_text((uint32_t)-RFB_MAX_CUT_TEXT - 1, ERR_LIMIT);
	/* INT32_MIN has no absolute value in 32 bits. */
	assert_cut_text(0x80000000, ERR_LIMIT);
}

static void
fence_over_64_bytes_is_refused(void **state)
{
	in.len = 0;
	put8(&in, RFB_SERVER_FENCE);
	put_n(&in, 3 + 4, 0);
	put8(&in, 65);
	assert_result(ERR_PROTOCOL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(unknown_messages_are_refused, set_up),
		cmocka_unit_test_setup(
		    encodings_off_the_list_are_refused, set_up),
		cmocka_unit_test_setup(
		    cursor_in_cursor_and_copy_in_cursor_are_refused, set_up),
		cmocka_unit_test_setup(
		    rectangles_outside_are_refused_by_each_side, set_up),
		cmocka_unit_test_setup(
		    rectangles_outside_a_shrunk_screen_are_refused, set_up),
		cmocka_unit_test_setup(subrectangle_counts_are_bounded, set_up),
		cmocka_unit_test_setup(
		    hextile_bits_that_do_not_exist_are_refused, set_up),
		cmocka_unit_test_setup(compressed_lengths_are_bounded, set_up),
		cmocka_unit_test_setup(tight_controls_are_checked, set_up),
		cmocka_unit_test_setup(
		    tight_width_is_bounded_for_gradients, set_up),
		cmocka_unit_test_setup(tight_plain_data_has_one_length, set_up),
		cmocka_unit_test_setup(tight_without_area_is_refused, set_up),
		cmocka_unit_test_setup(
		    tight_gradient_needs_more_than_a_byte, set_up),
		cmocka_unit_test_setup(tight_lengths_are_bounded, set_up),
		cmocka_unit_test_setup(cursors_are_bounded, set_up),
		cmocka_unit_test_setup(resizes_are_bounded, set_up),
		cmocka_unit_test_setup(screens_and_names_are_bounded, set_up),
		cmocka_unit_test_setup(cut_text_is_bounded, set_up),
		cmocka_unit_test_setup(fence_over_64_bytes_is_refused, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
