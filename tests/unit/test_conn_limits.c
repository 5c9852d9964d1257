/* Bounds of the relay's pools, from its settings and its descriptors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/clock.h"
#include "relay/conf.h"
#include "relay/listener/conn_limits.h"

static const struct relay_conf presets = { .max_sessions = 2000,
	.max_agents = 5000,
	.max_attended = 1000,
	.max_attended_per_address = 50,
	.max_parked = 1000,
	.max_logins = 2000,
	.max_logins_per_address = 200,
	.handshake_seconds = 10,
	.login_seconds = 30,
	.login_dialog_seconds = 120 };

static uint64_t
files_of(const struct connection_pool p[POOL_N])
{
	uint64_t n = 0;

	for (unsigned i = 0; i < POOL_N; i++)
		n += (uint64_t)p[i].max *
		    (i == POOL_SESSION ? POOL_SESSION_FILES : 1);
	return n;
}

static void
test_settings_hold_where_descriptors_suffice(void **state)
{
	struct connection_pool p[POOL_N];

	assert_false(conn_limits_derive(p, &presets, 524288));
	assert_int_equal(p[POOL_VNC].max, 2000);
	assert_int_equal(p[POOL_VNC_AUTH].max, 2000);
	assert_int_equal(p[POOL_SESSION].max, 2000);
	assert_int_equal(p[POOL_AGENT].max, 5000);
	assert_int_equal(p[POOL_ATTENDED].max, 1000);
	assert_int_equal(p[POOL_ATTENDED].per_address, 50);
	assert_int_equal(p[POOL_PARKED].max, 1000);
	assert_true(p[POOL_WEB].evicts);
	assert_false(p[POOL_SESSION].evicts);
	assert_false(p[POOL_AGENT].evicts);
	/* where people type passwords, two minutes more */
	assert_int_equal(conn_limits_request_life_s(&presets), 70);
	assert_int_equal(p[POOL_REVERSE].life_ns, 70 * NS_PER_S);
	assert_int_equal(p[POOL_WEB].life_ns, 190 * NS_PER_S);
	assert_int_equal(p[POOL_VNC].life_ns, 190 * NS_PER_S);
	assert_int_equal(p[POOL_VNC_AUTH].life_ns, 190 * NS_PER_S);
	assert_int_equal(p[POOL_SESSION].life_ns, 0);
}

static void
test_bounds_fit_the_descriptors(void **state)
{
	static const uint64_t limits[] = { 0, 64, 1024, 4096, 20000, 65536,
		524288, UINT64_MAX };
	struct connection_pool p[POOL_N];

	for (unsigned i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		bool is_low = conn_limits_derive(p, &presets, limits[i]);

		assert_true(files_of(p) <= limits[i]);
		assert_int_equal(is_low, limits[i] < 60000);
	}
	/* who has not logged in leaves most of them to others */
	conn_limits_derive(p, &presets, 20000);
	assert_true(4 * p[POOL_VNC].max <= 20000 / 5);
	assert_true(p[POOL_SESSION].max >= 900);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_settings_hold_where_descriptors_suffice),
		cmocka_unit_test(test_bounds_fit_the_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
