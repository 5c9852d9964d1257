/*
 * The encoder's packets that change nothing, decoded once and many times: the
 * picture before stays bit by bit, and so does every picture that follows.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <vpx/vp8dx.h>
#include <vpx/vpx_decoder.h>

#include "common/bytes.h"
#include "recorder/frame/canvas.h"
#include "recorder/frame/encoder.h"
#include "tests/unit/recorder_fixture.h"

#define W_MAX    1920
#define H_MAX    1080
#define I420_MAX (W_MAX * H_MAX * 3 / 2)

static uint8_t px[W_MAX * H_MAX * 4];

/* A decoder and what it shows. */
struct screen {
	vpx_codec_ctx_t ctx;
	uint8_t i420[I420_MAX];
	size_t len;
};

static struct screen often, once;

static void
screen_init(struct screen *s)
{
	assert_int_equal(
	    vpx_codec_dec_init(&s->ctx, vpx_codec_vp9_dx(), NULL, 0),
	    VPX_CODEC_OK);
	s->len = 0;
}

static void
take_plane(
    struct screen *s, const vpx_image_t *img, int plane, unsigned w, unsigned h)
{
	for (unsigned y = 0; y < h; y++, s->len += w)
		memcpy(s->i420 + s->len,
		    img->planes[plane] + (ptrdiff_t)y * img->stride[plane], w);
}

static void
screen_decode(struct screen *s, const struct encoder_packet *pkt)
{
	vpx_codec_iter_t iter = NULL;
	const vpx_image_t *img;

	assert_int_equal(
	    vpx_codec_decode(&s->ctx, pkt->data, (unsigned)pkt->len, NULL, 0),
	    VPX_CODEC_OK);
	img = vpx_codec_get_frame(&s->ctx, &iter);
	assert_non_null(img);
	s->len = 0;
	take_plane(s, img, 0, img->d_w, img->d_h);
	take_plane(s, img, 1, (img->d_w + 1) / 2, (img->d_h + 1) / 2);
	take_plane(s, img, 2, (img->d_w + 1) / 2, (img->d_h + 1) / 2);
}

static void
assert_same(const struct screen *s, const uint8_t *want)
{
	assert_memory_equal(s->i420, want, s->len);
}

/* What the canvas holds, as decoders give it. */
static void
assert_is_canvas(const struct screen *s, const struct canvas *c)
{
	size_t cw = (c->width + 1) / 2, ch = (c->height + 1) / 2;
	const uint8_t *p = s->i420;

	for (size_t y = 0; y < c->height; y++, p += c->width)
		assert_memory_equal(p, c->y + y * c->stride_y, c->width);
	for (size_t y = 0; y < ch; y++, p += cw)
		assert_memory_equal(p, c->u + y * c->stride_uv, cw);
	for (size_t y = 0; y < ch; y++, p += cw)
		assert_memory_equal(p, c->v + y * c->stride_uv, cw);
}

/* Scrolls, so that blocks have motion, or draws anew. */
static void
change(struct canvas *c, unsigned step, uint32_t *seed)
{
	unsigned x = fixture_random(seed) % c->width;
	unsigned y = fixture_random(seed) % c->height;
	unsigned w = 1 + fixture_random(seed) % (c->width - x);
	unsigned h = 1 + fixture_random(seed) % (c->height - y);
	size_t row = (size_t)c->width * 4;

	if (step % 3 == 0) {
		fixture_desktop(px, c->width, c->height, step);
		h = min_u64(h, 20);
	} else {
		unsigned by = 1 + step % 7;

		for (unsigned r = y; r + by < y + h; r++)
			memmove(px + r * row + x * 4,
			    px + (r + by) * row + x * 4, (size_t)w * 4);
	}
	canvas_damage(c, x, y, w, h);
	canvas_convert(c, px, row);
}

static void
take_picture(struct encoder *e, struct canvas *c, uint64_t *pts, bool key)
{
	struct encoder_packet pkt;

	*pts += 100;
	assert_int_equal(
	    encoder_encode(e, c, *pts, 100, key, c->dirty, &pkt), 0);
	assert_false(encoder_is_repeat(pkt.data, pkt.len));
	canvas_clean(c);
	screen_decode(&often, &pkt);
	screen_decode(&once, &pkt);
	assert_same(&often, once.i420);
}

static size_t
take_still(struct encoder *e, const struct canvas *c, uint64_t *pts, unsigned n)
{
	static uint8_t before[I420_MAX];
	struct encoder_packet pkt;

	memcpy(before, once.i420, once.len);
	*pts += 1;
	assert_int_equal(encoder_encode_still(e, c, *pts, 100, &pkt), 0);
	assert_false(pkt.is_key);
	assert_true(encoder_is_repeat(pkt.data, pkt.len));
	screen_decode(&once, &pkt);
	assert_same(&once, before);
	for (unsigned i = 0; i < n; i++) {
		screen_decode(&often, &pkt);
		assert_same(&often, before);
	}
	return pkt.len;
}

static void
check(enum encoder_quality quality, unsigned w, unsigned h, unsigned n_steps)
{
	struct encoder *e = encoder_new(ENCODER_VP9, quality, w, h);
	uint32_t seed = w + h;
	uint64_t pts = 0;
	size_t longest = 0;
	struct canvas c;

	assert_non_null(e);
	assert_int_equal(canvas_init(&c, w, h), 0);
	screen_init(&often);
	screen_init(&once);
	for (unsigned step = 0; step < n_steps; step++) {
		change(&c, step, &seed);
		take_picture(e, &c, &pts, step % 40 == 0);
		if (quality == ENCODER_LOSSLESS)
			assert_is_canvas(&often, &c);
		if (step % 5 != 4) {
			size_t len = take_still(e, &c, &pts, 1 + step % 4 * 3);

			longest = len > longest ? len : longest;
		}
	}
	assert_true(longest < 64 + w * h / 4096);
	vpx_codec_destroy(&often.ctx);
	vpx_codec_destroy(&once.ctx);
	canvas_release(&c);
	encoder_free(e);
}

static void
vp9_stays_as_it_is(void **state)
{
	(void)state;
	check(ENCODER_TEXT, 320, 240, 120);
	check(ENCODER_SMALL, 333, 201, 120);
	check(ENCODER_TEXT, 17, 33, 120);
	check(ENCODER_TEXT, 1, 1, 20);
	check(ENCODER_TEXT, 1920, 1080, 12);
}

static void
vp9_lossless_is_the_canvas(void **state)
{
	(void)state;
	check(ENCODER_LOSSLESS, 320, 240, 120);
	check(ENCODER_LOSSLESS, 65, 130, 60);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vp9_stays_as_it_is),
		cmocka_unit_test(vp9_lossless_is_the_canvas),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
