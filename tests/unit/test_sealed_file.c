/*
 * Sealed files: what is written comes back; cut off at any byte they are read
 * up to the last whole chunk; any changed byte, another key and another id
 * are refused.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <cmocka.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/sealed_file.h"

#define PIECES 3
#define PIECE  200
#define CHUNK  (4 + PIECE + 17)
#define FINAL  (4 + 17)

static uint8_t public_key[SEALED_KEY_LEN], secret_key[SEALED_KEY_LEN];
static const uint8_t id[SEALED_ID_LEN] = "0123456789abcde";

struct result {
	int rc; /* of sealed_reader_new */
	size_t len;
	enum sealed_end end;
};

static void
piece_of(uint8_t out[PIECE], uint8_t number)
{
	memset(out, 'a' + number, PIECE);
}

/* PIECES pieces; ended or not. */
static int
make(bool is_ended)
{
	int fd = memfd_create("sealed", MFD_CLOEXEC);
	struct sealed_writer *w;
	uint8_t piece[PIECE];

	assert_true(fd >= 0);
	assert_int_equal(sealed_writer_new(&w, fd, public_key, id), 0);
	for (uint8_t i = 0; i < PIECES; i++) {
		piece_of(piece, i);
		assert_int_equal(sealed_writer_write(w, piece, PIECE), 0);
	}
	if (is_ended) {
		assert_int_equal(sealed_writer_end(w), 0);
		assert_int_equal(sealed_writer_write(w, piece, 1), ERR_IO);
	}
	assert_int_equal(
	    sealed_writer_bytes(w), (uint64_t)lseek(fd, 0, SEEK_END));
	sealed_writer_free(w);
	return fd;
}

/* Reads all; what comes is what was written. */
static struct result
read_all(int fd, const uint8_t *secret, const uint8_t *name)
{
	struct result res = { 0 };
	struct sealed_reader *r;
	const uint8_t *data;
	uint8_t piece[PIECE];
	size_t len;
	int rc;

	lseek(fd, 0, SEEK_SET);
	res.rc = sealed_reader_new(&r, fd, public_key, secret, name);
	if (res.rc != 0)
		return res;
	while ((rc = sealed_reader_next(r, &data, &len)) == 1) {
		assert_int_equal(len, PIECE);
		piece_of(piece, (uint8_t)(res.len / PIECE));
		assert_memory_equal(data, piece, PIECE);
		res.len += len;
	}
	assert_int_equal(rc, 0);
	res.end = sealed_reader_end(r);
	sealed_reader_free(r);
	return res;
}

static void
comes_back(void **state)
{
	int fd = make(true);
	struct result r = read_all(fd, secret_key, id);

	assert_int_equal(r.rc, 0);
	assert_int_equal(r.len, PIECES * PIECE);
	assert_int_equal(r.end, SEALED_END_CLOSED);
	close(fd);
}

static void
long_writes_are_parted(void **state)
{
	size_t len = 2 * SEALED_CHUNK_MAX + 1, have = 0, n;
	uint8_t *bytes = malloc(len);
	int fd = memfd_create("sealed", MFD_CLOEXEC);
	struct sealed_writer *w;
	struct sealed_reader *r;
	const uint8_t *data;

	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(i * 7 + i / 251);
	assert_int_equal(sealed_writer_new(&w, fd, public_key, id), 0);
	assert_int_equal(sealed_writer_write(w, bytes, len), 0);
	assert_int_equal(sealed_writer_end(w), 0);
	sealed_writer_free(w);
	lseek(fd, 0, SEEK_SET);
	assert_int_equal(
	    sealed_reader_new(&r, fd, public_key, secret_key, id), 0);
	while (sealed_reader_next(r, &data, &n) == 1) {
		assert_true(n <= len - have);
		assert_memory_equal(data, bytes + have, n);
		have += n;
	}
	assert_int_equal(have, len);
	assert_int_equal(sealed_reader_end(r), SEALED_END_CLOSED);
	sealed_reader_free(r);
	close(fd);
	free(bytes);
}

/* Whole chunks of the first `at` bytes. */
static size_t
whole(size_t at)
{
	size_t n = (at - SEALED_HEAD_LEN) / CHUNK;

	return n < PIECES ? n : PIECES;
}

static void
cut_anywhere(void **state)
{
	int fd = make(true);
	off_t size = lseek(fd, 0, SEEK_END);
	struct result r;

	for (off_t at = size - 1; at >= 0; at--) {
		assert_int_equal(ftruncate(fd, at), 0);
		r = read_all(fd, secret_key, id);
		if (at < SEALED_HEAD_LEN) {
			assert_int_equal(r.rc, ERR_CORRUPT);
			continue;
		}
		assert_int_equal(r.rc, 0);
		assert_int_equal(r.len, whole((size_t)at) * PIECE);
		assert_int_equal(r.end, SEALED_END_CUT);
	}
	close(fd);
}

static void
not_ended_is_cut(void **state)
{
	int fd = make(false);
	struct result r = read_all(fd, secret_key, id);

	assert_int_equal(r.len, PIECES * PIECE);
	assert_int_equal(r.end, SEALED_END_CUT);
	close(fd);
}

static void
each_byte_counts(void **state)
{
	int fd = make(true);
	off_t size = lseek(fd, 0, SEEK_END);
	struct result r;
	uint8_t b;

	for (off_t at = 0; at < size; at++) {
		assert_int_equal(pread(fd, &b, 1, at), 1);
		b ^= 0x20;
		assert_int_equal(pwrite(fd, &b, 1, at), 1);
		r = read_all(fd, secret_key, id);
		assert_true(r.rc != 0 || r.end != SEALED_END_CLOSED);
		if (r.rc == 0)
			assert_true(r.len <= whole((size_t)at + 1) * PIECE);
		b ^= 0x20;
		assert_int_equal(pwrite(fd, &b, 1, at), 1);
	}
	assert_int_equal(read_all(fd, secret_key, id).end, SEALED_END_CLOSED);
	close(fd);
}

static void
behind_the_end(void **state)
{
	int fd = make(true);

	assert_int_equal(pwrite(fd, "x", 1, lseek(fd, 0, SEEK_END)), 1);
	assert_int_equal(read_all(fd, secret_key, id).end, SEALED_END_DAMAGED);
	close(fd);
}

static void
wrong_key_and_id(void **state)
{
	static const uint8_t other_id[SEALED_ID_LEN] = "0123456789abcdX";
	uint8_t other_public[SEALED_KEY_LEN], other[SEALED_KEY_LEN];
	int fd = make(true);
	struct result r;

	crypto_box_keypair(other_public, other);
	assert_int_equal(read_all(fd, other, id).rc, ERR_DENIED);
	r = read_all(fd, secret_key, other_id);
	assert_int_equal(r.rc, 0);
	assert_int_equal(r.len, 0);
	assert_int_equal(r.end, SEALED_END_DAMAGED);
	close(fd);
}

/* What does not fit leaves whole chunks, and nothing follows them. */
static void
disk_full(void **state)
{
	char path[] = "/tmp/relaycam-sealed-XXXXXX";
	const struct rlimit small = { SEALED_HEAD_LEN + CHUNK + CHUNK / 2,
		RLIM_INFINITY };
	struct rlimit before;
	struct sealed_writer *w;
	uint8_t piece[PIECE];
	struct result r;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	unlink(path);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(sealed_writer_new(&w, fd, public_key, id), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	piece_of(piece, 0);
	assert_int_equal(sealed_writer_write(w, piece, PIECE), 0);
	assert_int_equal(sealed_writer_write(w, piece, PIECE), ERR_NOSPACE);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(sealed_writer_write(w, piece, PIECE), ERR_NOSPACE);
	assert_int_equal(sealed_writer_end(w), ERR_NOSPACE);
	sealed_writer_free(w);
	r = read_all(fd, secret_key, id);
	assert_int_equal(r.len, PIECE);
	assert_int_equal(r.end, SEALED_END_CUT);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_back),
		cmocka_unit_test(long_writes_are_parted),
		cmocka_unit_test(cut_anywhere),
		cmocka_unit_test(not_ended_is_cut),
		cmocka_unit_test(each_byte_counts),
		cmocka_unit_test(behind_the_end),
		cmocka_unit_test(wrong_key_and_id),
		cmocka_unit_test(disk_full),
	};

	if (sodium_init() < 0)
		return 1;
	crypto_box_keypair(public_key, secret_key);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
