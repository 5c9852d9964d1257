/* Wrong tries, counted and slowed together; what was refused, a row a
 * minute. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/login/guesses.h"
#include "common/login/login_delay.h"
#include "relay/login/login.h"
#include "relay/login/refusals.h"

#define T0 (1000 * NS_PER_S)
#define MS NS_PER_MS

static int
setup(void **state)
{
	*state = guesses_new();
	return *state == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	guesses_free(*state);
	return 0;
}

static struct guess_who
who(const struct guesses *g, const char *addr, const char *name)
{
	struct guess_who w;

	guess_who_set(g, &w, addr, "person", name, false);
	return w;
}

/* One try that is checked at once and is wrong. */
static void
guess_wrong(struct guesses *g, struct guess_who *w, uint64_t now)
{
	assert_int_equal(guesses_ask(g, w, now), 0);
	guesses_done(g, w, GUESS_WRONG, now);
}

/* Many at the same time: how many are checked in the first `s` seconds? */
static unsigned
checked_within(struct guesses *g, struct guess_who *w, unsigned s)
{
	unsigned n = 0;

	for (uint64_t t = T0; t < T0 + s * NS_PER_S; t += 10 * MS)
		for (unsigned i = 0; i < 100; i++)
			if (guesses_ask(g, w, t) == 0) {
				n++;
				guesses_done(g, w, GUESS_WRONG, t);
			}
	return n;
}

static void
test_parallel_tries_share_a_count(void **state)
{
	struct guesses *g = *state;
	struct guess_who w = who(g, "203.0.113.7", "alice");

	/* at 0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5, 47.5 s */
	assert_int_equal(checked_within(g, &w, 60), 8);
}

static void
test_parallel_tries_in_flight(void **state)
{
	struct guesses *g = *state;
	struct guess_who w = who(g, "203.0.113.7", "alice");

	/* none has failed yet: a few, not all */
	for (unsigned i = 0; i < GUESS_AT_A_TIME; i++)
		assert_int_equal(guesses_ask(g, &w, T0), 0);
	assert_int_not_equal(guesses_ask(g, &w, T0), 0);
	for (unsigned i = 0; i < GUESS_AT_A_TIME; i++)
		guesses_done(g, &w, GUESS_WRONG, T0);
	/* each counts: 0.5, 1, 2, 4 s, then one at a time */
	assert_true(guesses_ask(g, &w, T0 + 3900 * MS) > 0);
	assert_int_equal(guesses_ask(g, &w, T0 + 4001 * MS), 0);
	assert_int_not_equal(guesses_ask(g, &w, T0 + 4001 * MS), 0);
}

static void
test_names_of_one_address_share_a_count(void **state)
{
	struct guesses *g = *state;
	char name[16];

	for (unsigned i = 0; i < 4; i++) {
		struct guess_who w;

		snprintf(name, sizeof(name), "person%u", i);
		w = who(g, "203.0.113.7", name);
		guess_wrong(g, &w, T0 + i * 20 * NS_PER_S);
	}
	struct guess_who next = who(g, "203.0.113.7", "person9");

	assert_true(guesses_ask(g, &next, T0 + 60 * NS_PER_S) > 3500);
}

static void
test_others_do_not_wait(void **state)
{
	struct guesses *g = *state;
	struct guess_who guesser = who(g, "203.0.113.7", "alice");
	struct guess_who bob = who(g, "198.51.100.1", "bob");

	assert_true(checked_within(g, &guesser, 40) > 4);
	assert_int_equal(guesses_ask(g, &bob, T0 + 40 * NS_PER_S), 0);
}

static void
test_a_guesser_does_not_lock_out_the_person(void **state)
{
	struct guesses *g = *state;
	struct guess_who guesser = who(g, "203.0.113.7", "alice");
	struct guess_who alice = who(g, "198.51.100.1", "alice");
	struct guess_who typo = who(g, "198.51.100.2", "alice");
	unsigned n;

	/* never here before: she waits for the name's failures, not long */
	n = checked_within(g, &guesser, 40);
	assert_true(n > 5);
	guess_wrong(g, &guesser, T0 + 60 * NS_PER_S);
	assert_in_range(guesses_ask(g, &alice, T0 + 60 * NS_PER_S), 1,
	    GUESS_NEW_MAX_MS + 1);
	assert_int_equal(guesses_ask(g, &alice, T0 + 62 * NS_PER_S), 0);
	guesses_done(g, &alice, GUESS_RIGHT, T0 + 62 * NS_PER_S);
	/* who failed once waits as long as the name says */
	guesses_learn(g, &typo, GUESS_ADDRESS, 1, 0, T0 + 60 * NS_PER_S);
	assert_in_range(guesses_ask(g, &typo, T0 + 62 * NS_PER_S), 1000,
	    GUESS_NAME_MAX_MS);
	/* here before: not at all, whatever others do meanwhile */
	guess_wrong(g, &guesser, T0 + 100 * NS_PER_S);
	assert_int_equal(guesses_ask(g, &alice, T0 + 100 * NS_PER_S), 0);
	assert_int_equal(alice.lane, GUESS_KNOWN);
	guesses_done(g, &alice, GUESS_RIGHT, T0 + 100 * NS_PER_S);
}

/* 60 addresses guess one name as fast as they may, for an hour. */
static void
test_many_guessers_do_not_lock_out_the_person(void **state)
{
	struct guesses *g = *state;
	struct guess_who guessers[60], alice, typo;
	unsigned n = 0, longest_ms = 0, waited_ms = 0, typo_ms = 0;
	char addr[16];

	for (unsigned i = 0; i < 60; i++) {
		snprintf(addr, sizeof(addr), "203.0.113.%u", i);
		guessers[i] = who(g, addr, "alice");
	}
	typo = who(g, "198.51.100.99", "alice");
	for (unsigned ms = 0; ms < 3600 * 1000; ms += 50) {
		uint64_t now = T0 + ms * MS;

		for (unsigned i = 0; i < 60; i++)
			if (guesses_ask(g, &guessers[i], now) == 0) {
				guesses_done(
				    g, &guessers[i], GUESS_WRONG, now);
				n++;
			}
		/* alice comes from a new address, each 20 s another */
		if (ms >= 600 * 1000 && ms % 20000 == 0) {
			snprintf(addr, sizeof(addr), "198.51.100.%u",
			    ms / 20000 % 90);
			alice = who(g, addr, "alice");
			waited_ms = 0;
		}
		if (ms >= 600 * 1000 && waited_ms != UINT32_MAX) {
			if (guesses_ask(g, &alice, now) == 0) {
				guesses_done(g, &alice, GUESS_RIGHT, now);
				if (waited_ms > longest_ms)
					longest_ms = waited_ms;
				waited_ms = UINT32_MAX;
			} else {
				waited_ms += 50;
			}
		}
		/* and once mistyped, from one more */
		if (ms == 600 * 1000)
			guesses_learn(g, &typo, GUESS_ADDRESS, 1, 0, now);
		if (ms >= 600 * 1000 && typo_ms < 100 * 1000 &&
		    guesses_ask(g, &typo, now) == 0)
			typo_ms += 1000 * 1000; /* it had its turn */
		else if (ms >= 600 * 1000 && typo_ms < 100 * 1000)
			typo_ms += 50;
	}
	assert_in_range(longest_ms, 0, GUESS_NEW_MAX_MS + 100);
	/* the fewest failures go first: one turn of the name */
	assert_in_range(
	    typo_ms, 1000 * 1000, 1000 * 1000 + GUESS_NAME_MAX_MS + 200);
	/* and the name is still protected: one try each 4 s */
	assert_in_range(n, 60, 60 + 3600 / 4 + 10);
}

static void
test_a_known_pair_does_not_guess_for_free(void **state)
{
	struct guesses *g = *state;
	struct guess_who alice = who(g, "198.51.100.1", "alice");
	struct guess_who other = who(g, "198.51.100.1", "bob");

	guesses_know(g, &alice, T0);
	guess_wrong(g, &other, T0);
	/* in spite of the address, and in a lane of its own */
	for (unsigned i = 0; i < GUESS_AT_A_TIME; i++) {
		assert_int_equal(guesses_ask(g, &alice, T0), 0);
		assert_int_equal(alice.lane, GUESS_KNOWN);
	}
	assert_int_not_equal(guesses_ask(g, &alice, T0), 0);
	for (unsigned i = 0; i < GUESS_AT_A_TIME; i++)
		guesses_done(g, &alice, GUESS_WRONG, T0);
	/* its own failures hold, and slow it down like any other */
	assert_in_range(guesses_ask(g, &alice, T0), 3900, 4001);
	assert_int_equal(checked_within(g, &alice, 60), 4);
	/* they count for its address, too */
	assert_true(guesses_ask(g, &other, T0 + 48 * NS_PER_S) > 10000);
}

static void
test_a_pair_is_known_after_the_first_login(void **state)
{
	struct guesses *g = *state;
	struct guess_who alice = who(g, "198.51.100.1", "alice");

	assert_int_equal(guesses_ask(g, &alice, T0), 0);
	assert_int_equal(alice.lane, GUESS_NEW);
	guesses_done(g, &alice, GUESS_RIGHT, T0);
	assert_int_equal(guesses_ask(g, &alice, T0), 0);
	assert_int_equal(alice.lane, GUESS_KNOWN);
	guesses_done(g, &alice, GUESS_WRONG, T0);
	assert_true(guesses_ask(g, &alice, T0) > 400);
	assert_int_equal(guesses_ask(g, &alice, T0 + NS_PER_S), 0);
	assert_int_equal(alice.lane, GUESS_KNOWN);
	guesses_done(g, &alice, GUESS_RIGHT, T0 + NS_PER_S);
}

static void
test_leaving_early_counts(void **state)
{
	struct guesses *g = *state;
	struct guess_who w = who(g, "203.0.113.7", "alice");
	struct guess_who alice = who(g, "198.51.100.1", "alice");

	/* while it was checked: as a wrong one */
	assert_int_equal(guesses_ask(g, &w, T0), 0);
	guesses_done(g, &w, GUESS_LEFT, T0);
	assert_in_range(guesses_ask(g, &w, T0), 400, 501);
	/* while it waited: its address has one failure more */
	guesses_left(g, &w, T0);
	assert_in_range(guesses_ask(g, &w, T0), 900, 1001);
	for (unsigned i = 0; i < 10; i++)
		guesses_left(g, &w, T0);
	assert_in_range(guesses_ask(g, &w, T0), 15000, 16001);
	/* but not the name, on which nothing was tried */
	assert_in_range(guesses_ask(g, &alice, T0), 1, 501);
}

static void
test_right_forgets_its_own_failures_only(void **state)
{
	struct guesses *g = *state;
	struct guess_who alice = who(g, "203.0.113.7", "alice");
	struct guess_who mallory = who(g, "203.0.113.7", "mallory");
	uint64_t t = T0;

	for (unsigned i = 0; i < 5; i++, t += 20 * NS_PER_S)
		guess_wrong(g, &alice, t);
	/* an account of one's own does not wipe the slate */
	assert_int_equal(guesses_ask(g, &mallory, t), 0);
	guesses_done(g, &mallory, GUESS_RIGHT, t);
	guess_wrong(g, &alice, t);
	assert_true(guesses_ask(g, &alice, t) > 8000);
	/* the right password does */
	t += 20 * NS_PER_S;
	assert_int_equal(guesses_ask(g, &alice, t), 0);
	guesses_done(g, &alice, GUESS_RIGHT, t);
	assert_int_equal(guesses_ask(g, &alice, t), 0);
	guesses_done(g, &alice, GUESS_WRONG, t);
	assert_in_range(guesses_ask(g, &alice, t), 1, 501);
}

static void
test_codes_are_never_forgiven(void **state)
{
	struct guesses *g = *state;
	struct guess_who code, plain = who(g, "203.0.113.7", "alice");
	uint64_t t = T0;

	guess_who_set(g, &code, "203.0.113.7", "person", "alice", true);
	for (unsigned i = 0; i < 5; i++, t += 20 * NS_PER_S)
		guess_wrong(g, &code, t);
	assert_int_equal(guesses_ask(g, &plain, t), 0);
	guesses_done(g, &plain, GUESS_RIGHT, t);
	guess_wrong(g, &code, t);
	assert_true(guesses_ask(g, &code, t) > 15000);
}

static void
test_forgotten_after_a_while(void **state)
{
	struct guesses *g = *state;
	struct guess_who w = who(g, "203.0.113.7", "alice");

	for (unsigned i = 0; i < 6; i++)
		guess_wrong(g, &w, T0 + i * 20 * NS_PER_S);
	assert_int_equal(
	    guesses_ask(g, &w, T0 + (120 + LOGIN_FORGET_S) * NS_PER_S), 0);
	assert_int_equal(
	    guesses_ask(g, &w, T0 + (120 + LOGIN_FORGET_S) * NS_PER_S), 0);
}

static void
test_abandoned_counts_for_nothing(void **state)
{
	struct guesses *g = *state;
	struct guess_who w = who(g, "203.0.113.7", "alice");

	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(guesses_ask(g, &w, T0), 0);
		guesses_done(g, &w, GUESS_ABANDONED, T0);
	}
}

static void
test_learnt_from_the_database(void **state)
{
	struct guesses *g = *state;
	struct guess_who w = who(g, "203.0.113.7", "alice");

	guesses_learn(g, &w, GUESS_ADDRESS, 5, 2, T0);
	assert_in_range(guesses_ask(g, &w, T0), 5000, 6001);
	/* fewer, older ones and what has no key change nothing */
	guesses_learn(g, &w, GUESS_ADDRESS, 2, 0, T0);
	guesses_learn(g, &w, GUESS_NAME, 9, LOGIN_FORGET_S + 1, T0);
	guesses_learn(g, &w, GUESS_CODES, 9, 0, T0);
	assert_in_range(guesses_ask(g, &w, T0), 5000, 6001);
}

/* A flood of names makes nothing grow, and does not wash away its source. */
static void
test_flood_of_names_is_bounded(void **state)
{
	struct guesses *g = *state;
	struct guess_who w = who(g, "203.0.113.7", "alice");
	char name[32];

	for (unsigned i = 0; i < 6; i++)
		guess_wrong(g, &w, T0 + i * 20 * NS_PER_S);
	for (unsigned i = 0; i < 10 * GUESSES_MAX; i++) {
		struct guess_who other;

		snprintf(name, sizeof(name), "n%u", i);
		other = who(g, name, name);
		guess_wrong(g, &other, T0 + 101 * NS_PER_S);
	}
	assert_true(guesses_ask(g, &w, T0 + 102 * NS_PER_S) > 10000);
}

static void
test_prefix(void **state)
{
	static const char *const rows[][2] = {
		{ "203.0.113.7", "203.0.113.7" },
		{ "::ffff:203.0.113.7", "203.0.113.7" },
		{ "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64" },
		{ "::1", "::/64" },
		{ "unknown", "unknown" },
		{ "", "" },
	};
	char out[GUESS_PREFIX_LEN];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		guess_prefix(out, rows[i][0]);
		assert_string_equal(out, rows[i][1]);
	}
}

static void
test_refusals_are_a_row_a_minute(void **state)
{
	struct refusals r;
	struct refusal out;
	char longest[300];

	refusals_init(&r);
	assert_false(refusals_take(&r, REFUSAL_AGENT, T0, &out));
	refusals_add(&r, REFUSAL_AGENT, "203.0.113.7", "lap");
	assert_false(refusals_take(&r, REFUSAL_REVERSE, T0, &out));
	assert_true(refusals_take(&r, REFUSAL_AGENT, T0, &out));
	assert_int_equal(out.n, 1);
	assert_string_equal(out.object, "lap");
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	for (unsigned i = 0; i < 1000; i++)
		refusals_add(&r, REFUSAL_AGENT, "203.0.113.8", longest);
	assert_false(
	    refusals_take(&r, REFUSAL_AGENT, T0 + 59 * NS_PER_S, &out));
	assert_true(refusals_take(&r, REFUSAL_AGENT, T0 + 60 * NS_PER_S, &out));
	assert_int_equal(out.n, 1000);
	assert_string_equal(out.client, "203.0.113.8");
	assert_int_equal(strlen(out.object), REFUSALS_TEXT_MAX - 1);
	assert_false(
	    refusals_take(&r, REFUSAL_AGENT, T0 + 200 * NS_PER_S, &out));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_parallel_tries_share_a_count),
		TEST(test_parallel_tries_in_flight),
		TEST(test_names_of_one_address_share_a_count),
		TEST(test_others_do_not_wait),
		TEST(test_a_guesser_does_not_lock_out_the_person),
		TEST(test_many_guessers_do_not_lock_out_the_person),
		TEST(test_a_known_pair_does_not_guess_for_free),
		TEST(test_a_pair_is_known_after_the_first_login),
		TEST(test_leaving_early_counts),
		TEST(test_right_forgets_its_own_failures_only),
		TEST(test_codes_are_never_forgiven),
		TEST(test_forgotten_after_a_while),
		TEST(test_abandoned_counts_for_nothing),
		TEST(test_learnt_from_the_database),
		TEST(test_flood_of_names_is_bounded),
		cmocka_unit_test(test_prefix),
		cmocka_unit_test(test_refusals_are_a_row_a_minute),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
