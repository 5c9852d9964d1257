/* Who is connected: a bound for each kind, and one for an address. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "relay/door/crowd.h"

static const struct crowd_limits limits = {
	.kinds = { [CROWD_UNKNOWN] = 10,
	    [CROWD_SESSION] = 2,
	    [CROWD_AGENT] = 3,
	    [CROWD_PARKED] = 0 },
	.per_address = 4,
};

static int
setup(void **state)
{
	*state = crowd_new(&limits);
	return *state == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	crowd_free(*state);
	return 0;
}

static void
test_one_address_leaves_room_for_others(void **state)
{
	struct crowd *c = *state;
	struct crowd_place p[5], other;

	for (unsigned i = 0; i < 4; i++)
		assert_null(crowd_enter(c, &p[i], "203.0.113.7"));
	assert_string_equal(
	    crowd_enter(c, &p[4], "203.0.113.7"), "max_logins_per_address");
	assert_false(p[4].is_taken);
	assert_null(crowd_enter(c, &other, "203.0.113.8"));
	/* who is known takes no more room, nor who went */
	assert_null(crowd_become(c, &p[0], CROWD_SESSION));
	assert_null(crowd_enter(c, &p[4], "203.0.113.7"));
	crowd_leave(c, &p[1]);
	assert_null(crowd_enter(c, &p[1], "203.0.113.7"));
	assert_non_null(crowd_enter(c, &p[0], "203.0.113.7"));
	assert_int_equal(crowd_count(c, CROWD_UNKNOWN), 5);
	assert_int_equal(crowd_count(c, CROWD_SESSION), 1);
}

static void
test_an_ipv6_network_is_one_address(void **state)
{
	struct crowd *c = *state;
	struct crowd_place p;
	char addr[40];

	for (unsigned i = 0; i < 4; i++) {
		snprintf(addr, sizeof(addr), "2001:db8::%u", i);
		assert_null(crowd_enter(c, &p, addr));
	}
	assert_non_null(crowd_enter(c, &p, "2001:db8::ffff"));
	assert_null(crowd_enter(c, &p, "2001:db8:0:1::1"));
}

static void
test_all_addresses_together_are_bounded(void **state)
{
	struct crowd *c = *state;
	struct crowd_place p[11];
	char addr[16];

	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 10; i++) {
			snprintf(addr, sizeof(addr), "10.%u.0.%u", round, i);
			assert_null(crowd_enter(c, &p[i], addr));
		}
		assert_string_equal(
		    crowd_enter(c, &p[10], "10.9.9.9"), "max_logins");
		for (unsigned i = 0; i < 10; i++)
			crowd_leave(c, &p[i]);
		assert_int_equal(crowd_count(c, CROWD_UNKNOWN), 0);
	}
}

static void
test_kinds_do_not_take_each_others_room(void **state)
{
	struct crowd *c = *state;
	struct crowd_place p[8];
	char addr[16];

	for (unsigned i = 0; i < 8; i++) {
		snprintf(addr, sizeof(addr), "10.0.0.%u", i);
		assert_null(crowd_enter(c, &p[i], addr));
	}
	for (unsigned i = 0; i < 3; i++)
		assert_null(crowd_become(c, &p[i], CROWD_AGENT));
	assert_string_equal(crowd_become(c, &p[3], CROWD_AGENT), "max_agents");
	/* refused, it keeps the place it had */
	assert_int_equal(crowd_count(c, CROWD_UNKNOWN), 5);
	assert_null(crowd_become(c, &p[3], CROWD_SESSION));
	assert_null(crowd_become(c, &p[4], CROWD_SESSION));
	assert_string_equal(
	    crowd_become(c, &p[5], CROWD_SESSION), "max_sessions");
	assert_string_equal(crowd_become(c, &p[5], CROWD_PARKED), "max_parked");
	/* again what it is */
	assert_null(crowd_become(c, &p[4], CROWD_SESSION));
	assert_int_equal(crowd_count(c, CROWD_SESSION), 2);
}

static void
test_a_place_is_handed_over_once(void **state)
{
	struct crowd *c = *state;
	struct crowd_place from, to;

	assert_null(crowd_enter(c, &from, "203.0.113.7"));
	to = crowd_hand_over(&from);
	crowd_leave(c, &from);
	assert_int_equal(crowd_count(c, CROWD_UNKNOWN), 1);
	crowd_leave(c, &to);
	crowd_leave(c, &to);
	assert_int_equal(crowd_count(c, CROWD_UNKNOWN), 0);
}

static void
test_no_limit_for_an_address(void **state)
{
	struct crowd_limits any = limits;
	struct crowd_place p;
	struct crowd *c;

	any.per_address = 0;
	c = crowd_new(&any);
	assert_non_null(c);
	for (unsigned i = 0; i < 10; i++)
		assert_null(crowd_enter(c, &p, "203.0.113.7"));
	assert_string_equal(crowd_enter(c, &p, "203.0.113.7"), "max_logins");
	crowd_free(c);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_one_address_leaves_room_for_others),
		TEST(test_an_ipv6_network_is_one_address),
		TEST(test_all_addresses_together_are_bounded),
		TEST(test_kinds_do_not_take_each_others_room),
		TEST(test_a_place_is_handed_over_once),
		TEST(test_no_limit_for_an_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
