/* When another relay is taken for dead: times are given. F1: nobody who lives
 * is written off. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "relay/node_watch.h"

#define S UINT64_C(1000000000)
#define A "aaaaaaaa-0000-8000-8000-000000000000"
#define B "bbbbbbbb-0000-8000-8000-000000000000"

static struct node_watch w;
static uint64_t now;

static void
fresh(void)
{
	memset(&w, 0, sizeof(w));
	w.limits = (struct node_watch_limits){ 60 * S, 10 * S };
	now = 1000 * S;
}

/* An answered heartbeat that lists A alone; true: A is gone. */
static bool
beat_after(uint64_t s, const char *beat)
{
	bool is_gone;

	now += s * S;
	node_watch_begin(&w, now);
	is_gone = node_watch_see(&w, A, beat, false, now);
	node_watch_end(&w);
	return is_gone;
}

static void
test_gone_after_the_whole_limit(void **state)
{
	fresh();
	assert_false(beat_after(0, "1"));
	for (int i = 1; i < 6; i++)
		assert_false(beat_after(10, "1"));
	assert_true(beat_after(10, "1"));
}

static void
test_a_living_one_stays(void **state)
{
	char beat[16];

	fresh();
	for (int i = 0; i < 100; i++) {
		snprintf(beat, sizeof(beat), "%d", i / 5);
		assert_false(beat_after(10, beat));
	}
}

/* Both come back from a pause of the database: whoever is first must not
 * write the other off, however old its heartbeat is. */
static void
test_a_pause_of_the_database(void **state)
{
	fresh();
	for (int i = 0; i < 5; i++)
		assert_false(beat_after(10, "1"));
	node_watch_broken(&w);
	assert_false(beat_after(300, "1"));
	for (int i = 0; i < 5; i++)
		assert_false(beat_after(10, "1"));
	assert_true(beat_after(10, "1"));
}

/* The connection never broke, but this process stood still. */
static void
test_a_pause_of_ourselves(void **state)
{
	fresh();
	assert_false(beat_after(0, "1"));
	assert_false(beat_after(26, "1")); /* over two and a half beats */
	for (int i = 0; i < 5; i++)
		assert_false(beat_after(10, "1"));
	assert_true(beat_after(10, "1"));
	fresh();
	assert_false(beat_after(0, "1"));
	assert_false(beat_after(25, "1")); /* late, not broken */
	assert_false(beat_after(25, "1"));
	assert_true(beat_after(10, "1"));
}

static void
test_any_other_value_is_life(void **state)
{
	fresh();
	assert_false(beat_after(0, "9"));
	assert_false(beat_after(20, "9"));
	assert_false(beat_after(20, "9"));
	/* also one that is earlier: the database's clock was set back */
	assert_false(beat_after(20, "3"));
	for (int i = 0; i < 5; i++)
		assert_false(beat_after(10, "3"));
	assert_true(beat_after(10, "3"));
}

static void
test_who_holds_nothing_is_forgotten(void **state)
{
	fresh();
	for (int i = 0; i < 6; i++)
		assert_false(beat_after(10, "1"));
	now += 10 * S;
	node_watch_begin(&w, now);
	node_watch_end(&w);
	assert_int_equal(w.n, 0);
	assert_false(beat_after(10, "1"));
}

static void
test_who_said_it_stops_is_gone_soon(void **state)
{
	fresh();
	for (int i = 0; i < 3; i++) {
		node_watch_begin(&w, now);
		assert_int_equal(node_watch_see(&w, A, "1", true, now), i == 2);
		assert_false(node_watch_see(&w, B, "1", false, now));
		node_watch_end(&w);
		now += 10 * S;
	}
	/* it came back: that is another heartbeat */
	node_watch_begin(&w, now);
	assert_false(node_watch_see(&w, A, "2", false, now));
	node_watch_end(&w);
}

static void
test_more_than_can_be_watched(void **state)
{
	char id[NODE_ID_LEN];

	fresh();
	for (int round = 0; round < 7; round++) {
		node_watch_begin(&w, now);
		for (int i = 0; i < NODE_WATCH_MAX + 10; i++) {
			snprintf(id, sizeof(id), "node-%d", i);
			assert_int_equal(
			    node_watch_see(&w, id, "1", false, now),
			    round == 6 && i < NODE_WATCH_MAX);
		}
		node_watch_end(&w);
		now += 10 * S;
	}
	/* when these were written off, the others' time begins */
	for (size_t i = 0; i < 2; i++) {
		node_watch_begin(&w, now);
		assert_false(node_watch_see(&w, id, "1", false, now));
		node_watch_end(&w);
		assert_int_equal(w.n, i);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gone_after_the_whole_limit),
		cmocka_unit_test(test_a_living_one_stays),
		cmocka_unit_test(test_a_pause_of_the_database),
		cmocka_unit_test(test_a_pause_of_ourselves),
		cmocka_unit_test(test_any_other_value_is_life),
		cmocka_unit_test(test_who_holds_nothing_is_forgotten),
		cmocka_unit_test(test_who_said_it_stops_is_gone_soon),
		cmocka_unit_test(test_more_than_can_be_watched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
