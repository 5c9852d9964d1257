/* MD5 of many ranges at a time, against OpenSSL's of each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/err.h"
#include "storage/md5_lanes.h"

#define BYTES  300007
#define RANGES 300

static uint8_t file_[BYTES];
static int fd_;
static atomic_bool stopping_;

static int
setup(void **state)
{
	char name[] = "/tmp/relaycam-md5-XXXXXX";

	(void)state;
	fd_ = mkstemp(name);
	unlink(name);
	for (size_t i = 0; i < BYTES; i++)
		file_[i] = (uint8_t)(i * 2654435761u >> 11);
	return fd_ >= 0 && write(fd_, file_, BYTES) == BYTES ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	return close(fd_);
}

static void
expect_sums(const struct md5_range *ranges, size_t n)
{
	uint8_t want[MD5_LEN];

	assert_int_equal(md5_ranges(fd_, ranges, n, &stopping_), 0);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(
		    EVP_Digest(file_ + ranges[i].offset, ranges[i].len, want,
			NULL, EVP_md5(), NULL),
		    1);
		assert_memory_equal(ranges[i].md5, want, sizeof(want));
	}
}

/* Every length around the ends of blocks and buffers, in lanes that end one
 * after the other. */
static void
ranges_of_every_length(void **state)
{
	struct md5_range ranges[RANGES];
	uint8_t sums[RANGES][MD5_LEN];

	(void)state;
	for (size_t i = 0; i < RANGES; i++)
		ranges[i] = (struct md5_range){ i * 31, i, sums[i] };
	expect_sums(ranges, RANGES);
	for (size_t i = 0; i < RANGES; i++)
		ranges[i].len = 32768 - 150 + i;
	expect_sums(ranges, RANGES);
	for (size_t i = 0; i < RANGES; i++)
		ranges[i].len = i % 7 == 0 ? BYTES - ranges[i].offset : i % 3;
	expect_sums(ranges, RANGES);
}

/* Fewer than there are lanes, and one more. */
static void
any_number_of_ranges(void **state)
{
	struct md5_range ranges[2 * MD5_LANES + 1] = { 0 };
	uint8_t sums[2 * MD5_LANES + 1][MD5_LEN];

	(void)state;
	for (size_t n = 0; n <= N_ELEMENTS(ranges); n++) {
		for (size_t i = 0; i < n; i++)
			ranges[i] =
			    (struct md5_range){ i, BYTES - 2 * i, sums[i] };
		expect_sums(ranges, n);
	}
}

static void
files_may_be_shorter(void **state)
{
	uint8_t sum[MD5_LEN];
	struct md5_range beyond = { 1, BYTES, sum };

	(void)state;
	errno = 0;
	assert_int_equal(md5_ranges(fd_, &beyond, 1, &stopping_), ERR_IO);
	assert_int_equal(errno, EIO);
	atomic_store(&stopping_, true);
	assert_int_equal(
	    md5_ranges(fd_, &beyond, 1, &stopping_), ERR_CANCELLED);
	atomic_store(&stopping_, false);
	assert_int_equal(md5_ranges(-1, &beyond, 1, &stopping_), ERR_IO);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges_of_every_length),
		cmocka_unit_test(any_number_of_ranges),
		cmocka_unit_test(files_may_be_shorter),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
