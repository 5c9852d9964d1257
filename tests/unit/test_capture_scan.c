/*
 * How much of a growing capture storage counts: of what the real writer made,
 * cut off at every byte, whole blocks and no more; wrong headers; a file that
 * is another one suddenly.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/bytes.h"
#include "capture/capture.h"
#include "capture/capture_scan.h"

#define BLOCKS 6

static int fd;
static uint64_t ends[BLOCKS]; /* of its blocks */

static int
setup(void **state)
{
	const struct capture_start start = { 1, 1, 0 };
	struct capture_writer *w;
	uint8_t data[300];

	(void)state;
	fd = memfd_create("capture", 0);
	assert_true(fd >= 0);
	assert_int_equal(capture_writer_new(&w, fd, "{}", 2, &start), 0);
	for (unsigned i = 0; i < BLOCKS; i++) {
		ends[i] = capture_writer_bytes_written(w);
		memset(data, (int)i, sizeof(data));
		assert_int_equal(
		    capture_writer_bytes(w, data, sizeof(data), i), 0);
		assert_int_equal(
		    capture_writer_tick(w, i + CAPTURE_FLUSH_NS), 0);
	}
	capture_writer_free(w);
	assert_int_equal(ftruncate(fd, (off_t)ends[BLOCKS - 1]), 0);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	close(fd);
	return 0;
}

static uint64_t
scan(struct capture_scan *s)
{
	assert_int_equal(capture_scan_more(s, fd), 0);
	return s->bytes;
}

static uint64_t
scan_anew(void)
{
	struct capture_scan s = { 0 };

	return scan(&s);
}

static void
cut_at_every_byte(void **state)
{
	(void)state;
	for (uint64_t len = ends[BLOCKS - 1]; len > 0; len--) {
		uint64_t want = 0;

		assert_int_equal(ftruncate(fd, (off_t)len), 0);
		for (unsigned i = 0; i < BLOCKS && ends[i] <= len; i++)
			want = ends[i];
		assert_int_equal(scan_anew(), want);
	}
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(scan_anew(), 0);
}

/* Goes on where it was; a file that became shorter is another one. */
static void
grows_and_shrinks(void **state)
{
	struct capture_scan s = { 0 };
	static uint8_t all[1 << 16];

	(void)state;
	assert_int_equal(
	    pread(fd, all, sizeof(all), 0), (ssize_t)ends[BLOCKS - 1]);
	assert_int_equal(ftruncate(fd, (off_t)ends[1] + 5), 0);
	assert_int_equal(scan(&s), ends[1]);
	assert_int_equal(
	    pwrite(fd, all, ends[BLOCKS - 1], 0), (ssize_t)ends[BLOCKS - 1]);
	assert_int_equal(scan(&s), ends[BLOCKS - 1]);
	assert_false(s.was_cut);
	assert_int_equal(ftruncate(fd, (off_t)ends[0]), 0);
	assert_int_equal(scan(&s), ends[0]);
	assert_true(s.was_cut);
}

static void
every_bit_of_a_header(void **state)
{
	uint8_t was, is;

	(void)state;
	for (unsigned bit = 0; bit < 64 * 8; bit++) {
		off_t at = (off_t)ends[1] + bit / 8;

		assert_int_equal(pread(fd, &was, 1, at), 1);
		is = was ^ (uint8_t)(1 << bit % 8);
		assert_int_equal(pwrite(fd, &is, 1, at), 1);
		assert_int_equal(scan_anew(), ends[1]);
		assert_int_equal(pwrite(fd, &was, 1, at), 1);
	}
	assert_int_equal(scan_anew(), ends[BLOCKS - 1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    cut_at_every_byte, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    grows_and_shrinks, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    every_bit_of_a_header, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
