/*
 * The inflater against zlib: what it compresses at any level and strategy, cut
 * anywhere, handed over behind each flush; streams with one bit flipped; and
 * faults one by one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/inflate_check.h"

#define DATA_LEN 300000
#define OUT_MAX  (2 * DATA_LEN)

static uint8_t data[DATA_LEN], packed[OUT_MAX];

static uint32_t
next_random(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

/* Runs of repeated, random and far repeated bytes, as screens are. */
static void
fill_data(uint32_t seed, unsigned alphabet)
{
	size_t at = 0, n, back;

	while (at < DATA_LEN) {
		n = min_size(1 + next_random(&seed) % 600, DATA_LEN - at);
		back = next_random(&seed) % 3 == 0 ? 1 + next_random(&seed) % 40
						   : next_random(&seed) % 40000;
		for (size_t i = 0; i < n; i++, at++)
			data[at] = back > 0 && at >= back
			    ? data[at - back]
			    : (uint8_t)(next_random(&seed) % alphabet);
	}
}

/* Deflates n bytes of data, flushed every `every` bytes. Returns the length. */
static size_t
deflate_data(size_t n, int level, int strategy, int flush, size_t every)
{
	z_stream z = { .next_in = data };
	size_t len;

	assert_int_equal(
	    deflateInit2(&z, level, Z_DEFLATED, 15, 8, strategy), Z_OK);
	z.next_out = packed;
	z.avail_out = OUT_MAX;
	for (size_t at = 0; at < n; at += every) {
		z.avail_in = (uInt)min_size(every, n - at);
		assert_int_equal(deflate(&z, flush), Z_OK);
	}
	len = OUT_MAX - z.avail_out;
	deflateEnd(&z);
	return len;
}

static void
assert_same(size_t len, size_t piece)
{
	const char *what = inflate_compare(packed, len, piece);

	if (what != NULL)
		fail_msg("zlib inflates to another %s, in pieces of %zu", what,
		    piece);
}

static void
inflates_what_zlib_deflates(void **state)
{
	static const int strategies[] = { Z_DEFAULT_STRATEGY, Z_FILTERED,
		Z_HUFFMAN_ONLY, Z_RLE, Z_FIXED };
	static const unsigned alphabets[] = { 1, 2, 5, 40, 256 };
	static const int flushes[] = { Z_SYNC_FLUSH, Z_PARTIAL_FLUSH,
		Z_FULL_FLUSH, Z_BLOCK, Z_NO_FLUSH };
	size_t len;

	(void)state;
	for (unsigned i = 0; i < 50; i++) {
		fill_data(i, alphabets[i % 5]);
		len = deflate_data(DATA_LEN, (int)(i % 10), strategies[i / 10],
		    flushes[i / 2 % 5], 1000 + i * 977);
		assert_same(len, SIZE_MAX);
		assert_same(len, 1 + i % 3 * 17);
		assert_same(len, 4096);
	}
}

static void
small_rectangles_are_whole_at_each_flush(void **state)
{
	size_t len, n = 3000;

	(void)state;
	fill_data(7, 30);
	for (int level = 1; level <= 9; level += 4) {
		len = deflate_data(
		    n, level, Z_DEFAULT_STRATEGY, Z_SYNC_FLUSH, 50);
		for (size_t cut = 0; cut <= len; cut++)
			assert_same(cut, 1 + cut % 90);
	}
}

/* Behind each flush another inflater continues, with the window alone. */
static void
is_handed_over_behind_each_flush(void **state)
{
	struct inflated *all, *first, *second;
	size_t len, n_over = 0;

	(void)state;
	fill_data(3, 200);
	len =
	    deflate_data(DATA_LEN, 6, Z_DEFAULT_STRATEGY, Z_SYNC_FLUSH, 29000);
	all = inflate_zlibs(packed, len);
	for (size_t cut = 2; cut <= len; cut++) {
		/* what a sync flush ends with */
		if (cut > 6 && memcmp(packed + cut - 4, "\0\0\xff\xff", 4) != 0)
			continue;
		first = inflate_ours(packed, cut, 1000, NULL);
		if (first->is_between_blocks) {
			second = inflate_ours(
			    packed + cut, len - cut, SIZE_MAX, first);
			assert_false(second->is_bad);
			assert_int_equal(first->len + second->len, all->len);
			if (second->len > 0)
				assert_memory_equal(second->data,
				    all->data + first->len, second->len);
			inflated_free(second);
			n_over++;
		}
		inflated_free(first);
	}
	assert_true(n_over >= DATA_LEN / 29000);
	inflated_free(all);
}

/* Most of these are faults; zlib says of each whether, and where. */
static void
flipped_bits_are_judged_as_zlib_does(void **state)
{
	size_t len;

	(void)state;
	fill_data(11, 60);
	for (int level = 0; level <= 9; level += 3) {
		len = deflate_data(
		    2500, level, Z_DEFAULT_STRATEGY, Z_SYNC_FLUSH, 1250);
		for (size_t bit = 0; bit < 8 * len; bit++) {
			packed[bit / 8] ^= (uint8_t)(1u << bit % 8);
			assert_same(len, 1 + bit % 300);
			packed[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
	}
}

/* The lengths of a block's codes decide whether it is one. */
static void
random_blocks_are_judged_as_zlib_does(void **state)
{
	uint32_t seed = 5;
	size_t len = 300;

	(void)state;
	for (unsigned i = 0; i < 6000; i++) {
		packed[0] = 0x78;
		packed[1] = 0x01;
		for (size_t at = 2; at < len; at++)
			packed[at] = (uint8_t)next_random(&seed);
		packed[2] = (uint8_t)((packed[2] & ~7u) | (i % 3 == 0 ? 2 : 4));
		assert_same(len, 1 + i % 200);
	}
}

static void
the_end_is_found_and_what_follows_is_left(void **state)
{
	uLongf len = OUT_MAX;
	struct inflated *o;

	(void)state;
	fill_data(1, 100);
	assert_int_equal(compress(packed, &len, data, 5000), Z_OK);
	memset(packed + len, 'x', 9);
	for (size_t piece = 1; piece < 40; piece++) {
		assert_same(len, piece);
		assert_same(len + 9, SIZE_MAX);
	}
	o = inflate_ours(packed, len + 9, 100, NULL);
	assert_true(o->is_end);
	assert_int_equal(o->input_left, 9);
	assert_int_equal(o->len, 5000);
	inflated_free(o);
}

static const struct fault {
	const char *what, *bytes;
	size_t len;
} faults[] = {
	{ "a wrong check of the header", "\x78\x02", 2 },
	{ "another method", "\x77\x85", 2 },
	{ "a window above 32 KiB", "\x88\x1c", 2 },
	{ "a preset dictionary", "\x78\x20\0\0\0\0", 6 },
	{ "the reserved kind of block", "\x78\x01\x06", 3 },
	{ "a stored length that differs from its complement",
	    "\x78\x01\0\1\0\0\0", 7 },
	{ "a distance before the first byte", "\x78\x01\x02\x02\0", 5 },
	{ "a distance code that does not exist", "\x78\x01\x4a\x04\xfe\xff",
	    6 },
	{ "a length code that does not exist", "\x78\x01\x1a\x03\0", 5 },
	{ "more length codes than there are", "\x78\x01\xfc\0\0", 5 },
	{ "a first length that repeats one before it",
	    "\x78\x01\x04\xc0\x10\0\0\0\0\0\0\0\0", 13 },
};

static void
faults_are_refused(void **state)
{
	struct inflated *o;

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(faults); i++) {
		const uint8_t *p = (const uint8_t *)faults[i].bytes;

		o = inflate_ours(p, faults[i].len, 1, NULL);
		if (!o->is_bad)
			fail_msg("taken: %s", faults[i].what);
		inflated_free(o);
		assert_null(inflate_compare(p, faults[i].len, SIZE_MAX));
	}
}

/* A reset stream knows nothing of what was before. */
static void
a_reset_forgets_the_window(void **state)
{
	static const uint8_t far[] = { 0x78, 0x01, 0x4a, 0x04, 0x11, 0, 0 };
	struct inflate_stream *s = inflate_stream_new();
	const uint8_t *in;
	size_t rest = 0, len;

	(void)state;
	assert_non_null(s);
	fill_data(2, 9);
	len = deflate_data(2000, 6, Z_DEFAULT_STRATEGY, Z_SYNC_FLUSH, 2000);
	in = packed;
	assert_int_equal(
	    inflate_stream_run(s, &in, packed + len, &rest), INFLATE_MORE);
	assert_int_equal(rest, 2000);
	inflate_stream_reset(s);
	rest = 0;
	in = far;
	assert_int_equal(
	    inflate_stream_run(s, &in, far + sizeof(far), &rest), INFLATE_BAD);
	inflate_stream_reset(s);
	in = packed;
	rest = 0;
	assert_int_equal(
	    inflate_stream_run(s, &in, packed + len, &rest), INFLATE_MORE);
	assert_memory_equal(inflate_stream_out(s) - rest, data, 2000);
	inflate_stream_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(inflates_what_zlib_deflates),
		cmocka_unit_test(small_rectangles_are_whole_at_each_flush),
		cmocka_unit_test(is_handed_over_behind_each_flush),
		cmocka_unit_test(flipped_bits_are_judged_as_zlib_does),
		cmocka_unit_test(random_blocks_are_judged_as_zlib_does),
		cmocka_unit_test(the_end_is_found_and_what_follows_is_left),
		cmocka_unit_test(faults_are_refused),
		cmocka_unit_test(a_reset_forgets_the_window),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
