/* Versions of agents, compared with the least that a relay takes. T4. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/bytes.h"
#include "common/version.h"

static int
sign(int n)
{
	return (n > 0) - (n < 0);
}

static void
test_order(void **state)
{
	static const struct {
		const char *a, *b;
		int order;
	} rows[] = {
		{ "0.1.0", "0.1.0", 0 },
		{ "0.1", "0.1.0", 0 },
		{ "0.1.0", "0.2.0", -1 },
		{ "0.9", "0.10", -1 },
		{ "1", "0.99.99", 1 },
		{ "0.1.1", "0.1", 1 },
		{ "0.1.0-rc1", "0.1.0", 0 }, /* no number: it ends there */
		{ "", "", 0 },
		{ "", "0.1", -1 },
		{ "x", "0", 0 },
		{ "99999999999999999999", "1", 1 },
	};

	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		assert_int_equal(
		    sign(version_compare(rows[i].a, rows[i].b)), rows[i].order);
		assert_int_equal(sign(version_compare(rows[i].b, rows[i].a)),
		    -rows[i].order);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_order) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
