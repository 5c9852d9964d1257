/* SHA-256 by OpenSSL, and the hashes of a file and of its parts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/err.h"
#include "storage/hash.h"
#include "tests/unit/sha256_vectors.h"

#define BYTES 100003

static uint8_t file_[BYTES];

/* The same bytes as a file without a name. */
static int
fill(void)
{
	char name[] = "/tmp/relaycam-hash-XXXXXX";
	int fd = mkstemp(name);

	for (size_t i = 0; i < BYTES; i++)
		file_[i] = (uint8_t)(i * 2654435761u >> 13);
	assert_true(fd >= 0);
	unlink(name);
	assert_int_equal(write(fd, file_, BYTES), BYTES);
	return fd;
}

static void
expect_part(const struct part_hash *p, size_t from, size_t to)
{
	uint8_t sum[SHA256_LEN], md5[16];

	crypto_hash_sha256(sum, file_ + from, to - from);
	assert_memory_equal(p->sha256, sum, sizeof(sum));
	assert_int_equal(
	    EVP_Digest(file_ + from, to - from, md5, NULL, EVP_md5(), NULL), 1);
	assert_memory_equal(p->md5, md5, sizeof(md5));
}

static void
expect_all(const struct file_hash *h)
{
	uint8_t sum[SHA256_LEN];
	size_t part = (size_t)h->part_bytes;

	crypto_hash_sha256(sum, file_, BYTES);
	assert_memory_equal(h->sha256, sum, sizeof(sum));
	for (size_t i = 0; i < h->n_parts; i++)
		expect_part(
		    &h->parts[i], i * part, min_size((i + 1) * part, BYTES));
}

/* However the bytes come, and however the file is cut. */
static void
parts_are_hashed_in_one_pass(void **state)
{
	static const size_t parts[] = { 0, 1000, 4096, BYTES - 1, BYTES,
		BYTES + 1 };
	static const size_t n_parts[] = { 0, 101, 25, 2, 1, 1 };
	static const size_t pieces[] = { 1, 999, 1000, 1001, 65536, BYTES };
	atomic_bool stopping = false;
	int fd = fill();

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(parts); i++)
		for (size_t k = 0; k < N_ELEMENTS(pieces); k++) {
			struct file_hash h;

			assert_int_equal(
			    file_hash_init(&h, BYTES, parts[i]), 0);
			assert_int_equal(h.n_parts, n_parts[i]);
			for (size_t at = 0; at < BYTES; at += pieces[k])
				file_hash_add(&h, file_ + at,
				    min_size(pieces[k], BYTES - at));
			assert_int_equal(file_hash_end(&h), 0);
			assert_int_equal(
			    file_hash_md5s(&h, fd, 0, &stopping), 0);
			expect_all(&h);
			file_hash_release(&h);
		}
	close(fd);
}

static void
other_lengths_are_errors(void **state)
{
	struct file_hash h;

	(void)state;
	assert_int_equal(file_hash_init(&h, BYTES, 4096), 0);
	file_hash_add(&h, file_, BYTES - 1);
	assert_int_equal(file_hash_end(&h), ERR_LIMIT);
	file_hash_release(&h);
	assert_int_equal(file_hash_init(&h, BYTES, 4096), 0);
	file_hash_add(&h, file_, BYTES);
	file_hash_add(&h, file_, 1);
	assert_int_equal(file_hash_end(&h), ERR_LIMIT);
	file_hash_release(&h);
}

/* Of a file that is shorter than it was, and when the daemon stops. */
static void
jobs_read_by_themselves(void **state)
{
	atomic_bool stopping = false;
	struct hash_job j = { .fd = fill(), .stopping = &stopping };

	(void)state;
	assert_int_equal(file_hash_init(&j.hash, BYTES, 4096), 0);
	hash_run(&j.work);
	assert_int_equal(j.err, 0);
	expect_all(&j.hash);
	file_hash_release(&j.hash);
	assert_int_equal(file_hash_init(&j.hash, BYTES + 1, 4096), 0);
	hash_run(&j.work);
	assert_int_equal(j.err, ERR_IO);
	file_hash_release(&j.hash);
	atomic_store(&stopping, true);
	assert_int_equal(file_hash_init(&j.hash, BYTES, 4096), 0);
	hash_run(&j.work);
	assert_int_equal(j.err, ERR_CANCELLED);
	file_hash_release(&j.hash);
	close(j.fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors_hold),
		cmocka_unit_test(parts_are_hashed_in_one_pass),
		cmocka_unit_test(other_lengths_are_errors),
		cmocka_unit_test(jobs_read_by_themselves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
