/* Blocks for OpenSSL's buffers: which lengths, whose pages, when all are in
 * use. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "relay/base/tls_memory.h"

/* Pages of a block that are in memory. */
static unsigned
pages_of(void *block)
{
	unsigned char in_core[TLS_LARGE_BLOCK / 4096] = { 0 };
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	unsigned n = 0;

	assert_int_equal(mincore(block, TLS_LARGE_BLOCK, in_core), 0);
	for (size_t i = 0; i < TLS_LARGE_BLOCK / page; i++)
		n += in_core[i] & 1;
	return n;
}

static void
test_last_one_is_taken_next(void **state)
{
	void *a = tls_memory_malloc(TLS_LARGE_MIN), *b;

	memset(a, 1, TLS_LARGE_MAX);
	b = tls_memory_malloc(TLS_LARGE_MAX);
	assert_ptr_not_equal(a, b);
	tls_memory_free(b);
	tls_memory_free(a);
	assert_ptr_equal(tls_memory_malloc(TLS_LARGE_MAX), a);
	assert_ptr_equal(tls_memory_malloc(TLS_LARGE_MIN), b);
	tls_memory_free(a);
	tls_memory_free(b);
}

/* Lengths on both sides of each bound are usable to the last byte and keep
 * their bytes through realloc. */
static void
test_lengths(void **state)
{
	static const size_t lengths[] = { 1, TLS_SMALL_MIN - 1, TLS_SMALL_MIN,
		TLS_SMALL_MAX, TLS_SMALL_MAX + 1, TLS_SMALL_BLOCK,
		TLS_SMALL_BLOCK + 1, TLS_LARGE_MIN - 1, TLS_LARGE_MIN,
		TLS_LARGE_MAX, TLS_LARGE_MAX + 1, 100000 };
	const size_t n = sizeof(lengths) / sizeof(lengths[0]);

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < n; k++) {
			size_t kept =
			    lengths[i] < lengths[k] ? lengths[i] : lengths[k];
			uint8_t *p = tls_memory_realloc(NULL, lengths[i]);

			assert_non_null(p);
			memset(p, (int)(i + 1), lengths[i]);
			p = tls_memory_realloc(p, lengths[k]);
			assert_non_null(p);
			for (size_t at = 0; at < kept; at++)
				assert_int_equal(p[at], i + 1);
			memset(p, 0, lengths[k]);
			tls_memory_free(p);
		}
	tls_memory_free(NULL);
}

static void
test_trim_gives_free_pages_back(void **state)
{
	enum { N = 20 };
	void *blocks[N];
	unsigned n_left = 0;

	for (int i = 0; i < N; i++) {
		blocks[i] = tls_memory_malloc(TLS_LARGE_MAX);
		memset(blocks[i], 7, TLS_LARGE_MAX);
	}
	for (int i = 1; i < N; i++)
		tls_memory_free(blocks[i]);
	tls_memory_trim();
	for (int i = 1; i < N; i++)
		n_left += pages_of(blocks[i]) > 0;
	assert_int_equal(n_left, TLS_BLOCKS_KEPT);
	/* what is in use keeps its bytes */
	for (size_t i = 0; i < TLS_LARGE_MAX; i++)
		assert_int_equal(((uint8_t *)blocks[0])[i], 7);
	tls_memory_free(blocks[0]);
}

/* The C library has the rest, and nothing is lost when they come back. */
static void
test_all_in_use(void **state)
{
	static void *blocks[TLS_BLOCKS_MAX + 10];
	const int n = TLS_BLOCKS_MAX + 10;
	void *again;

	for (int i = 0; i < n; i++) {
		blocks[i] = tls_memory_malloc(TLS_SMALL_MIN);
		assert_non_null(blocks[i]);
		*(int *)blocks[i] = i;
	}
	for (int i = 0; i < n; i++)
		assert_int_equal(*(int *)blocks[i], i);
	for (int i = 0; i < n; i++)
		tls_memory_free(blocks[i]);
	again = tls_memory_malloc(TLS_SMALL_MIN);
	assert_ptr_equal(again, blocks[TLS_BLOCKS_MAX - 1]);
	tls_memory_free(again);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_last_one_is_taken_next),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_trim_gives_free_pages_back),
		cmocka_unit_test(test_all_in_use),
	};

	if (tls_memory_init() != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
