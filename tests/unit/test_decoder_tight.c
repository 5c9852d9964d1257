/*
 * The decoder's Tight as servers send it beside the specification: data that
 * is not deflated (libvncserver at compression level 0), and rectangles wider
 * than 2048 pixels (servers of 4K screens).
 */
#include <turbojpeg.h>

#include "tests/unit/decoder_case.h"

#define WIDE 3840

static struct bytes stream, inner;
static struct packer packer;

static void
fresh(unsigned w, unsigned h)
{
	stream.len = 0;
	inner.len = 0;
	packer_release(&packer);
	put_update(&stream, 1);
	put_rect(&stream, 0, 0, w, h, RFB_ENC_TIGHT);
}

static struct case_run
decode(unsigned w, unsigned h)
{
	struct rfb_pixel_format pf = usual_format();
	struct case_run r = case_decode(&stream, &pf, (uint16_t)w, (uint16_t)h);

	packer_release(&packer);
	if (r.rc != 0)
		fail_msg("%s", r.why);
	return r;
}

static void
refused(unsigned w, unsigned h, const char *why)
{
	struct rfb_pixel_format pf = usual_format();

	case_refused(&stream, &pf, (uint16_t)w, (uint16_t)h, why);
}

/* Behind a compact length, as it is. */
static void
put_plain(const struct bytes *from)
{
	put_compact(&stream, from->len);
	put_bytes(&stream, from->data, from->len);
}

/* ---- not deflated ---- */

static void
test_plain_copy(void **state)
{
	struct case_run r;

	fresh(200, 100);
	put8(&stream, 0xa0);
	for (uint32_t i = 0; i < 200 * 100; i++)
		put_rgb(&inner, i * 7);
	put_plain(&inner);
	r = decode(200, 100);
	for (uint32_t i = 0; i < 200 * 100; i++)
		assert_int_equal(case_pixel(&r, i % 200, i / 200), i * 7);
	case_release(&r);
}

static void
test_plain_two_colours(void **state)
{
	struct case_run r;

	fresh(32, 16);
	put8(&stream, 0xe0);
	put8(&stream, 1);
	put8(&stream, 1);
	put_rgb(&stream, 0x010203);
	put_rgb(&stream, 0xc86432);
	put_n(&inner, 64, 0xf0);
	put_plain(&inner);
	r = decode(32, 16);
	assert_int_equal(case_pixel(&r, 0, 0), 0xc86432);
	assert_int_equal(case_pixel(&r, 4, 15), 0x010203);
	case_release(&r);
}

static void
test_plain_palette(void **state)
{
	struct case_run r;

	fresh(20, 20);
	put8(&stream, 0xe0);
	put8(&stream, 1);
	put8(&stream, 2);
	for (uint32_t i = 0; i < 3; i++)
		put_rgb(&stream, 0x111111 * (i + 1));
	for (unsigned i = 0; i < 400; i++)
		put8(&inner, i % 3);
	put_plain(&inner);
	r = decode(20, 20);
	assert_int_equal(case_pixel(&r, 1, 0), 0x222222);
	assert_int_equal(case_pixel(&r, 19, 19), 0x111111);
	case_release(&r);
}

static void
test_plain_gradient(void **state)
{
	struct case_run r;

	fresh(5, 1);
	put8(&stream, 0xe0);
	put8(&stream, 2);
	for (unsigned i = 0; i < 5; i++)
		put_rgb(&inner, 0x000100);
	put_plain(&inner);
	r = decode(5, 1);
	assert_int_equal(case_pixel(&r, 0, 0), 0x0100);
	assert_int_equal(case_pixel(&r, 4, 0), 0x0500);
	case_release(&r);
}

/* Fewer than 12 bytes have no length in front, deflated or not. */
static void
test_plain_short(void **state)
{
	struct case_run r;

	fresh(3, 1);
	put8(&stream, 0xa0);
	for (uint32_t i = 0; i < 3; i++)
		put_rgb(&stream, i + 1);
	r = decode(3, 1);
	assert_int_equal(case_pixel(&r, 2, 0), 3);
	case_release(&r);
}

/* It resets streams as any other; those it leaves alone go on. */
static void
test_plain_between_deflated(void **state)
{
	struct packer begun = { 0 };
	struct case_run r;

	fresh(10, 2);
	stream.data[3] = 4;
	put_n(&inner, 60, 9);
	put8(&stream, 0x00);
	put_tight_packed(&stream, &packer, &inner);
	put_rect(&stream, 0, 2, 10, 2, RFB_ENC_TIGHT);
	put8(&stream, 0xa2); /* resets stream 1 */
	put_plain(&inner);
	put_rect(&stream, 0, 4, 10, 2, RFB_ENC_TIGHT);
	put8(&stream, 0x00);
	put_tight_packed(&stream, &packer, &inner);
	put_rect(&stream, 0, 6, 10, 2, RFB_ENC_TIGHT);
	put8(&stream, 0x10);
	put_tight_packed(&stream, &begun, &inner);
	packer_release(&begun);
	r = decode(10, 8);
	for (unsigned y = 0; y < 8; y++)
		assert_int_equal(case_pixel(&r, 9, y), 0x090909);
	case_release(&r);
}

static void
refused_plain(const char *head, size_t n, uint8_t value, const char *why)
{
	unsigned byte;

	fresh(5, 4);
	for (; *head != '\0'; head += 2) {
		assert_int_equal(sscanf(head, "%2x", &byte), 1);
		put8(&stream, byte);
	}
	put_n(&inner, n, value);
	put_plain(&inner);
	refused(5, 4, why);
}

static void
test_plain_hostile(void **state)
{
	static const char length[] =
	    "plain Tight data of another length than its pixels";
	static const char index[] = "Tight palette index out of range";

	refused_plain("a0", 59, 0, length);
	refused_plain("a0", 61, 0, length);
	refused_plain("a0", 0, 0, length);
	refused_plain("a0", 5000, 0, length);
	refused_plain("e000", 59, 0, length);
	refused_plain("e002", 61, 0, length);
	refused_plain("e00102000000111111222222", 19, 0, length);
	refused_plain("e00102000000111111222222", 20, 3, index);
	refused_plain("e00102000000111111222222", 20, 255, index);
	refused_plain("e003", 60, 0, "unknown Tight filter");
	refused_plain("b0", 60, 0, "unknown Tight compression");
	refused_plain("c0", 60, 0, "unknown Tight compression");
	refused_plain("d0", 60, 0, "unknown Tight compression");
	refused_plain("f0", 60, 0, "unknown Tight compression");
}

/* ---- wide ---- */

static bool
is_near(uint32_t a, uint32_t b)
{
	for (unsigned i = 0; i < 24; i += 8) {
		if (abs((int)(a >> i & 255) - (int)(b >> i & 255)) > 12)
			return false;
	}
	return true;
}

static void
test_wide_jpeg(void **state)
{
	static uint8_t pixels[WIDE * 4 * 3];
	tjhandle tj = tjInitCompress();
	unsigned long n = 0;
	uint8_t *out = NULL;
	struct case_run r;

	for (size_t i = 0; i < sizeof(pixels); i++)
		pixels[i] = i / 3 % WIDE < WIDE / 2 ? 30 : 160;
	assert_int_equal(tjCompress2(tj, pixels, WIDE, 0, 4, TJPF_RGB, &out, &n,
			     TJSAMP_420, 90, 0),
	    0);
	fresh(WIDE, 4);
	put8(&stream, 0x90);
	put_compact(&stream, n);
	put_bytes(&stream, out, n);
	tjFree(out);
	tjDestroy(tj);
	r = decode(WIDE, 4);
	assert_true(is_near(case_pixel(&r, 0, 0), 0x1e1e1e));
	assert_true(is_near(case_pixel(&r, WIDE - 1, 3), 0xa0a0a0));
	case_release(&r);
}

static void
test_wide_copy(void **state)
{
	struct case_run r;

	fresh(WIDE, 2);
	put8(&stream, 0x00);
	for (uint32_t i = 0; i < 2 * WIDE; i++)
		put_rgb(&inner, i);
	put_tight_packed(&stream, &packer, &inner);
	r = decode(WIDE, 2);
	assert_int_equal(case_pixel(&r, WIDE - 1, 0), WIDE - 1);
	assert_int_equal(case_pixel(&r, WIDE - 1, 1), 2 * WIDE - 1);
	case_release(&r);
}

static void
test_wide_palettes(void **state)
{
	struct case_run r;

	for (unsigned n = 2; n <= 3; n++) {
		fresh(WIDE + 3, 2);
		put8(&stream, 0x40);
		put8(&stream, 1);
		put8(&stream, n - 1);
		for (uint32_t i = 0; i < n; i++)
			put_rgb(&stream, 0x0a0b0c * i);
		put_n(&inner, n == 2 ? 2 * ((WIDE + 10) / 8) : 2 * (WIDE + 3),
		    n == 2 ? 0xff : 1);
		put_tight_packed(&stream, &packer, &inner);
		r = decode(WIDE + 3, 2);
		assert_int_equal(case_pixel(&r, 0, 0), 0x0a0b0c);
		assert_int_equal(case_pixel(&r, WIDE + 2, 1), 0x0a0b0c);
		case_release(&r);
	}
}

static void
test_wide_gradient_is_refused(void **state)
{
	fresh(2049, 1);
	put8(&stream, 0x40);
	put8(&stream, 2);
	refused(2049, 1, "Tight gradient too wide");
}

static int
ignore(void *arg, const struct rfb_framer_event *ev)
{
	return 0;
}

/* What libjpeg may allocate for one is bounded by its pixels. */
static int
frame_jpeg(unsigned w, unsigned h)
{
	struct rfb_pixel_format pf = usual_format();
	struct rfb_framer *f =
	    rfb_framer_new(RFB_MAX_SIDE, RFB_MAX_SIDE, &pf, ignore, NULL);
	int rc;

	assert_non_null(f);
	fresh(w, h);
	put8(&stream, 0x90);
	rc = rfb_framer_feed(f, stream.data, stream.len);
	rfb_framer_free(f);
	return rc;
}

static void
test_jpeg_size(void **state)
{
	assert_int_equal(frame_jpeg(7680, 4320), 0);
	assert_int_equal(frame_jpeg(RFB_MAX_SIDE, 2048), 0);
	assert_int_equal(frame_jpeg(RFB_MAX_SIDE, 2049), ERR_LIMIT);
	assert_int_equal(frame_jpeg(RFB_MAX_SIDE, RFB_MAX_SIDE), ERR_LIMIT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain_copy),
		cmocka_unit_test(test_plain_two_colours),
		cmocka_unit_test(test_plain_palette),
		cmocka_unit_test(test_plain_gradient),
		cmocka_unit_test(test_plain_short),
		cmocka_unit_test(test_plain_between_deflated),
		cmocka_unit_test(test_plain_hostile),
		cmocka_unit_test(test_wide_jpeg),
		cmocka_unit_test(test_wide_copy),
		cmocka_unit_test(test_wide_palettes),
		cmocka_unit_test(test_wide_gradient_is_refused),
		cmocka_unit_test(test_jpeg_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
