/* Pages of zeros are given back, and what memory holds stays as it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "recorder/frame/zero_pages.h"

#define PAGE    4096u
#define N_PAGES 2048u /* 8 MiB */

static uint8_t *block;

static bool
is_resident(const uint8_t *page)
{
	unsigned char there = 0;

	assert_int_equal(mincore((void *)(uintptr_t)page, PAGE, &there), 0);
	return (there & 1) != 0;
}

static size_t
count_resident(void)
{
	size_t n = 0;

	for (size_t i = 0; i < N_PAGES; i++)
		n += is_resident(block + i * PAGE);
	return n;
}

/* A page in 16 has something in it, in its first, last or a middle byte. */
static bool
is_used(size_t page)
{
	return page % 16 == 5;
}

static uint8_t *
byte_of(size_t page)
{
	static const size_t places[] = { 0, PAGE - 1, 1234 };

	return block + page * PAGE + places[page / 16 % 3];
}

static int
map_block(void **state)
{
	(void)state;
	block = mmap(NULL, (size_t)N_PAGES * PAGE, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (block == MAP_FAILED)
		return -1;
	memset(block, 1, (size_t)N_PAGES * PAGE); /* there, whatever follows */
	memset(block, 0, (size_t)N_PAGES * PAGE);
	for (size_t i = 0; i < N_PAGES; i++)
		if (is_used(i))
			*byte_of(i) = 7;
	return 0;
}

static int
unmap_block(void **state)
{
	(void)state;
	return munmap(block, (size_t)N_PAGES * PAGE);
}

static void
does_nothing_unprepared(void **state)
{
	(void)state;
	assert_int_equal(zero_pages_release(), 0);
	assert_int_equal(count_resident(), N_PAGES);
}

static void
gives_back_zeros_alone(void **state)
{
	(void)state;
	zero_pages_prepare();
	assert_true(zero_pages_release() >= N_PAGES / 16 * 15 * PAGE);
	assert_int_equal(count_resident(), N_PAGES / 16);
	for (size_t i = 0; i < N_PAGES; i++)
		for (size_t k = 0; k < PAGE; k++) {
			const uint8_t *p = block + i * PAGE + k;
			bool is_set = is_used(i) && p == byte_of(i);

			if (*p != (is_set ? 7 : 0))
				fail_msg("page %zu, byte %zu: %u", i, k, *p);
		}
}

static void
looks_again(void **state)
{
	(void)state;
	zero_pages_prepare();
	zero_pages_release();
	/* written since, and cleared again */
	block[3 * PAGE] = 1;
	*byte_of(5) = 0;
	assert_true(zero_pages_release() >= PAGE);
	assert_true(is_resident(block + 3 * PAGE));
	assert_int_equal(block[3 * PAGE], 1);
	assert_false(is_resident(block + 5 * PAGE));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    does_nothing_unprepared, map_block, unmap_block),
		cmocka_unit_test_setup_teardown(
		    gives_back_zeros_alone, map_block, unmap_block),
		cmocka_unit_test_setup_teardown(
		    looks_again, map_block, unmap_block),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
