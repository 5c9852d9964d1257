/*
 * The three qualities, on text that is typed and scrolls: what a player
 * decodes against the canvas, and the bytes it takes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <vpx/vp8dx.h>
#include <vpx/vpx_decoder.h>

#include "recorder/frame/encoder.h"
#include "tests/unit/recorder_fixture.h"

/* Neither is a multiple of a tile; chroma is rounded up. */
#define W        321
#define H        243
#define N_FRAMES 24

struct outcome {
	size_t bytes;
	double worst_psnr; /* luma, of all pictures */
	bool is_exact;     /* all three planes of all pictures */
};

static uint8_t px[W * H * 4];

/* Adds the squared error of a plane; returns whether there is none. */
static bool
compare(const uint8_t *a, size_t stride_a, const uint8_t *b, size_t stride_b,
    unsigned w, unsigned h, double *sum)
{
	*sum = 0;
	for (unsigned y = 0; y < h; y++)
		for (unsigned x = 0; x < w; x++) {
			int d = a[y * stride_a + x] - b[y * stride_b + x];

			*sum += d * d;
		}
	return *sum == 0;
}

static void
check_picture(vpx_codec_ctx_t *dec, const struct canvas *c,
    const struct encoder_packet *pkt, struct outcome *o)
{
	vpx_codec_iter_t iter = NULL;
	const vpx_image_t *img;
	double y, u, v, psnr;
	bool exact;

	assert_int_equal(
	    vpx_codec_decode(dec, pkt->data, (unsigned)pkt->len, NULL, 0),
	    VPX_CODEC_OK);
	img = vpx_codec_get_frame(dec, &iter);
	assert_non_null(img);
	assert_int_equal(img->d_w, W);
	assert_int_equal(img->d_h, H);
	exact = compare(img->planes[0], (size_t)img->stride[0], c->y,
	    c->stride_y, W, H, &y);
	exact &= compare(img->planes[1], (size_t)img->stride[1], c->u,
	    c->stride_uv, (W + 1) / 2, (H + 1) / 2, &u);
	exact &= compare(img->planes[2], (size_t)img->stride[2], c->v,
	    c->stride_uv, (W + 1) / 2, (H + 1) / 2, &v);
	psnr = y == 0 ? 99 : 10 * log10(255.0 * 255.0 * W * H / y);
	o->is_exact &= exact;
	if (psnr < o->worst_psnr)
		o->worst_psnr = psnr;
}

/* A line is typed, tile by tile; then everything is another page. */
static void
draw(struct canvas *c, unsigned i)
{
	if (i % 8 == 0) {
		fixture_desktop(px, W, H, i);
		canvas_damage_all(c);
	} else {
		for (unsigned y = 100; y < 114; y++)
			memset(px + ((size_t)y * W + 20 * i) * 4, (int)(i * 31),
			    60);
		canvas_damage(c, 20 * i, 100, 15, 14);
	}
	canvas_convert(c, px, (size_t)W * 4);
}

static struct outcome
record(enum encoder_quality quality)
{
	struct encoder *e = encoder_new(ENCODER_VP9, quality, W, H);
	struct outcome o = { .worst_psnr = 99, .is_exact = true };
	struct encoder_packet pkt;
	vpx_codec_ctx_t dec;
	struct canvas c;

	assert_non_null(e);
	assert_int_equal(canvas_init(&c, W, H), 0);
	assert_int_equal(vpx_codec_dec_init(&dec, vpx_codec_vp9_dx(), NULL, 0),
	    VPX_CODEC_OK);
	for (unsigned i = 0; i < N_FRAMES; i++) {
		draw(&c, i);
		assert_int_equal(
		    encoder_encode(e, &c, 100 * i, 100, i == 0, c.dirty, &pkt),
		    0);
		canvas_clean(&c);
		o.bytes += pkt.len;
		check_picture(&dec, &c, &pkt, &o);
	}
	vpx_codec_destroy(&dec);
	canvas_release(&c);
	encoder_free(e);
	return o;
}

/* Every picture, every plane, bit by bit: with an active map too. */
static void
lossless_is(void **state)
{
	(void)state;
	assert_true(record(ENCODER_LOSSLESS).is_exact);
}

static void
qualities_differ_as_they_say(void **state)
{
	struct outcome text = record(ENCODER_TEXT);
	struct outcome small = record(ENCODER_SMALL);
	struct outcome lossless = record(ENCODER_LOSSLESS);

	(void)state;
	print_message("text %zu bytes %.1f dB, small %zu %.1f, lossless %zu\n",
	    text.bytes, text.worst_psnr, small.bytes, small.worst_psnr,
	    lossless.bytes);
	assert_false(text.is_exact);
	/* mostly key frames here; a whole session saves twice as much */
	assert_true(small.bytes * 5 < text.bytes * 4);
	assert_true(lossless.is_exact); /* smaller than text here, even */
	assert_true(small.worst_psnr < text.worst_psnr);
	/* below 30 dB letters look frayed */
	assert_true(text.worst_psnr >= 36);
	assert_true(small.worst_psnr >= 30);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lossless_is),
		cmocka_unit_test(qualities_differ_as_they_say),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
