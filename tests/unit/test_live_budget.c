/* How many recorders may encode at a time, and with how much memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdint.h>

#include "relay/live_budget.h"

static void
no_limits(void **state)
{
	struct live_budget b;

	(void)state;
	live_budget_init(&b, 0, 0);
	for (int i = 0; i < 100; i++)
		assert_null(live_budget_take(&b, UINT64_C(1) << 40));
	assert_int_equal(live_budget_used(&b), 100);
}

static void
recorders(void **state)
{
	struct live_budget b;

	(void)state;
	live_budget_init(&b, 2, 0);
	assert_null(live_budget_take(&b, 10));
	assert_null(live_budget_take(&b, 10));
	assert_string_equal(live_budget_take(&b, 10), "live_recorders");
	assert_int_equal(live_budget_used(&b), 2);
	live_budget_give(&b, 10);
	assert_null(live_budget_take(&b, 10));
}

static void
bytes(void **state)
{
	struct live_budget b;

	(void)state;
	live_budget_init(&b, 0, 100);
	assert_string_equal(live_budget_take(&b, 101), "live_bytes");
	assert_string_equal(live_budget_take(&b, UINT64_MAX), "live_bytes");
	assert_null(live_budget_take(&b, 60));
	assert_string_equal(live_budget_take(&b, 41), "live_bytes");
	assert_null(live_budget_take(&b, 40));
	assert_string_equal(live_budget_take(&b, 0), "live_bytes");
	live_budget_give(&b, 60);
	assert_null(live_budget_take(&b, 60));
}

/* What has to be live is counted, and makes others wait. */
static void
over_the_limit(void **state)
{
	struct live_budget b;

	(void)state;
	live_budget_init(&b, 1, 100);
	live_budget_take_anyway(&b, 90);
	live_budget_take_anyway(&b, 90);
	assert_int_equal(live_budget_used(&b), 2);
	assert_non_null(live_budget_take(&b, 1));
	live_budget_give(&b, 90);
	assert_non_null(live_budget_take(&b, 1));
	live_budget_give(&b, 90);
	assert_null(live_budget_take(&b, 100));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_limits),
		cmocka_unit_test(recorders),
		cmocka_unit_test(bytes),
		cmocka_unit_test(over_the_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
