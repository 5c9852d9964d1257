/*
 * Captures: what is written comes back, marks and bytes in order; cut off at
 * any byte, damaged anywhere, with lying lengths and bombs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "common/clock.h"
#include "common/err.h"
#include "capture/capture_format.h"
#include "tests/unit/recorder_fixture.h"

#define JSON "{\"session\":\"x\"}"

struct file {
	uint8_t *data;
	size_t len;
};

static const struct capture_start start = { 3, 77, 12345 };

static struct file
slurp(int fd)
{
	struct file f;
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	f.len = (size_t)st.st_size;
	f.data = malloc(f.len + 1);
	assert_int_equal(pread(fd, f.data, f.len, 0), (ssize_t)f.len);
	return f;
}

static struct tee_mark
mark(uint32_t kind, uint64_t ns, uint32_t value)
{
	struct tee_mark m = { .kind = kind, .mono_ns = ns };

	store_be32(m.value, value);
	return m;
}

/* A capture of n rounds (a time, some noise), a mark each third; ended. */
static struct file
make(unsigned rounds, size_t piece, const char *word)
{
	struct capture_writer *w;
	int fd = memfd_create("capture", MFD_CLOEXEC);
	uint8_t *noise = malloc(piece);
	uint32_t seed = 5;
	struct tee_mark m;
	struct file f;

	assert_int_equal(
	    capture_writer_new(&w, fd, JSON, strlen(JSON), &start), 0);
	for (unsigned i = 0; i < rounds; i++) {
		m = mark(TEE_MARK_TIME, 1000 + i, 0);
		assert_int_equal(capture_writer_mark(w, &m, i), 0);
		for (size_t k = 0; k < piece; k++)
			noise[k] = (uint8_t)fixture_random(&seed);
		assert_int_equal(capture_writer_bytes(w, noise, piece, i), 0);
		if (i % 3 != 2)
			continue;
		m = mark(TEE_MARK_FRAME_RATE, 1000 + i, i);
		assert_int_equal(capture_writer_mark(w, &m, i), 0);
		/* a block is written when it is old enough */
		assert_int_equal(
		    capture_writer_tick(w, i + CAPTURE_FLUSH_NS), 0);
	}
	if (word != NULL)
		assert_int_equal(capture_writer_end(w, word, 99999), 0);
	f = slurp(fd);
	assert_int_equal(f.len, capture_writer_bytes_written(w));
	capture_writer_free(w);
	close(fd);
	free(noise);
	return f;
}

/* Reads all; how many records, and the end. */
static unsigned
count(const uint8_t *data, size_t len, enum capture_end *end)
{
	struct capture_reader *r;
	struct capture_record rec;
	unsigned n = 0;
	uint64_t last = 0;
	int rc = capture_reader_new_mem(&r, data, len);

	*end = CAPTURE_END_NONE;
	if (rc != 0) {
		assert_int_equal(rc, ERR_CORRUPT);
		return 0;
	}
	while ((rc = capture_reader_next(r, &rec)) == 1) {
		n++;
		if (rec.kind == CAPTURE_BYTES)
			continue;
		assert_true(rec.mark.mono_ns >= last);
		last = rec.mark.mono_ns;
	}
	assert_int_equal(rc, 0);
	*end = capture_reader_end(r);
	assert_true(capture_reader_offset(r) <= len);
	capture_reader_free(r);
	return n;
}

static void
reads_back_what_was_written(void **state)
{
	struct file f = make(600, 5000, "endpoint");
	struct capture_reader *r;
	struct capture_record rec;
	struct capture_start s;
	uint64_t offset = 0, rates = 0;
	uint32_t seed = 5;
	unsigned round = 0;
	const char *json;
	size_t len;

	(void)state;
	assert_int_equal(capture_reader_new_mem(&r, f.data, f.len), 0);
	json = capture_reader_meta(r, &len, &s);
	assert_int_equal(len, strlen(JSON));
	assert_memory_equal(json, JSON, len);
	assert_memory_equal(&s, &start, sizeof(s));
	while (capture_reader_next(r, &rec) == 1 && rec.kind != CAPTURE_ENDED) {
		if (rec.kind == CAPTURE_BYTES) {
			for (size_t i = 0; i < rec.len; i++)
				assert_int_equal(rec.data[i],
				    (uint8_t)fixture_random(&seed));
			offset += rec.len;
			continue;
		}
		/* marks stand where they stood */
		assert_int_equal(rec.mark.offset, offset);
		if (rec.mark.kind == TEE_MARK_TIME) {
			assert_int_equal(offset, 5000 * round);
			assert_int_equal(rec.mark.mono_ns, 1000 + round++);
			continue;
		}
		assert_int_equal(rec.mark.kind, TEE_MARK_FRAME_RATE);
		assert_int_equal(load_be32(rec.mark.value), round - 1);
		rates++;
	}
	assert_int_equal(rec.kind, CAPTURE_ENDED);
	assert_string_equal(rec.word, "endpoint");
	assert_int_equal(rec.mark.mono_ns, 99999);
	assert_int_equal(capture_reader_next(r, &rec), 0);
	assert_int_equal(capture_reader_end(r), CAPTURE_END_CLOSED);
	assert_int_equal(capture_reader_offset(r), f.len);
	assert_int_equal(round, 600);
	assert_int_equal(rates, 200);
	assert_int_equal(offset, 600 * 5000);
	capture_reader_free(r);
	free(f.data);
}

/* One span that is larger than a block. */
static void
parts_large_spans(void **state)
{
	struct file f = make(3, CAPTURE_RAW_MAX + 12345, "normal");
	enum capture_end end;

	(void)state;
	/* 3 times, 1 mark, 1 end; each span in two or three */
	assert_in_range(count(f.data, f.len, &end), 5 + 6, 5 + 9);
	assert_int_equal(end, CAPTURE_END_CLOSED);
	free(f.data);
}

/* Reads a file cut off at every byte: whole blocks, no more, no less. */
static void
cut_off_at_any_byte(void **state)
{
	struct file f = make(12, 60, "normal");
	enum capture_end end;
	unsigned last = 0;

	(void)state;
	for (size_t len = 0; len < f.len; len++) {
		uint8_t *exact = malloc(len + 1);
		unsigned n;

		memcpy(exact, f.data, len);
		n = count(exact, len, &end);
		free(exact);
		assert_true(n >= last);
		assert_true(n - last == 0 || n - last >= 7);
		assert_int_equal(end,
		    len < CAPTURE_HEADER_LEN + META_NUMBERS_LEN + strlen(JSON)
			? CAPTURE_END_NONE
			: CAPTURE_END_CUT);
		last = n;
	}
	assert_int_equal(last, 4 * 7); /* all but the end's block */
	assert_int_equal(count(f.data, f.len, &end), 4 * 7 + 1);
	assert_int_equal(end, CAPTURE_END_CLOSED);
	free(f.data);
}

/* Any changed bit is noticed: nothing changed is ever given out. */
static void
damage_is_noticed(void **state)
{
	struct file f = make(6, 40, "normal");
	unsigned whole, n;
	enum capture_end end;

	(void)state;
	whole = count(f.data, f.len, &end);
	for (size_t i = 0; i < f.len; i++) {
		f.data[i] ^= 0x10;
		n = count(f.data, f.len, &end);
		assert_true(n < whole);
		assert_int_not_equal(end, CAPTURE_END_CLOSED);
		f.data[i] ^= 0x10;
	}
	assert_int_equal(count(f.data, f.len, &end), whole);
	free(f.data);
}

/* A bad block with much behind it is no cut-off end. */
static void
tells_damage_from_a_cut(void **state)
{
	struct file f = make(1200, 5000, "normal");
	enum capture_end end;
	unsigned n;

	(void)state;
	f.data[f.len / 2] ^= 1;
	n = count(f.data, f.len, &end);
	assert_int_equal(end, CAPTURE_END_DAMAGED);
	assert_in_range(n, 1000, 1600);
	f.data[f.len / 2] ^= 1;
	f.data[f.len - 1] ^= 1;
	count(f.data, f.len, &end);
	assert_int_equal(end, CAPTURE_END_CUT);
	free(f.data);
}

static void
something_behind_the_end(void **state)
{
	struct file f = make(3, 10, "normal");
	enum capture_end end;

	(void)state;
	f.data = realloc(f.data, f.len + 10);
	memset(f.data + f.len, 0, 10);
	assert_int_equal(count(f.data, f.len + 10, &end), 8);
	assert_int_equal(end, CAPTURE_END_DAMAGED);
	free(f.data);
}

/* Puts a block of ours behind the meta block, with right sums. */
static size_t
forge(uint8_t *out, const struct capture_header *like, const uint8_t *raw,
    size_t raw_len)
{
	struct capture_header h = *like;
	uint8_t *p = out + CAPTURE_HEADER_LEN;

	h.stored = (uint32_t)ZSTD_compress(
	    p, ZSTD_compressBound(raw_len), raw, raw_len, 1);
	h.sum = capture_sum(p, h.stored);
	capture_header_pack(&h, out);
	return CAPTURE_HEADER_LEN + h.stored;
}

static void
bombs_and_lies(void **state)
{
	struct file f = make(0, 1, NULL);
	size_t big = 64 << 20;
	uint8_t *zeros = calloc(1, big), *out = malloc(f.len + big);
	struct capture_header h = { .number = 1, .kind = BLOCK_RECORDS };
	const uint8_t lies[][12] = {
		{ TAG_BYTES, 0, 0, 0, 9, 1 }, /* longer than it is */
		{ TAG_BYTES, 0xff, 0xff, 0xff, 0xff, 1 }, /* and much longer */
		{ TAG_BYTES, 0, 0, 0, 0, 1 },             /* nothing */
		{ TAG_STATE, 0, 0, 0, 9, 1 },             /* as bytes */
		{ TAG_STATE, 0, 0, 0, 0, 1 },
		{ TAG_TIME, 0xff }, /* cannot be */
		{ TAG_TIME, 0, 0, 0, 0, 0, 0, 0,
		    9 },                  /* after the block's last */
		{ TAG_MARK, 0, 0, 0, 4 }, /* too short */
		{ TAG_END, 0, 0, 0, 0, 0, 0, 0, 0, 2 }, /* not the last block */
		{ 0 },
		{ 200 },
	};
	enum capture_end end;
	size_t n;

	(void)state;
	memcpy(out, f.data, f.len);
	/* 64 MiB in a block that says 1 MiB, then one that says 64 MiB */
	h.raw = CAPTURE_RAW_MAX;
	n = forge(out + f.len, &h, zeros, big);
	assert_int_equal(count(out, f.len + n, &end), 0);
	assert_int_equal(end, CAPTURE_END_CUT);
	h.raw = (uint32_t)big;
	n = forge(out + f.len, &h, zeros, big);
	assert_int_equal(count(out, f.len + n, &end), 0);
	assert_int_equal(end, CAPTURE_END_CUT);
	for (size_t i = 0; i < N_ELEMENTS(lies); i++) {
		h.raw = sizeof(lies[i]);
		n = forge(out + f.len, &h, lies[i], h.raw);
		assert_int_equal(count(out, f.len + n, &end), 0);
		assert_int_equal(end, CAPTURE_END_DAMAGED);
	}
	free(zeros);
	free(out);
	free(f.data);
}

static void
limits_of_the_writer(void **state)
{
	struct capture_writer *w;
	char *json = calloc(1, CAPTURE_META_MAX + 1);
	int fd = memfd_create("capture", MFD_CLOEXEC);
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(
	    capture_writer_new(&w, fd, json, CAPTURE_META_MAX + 1, &start),
	    ERR_LIMIT);
	assert_int_equal(
	    capture_writer_new(&w, full, JSON, strlen(JSON), &start),
	    ERR_NOSPACE);
	assert_int_equal(
	    capture_writer_new(&w, fd, json, CAPTURE_META_MAX, &start), 0);
	assert_int_equal(
	    capture_writer_end(w, "a word of too many letters", 1), ERR_LIMIT);
	capture_writer_free(w);
	close(fd);
	close(full);
	free(json);
}

/* Blocks and syncs are due when they are, and not before. */
static void
is_flushed_in_time(void **state)
{
	struct capture_writer *w;
	int fd = memfd_create("capture", MFD_CLOEXEC);
	uint64_t t = 50 * NS_PER_S, before;

	(void)state;
	assert_int_equal(
	    capture_writer_new(&w, fd, JSON, strlen(JSON), &start), 0);
	before = capture_writer_bytes_written(w);
	assert_true(capture_writer_due(w) == UINT64_MAX);
	assert_int_equal(
	    capture_writer_bytes(w, (const uint8_t *)"abc", 3, t), 0);
	assert_true(capture_writer_due(w) == t + CAPTURE_FLUSH_NS);
	assert_int_equal(capture_writer_tick(w, t + CAPTURE_FLUSH_NS - 1), 0);
	assert_int_equal(capture_writer_bytes_written(w), before);
	assert_int_equal(capture_writer_tick(w, t + CAPTURE_FLUSH_NS), 0);
	assert_true(capture_writer_bytes_written(w) > before);
	assert_true(capture_writer_due(w) == t + CAPTURE_SYNC_NS);
	assert_int_equal(capture_writer_tick(w, t + CAPTURE_SYNC_NS), 0);
	assert_true(capture_writer_due(w) == UINT64_MAX);
	capture_writer_free(w);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_back_what_was_written),
		cmocka_unit_test(parts_large_spans),
		cmocka_unit_test(cut_off_at_any_byte),
		cmocka_unit_test(damage_is_noticed),
		cmocka_unit_test(tells_damage_from_a_cut),
		cmocka_unit_test(something_behind_the_end),
		cmocka_unit_test(bombs_and_lies),
		cmocka_unit_test(limits_of_the_writer),
		cmocka_unit_test(is_flushed_in_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
