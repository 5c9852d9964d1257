/* Pauses between tries, the bandwidth limit, and how a file is cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/clock.h"
#include "storage/store/s3_backoff.h"

#define MIB (UINT64_C(1) << 20)

static void
test_backoff_grows_and_differs(void **state)
{
	assert_int_equal(s3_backoff_ms(1, 0, 0), 200);
	assert_int_equal(s3_backoff_ms(1, 0, 200), 400);
	assert_int_equal(s3_backoff_ms(3, 0, 0), 800);
	for (unsigned tries = 1; tries < 70; tries++)
		for (uint64_t random = 0; random < 40000; random += 997) {
			uint64_t ms = s3_backoff_ms(tries, 0, random);

			assert_in_range(ms, 200, S3_BACKOFF_MAX_MS);
			assert_true(s3_backoff_ms(tries, 7, random) >= 7000);
		}
}

static void
test_retry_after(void **state)
{
	uint64_t now = 1795000000; /* Wed, 18 Nov 2026 11:06:40 GMT */

	assert_int_equal(s3_retry_after_s("0", now), 0);
	assert_int_equal(s3_retry_after_s("7", now), 7);
	assert_int_equal(s3_retry_after_s("61", now), 60);
	assert_int_equal(s3_retry_after_s("99999999999999999999", now), 60);
	assert_int_equal(s3_retry_after_s("-1", now), 0);
	assert_int_equal(s3_retry_after_s("", now), 0);
	assert_int_equal(s3_retry_after_s("soon", now), 0);
	assert_int_equal(
	    s3_retry_after_s("Wed, 18 Nov 2026 11:06:50 GMT", now), 10);
	assert_int_equal(
	    s3_retry_after_s("Wed, 18 Nov 2026 11:06:30 GMT", now), 0);
	assert_int_equal(
	    s3_retry_after_s("Wed, 18 Nov 2027 11:06:30 GMT", now), 60);
}

/* Over any stretch no more than the rate and one burst; and all of it. */
static void
test_pace(void **state)
{
	struct s3_pace p;
	uint64_t sent = 0, now = 5 * NS_PER_S;

	s3_pace_init(&p, 0, now);
	assert_int_equal(s3_pace_take(&p, 12345, now), 12345);
	s3_pace_init(&p, MIB, now);
	assert_int_equal(s3_pace_take(&p, MIB, now), 0);
	for (int ms = 0; ms <= 10000; ms += 7) {
		uint64_t at = now + (uint64_t)ms * 1000000;

		sent += s3_pace_take(&p, 30000, at);
		assert_true(sent <= (uint64_t)ms * MIB / 1000 + MIB / 10 + 1);
	}
	assert_true(sent > 9 * MIB);
	/* after a pause of an hour one burst, no more */
	assert_int_equal(
	    s3_pace_take(&p, 8 * MIB, now + 3600 * NS_PER_S), MIB / 10);
	/* a clock that goes back gives nothing */
	assert_int_equal(s3_pace_take(&p, 8 * MIB, now), 0);
}

static void
test_part_size(void **state)
{
	assert_int_equal(s3_part_bytes(12000000, 5 * MIB, 0), 5 * MIB);
	assert_int_equal(s3_part_bytes(12000000, 5 * MIB, 1 << 30), 5 * MIB);
	assert_int_equal(s3_part_bytes(1 << 30, 0, 0), 8 * MIB);
	assert_int_equal(s3_part_bytes(1 << 30, 0, MIB), 8 * MIB);
	assert_int_equal(s3_part_bytes(1 << 30, 0, 10 * MIB + 5), 20 * MIB);
	assert_int_equal(s3_part_bytes(1 << 30, 0, 1 << 30), 64 * MIB);
	assert_int_equal(s3_part_bytes(UINT64_C(1) << 40, 5 * MIB, 0),
	    ((UINT64_C(1) << 40) + 9999) / 10000);
	assert_int_equal(s3_part_bytes(0, 0, 0), 8 * MIB);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_backoff_grows_and_differs),
		cmocka_unit_test(test_retry_after),
		cmocka_unit_test(test_pace),
		cmocka_unit_test(test_part_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
