/*
 * What a decoder must refuse: one stream a bug that real decoders had (see
 * docs/rfb.md), each beside the sentence it ends with.
 */
#include <turbojpeg.h>

#include "tests/unit/decoder_case.h"

static struct bytes stream, inner;
static struct packer packer;

static struct bytes *
fresh(unsigned w, unsigned h, int32_t encoding)
{
	stream.len = 0;
	inner.len = 0;
	packer_release(&packer);
	put_update(&stream, 1);
	put_rect(&stream, 0, 0, w, h, encoding);
	return &stream;
}

static void
refused(const char *why)
{
	struct rfb_pixel_format pf = usual_format();

	case_refused(&stream, &pf, 100, 100, why);
	packer_release(&packer);
}

static void
test_copyrect_from_outside(void **state)
{
	static const uint16_t from[][2] = { { 91, 0 }, { 0, 91 }, { 65535, 0 },
		{ 0, 65535 }, { 65526, 65526 } };

	for (size_t i = 0; i < N_ELEMENTS(from); i++) {
		fresh(10, 10, RFB_ENC_COPYRECT);
		put16(&stream, from[i][0]);
		put16(&stream, from[i][1]);
		refused("CopyRect from outside the framebuffer");
	}
}

static void
put_subrect(int32_t encoding, const uint16_t *at)
{
	put32(&stream, 1);
	put_n(&stream, 8, 0);
	for (size_t i = 0; i < 4; i++) {
		if (encoding == RFB_ENC_RRE)
			put16(&stream, at[i]);
		else
			put8(&stream, at[i]);
	}
}

static void
test_rre_outside(void **state)
{
	static const uint16_t at[][4] = { { 10, 0, 1, 1 }, { 0, 10, 1, 1 },
		{ 0, 0, 11, 1 }, { 0, 0, 1, 11 }, { 9, 9, 2, 1 },
		{ 9, 9, 1, 255 } };
	static const uint16_t wide[4] = { 65535, 0, 2, 1 };

	for (size_t i = 0; i < N_ELEMENTS(at); i++) {
		fresh(10, 10, RFB_ENC_RRE);
		put_subrect(RFB_ENC_RRE, at[i]);
		refused("RRE subrectangle outside its rectangle");
		fresh(10, 10, RFB_ENC_CORRE);
		put_subrect(RFB_ENC_CORRE, at[i]);
		refused("RRE subrectangle outside its rectangle");
	}
	fresh(10, 10, RFB_ENC_RRE);
	put_subrect(RFB_ENC_RRE, wide);
	refused("RRE subrectangle outside its rectangle");
}

/* 20 x 20 pixels, painted n times over. */
static void
put_rre_layers(unsigned n)
{
	fresh(20, 20, RFB_ENC_RRE);
	put32(&stream, n);
	put_n(&stream, 4, 0);
	for (unsigned i = 0; i < n; i++) {
		put_bgr(&stream, i, 4);
		put_n(&stream, 4, 0);
		put16(&stream, 20);
		put16(&stream, 20);
	}
}

static void
test_rre_drawn_over_and_over(void **state)
{
	struct rfb_pixel_format pf = usual_format();
	struct case_run r;

	put_rre_layers(8);
	r = case_decode(&stream, &pf, 20, 20);
	assert_int_equal(r.rc, 0);
	assert_int_equal(case_pixel(&r, 19, 19), 7);
	case_release(&r);
	put_rre_layers(9);
	refused("RRE subrectangles drawn over each other");
}

/* A rectangle of 20x20 has a last tile of 4x4. */
static void
test_hextile_outside(void **state)
{
	static const uint8_t place[][2] = { { 0x40, 0x00 }, { 0x04, 0x00 },
		{ 0x00, 0x40 }, { 0x00, 0x04 }, { 0x33, 0x10 } };

	for (size_t i = 0; i < N_ELEMENTS(place); i++) {
		fresh(20, 20, RFB_ENC_HEXTILE);
		put_n(&stream, 3, 0);
		put8(&stream, 8);
		put8(&stream, 1);
		put_bytes(&stream, place[i], 2);
		refused("Hextile subrectangle outside its tile");
	}
}

/* Eight times a tile is enough for anybody; each tile counts alone. */
static void
test_hextile_overdrawn(void **state)
{
	struct rfb_pixel_format pf = usual_format();
	struct case_run r;

	for (unsigned n = 8; n <= 9; n++) {
		fresh(32, 16, RFB_ENC_HEXTILE);
		for (unsigned tile = 0; tile < 2; tile++) {
			put8(&stream, 2 | 4 | 8);
			put_n(&stream, 8, 0);
			put8(&stream, n);
			for (unsigned i = 0; i < n; i++)
				put16(&stream, 0x00ff);
		}
		if (n == 9) {
			refused("Hextile subrectangles drawn over each other");
			continue;
		}
		r = case_decode(&stream, &pf, 32, 16);
		assert_int_equal(r.rc, 0);
		case_release(&r);
	}
}

static void
count_damage(void *arg, const struct rfb_decoder_event *ev)
{
	*(unsigned *)arg += ev->kind == RFB_DECODER_DAMAGE;
}

/* n times the whole screen, then the end of the update; returns the error. */
static int
overdraw(int32_t encoding, unsigned n, unsigned *n_drawn)
{
	struct rfb_pixel_format pf = usual_format();
	struct rfb_decoder *d =
	    rfb_decoder_new(1024, 1024, &pf, count_damage, n_drawn);
	int rc;

	*n_drawn = 0;
	stream.len = 0;
	put_update(&stream, n);
	for (unsigned i = 0; i < n; i++) {
		put_rect(&stream, 0, 0, 1024, 1024, encoding);
		if (encoding == RFB_ENC_TIGHT)
			put32(&stream, 0x80000000); /* Fill */
		else
			put_n(&stream, encoding == RFB_ENC_RRE ? 8 : 4, 0);
	}
	rc = rfb_decoder_feed(d, stream.data, stream.len);
	if (rc != 0)
		assert_string_equal(rfb_decoder_why(d),
		    "an update draws more than 64 times the screen");
	else /* the next update begins at nothing */
		rc = rfb_decoder_feed(d, stream.data, stream.len);
	rfb_decoder_free(d);
	return rc;
}

/* A screen for 16 bytes, over and over. */
static void
test_update_overdrawn(void **state)
{
	static const int32_t encodings[] = { RFB_ENC_COPYRECT, RFB_ENC_TIGHT,
		RFB_ENC_RRE };
	unsigned n;

	for (size_t i = 0; i < N_ELEMENTS(encodings); i++) {
		assert_int_equal(overdraw(encodings[i], 64, &n), 0);
		assert_int_equal(n, 128);
		assert_int_equal(overdraw(encodings[i], 66, &n), ERR_LIMIT);
		assert_int_equal(n, 65);
	}
}

/* In turns, it takes what it has drawn for, and the rest later. */
static void
test_drawing_in_turns(void **state)
{
	struct rfb_pixel_format pf = usual_format();
	struct rfb_decoder *d;
	unsigned n = 0;
	size_t used, at, len;

	overdraw(RFB_ENC_COPYRECT, 10, &n);
	n = 0;
	d = rfb_decoder_new(1024, 1024, &pf, count_damage, &n);
	len = stream.len;
	assert_int_equal(
	    rfb_decoder_feed_some(d, stream.data, len, 1 << 20, &used), 0);
	assert_int_equal(used, 4 + 16);
	assert_int_equal(n, 1);
	at = used;
	assert_int_equal(rfb_decoder_feed_some(
			     d, stream.data + at, len - at, 5 << 19, &used),
	    0);
	assert_int_equal(used, 3 * 16);
	assert_int_equal(n, 4);
	at += used;
	/* in the middle of a rectangle nothing is due */
	assert_int_equal(
	    rfb_decoder_feed_some(d, stream.data + at, 9, 0, &used), 0);
	assert_int_equal(used, 9);
	at += used;
	assert_int_equal(rfb_decoder_feed_some(
			     d, stream.data + at, len - at, UINT64_MAX, &used),
	    0);
	assert_int_equal(used, len - at);
	assert_int_equal(n, 10);
	assert_true(rfb_decoder_is_between_messages(d));
	assert_int_equal(rfb_decoder_work(d), 10 << 20);
	rfb_decoder_free(d);
}

static void
zlib_of(size_t n_bytes, int32_t encoding, const char *why)
{
	fresh(10, 10, encoding);
	put_n(&inner, n_bytes, 0);
	put_packed(&stream, &packer, &inner);
	refused(why);
}

static void
test_zlib_sizes(void **state)
{
	zlib_of(399, RFB_ENC_ZLIB, "Zlib data too short");
	zlib_of(0, RFB_ENC_ZLIB, "Zlib data too short");
	zlib_of(401, RFB_ENC_ZLIB,
	    "data inflates to more than its rectangle holds");
	zlib_of(400 + 100000, RFB_ENC_ZLIB,
	    "data inflates to more than its rectangle holds");
}

static void
test_zlib_corrupt(void **state)
{
	fresh(10, 10, RFB_ENC_ZLIB);
	put32(&stream, 20);
	put_n(&stream, 20, 0x77);
	refused("zlib data is corrupt");
}

/* A dictionary that nobody has. */
static void
test_zlib_dictionary(void **state)
{
	static const uint8_t head[] = { 0x78, 0xbb, 1, 2, 3, 4, 5, 6 };

	fresh(10, 10, RFB_ENC_ZLIB);
	put32(&stream, sizeof(head));
	put_bytes(&stream, head, sizeof(head));
	refused("zlib data is corrupt");
}

static void
test_zlib_ended(void **state)
{
	static uint8_t pixels[400];
	uint8_t out[200];
	uLongf n = sizeof(out);

	fresh(10, 10, RFB_ENC_ZLIB);
	assert_int_equal(compress(out, &n, pixels, sizeof(pixels)), Z_OK);
	put32(&stream, (uint32_t)n + 1);
	put_bytes(&stream, out, n);
	put8(&stream, 0);
	refused("data after the end of a zlib stream");
}

/* Compressed data that holds a thousand times what the rectangle can. */
static void
test_bomb(void **state)
{
	static uint8_t out[20000];
	static uint8_t zeroes[1 << 20];
	z_stream z = { 0 };

	fresh(40, 40, RFB_ENC_ZRLE);
	assert_int_equal(deflateInit(&z, 9), Z_OK);
	z.next_out = out;
	z.avail_out = sizeof(out);
	for (int i = 0; i < 6; i++) {
		z.next_in = zeroes;
		z.avail_in = sizeof(zeroes);
		assert_int_equal(deflate(&z, Z_SYNC_FLUSH), Z_OK);
	}
	put32(&stream, (uint32_t)z.total_out);
	put_bytes(&stream, out, z.total_out);
	deflateEnd(&z);
	refused("data inflates to more than its rectangle holds");
}

/* Tiles of ZRLE: the bytes that are deflated, as hexadecimal digits. */
struct tile_case {
	const char *tile;
	const char *why;
};

static void
put_hex(struct bytes *b, const char *hex)
{
	unsigned v;

	for (; *hex != '\0'; hex += 2) {
		assert_int_equal(sscanf(hex, "%2x", &v), 1);
		put8(b, v);
	}
}

/* Each in a rectangle of 3x2. */
static const struct tile_case zrle_tiles[] = {
	{ "", "ZRLE data too short" },
	{ "01", "ZRLE data ends inside a tile" },
	{ "010000", "ZRLE data ends inside a tile" },
	{ "0100000099", "ZRLE data after its last tile" },
	{ "00000000", "ZRLE data ends inside a tile" },
	{ "11", "unknown ZRLE subencoding" },
	{ "7f", "unknown ZRLE subencoding" },
	{ "81", "unknown ZRLE subencoding" },
	{ "0200000011111100", "ZRLE data ends inside a tile" },
	/* three colours, indices 0 1 2, 3 */
	{ "0300000011111122222218c0", "ZRLE palette index out of range" },
	/* five colours, index 5 in the second row */
	{ "050000001111112222223333334444440000"
	  "5000",
	    "ZRLE palette index out of range" },
	/* runs: over the tile's end, without an end */
	{ "8000000006", "ZRLE run leaves its tile" },
	{ "80000000ffffffffffffffffffffffffffffffffffffffff00",
	    "ZRLE run leaves its tile" },
	{ "80000000ff", "ZRLE data ends inside a tile" },
	{ "8000000001111111", "ZRLE data ends inside a tile" },
	{ "80000000", "ZRLE data ends inside a tile" },
	/* indexed runs */
	{ "82000000111111", "ZRLE data ends inside a tile" },
	{ "82000000", "ZRLE data ends inside a tile" },
	{ "8200000011111102", "ZRLE palette index out of range" },
	{ "8200000011111182", "ZRLE palette index out of range" },
	{ "8200000011111181", "ZRLE data ends inside a tile" },
	{ "820000001111118106", "ZRLE run leaves its tile" },
	{ "82000000111111000000000081ff00", "ZRLE run leaves its tile" },
	{ "ff000000", "ZRLE data ends inside a tile" },
};

static void
test_zrle_tiles(void **state)
{
	for (size_t i = 0; i < N_ELEMENTS(zrle_tiles); i++) {
		fresh(3, 2, RFB_ENC_ZRLE);
		put_hex(&inner, zrle_tiles[i].tile);
		put_packed(&stream, &packer, &inner);
		refused(zrle_tiles[i].why);
	}
}

/* More than the longest tile behind the last one: found while inflating. */
static void
test_zrle_long_rest(void **state)
{
	fresh(3, 2, RFB_ENC_ZRLE);
	put_hex(&inner, "01000000");
	put_n(&inner, 30000, 1);
	put_packed(&stream, &packer, &inner);
	refused("data inflates to more than its rectangle holds");
}

/* Tight: head as it is, then what is deflated, in 5x4. */
struct tight_case {
	const char *head;
	size_t n_inner;
	uint8_t value;
	const char *why;
};

static const struct tight_case tight_cases[] = {
	{ "b0", 0, 0, "unknown Tight compression" },
	{ "f0", 0, 0, "unknown Tight compression" },
	{ "4003", 0, 0, "unknown Tight filter" },
	{ "00", 59, 0, "Tight data too short" },
	{ "00", 61, 0, "data inflates to more than its rectangle holds" },
	{ "00", 100000, 0, "data inflates to more than its rectangle holds" },
	{ "4002", 59, 0, "Tight data too short" },
	{ "4002", 61, 0, "data inflates to more than its rectangle holds" },
	{ "4002", 100, 0, "data inflates to more than its rectangle holds" },
	/* three colours: indices 2 and 3 */
	{ "400102000000111111222222", 20, 3,
	    "Tight palette index out of range" },
	{ "400102000000111111222222", 20, 255,
	    "Tight palette index out of range" },
	{ "400102000000111111222222", 19, 2, "Tight data too short" },
	{ "400102000000111111222222", 21, 2,
	    "data inflates to more than its rectangle holds" },
};

static void
test_tight(void **state)
{
	for (size_t i = 0; i < N_ELEMENTS(tight_cases); i++) {
		const struct tight_case *c = &tight_cases[i];

		fresh(5, 4, RFB_ENC_TIGHT);
		put_hex(&stream, c->head);
		put_n(&inner, c->n_inner, c->value);
		if (c->n_inner > 0)
			put_tight_packed(&stream, &packer, &inner);
		refused(c->why);
	}
}

/* Two colours take a bit each; of a palette of one, only 0 may come. */
static void
test_tight_single_colour(void **state)
{
	fresh(5, 4, RFB_ENC_TIGHT);
	put_hex(&stream, "400100111111");
	put_hex(&stream, "00000800");
	refused("Tight palette index out of range");
}

static void
test_tight_stream_not_reset(void **state)
{
	struct packer other = { 0 };

	fresh(5, 4, RFB_ENC_TIGHT);
	stream.data[3] = 2;
	put_n(&inner, 60, 7);
	put8(&stream, 0x00);
	put_tight_packed(&stream, &packer, &inner);
	put_rect(&stream, 0, 0, 5, 4, RFB_ENC_TIGHT);
	put8(&stream, 0x00); /* 0x01 would be right */
	put_tight_packed(&stream, &other, &inner);
	packer_release(&other);
	refused("zlib data is corrupt");
}

static void
put_jpeg(int w, int h, size_t cut)
{
	static uint8_t pixels[64 * 64 * 3];
	tjhandle tj = tjInitCompress();
	unsigned long n = 0;
	uint8_t *out = NULL;

	assert_int_equal(tjCompress2(tj, pixels, w, 0, h, TJPF_RGB, &out, &n,
			     TJSAMP_420, 80, 0),
	    0);
	put8(&stream, 0x90);
	put_compact(&stream, n - cut);
	put_bytes(&stream, out, n - cut);
	tjFree(out);
	tjDestroy(tj);
}

/* Scans that are only announced, in a comment: what counts is what libjpeg may
 * take for one. */
static void
put_jpeg_of_scans(unsigned n)
{
	static uint8_t pixels[16 * 16 * 3];
	tjhandle tj = tjInitCompress();
	unsigned long len = 0;
	uint8_t *out = NULL;

	assert_int_equal(tjCompress2(tj, pixels, 16, 0, 16, TJPF_RGB, &out,
			     &len, TJSAMP_420, 80, 0),
	    0);
	put8(&stream, 0x90);
	put_compact(&stream, len + 4 + 2 * n);
	put_bytes(&stream, out, 2);
	put16(&stream, 0xfffe);
	put16(&stream, 2 + 2 * n);
	for (unsigned i = 0; i < n; i++)
		put16(&stream, 0xffda);
	put_bytes(&stream, out + 2, len - 2);
	tjFree(out);
	tjDestroy(tj);
}

static void
test_jpeg_of_many_scans(void **state)
{
	struct rfb_pixel_format pf = usual_format();
	struct case_run r;

	fresh(16, 16, RFB_ENC_TIGHT);
	put_jpeg_of_scans(16);
	refused("JPEG with too many scans");
	fresh(16, 16, RFB_ENC_TIGHT);
	put_jpeg_of_scans(15); /* and its own */
	r = case_decode(&stream, &pf, 16, 16);
	assert_int_equal(r.rc, 0);
	case_release(&r);
}

static void
test_jpeg_of_another_size(void **state)
{
	static const int sizes[][2] = { { 17, 16 }, { 16, 17 }, { 15, 16 },
		{ 64, 4 }, { 64, 64 } };

	for (size_t i = 0; i < N_ELEMENTS(sizes); i++) {
		fresh(16, 16, RFB_ENC_TIGHT);
		put_jpeg(sizes[i][0], sizes[i][1], 0);
		refused("JPEG of another size than its rectangle");
	}
}

static void
test_jpeg_without_header(void **state)
{
	fresh(16, 16, RFB_ENC_TIGHT);
	put8(&stream, 0x90);
	put_compact(&stream, 40);
	put_n(&stream, 40, 0xff);
	refused("JPEG header is corrupt");
	fresh(16, 16, RFB_ENC_TIGHT);
	put_hex(&stream, "9000");
	refused("Tight data too short");
}

/* An end that comes early is drawn as far as it goes, as viewers do. Every
 * pixel is written: case_decode looks at the fourth byte. */
static void
test_jpeg_cut_short_is_drawn(void **state)
{
	struct rfb_pixel_format pf = usual_format();
	struct case_run r;

	fresh(64, 64, RFB_ENC_TIGHT);
	put_jpeg(64, 64, 40);
	r = case_decode(&stream, &pf, 64, 64);
	assert_int_equal(r.rc, 0);
	case_release(&r);
}

static void
test_inside_a_cursor(void **state)
{
	static const int32_t unknown[] = { RFB_ENC_COPYRECT,
		RFB_ENC_CURSOR_ALPHA, RFB_ENC_CURSOR, 99 };

	for (size_t i = 0; i < N_ELEMENTS(unknown); i++) {
		fresh(4, 4, RFB_ENC_CURSOR_ALPHA);
		put32(&stream, (uint32_t)unknown[i]);
		put_n(&stream, 64, 0);
		refused("unknown encoding from the server");
	}
	fresh(4, 4, RFB_ENC_CURSOR_ALPHA);
	put32(&stream, RFB_ENC_ZRLE);
	put_hex(&inner, "11");
	put_packed(&stream, &packer, &inner);
	refused("unknown ZRLE subencoding");
	fresh(1025, 1, RFB_ENC_CURSOR_ALPHA);
	refused("cursor too large");
}

static void
refused_outside(unsigned w, unsigned h, int32_t encoding)
{
	char why[128];

	fresh(w, h, encoding);
	snprintf(why, sizeof(why),
	    "rectangle %ux%u+0+0, encoding %d, outside the framebuffer of "
	    "100x100",
	    w, h, (int)encoding);
	refused(why);
}

static void
test_outside_the_framebuffer(void **state)
{
	static const int32_t encodings[] = { RFB_ENC_RAW, RFB_ENC_COPYRECT,
		RFB_ENC_RRE, RFB_ENC_CORRE, RFB_ENC_HEXTILE, RFB_ENC_ZLIB,
		RFB_ENC_TIGHT, RFB_ENC_ZRLE };

	for (size_t i = 0; i < N_ELEMENTS(encodings); i++) {
		refused_outside(101, 1, encodings[i]);
		refused_outside(1, 101, encodings[i]);
		refused_outside(0xffff, 0xffff, encodings[i]);
	}
}

/* After an error the picture is still there to be read. */
static void
test_picture_outlives_an_error(void **state)
{
	struct rfb_pixel_format pf = usual_format();
	struct case_run r;

	fresh(1, 1, RFB_ENC_RAW);
	put_bgr(&stream, 0x778899, 4);
	put8(&stream, 77);
	r = case_decode(&stream, &pf, 4, 4);
	assert_int_equal(r.rc, ERR_PROTOCOL);
	assert_int_equal(case_pixel(&r, 0, 0), 0x778899);
	assert_string_equal(r.why, "unknown message from the server");
	case_release(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_copyrect_from_outside),
		cmocka_unit_test(test_rre_outside),
		cmocka_unit_test(test_rre_drawn_over_and_over),
		cmocka_unit_test(test_hextile_outside),
		cmocka_unit_test(test_hextile_overdrawn),
		cmocka_unit_test(test_update_overdrawn),
		cmocka_unit_test(test_drawing_in_turns),
		cmocka_unit_test(test_zlib_sizes),
		cmocka_unit_test(test_zlib_corrupt),
		cmocka_unit_test(test_zlib_dictionary),
		cmocka_unit_test(test_zlib_ended),
		cmocka_unit_test(test_bomb),
		cmocka_unit_test(test_zrle_tiles),
		cmocka_unit_test(test_zrle_long_rest),
		cmocka_unit_test(test_tight),
		cmocka_unit_test(test_tight_single_colour),
		cmocka_unit_test(test_tight_stream_not_reset),
		cmocka_unit_test(test_jpeg_of_another_size),
		cmocka_unit_test(test_jpeg_without_header),
		cmocka_unit_test(test_jpeg_of_many_scans),
		cmocka_unit_test(test_jpeg_cut_short_is_drawn),
		cmocka_unit_test(test_inside_a_cursor),
		cmocka_unit_test(test_outside_the_framebuffer),
		cmocka_unit_test(test_picture_outlives_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
