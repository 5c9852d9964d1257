/* The state table of recordings (storage/spool/spool_states.h) as a whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "storage/spool/spool_states.h"

static void
names_are_there_and_differ(void **state)
{
	for (int i = 0; i < SPOOL_STATES; i++) {
		assert_non_null(spool_state_names[i]);
		for (int k = 0; k < i; k++)
			assert_string_not_equal(
			    spool_state_names[i], spool_state_names[k]);
	}
	for (int i = 0; i < ROW_STATUSES; i++)
		assert_non_null(row_status_names[i]);
	for (int i = 0; i < SPOOL_CAUSES; i++) {
		assert_non_null(spool_moves[i].why);
		for (int k = 0; k < i; k++)
			assert_string_not_equal(
			    spool_moves[i].why, spool_moves[k].why);
	}
}

/* States that causes lead to from there, as bits. */
static unsigned
reachable(unsigned from)
{
	unsigned before;

	do {
		before = from;
		for (int c = 0; c < SPOOL_CAUSES; c++)
			if ((spool_moves[c].from & from) != 0 &&
			    spool_moves[c].to != SPOOL_STATES)
				from |= 1U << spool_moves[c].to;
	} while (from != before);
	return from;
}

static void
each_state_is_reached_and_left(void **state)
{
	assert_int_equal(reachable(1U << SPOOL_NEW), (1U << SPOOL_STATES) - 1);
	for (unsigned s = 0; s < SPOOL_STATES; s++)
		assert_true(reachable(1U << s) & 1U << SPOOL_NEW);
}

static unsigned
statuses_after(unsigned from)
{
	unsigned before;

	do {
		before = from;
		for (int c = 0; c < SPOOL_CAUSES; c++)
			if (spool_moves[c].had & from)
				from |= 1U << spool_moves[c].status;
	} while (from != before);
	return from;
}

static void
each_status_is_reached(void **state)
{
	assert_int_equal(
	    statuses_after(1U << STATUS_NONE), (1U << ROW_STATUSES) - 1);
}

static void
what_is_gone_stays_so(void **state)
{
	assert_int_equal(
	    statuses_after(1U << STATUS_DELETED), 1U << STATUS_DELETED);
	assert_int_equal(
	    statuses_after(1U << STATUS_EXPIRED), 1U << STATUS_EXPIRED);
}

static void
only_a_verified_transfer_makes_it_available(void **state)
{
	for (int c = 0; c < SPOOL_CAUSES; c++)
		if (spool_moves[c].had != 0 &&
		    spool_moves[c].status == STATUS_AVAILABLE)
			assert_true(
			    c == CAUSE_AVAILABLE || c == CAUSE_CHECK_FOUND);
	assert_true(spool_move_is_legal(SPOOL_STORED, CAUSE_AVAILABLE));
	for (unsigned s = 0; s < SPOOL_STATES; s++)
		if (s != SPOOL_STORED)
			assert_false(spool_move_is_legal(s, CAUSE_AVAILABLE));
}

/* A move to the status it has already would be no move. */
static void
no_status_follows_itself(void **state)
{
	for (int c = 0; c < SPOOL_CAUSES; c++)
		if (spool_moves[c].had != 0)
			assert_false(
			    spool_moves[c].had & 1U << spool_moves[c].status);
}

static void
print_has_each_cause(void **state)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	spool_states_print(out, false);
	assert_int_equal(fclose(out), 0);
	for (int c = 0; c < SPOOL_CAUSES; c++)
		assert_non_null(strstr(text, spool_moves[c].why));
	assert_non_null(strstr(text, "transfer --> available\n"));
	assert_null(strstr(text, "deleted -->"));
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_there_and_differ),
		cmocka_unit_test(each_state_is_reached_and_left),
		cmocka_unit_test(each_status_is_reached),
		cmocka_unit_test(what_is_gone_stays_so),
		cmocka_unit_test(only_a_verified_transfer_makes_it_available),
		cmocka_unit_test(no_status_follows_itself),
		cmocka_unit_test(print_has_each_cause),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
