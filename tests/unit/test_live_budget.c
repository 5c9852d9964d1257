/* How many recorders may encode at a time, and with how much memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdint.h>

#include "relay/recording/live_budget.h"

static void
no_limits(void **state)
{
	const struct live_limits none = { 0 };
	struct live_share shares[100];
	struct live_budget b;

	(void)state;
	live_budget_init(&b, &none);
	for (int i = 0; i < 100; i++) {
		assert_null(
		    live_budget_take(&b, &shares[i], UINT64_C(1) << 40));
		live_budget_says(&b, &shares[i], 1000, 1);
	}
	assert_int_equal(live_budget_used(&b).recorders, 100);
	assert_int_equal(live_budget_used(&b).permille, 100000);
}

static void
recorders(void **state)
{
	const struct live_limits two = { .recorders = 2 };
	struct live_share x = { 0 }, y = { 0 }, z = { 0 };
	struct live_budget b;

	(void)state;
	live_budget_init(&b, &two);
	assert_null(live_budget_take(&b, &x, 10));
	assert_null(live_budget_take(&b, &y, 10));
	assert_string_equal(live_budget_take(&b, &z, 10), "live_recorders");
	assert_false(z.is_taken);
	assert_int_equal(live_budget_used(&b).recorders, 2);
	live_budget_give(&b, &x);
	live_budget_give(&b, &x); /* once is all it had */
	live_budget_give(&b, &z);
	assert_int_equal(live_budget_used(&b).recorders, 1);
	assert_null(live_budget_take(&b, &z, 10));
}

static void
bytes(void **state)
{
	const struct live_limits hundred = { .bytes = 100 };
	struct live_share x = { 0 }, y = { 0 };
	struct live_budget b;

	(void)state;
	live_budget_init(&b, &hundred);
	assert_string_equal(live_budget_take(&b, &x, 101), "live_bytes");
	assert_string_equal(live_budget_take(&b, &x, UINT64_MAX), "live_bytes");
	assert_null(live_budget_take(&b, &x, 60));
	assert_string_equal(live_budget_take(&b, &y, 41), "live_bytes");
	assert_null(live_budget_take(&b, &y, 40));
	live_budget_give(&b, &x);
	assert_null(live_budget_take(&b, &x, 60));
	live_budget_give(&b, &x);
	live_budget_give(&b, &y);
	assert_int_equal(live_budget_used(&b).bytes, 0);
}

/* A screen that grows counts more; only growth beyond the limit is told. */
static void
growth(void **state)
{
	const struct live_limits hundred = { .bytes = 100 };
	struct live_share x = { 0 }, y = { 0 }, none = { 0 };
	struct live_budget b;

	(void)state;
	live_budget_init(&b, &hundred);
	assert_null(live_budget_take(&b, &x, 20));
	assert_null(live_budget_take(&b, &y, 30));
	assert_null(live_budget_resize(&b, &x, 70));
	assert_int_equal(live_budget_used(&b).bytes, 100);
	assert_string_equal(live_budget_resize(&b, &y, 31), "live_bytes");
	/* counted all the same, until its recorder says it is a capture */
	assert_int_equal(live_budget_used(&b).bytes, 101);
	assert_null(live_budget_resize(&b, &y, 30));
	assert_null(live_budget_resize(&b, &none, 1000));
	assert_int_equal(live_budget_used(&b).bytes, 100);
	assert_string_equal(
	    live_budget_resize(&b, &x, UINT64_C(1) << 40), "live_bytes");
	/* less, though still too much */
	assert_null(live_budget_resize(&b, &x, 1000));
	live_budget_give(&b, &x);
	live_budget_give(&b, &y);
	assert_int_equal(live_budget_used(&b).bytes, 0);
}

/* What recorders used lately; who says nothing is idle. */
static void
processor_time(void **state)
{
	const struct live_limits limits = { .permille = 1600 };
	const uint64_t s = NS_PER_S;
	struct live_share x = { 0 }, y = { 0 }, z = { 0 };
	struct live_budget b;

	(void)state;
	live_budget_init(&b, &limits);
	live_budget_says(&b, &x, 900, s); /* nothing taken, nothing counted */
	assert_int_equal(live_budget_used(&b).permille, 0);
	assert_null(live_budget_take(&b, &x, 1));
	assert_null(live_budget_take(&b, &y, 1));
	live_budget_says(&b, &x, 900, 5 * s);
	live_budget_says(&b, &y, UINT64_MAX, 5 * s); /* one thread */
	assert_int_equal(live_budget_used(&b).permille, 1900);
	assert_string_equal(live_budget_take(&b, &z, 1), "live_cpu_percent");
	live_budget_says(&b, &y, 300, 10 * s);
	assert_int_equal(live_budget_used(&b).permille, 1200);
	assert_null(live_budget_take(&b, &z, 1));
	live_budget_tick(&b, &x, 5 * s + LIVE_IDLE_NS - 1);
	assert_int_equal(live_budget_used(&b).permille, 1200);
	live_budget_tick(&b, &x, 5 * s + LIVE_IDLE_NS);
	assert_int_equal(live_budget_used(&b).permille, 300);
	live_budget_give(&b, &y);
	assert_int_equal(live_budget_used(&b).permille, 0);
}

/* What has to be live is counted, and makes others wait. */
static void
over_the_limit(void **state)
{
	const struct live_limits limits = { .recorders = 1, .bytes = 100 };
	struct live_share x = { 0 }, y = { 0 }, z = { 0 };
	struct live_budget b;

	(void)state;
	live_budget_init(&b, &limits);
	live_budget_take_anyway(&b, &x, 90);
	live_budget_take_anyway(&b, &y, 90);
	assert_int_equal(live_budget_used(&b).recorders, 2);
	assert_non_null(live_budget_take(&b, &z, 1));
	live_budget_give(&b, &x);
	assert_non_null(live_budget_take(&b, &z, 1));
	live_budget_give(&b, &y);
	assert_null(live_budget_take(&b, &z, 100));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_limits),
		cmocka_unit_test(recorders),
		cmocka_unit_test(bytes),
		cmocka_unit_test(growth),
		cmocka_unit_test(processor_time),
		cmocka_unit_test(over_the_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
