/*
 * A decoder that goes on in another one's place, with its picture as Raw and
 * its saved state, between any two messages of what real servers sent
 * (tests/vectors): the picture at the end is that of a decoder which saw all
 * of it. And states that nobody saved.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>

#include "common/err.h"
#include "tests/unit/rfb_bytes.h"
#include "tests/vectors/vector.h"

#define PATH_LEN   512
#define STOPS_MAX  4096
#define STOPS_USED 8

static const char *folder;
static uint8_t state_bytes[RFB_DECODER_STATE_MAX];

static void
ignore(void *arg, const struct rfb_decoder_event *ev)
{
	(void)arg;
	(void)ev;
}

static struct rfb_decoder *
decoder_of(const struct vector *v)
{
	struct rfb_decoder *d =
	    rfb_decoder_new(v->width, v->height, &v->pf, ignore, NULL);

	assert_non_null(d);
	return d;
}

/* Offsets between two messages. */
static size_t
find_stops(const struct vector *v, size_t *stops)
{
	struct rfb_decoder *d = decoder_of(v);
	size_t n = 0;

	for (size_t at = 0; at + 1 < v->len; at++) {
		assert_int_equal(vector_feed_part(v, d, at, at + 1, 1), 0);
		if (rfb_decoder_is_between_messages(d)) {
			assert_true(n < STOPS_MAX);
			stops[n++] = at + 1;
		}
	}
	rfb_decoder_free(d);
	return n;
}

static struct rfb_pixel_format
format_at(const struct vector *v, size_t at)
{
	struct rfb_pixel_format pf = v->pf;

	for (size_t i = 0; i < v->n_formats && v->formats[i].offset < at; i++)
		pf = v->formats[i].pf;
	return pf;
}

/* The picture as an endpoint would send it, Raw. */
static void
send_picture(struct rfb_decoder *to, const struct rfb_decoder *from)
{
	uint16_t w = rfb_decoder_width(from), h = rfb_decoder_height(from);
	struct bytes head = { .len = 0 };

	put_update(&head, 1);
	put_rect(&head, 0, 0, w, h, RFB_ENC_RAW);
	assert_int_equal(rfb_decoder_feed(to, head.data, head.len), 0);
	for (size_t y = 0; y < h; y++)
		assert_int_equal(
		    rfb_decoder_feed(to,
			rfb_decoder_pixels(from) + y * rfb_decoder_stride(from),
			(size_t)w * 4),
		    0);
}

static struct rfb_decoder *
go_on(const struct vector *v, const struct rfb_decoder *d, size_t at)
{
	struct rfb_pixel_format raw = usual_format(), pf = format_at(v, at);
	struct rfb_decoder *next = rfb_decoder_new(
	    rfb_decoder_width(d), rfb_decoder_height(d), &raw, ignore, NULL);
	ssize_t n = rfb_decoder_save(d, state_bytes);

	assert_non_null(next);
	assert_true(n > 0);
	rfb_decoder_skip_stateful(next);
	assert_int_equal(rfb_decoder_restore(next, state_bytes, (size_t)n), 0);
	send_picture(next, d);
	assert_true(rfb_decoder_is_known(
	    next, 0, 0, rfb_decoder_width(next), rfb_decoder_height(next)));
	assert_int_equal(rfb_decoder_set_pixel_format(next, &pf), 0);
	return next;
}

static void
check_same(const struct rfb_decoder *a, const struct rfb_decoder *b)
{
	assert_int_equal(rfb_decoder_width(a), rfb_decoder_width(b));
	assert_int_equal(rfb_decoder_height(a), rfb_decoder_height(b));
	for (size_t y = 0; y < rfb_decoder_height(a); y++)
		assert_memory_equal(
		    rfb_decoder_pixels(a) + y * rfb_decoder_stride(a),
		    rfb_decoder_pixels(b) + y * rfb_decoder_stride(b),
		    rfb_decoder_width(a) * 4u);
}

/* Another one goes on from an offset. */
static void
check_stop(const struct vector *v, const struct rfb_decoder *whole, size_t at)
{
	struct rfb_decoder *first = decoder_of(v), *next;

	assert_int_equal(vector_feed_part(v, first, 0, at, SIZE_MAX), 0);
	next = go_on(v, first, at);
	rfb_decoder_free(first);
	assert_int_equal(vector_feed_part(v, next, at, v->len, 16384), 0);
	check_same(next, whole);
	rfb_decoder_free(next);
}

static int
is_vector(const struct dirent *e)
{
	const char *dot = strrchr(e->d_name, '.');

	return dot != NULL && strcmp(dot, ".rfb") == 0;
}

static unsigned
check_vector(const char *name)
{
	static size_t stops[STOPS_MAX];
	struct rfb_decoder *whole;
	char path[PATH_LEN];
	struct vector v;
	size_t n, step;
	unsigned done = 0;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	assert_true(vector_load(&v, path));
	whole = decoder_of(&v);
	assert_int_equal(vector_feed(&v, whole, SIZE_MAX), 0);
	n = find_stops(&v, stops);
	assert_true(n > 0);
	step = n / STOPS_USED + 1;
	for (size_t i = 0; i < n; i += step, done++)
		check_stop(&v, whole, stops[i]);
	rfb_decoder_free(whole);
	vector_release(&v);
	return done;
}

static void
test_all_vectors(void **state)
{
	struct dirent **names;
	int n = scandir(folder, &names, is_vector, alphasort);
	unsigned done = 0;

	assert_true(n > 20);
	for (int i = 0; i < n; i++) {
		print_message("%s\n", names[i]->d_name);
		done += check_vector(names[i]->d_name);
		free(names[i]);
	}
	free(names);
	assert_true(done > 60);
}

static struct rfb_decoder *
loaded(const char *name, struct vector *v, size_t len)
{
	struct rfb_decoder *d;
	char path[PATH_LEN];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	assert_true(vector_load(v, path));
	d = decoder_of(v);
	assert_int_equal(
	    vector_feed_part(v, d, 0, min_size(len, v->len), SIZE_MAX), 0);
	return d;
}

/* Twice: what was restored is saved as it was. */
static void
test_saved_again(void **state)
{
	static uint8_t again[RFB_DECODER_STATE_MAX];
	struct vector v;
	struct rfb_decoder *d = loaded("xvnc_tight.rfb", &v, SIZE_MAX), *next;
	ssize_t n;

	next = go_on(&v, d, v.len);
	n = rfb_decoder_save(d, state_bytes);
	assert_true(n > 1000);
	assert_int_equal(rfb_decoder_save(next, again), n);
	assert_memory_equal(again, state_bytes, (size_t)n);
	rfb_decoder_free(next);
	rfb_decoder_free(d);
	vector_release(&v);
}

static void
test_within_a_message(void **state)
{
	struct vector v;
	struct rfb_decoder *d = loaded("xvnc_zrle.rfb", &v, 100);

	assert_int_equal(rfb_decoder_save(d, state_bytes), ERR_AGAIN);
	rfb_decoder_free(d);
	vector_release(&v);
}

static int
restore(const uint8_t *p, size_t len)
{
	struct rfb_pixel_format pf = usual_format();
	struct rfb_decoder *d = rfb_decoder_new(8, 8, &pf, ignore, NULL);
	uint8_t *exact = malloc(len > 0 ? len : 1);
	int rc;

	assert_non_null(d);
	assert_non_null(exact);
	memcpy(exact, p, len);
	rc = rfb_decoder_restore(d, exact, len);
	free(exact);
	rfb_decoder_free(d);
	return rc;
}

static void
test_hostile_states(void **state)
{
	struct vector v;
	struct rfb_decoder *d = loaded("x11vnc_tight.rfb", &v, SIZE_MAX);
	ssize_t n = rfb_decoder_save(d, state_bytes);
	static uint8_t bad[RFB_DECODER_STATE_MAX + 1];

	assert_true(n > 0);
	assert_int_equal(restore(state_bytes, (size_t)n), 0);
	for (size_t len = 0; len < (size_t)n; len += len < 32 ? 1 : 499)
		assert_int_equal(restore(state_bytes, len), ERR_CORRUPT);
	memcpy(bad, state_bytes, (size_t)n);
	assert_int_equal(restore(bad, (size_t)n + 1), ERR_CORRUPT);
	bad[0] =
	    2; /* neither that of one that skips nor of one that does not */
	assert_int_equal(restore(bad, (size_t)n), ERR_CORRUPT);
	bad[0] = 0;
	bad[1] = 7;
	assert_int_equal(restore(bad, (size_t)n), ERR_CORRUPT);
	rfb_decoder_free(d);
	vector_release(&v);
	/* a window of a stream that never began; one longer than any */
	memset(bad, 0, sizeof(bad));
	bad[3] = 1;
	assert_int_equal(restore(bad, 20), ERR_CORRUPT);
	bad[1] = 1;
	bad[2] = 0x80;
	assert_int_equal(restore(bad, 1 + 3 + 0x8001 + 15), ERR_CORRUPT);
	bad[3] = 0;
	assert_int_equal(restore(bad, 1 + 3 + 0x8000 + 15), 0);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_vectors),
		cmocka_unit_test(test_saved_again),
		cmocka_unit_test(test_within_a_message),
		cmocka_unit_test(test_hostile_states),
	};

	if (argc != 2)
		return 2;
	folder = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
