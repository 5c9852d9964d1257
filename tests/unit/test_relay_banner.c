/* Pictures in every pixel format, and the banner that is made of them. */
#include "relay/draw/banner.h"
#include "tests/unit/draw_case.h"

static const char warning[] = "This session ends in 5 minutes: it has lasted "
			      "23 hours and 55 minutes.";

/* Gradients, noise and flat parts, so that tiles of all kinds occur. */
static struct picture
test_picture(unsigned w, unsigned h)
{
	struct picture p;
	uint32_t seed = 7;

	assert_int_equal(picture_init(&p, w, h, 0x204060), 0);
	for (unsigned y = 0; y < h; y++) {
		for (unsigned x = 0; x < w; x++) {
			uint32_t colour = 0x204060;

			seed = seed * 1664525 + 1013904223;
			if (x / 16 % 4 == 1)
				colour = x == y ? 0xffffff : 0x000000;
			else if (x / 16 % 4 == 2)
				colour = seed >> 8;
			else if (x / 16 % 4 == 3 && y % 3 == 0)
				colour = x * 4 << 16 | y << 8 | 0x33;
			picture_fill(&p, (int)x, (int)y, 1, 1, colour);
		}
	}
	return p;
}

/* As one update, before the rectangles. */
static void
put_update_header(struct buf *b, unsigned n)
{
	uint8_t header[4] = { RFB_FRAMEBUFFER_UPDATE };

	store_be16(header + 2, (uint16_t)n);
	assert_int_equal(buf_append(b, header, 4), 0);
}

static void
check_picture(const struct picture *p, const struct rfb_pixel_format *pf,
    bool may_hextile)
{
	struct rfb_decoder *d = draw_viewer(p->w + 9, p->h + 5, pf);
	struct buf b;

	buf_init(&b, 1 << 24);
	put_update_header(&b, picture_n_rects(p));
	assert_int_equal(picture_append(p, 7, 3, pf, may_hextile, &b), 0);
	assert_int_equal(rfb_decoder_feed(d, buf_head(&b), buf_len(&b)), 0);
	assert_true(rfb_decoder_is_between_messages(d));
	for (unsigned y = 0; y < p->h; y++) {
		for (unsigned x = 0; x < p->w; x++)
			assert_pixel(
			    d, pf, x + 7, y + 3, p->rgb + (y * p->w + x) * 3);
	}
	buf_release(&b);
	rfb_decoder_free(d);
}

static void
test_formats(void **state)
{
	static const unsigned sizes[][2] = { { 1, 1 }, { 16, 16 }, { 17, 33 },
		{ 100, 50 }, { 700, 40 } };

	for (size_t s = 0; s < N_ELEMENTS(sizes); s++) {
		struct picture p = test_picture(sizes[s][0], sizes[s][1]);

		for (size_t i = 0; i < N_ELEMENTS(draw_formats); i++) {
			check_picture(&p, &draw_formats[i], false);
			check_picture(&p, &draw_formats[i], true);
		}
		picture_release(&p);
	}
}

/* Exact bytes, worked out by hand: RFC 6143 sections 7.7.1 and 7.7.4. */
static void
test_bytes(void **state)
{
	static const uint8_t raw[] = { 0, 9, 0, 8, 0, 2, 0, 1, 0, 0, 0, 0, 0x12,
		0x34, 0xfc, 0xdc };
	static const uint8_t hextile[] = { 0, 0, 0, 0, 0, 20, 0, 16, 0, 0, 0, 5,
		/* background, foreground, one run of 3 at 2, 1 */
		14, 0x02, 0x46, 0xfd, 0xb9, 1, 0x21, 0x20,
		/* the same background */
		0 };
	static const struct rfb_pixel_format be16 = { 16, 16, true, true, 31,
		63, 31, 11, 5, 0 };
	struct picture p;
	struct buf b;

	buf_init(&b, 1000);
	assert_int_equal(picture_init(&p, 2, 1, 0), 0);
	memcpy(p.rgb, "\x10\x45\xa5\xff\x9a\xe7", 6);
	assert_int_equal(picture_append(&p, 9, 8, &be16, false, &b), 0);
	assert_int_equal(buf_len(&b), sizeof(raw));
	assert_memory_equal(buf_head(&b), raw, sizeof(raw));
	buf_consume(&b, buf_len(&b));
	picture_release(&p);
	assert_int_equal(picture_init(&p, 20, 16, 0x004931), 0);
	picture_fill(&p, 2, 1, 3, 1, 0xffb6ce);
	assert_int_equal(picture_append(&p, 0, 0, &be16, true, &b), 0);
	assert_int_equal(buf_len(&b), sizeof(hextile));
	assert_memory_equal(buf_head(&b), hextile, sizeof(hextile));
	picture_release(&p);
	buf_release(&b);
}

/* After a Raw tile no background is in force: it is told again. */
static void
test_hextile_after_raw(void **state)
{
	static const struct rfb_pixel_format bgr233 = { 8, 8, false, true, 7, 7,
		3, 0, 3, 6 };
	struct picture p;
	struct buf b;
	const uint8_t *tiles;
	uint32_t seed = 1;

	buf_init(&b, 10000);
	assert_int_equal(picture_init(&p, 64, 16, 0xff0000), 0);
	for (int i = 0; i < 256; i++) {
		seed = seed * 1664525 + 1013904223;
		picture_fill(&p, 32 + i % 16, i / 16, 1, 1, seed >> 8);
	}
	assert_int_equal(picture_append(&p, 0, 0, &bgr233, true, &b), 0);
	assert_int_equal(buf_len(&b), 12 + 2 + 1 + 257 + 2);
	tiles = buf_head(&b) + 12;
	assert_memory_equal(tiles, "\x02\x07\x00\x01", 4);
	assert_memory_equal(tiles + 2 + 1 + 257, "\x02\x07", 2);
	picture_release(&p);
	buf_release(&b);
}

static void
test_fill_clips(void **state)
{
	struct picture p;
	uint8_t ink[4] = { 255, 255, 255, 255 };
	struct text_bitmap dot = { .w = 2, .h = 2, .coverage = ink };
	static const uint8_t want[] = { 1, 2, 3, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9,
		9, 9, 1, 2, 3 };

	assert_int_equal(picture_init(&p, 3, 2, 0x090909), 0);
	picture_fill(&p, -5, -5, 6, 6, 0x010203);
	picture_fill(&p, 2, 1, 1000, 1000, 0x010203);
	picture_fill(&p, 5, 0, 3, 3, 0xffffff);
	picture_fill(&p, 0, 0, -1, 1, 0xffffff);
	assert_memory_equal(p.rgb, want, sizeof(want));
	picture_text(&p, -1, -1, &dot, 0xffffff);
	picture_text(&p, 2, 1, &dot, 0xffffff);
	assert_memory_equal(p.rgb, "\xff\xff\xff\x09\x09\x09", 6);
	assert_memory_equal(p.rgb + 12, "\x09\x09\x09\xff\xff\xff", 6);
	picture_release(&p);
	assert_int_equal(picture_init(&p, 0, 5, 0), ERR_LIMIT);
	assert_int_equal(
	    picture_init(&p, 5, PICTURE_MAX_SIDE + 1, 0), ERR_LIMIT);
}

/* Output without room is left as it was. */
static void
check_no_room(const struct picture *p, bool may_hextile, size_t limit)
{
	struct buf b;

	buf_init(&b, limit);
	assert_int_equal(buf_append(&b, "abc", 3), 0);
	assert_int_equal(
	    picture_append(p, 0, 0, &draw_formats[0], may_hextile, &b),
	    ERR_LIMIT);
	assert_int_equal(buf_len(&b), 3);
	assert_memory_equal(buf_head(&b), "abc", 3);
	buf_release(&b);
}

static void
test_picture_limit(void **state)
{
	struct picture p = test_picture(300, 200);
	struct rfb_pixel_format map = draw_formats[0];
	struct buf b;

	assert_true(picture_n_rects(&p) > 1);
	for (size_t limit = 3; limit < 240000; limit += 20011)
		check_no_room(&p, false, limit);
	for (size_t limit = 3; limit < 90000; limit += 9011)
		check_no_room(&p, true, limit);
	map.true_colour = false;
	buf_init(&b, 1 << 20);
	assert_int_equal(
	    picture_append(&p, 0, 0, &map, true, &b), ERR_UNSUPPORTED);
	assert_int_equal(buf_len(&b), 0);
	picture_release(&p);
}

/* The banner. */

static void
check_place(struct text_font *font, uint16_t w, uint16_t h)
{
	struct banner *b;
	struct banner_area a;

	assert_int_equal(banner_draw(font, warning, w, h, &b), 0);
	a = banner_area(b);
	assert_true(a.w > 0 && a.w <= w * 3 / 5);
	assert_true(a.h > 0 && a.h <= h / 4);
	assert_int_equal(a.y, 0);
	assert_in_range(a.x, (w - a.w) / 2, (w - a.w + 1) / 2);
	assert_in_range(banner_n_rects(b), 1, BANNER_MAX_RECTS);
	assert_true(banner_touches(b, a.x, 0, 1, 1));
	assert_true(banner_touches(b, 0, 0, w, h));
	assert_true(banner_touches(b, a.x + a.w - 1, a.h - 1, 9, 9));
	assert_false(banner_touches(b, a.x + a.w, 0, 9, 9));
	assert_false(banner_touches(b, 0, 0, a.x, 9));
	assert_false(banner_touches(b, 0, a.h, w, h - a.h));
	assert_false(banner_touches(b, a.x, 0, 0, 9));
	banner_free(b);
}

static void
test_place(void **state)
{
	static const uint16_t sides[] = { 160, 200, 320, 480, 640, 1081, 2160,
		3840, 16384 };
	struct text_font *font = draw_font();

	for (size_t i = 0; i < N_ELEMENTS(sides); i++) {
		for (size_t j = 0; j < N_ELEMENTS(sides); j++)
			check_place(font, sides[i], sides[j]);
	}
	text_font_close(font);
}

static void
test_no_banner(void **state)
{
	struct text_font *font = draw_font();
	struct banner *b = (void *)1;

	assert_int_equal(banner_draw(NULL, "x", 800, 600, &b), ERR_NOTFOUND);
	assert_null(b);
	assert_int_equal(banner_draw(font, "x", 159, 600, &b), ERR_UNSUPPORTED);
	assert_int_equal(banner_draw(font, "x", 800, 95, &b), ERR_UNSUPPORTED);
	assert_null(b);
	banner_free(NULL);
	/* no words: still a mark on the screen */
	assert_int_equal(banner_draw(font, "", 800, 600, &b), 0);
	assert_true(banner_area(b).w > 2 && banner_area(b).h > 2);
	banner_free(b);
	text_font_close(font);
}

/* As an update of its own. */
static void
encode_update(struct banner *b, const struct rfb_pixel_format *pf,
    bool may_hextile, struct buf *out)
{
	uint8_t header[4] = { RFB_FRAMEBUFFER_UPDATE };
	const uint8_t *bytes;
	size_t len;

	store_be16(header + 2, (uint16_t)banner_n_rects(b));
	assert_int_equal(banner_bytes(b, pf, may_hextile, &bytes, &len), 0);
	assert_int_equal(buf_append(out, header, sizeof(header)), 0);
	assert_int_equal(buf_append(out, bytes, len), 0);
}

/* An update with a banner: all of its area is drawn, amber at the rim, and
 * nothing outside. */
static void
check_banner(
    struct banner *b, const struct rfb_pixel_format *pf, bool may_hextile)
{
	static const uint8_t amber[] = { 0xff, 0xb3, 0x00 };
	static const uint8_t black[] = { 0, 0, 0 };
	struct rfb_decoder *d = draw_viewer(640, 480, pf);
	struct banner_area a = banner_area(b);
	struct buf out;

	buf_init(&out, 1 << 20);
	encode_update(b, pf, may_hextile, &out);
	assert_int_equal(rfb_decoder_feed(d, buf_head(&out), buf_len(&out)), 0);
	assert_true(rfb_decoder_is_between_messages(d));
	assert_pixel(d, pf, a.x + 2, 2, amber);
	assert_pixel(d, pf, a.x + a.w - 3, a.h - 3, amber);
	assert_pixel(d, pf, a.x - 1, 0, black);
	assert_pixel(d, pf, a.x + a.w, 0, black);
	assert_pixel(d, pf, a.x, a.h, black);
	buf_release(&out);
	rfb_decoder_free(d);
}

static void
test_encode(void **state)
{
	struct text_font *font = draw_font();
	struct banner *b;

	assert_int_equal(banner_draw(font, warning, 640, 480, &b), 0);
	for (size_t i = 0; i < N_ELEMENTS(draw_formats); i++) {
		check_banner(b, &draw_formats[i], false);
		check_banner(b, &draw_formats[i], true);
	}
	banner_free(b);
	text_font_close(font);
}

/* The second injection copies; another format encodes anew. */
static void
test_cache(void **state)
{
	struct text_font *font = draw_font();
	const uint8_t *first, *again, *other;
	size_t len, len_again, len_other;
	struct banner *b;

	assert_int_equal(banner_draw(font, warning, 3840, 2160, &b), 0);
	assert_int_equal(
	    banner_bytes(b, &draw_formats[0], false, &first, &len), 0);
	draw_allocs_left = 0; /* nothing is allocated, nothing drawn */
	assert_int_equal(
	    banner_bytes(b, &draw_formats[0], false, &again, &len_again), 0);
	draw_allocs_left = -1;
	assert_ptr_equal(first, again);
	assert_int_equal(len, len_again);
	assert_int_equal(len,
	    12 * banner_n_rects(b) + 4u * banner_area(b).w * banner_area(b).h);
	assert_int_equal(
	    banner_bytes(b, &draw_formats[8], false, &other, &len_other), 0);
	assert_true(len_other < len);
	assert_int_equal(
	    banner_bytes(b, &draw_formats[0], true, &other, &len_other), 0);
	assert_true(len_other < len / 2);
	assert_int_equal(
	    banner_bytes(b, &draw_formats[0], false, &other, &len_other), 0);
	assert_int_equal(len_other, len);
	banner_free(b);
	text_font_close(font);
}

static void
test_out_of_memory(void **state)
{
	struct text_font *font = draw_font();
	struct banner *b = NULL;
	const uint8_t *bytes;
	size_t len;
	int rc = ERR_NOMEM;

	for (long n = 0; rc != 0; n++) {
		banner_free(b);
		draw_allocs_left = n;
		rc = banner_draw(font, warning, 640, 480, &b);
		draw_allocs_left = -1;
		assert_true(n < 12);
		assert_int_equal(rc == 0, b != NULL);
		assert_true(rc == 0 || rc == ERR_NOMEM);
	}
	draw_allocs_left = 0;
	assert_int_equal(
	    banner_bytes(b, &draw_formats[0], false, &bytes, &len), ERR_NOMEM);
	draw_allocs_left = -1;
	assert_int_equal(
	    banner_bytes(b, &draw_formats[0], false, &bytes, &len), 0);
	banner_free(b);
	text_font_close(font);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_formats),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_hextile_after_raw),
		cmocka_unit_test(test_fill_clips),
		cmocka_unit_test(test_picture_limit),
		cmocka_unit_test(test_place),
		cmocka_unit_test(test_no_banner),
		cmocka_unit_test(test_encode),
		cmocka_unit_test(test_cache),
		cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
