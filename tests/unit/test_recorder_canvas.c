/* Canvas, pacer, meta and the encoder's packets, without files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <libyuv/convert.h>

#include "common/err.h"
#include "recorder/frame/canvas.h"
#include "recorder/frame/encoder.h"
#include "recorder/meta.h"
#include "recorder/frame/pacer.h"
#include "tests/unit/recorder_fixture.h"

static void
damage_becomes_tiles(void **state)
{
	struct canvas c;

	(void)state;
	assert_int_equal(canvas_init(&c, 100, 50), 0);
	assert_int_equal(c.cols, 7);
	assert_int_equal(c.rows, 4);
	assert_int_equal(c.n_dirty, 28);
	canvas_clean(&c);
	canvas_damage(&c, 15, 15, 2, 2); /* the corner of four tiles */
	assert_int_equal(c.n_dirty, 4);
	assert_true(c.dirty[0] && c.dirty[1] && c.dirty[7] && c.dirty[8]);
	canvas_damage(&c, 0, 0, 16, 16); /* known already */
	assert_int_equal(c.n_dirty, 4);
	canvas_damage(&c, 99, 49, 500, 500); /* clipped */
	assert_int_equal(c.n_dirty, 5);
	assert_true(c.dirty[27]);
	canvas_damage(&c, 100, 0, 5, 5);
	canvas_damage(&c, 0, 50, 5, 5);
	canvas_damage(&c, 3, 3, 0, 7);
	assert_int_equal(c.n_dirty, 5);
	canvas_release(&c);
}

static void
compare_planes(const struct canvas *c, const uint8_t *px)
{
	size_t cw = (c->width + 1) / 2, ch = (c->height + 1) / 2;
	uint8_t *y = malloc((size_t)c->width * c->height);
	uint8_t *u = malloc(cw * ch), *v = malloc(cw * ch);

	ARGBToI420(px, (int)c->width * 4, y, (int)c->width, u, (int)cw, v,
	    (int)cw, (int)c->width, (int)c->height);
	for (size_t r = 0; r < c->height; r++)
		assert_memory_equal(
		    c->y + r * c->stride_y, y + r * c->width, c->width);
	for (size_t r = 0; r < ch; r++) {
		assert_memory_equal(c->u + r * c->stride_uv, u + r * cw, cw);
		assert_memory_equal(c->v + r * c->stride_uv, v + r * cw, cw);
	}
	free(y);
	free(u);
	free(v);
}

/* Converting what changed gives the bytes of converting everything. */
static void
check_size(unsigned w, unsigned h)
{
	uint8_t *px = malloc((size_t)w * h * 4);
	uint32_t seed = w * 131 + h;
	struct canvas c;

	assert_int_equal(canvas_init(&c, w, h), 0);
	for (size_t i = 0; i < (size_t)w * h * 4; i++)
		px[i] = (uint8_t)fixture_random(&seed);
	canvas_convert(&c, px, (size_t)w * 4);
	canvas_clean(&c);
	compare_planes(&c, px);
	for (int round = 0; round < 20; round++) {
		unsigned x = fixture_random(&seed) % w;
		unsigned y = fixture_random(&seed) % h;
		unsigned rw = 1 + fixture_random(&seed) % (w - x);
		unsigned rh = 1 + fixture_random(&seed) % (h - y);

		for (unsigned r = y; r < y + rh; r++)
			for (unsigned i = x * 4; i < (x + rw) * 4; i++)
				px[(size_t)r * w * 4 + i] =
				    (uint8_t)fixture_random(&seed);
		canvas_damage(&c, x, y, rw, rh);
		canvas_convert(&c, px, (size_t)w * 4);
		canvas_clean(&c);
		compare_planes(&c, px);
	}
	canvas_release(&c);
	free(px);
}

static void
tiles_convert_bit_exact(void **state)
{
	(void)state;
	check_size(1, 1);
	check_size(17, 33);
	check_size(64, 48);
	check_size(321, 241);
	check_size(15, 200);
}

/* The same pixels again are no damage; one pixel of a tile is. */
static void
same_bytes_are_no_damage(void **state)
{
	enum { W = 85, H = 50 }; /* the last tiles are cut off */
	static uint8_t px[W * H * 4];
	struct canvas c;

	(void)state;
	fixture_noise(px, W, H, 3);
	assert_int_equal(canvas_init(&c, W, H), 0);
	canvas_convert(&c, px, W * 4);
	assert_int_equal(c.n_dirty, canvas_n_tiles(&c)); /* it was black */
	/* taken twice without a picture in between: still to be shown */
	canvas_damage_all(&c);
	canvas_convert(&c, px, W * 4);
	assert_int_equal(c.n_dirty, canvas_n_tiles(&c));
	canvas_clean(&c);
	canvas_damage_all(&c);
	canvas_convert(&c, px, W * 4);
	assert_int_equal(c.n_dirty, 0);
	for (size_t i = 0; i < canvas_n_tiles(&c); i++)
		assert_int_equal(c.dirty[i], 0);
	for (unsigned y = 0; y < H; y += 7)
		for (unsigned x = 0; x < W; x += 4) {
			size_t tile =
			    y / CANVAS_TILE * c.cols + x / CANVAS_TILE;

			memset(px + ((size_t)y * W + x) * 4, (int)(x + y), 3);
			px[((size_t)y * W + x) * 4 + 1] ^= 0x80;
			canvas_damage_all(&c);
			canvas_convert(&c, px, W * 4);
			assert_int_equal(c.n_dirty, 1);
			assert_int_equal(c.dirty[tile], CANVAS_CHANGED);
			canvas_clean(&c);
			compare_planes(&c, px);
		}
	canvas_release(&c);
}

/* A black screen is what the canvas starts with. */
static void
black_is_no_damage(void **state)
{
	static uint8_t px[100 * 60 * 4];
	struct canvas c;

	(void)state;
	assert_int_equal(canvas_init(&c, 100, 60), 0);
	canvas_convert(&c, px, 100 * 4);
	assert_int_equal(c.n_dirty, 0);
	compare_planes(&c, px);
	canvas_release(&c);
}

static void
pacer_keeps_pace(void **state)
{
	struct pacer p;
	uint64_t t = 5 * NS_PER_S, step = NS_PER_S / 10;

	(void)state;
	pacer_init(&p, 10);
	assert_true(pacer_due(&p) == PACER_NEVER);
	pacer_damage(&p, t, 500, 8160);
	assert_true(pacer_due(&p) == t); /* at once after quiet */
	pacer_taken(&p, t, true, false, false);
	assert_true(pacer_due(&p) == PACER_NEVER);
	pacer_damage(&p, t + 1, 500, 8160);
	pacer_damage(&p, t + 2, 500, 8160);
	assert_true(pacer_due(&p) == t + step); /* then at the pace */
	pacer_set_slowdown(&p, 1000);
	assert_true(pacer_due(&p) == t + 2 * step);
	pacer_set_slowdown(&p, 1);
	pacer_set_rate(&p, 2);
	assert_true(pacer_due(&p) == t + NS_PER_S / 2);
	assert_false(pacer_is_key_due(&p, t + PACER_KEY_NS - 1));
	assert_true(pacer_is_key_due(&p, t + PACER_KEY_NS));
}

static void
pacer_returns_to_coarse_tiles(void **state)
{
	struct pacer p;
	uint64_t t = NS_PER_S;

	(void)state;
	pacer_init(&p, 10);
	pacer_taken(&p, t, true, false, true);
	for (unsigned i = 0; i < PACER_QUIET_MAX; i++) {
		uint64_t due = pacer_quiet_due(&p);

		assert_true(due == t + (PACER_QUIET_NS << i));
		t = due;
		pacer_taken(&p, t, false, true, true);
	}
	assert_true(pacer_quiet_due(&p) == PACER_NEVER); /* gives up */
	pacer_damage(&p, t, 500, 8160);
	assert_true(pacer_quiet_due(&p) == PACER_NEVER); /* not quiet */
	pacer_taken(&p, t, false, false, true);
	assert_true(pacer_quiet_due(&p) == t + PACER_QUIET_NS);
	pacer_nothing(&p, t, true);
	assert_true(pacer_quiet_due(&p) == PACER_NEVER);
}

static void
meta_names_the_wrong_field(void **state)
{
	static const struct {
		const char *from, *to, *field;
	} cases[] = {
		{ "\"width\":640", "\"width\":0", "width" },
		{ "\"width\":640", "\"width\":16385", "width" },
		{ "\"height\":480", "\"height\":\"480\"", "height" },
		{ "\"vp9\"", "\"av1\"", "codec" },
		{ "\"text\"", "\"best\"", "quality" },
		{ "\"frame_rate\":10", "\"frame_rate\":61", "frame_rate" },
		{ FIXTURE_FORMAT, "20", "pixel_format" },
		{ "\"session\"", "\"sessioN\"", "session" },
		{ "\"first_seq\":1", "\"first_seq\":0", "first_seq" },
		{ "\"off\"", "\"of\"", "recording" },
		{ "\"off\"", "0", "recording" },
		{ "\"index\":2", "\"index\":-1", "monitor" },
		{ "\"w\":7", "\"v\":7", "monitor" },
		{ "\"min_visible_ms\":40", "\"min_visible_ms\":39",
		    "min_visible_ms" },
		{ "\"min_visible_ms\":40", "\"min_visible_ms\":101",
		    "min_visible_ms" },
		{ "\"min_visible_ms\":40", "\"min_visible_ms\":\"40\"",
		    "min_visible_ms" },
		{ "{\"index\"", "[{\"index\"", "not a JSON object" },
	};
	const struct fixture_meta fm = { 640, 480, 10, 5, 1 << 20, 0, "vp9",
		",\"recording\":\"off\",\"monitor\":{\"index\":2,\"x\":5,"
		"\"y\":6,\"w\":7,\"h\":8,\"name\":\"M\"},"
		"\"min_visible_ms\":40" };
	char json[2048], bad[2048];
	size_t len = fixture_meta_json(&fm, json, sizeof(json));
	const char *why;
	struct meta m;

	(void)state;
	assert_int_equal(meta_parse(&m, json, len, &why), 0);
	assert_int_equal(m.width, 640);
	assert_int_equal(m.pixel_format.bits_per_pixel, 32);
	assert_int_equal(m.quality, ENCODER_TEXT);
	assert_true(m.is_manual);
	assert_int_equal(m.min_visible_ms, 40);
	assert_int_equal(m.monitor.index, 2);
	assert_int_equal(m.monitor.area.h, 8);
	assert_string_equal(m.monitor.name, "M");
	assert_int_equal(meta_parse(&m, json, len - 1, &why), ERR_CONFIG);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		char *at = strstr(json, cases[i].from);

		assert_non_null(at);
		snprintf(bad, sizeof(bad), "%.*s%s%s", (int)(at - json), json,
		    cases[i].to, at + strlen(cases[i].from));
		assert_int_equal(
		    meta_parse(&m, bad, strlen(bad), &why), ERR_CONFIG);
		assert_string_equal(why, cases[i].field);
	}
}

/* Key frames only when asked, small packets for small damage. */
static void
encoder_codes_what_is_active(void **state)
{
	enum { W = 320, H = 240 };
	static uint8_t px[W * H * 4];
	struct encoder_packet pkt;
	struct encoder *e = encoder_new(ENCODER_VP9, ENCODER_TEXT, W, H);
	uint8_t repeat[ENCODER_REPEAT_MAX];
	struct canvas c;
	size_t key_len;

	(void)state;
	assert_non_null(e);
	assert_int_equal(canvas_init(&c, W, H), 0);
	fixture_desktop(px, W, H, 1);
	canvas_convert(&c, px, W * 4);
	assert_int_equal(encoder_encode(e, &c, 1, 100, true, NULL, &pkt), 0);
	assert_true(pkt.is_key);
	key_len = pkt.len;
	assert_int_equal(
	    encoder_repeat(ENCODER_VP9, pkt.data, pkt.len, repeat), 1);
	assert_int_equal(repeat[0], 0x88);
	for (uint64_t t = 2; t < 400; t++) {
		canvas_clean(&c);
		canvas_damage(&c, (unsigned)t % W, 8, 4, 4);
		assert_int_equal(
		    encoder_encode(e, &c, t * 100, 100, false, c.dirty, &pkt),
		    0);
		assert_false(pkt.is_key);
		assert_true(pkt.len < key_len / 4);
	}
	assert_int_equal(
	    encoder_repeat(ENCODER_VP9, pkt.data, pkt.len, repeat), 1);
	assert_int_equal(
	    encoder_repeat(ENCODER_VP8, pkt.data, pkt.len, repeat), 0);
	assert_int_equal(encoder_repeat(ENCODER_VP9, pkt.data, 2, repeat), 0);
	encoder_free(e);
	canvas_release(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(damage_becomes_tiles),
		cmocka_unit_test(tiles_convert_bit_exact),
		cmocka_unit_test(same_bytes_are_no_damage),
		cmocka_unit_test(black_is_no_damage),
		cmocka_unit_test(pacer_keeps_pace),
		cmocka_unit_test(pacer_returns_to_coarse_tiles),
		cmocka_unit_test(meta_names_the_wrong_field),
		cmocka_unit_test(encoder_codes_what_is_active),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
