/* Update requests at the technician's rate. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/clock.h"
#include "relay/pump/pace.h"

#define MS NS_PER_MS

static const struct view_area area = { 10, 20, 30, 40 };

static bool
request(struct pace *p, uint64_t ms)
{
	struct view_area a = area;
	bool is_full = false;

	return pace_request(p, &a, &is_full, 1000 * MS + ms * MS);
}

static void
without_a_rate_all_goes(void **state)
{
	struct pace p = { 0 };

	pace_set(&p, 0);
	assert_false(pace_is_on(&p));
	for (int i = 0; i < 100; i++)
		assert_true(request(&p, 0));
	(void)state;
}

static void
early_ones_are_held_and_joined(void **state)
{
	struct pace p = { 0 };
	struct view_area a = { 0, 0, 5, 5 };
	bool is_full = false;

	pace_set(&p, 10);
	assert_true(request(&p, 0));
	assert_int_equal(pace_wait(&p, 1050 * MS), UINT64_MAX);
	assert_false(request(&p, 50));
	assert_false(pace_request(&p, &a, &is_full, 1060 * MS));
	assert_int_equal(pace_wait(&p, 1060 * MS), 40 * MS);
	assert_false(pace_take(&p, &a, &is_full, 1099 * MS));
	assert_true(pace_take(&p, &a, &is_full, 1100 * MS));
	assert_int_equal(a.x, 0);
	assert_int_equal(a.y, 0);
	assert_int_equal(a.w, 40);
	assert_int_equal(a.h, 60);
	assert_false(pace_take(&p, &a, &is_full, 2000 * MS));
	(void)state;
}

/* Timers come late by a little; the rate stays what it is. */
static void
lateness_does_not_add_up(void **state)
{
	struct pace p = { 0 };
	struct view_area a = area;
	bool is_full = false;
	uint64_t now = 1000 * MS;
	unsigned n = 0;

	pace_set(&p, 25);
	while (now < 11000 * MS) {
		if (!p.has_held && pace_request(&p, &a, &is_full, now))
			n++;
		else if (pace_take(&p, &a, &is_full, now))
			n++;
		now += 1300 * 1000; /* 1.3 ms */
	}
	assert_in_range(n, 245, 251);
	(void)state;
}

/* A request that is not incremental is no way round the rate. */
static void
full_requests_are_held_too(void **state)
{
	struct pace p = { 0 };
	struct view_area a = area;
	bool is_full = true;

	pace_set(&p, 1);
	assert_true(pace_request(&p, &a, &is_full, 1000 * MS));
	assert_true(is_full);
	for (uint64_t i = 1; i < 100; i++) {
		is_full = i == 50;
		assert_false(pace_request(&p, &a, &is_full, (1000 + i) * MS));
	}
	is_full = false;
	assert_true(pace_take(&p, &a, &is_full, 2000 * MS));
	assert_true(is_full);
	/* it is not full for ever */
	is_full = false;
	assert_true(pace_request(&p, &a, &is_full, 3000 * MS));
	assert_false(is_full);
	(void)state;
}

/* After a pause there is no burst. */
static void
a_pause_saves_nothing(void **state)
{
	struct pace p = { 0 };
	unsigned n = 0;

	pace_set(&p, 10);
	assert_true(request(&p, 0));
	for (uint64_t ms = 5000; ms < 6000; ms += 10)
		n += request(&p, ms);
	assert_in_range(n, 9, 11);
	(void)state;
}

static void
the_end_lets_go_what_is_held(void **state)
{
	struct pace p = { 0 };
	struct view_area a;
	bool is_full;

	pace_set(&p, 1);
	assert_true(request(&p, 0));
	assert_false(request(&p, 1));
	pace_set(&p, 0);
	assert_int_equal(pace_wait(&p, 1002 * MS), 0);
	assert_true(pace_take(&p, &a, &is_full, 1002 * MS));
	assert_int_equal(a.w, area.w);
	pace_set(&p, 1);
	assert_true(request(&p, 3));
	assert_false(request(&p, 4));
	pace_forget(&p);
	assert_false(pace_take(&p, &a, &is_full, 9000 * MS));
	(void)state;
}

static void
rates_above_the_greatest_are_that(void **state)
{
	struct pace p = { 0 };

	pace_set(&p, 100000);
	assert_int_equal(p.interval_ns, NS_PER_S / PACE_MAX_FPS);
	(void)state;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_rate_all_goes),
		cmocka_unit_test(early_ones_are_held_and_joined),
		cmocka_unit_test(full_requests_are_held_too),
		cmocka_unit_test(lateness_does_not_add_up),
		cmocka_unit_test(a_pause_saves_nothing),
		cmocka_unit_test(the_end_lets_go_what_is_held),
		cmocka_unit_test(rates_above_the_greatest_are_that),
	};

	return cmocka_run_group_tests_name("pace", tests, NULL, NULL);
}
