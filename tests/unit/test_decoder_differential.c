/*
 * The streams of tests/vectors through libvncclient and through the decoder:
 * the same picture, JPEG included, since both use libjpeg-turbo.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <math.h>

#include "tests/vectors/libvnc.h"

#define PATH_LEN 512

static const char *folder;

/* libvncclient keeps its JPEG decoder for ever. That ours is freed is seen
 * in test_decoder_vectors. */
const char *__lsan_default_suppressions(void);

const char *
__lsan_default_suppressions(void)
{
	return "leak:tjInitDecompress";
}

static void
ignore_event(void *arg, const struct rfb_decoder_event *ev)
{
}

/* libvncclient keeps pixels as they came: little-endian, in its format. */
static uint32_t
value_at(const rfbClient *c, size_t i)
{
	const uint8_t *p;
	size_t len = c->format.bitsPerPixel / 8;
	uint32_t v = 0;

	p = c->frameBuffer + i * len;
	for (size_t k = 0; k < len; k++)
		v |= (uint32_t)p[k] << 8 * k;
	return v;
}

static uint8_t
colour(uint32_t v, unsigned shift, unsigned max)
{
	return (uint8_t)lround((v >> shift & max) * 255.0 / max);
}

static void
check_pixel(const rfbClient *c, const struct rfb_decoder *d, size_t i)
{
	const rfbPixelFormat *pf = &c->format;
	const uint8_t *ours = rfb_decoder_pixels(d) +
	    i / (size_t)c->width * rfb_decoder_stride(d) +
	    i % (size_t)c->width * 4;
	uint32_t v = value_at(c, i);

	if (ours[0] != colour(v, pf->blueShift, pf->blueMax) ||
	    ours[1] != colour(v, pf->greenShift, pf->greenMax) ||
	    ours[2] != colour(v, pf->redShift, pf->redMax) || ours[3] != 255)
		fail_msg("pixel %zu, %zu: %02x%02x%02x, libvncclient %x",
		    i % (size_t)c->width, i / (size_t)c->width, ours[2],
		    ours[1], ours[0], v);
}

static void
check_same(const rfbClient *c, const struct rfb_decoder *d)
{
	assert_int_equal(c->width, rfb_decoder_width(d));
	assert_int_equal(c->height, rfb_decoder_height(d));
	for (size_t i = 0; i < (size_t)c->width * c->height; i++)
		check_pixel(c, d, i);
}

/* False when the vector is not meant for libvncclient. */
static bool
compare(const char *name)
{
	char path[PATH_LEN];
	struct rfb_decoder *d;
	struct vector v;
	rfbClient *c;
	bool is_meant;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	assert_true(vector_load(&v, path));
	is_meant = v.is_libvncclient;
	if (is_meant) {
		print_message("%s\n", name);
		c = libvnc_open(&v, path);
		assert_non_null(c);
		assert_true(libvnc_run(&v, c));
		d = rfb_decoder_new(
		    v.width, v.height, &v.pf, ignore_event, NULL);
		assert_non_null(d);
		assert_int_equal(vector_feed(&v, d, 4096), 0);
		check_same(c, d);
		rfb_decoder_free(d);
		libvnc_close(c);
	}
	vector_release(&v);
	return is_meant;
}

static int
is_vector(const struct dirent *e)
{
	const char *dot = strrchr(e->d_name, '.');

	return dot != NULL && strcmp(dot, ".rfb") == 0;
}

static void
test_same_picture_as_libvncclient(void **state)
{
	struct dirent **names;
	int n = scandir(folder, &names, is_vector, alphasort), n_compared = 0;

	for (int i = 0; i < n; i++) {
		n_compared += compare(names[i]->d_name);
		free(names[i]);
	}
	free(names);
	assert_true(n_compared >= 20);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_picture_as_libvncclient),
	};

	if (argc != 2)
		return 2;
	folder = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
