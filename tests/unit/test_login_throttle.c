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
#include "common/login/login_throttle.h"
#include "common/login/login_delay.h"
#include "relay/login/login.h"
#include "relay/login/reject_log.h"

#define T0 (1000 * NS_PER_S)
#define MS NS_PER_MS

static int
setup(void **state)
{
	*state = login_throttle_new();
	return *state == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	login_throttle_free(*state);
	return 0;
}

static struct login_keys
who(const struct login_throttle *g, const char *addr, const char *name)
{
	struct login_keys w;

	login_keys_set(g, &w, addr, "person", name, false);
	return w;
}

/* One try that is checked at once and is wrong. */
static void
wrong_login(struct login_throttle *g, struct login_keys *w, uint64_t now)
{
	assert_int_equal(login_throttle_ask(g, w, now), 0);
	login_throttle_done(g, w, LOGIN_WRONG, now);
}

/* Many at the same time: how many are checked in the first `s` seconds? */
static unsigned
checked_within(struct login_throttle *g, struct login_keys *w, unsigned s)
{
	unsigned n = 0;

	for (uint64_t t = T0; t < T0 + s * NS_PER_S; t += 10 * MS)
		for (unsigned i = 0; i < 100; i++)
			if (login_throttle_ask(g, w, t) == 0) {
				n++;
				login_throttle_done(g, w, LOGIN_WRONG, t);
			}
	return n;
}

static void
test_parallel_tries_share_a_count(void **state)
{
	struct login_throttle *g = *state;
	struct login_keys w = who(g, "203.0.113.7", "alice");

	/* at 0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5, 47.5 s */
	assert_int_equal(checked_within(g, &w, 60), 8);
}

static void
test_parallel_tries_in_flight(void **state)
{
	struct login_throttle *g = *state;
	struct login_keys w = who(g, "203.0.113.7", "alice");

	/* none has failed yet: a few, not all */
	for (unsigned i = 0; i < LOGIN_AT_A_TIME; i++)
		assert_int_equal(login_throttle_ask(g, &w, T0), 0);
	assert_int_not_equal(login_throttle_ask(g, &w, T0), 0);
	for (unsigned i = 0; i < LOGIN_AT_A_TIME; i++)
		login_throttle_done(g, &w, LOGIN_WRONG, T0);
	/* each counts: 0.5, 1, 2, 4 s, then one at a time */
	assert_true(login_throttle_ask(g, &w, T0 + 3900 * MS) > 0);
	assert_int_equal(login_throttle_ask(g, &w, T0 + 4001 * MS), 0);
	assert_int_not_equal(login_throttle_ask(g, &w, T0 + 4001 * MS), 0);
}

static void
test_names_of_one_address_share_a_count(void **state)
{
	struct login_throttle *g = *state;
	char name[16];

	for (unsigned i = 0; i < 4; i++) {
		struct login_keys w;

		snprintf(name, sizeof(name), "person%u", i);
		w = who(g, "203.0.113.7", name);
		wrong_login(g, &w, T0 + i * 20 * NS_PER_S);
	}
	struct login_keys next = who(g, "203.0.113.7", "person9");

	assert_true(login_throttle_ask(g, &next, T0 + 60 * NS_PER_S) > 3500);
}

static void
test_others_do_not_wait(void **state)
{
	struct login_throttle *g = *state;
	struct login_keys guesser = who(g, "203.0.113.7", "alice");
	struct login_keys bob = who(g, "198.51.100.1", "bob");

	assert_true(checked_within(g, &guesser, 40) > 4);
	assert_int_equal(login_throttle_ask(g, &bob, T0 + 40 * NS_PER_S), 0);
}

static void
test_a_guesser_does_not_lock_out_the_person(void **state)
{
	struct login_throttle *g = *state;
	struct login_keys guesser = who(g, "203.0.113.7", "alice");
	struct login_keys alice = who(g, "198.51.100.1", "alice");
	struct login_keys typo = who(g, "198.51.100.2", "alice");
	unsigned n;

	/* never here before: she waits for the name's failures, not long */
	n = checked_within(g, &guesser, 40);
	assert_true(n > 5);
	wrong_login(g, &guesser, T0 + 60 * NS_PER_S);
	assert_in_range(login_throttle_ask(g, &alice, T0 + 60 * NS_PER_S), 1,
	    LOGIN_NEW_MAX_MS + 1);
	assert_int_equal(login_throttle_ask(g, &alice, T0 + 62 * NS_PER_S), 0);
	login_throttle_done(g, &alice, LOGIN_RIGHT, T0 + 62 * NS_PER_S);
	/* who failed once waits as long as the name says */
	login_throttle_learn(
	    g, &typo, LOGIN_KEY_ADDRESS, 1, 0, T0 + 60 * NS_PER_S);
	assert_in_range(login_throttle_ask(g, &typo, T0 + 62 * NS_PER_S), 1000,
	    LOGIN_NAME_MAX_MS);
	/* here before: not at all, whatever others do meanwhile */
	wrong_login(g, &guesser, T0 + 100 * NS_PER_S);
	assert_int_equal(login_throttle_ask(g, &alice, T0 + 100 * NS_PER_S), 0);
	assert_int_equal(alice.lane, LOGIN_LANE_KNOWN);
	login_throttle_done(g, &alice, LOGIN_RIGHT, T0 + 100 * NS_PER_S);
}

/* 60 addresses guess one name as fast as they may, for an hour. */
static void
test_many_guessers_do_not_lock_out_the_person(void **state)
{
	struct login_throttle *g = *state;
	struct login_keys guessers[60], alice, typo;
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
			if (login_throttle_ask(g, &guessers[i], now) == 0) {
				login_throttle_done(
				    g, &guessers[i], LOGIN_WRONG, now);
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
			if (login_throttle_ask(g, &alice, now) == 0) {
				login_throttle_done(
				    g, &alice, LOGIN_RIGHT, now);
				if (waited_ms > longest_ms)
					longest_ms = waited_ms;
				waited_ms = UINT32_MAX;
			} else {
				waited_ms += 50;
			}
		}
		/* and once mistyped, from one more */
		if (ms == 600 * 1000)
			login_throttle_learn(
			    g, &typo, LOGIN_KEY_ADDRESS, 1, 0, now);
		if (ms >= 600 * 1000 && typo_ms < 100 * 1000 &&
		    login_throttle_ask(g, &typo, now) == 0)
			typo_ms += 1000 * 1000; /* it had its turn */
		else if (ms >= 600 * 1000 && typo_ms < 100 * 1000)
			typo_ms += 50;
	}
	assert_in_range(longest_ms, 0, LOGIN_NEW_MAX_MS + 100);
	/* the fewest failures go first: one turn of the name */
	assert_in_range(
	    typo_ms, 1000 * 1000, 1000 * 1000 + LOGIN_NAME_MAX_MS + 200);
	/* and the name is still protected: one try each 4 s */
	assert_in_range(n, 60, 60 + 3600 / 4 + 10);
}

static void
test_a_known_pair_does_not_guess_for_free(void **state)
{
	struct login_throttle *g = *state;
	struct login_keys alice = who(g, "198.51.100.1", "alice");
	struct login_keys other = who(g, "198.51.100.1", "bob");

	login_throttle_know(g, &alice, T0);
	wrong_login(g, &other, T0);
	/* in spite of the address, and in a lane of its own */
	for (unsigned i = 0; i < LOGIN_AT_A_TIME; i++) {
		assert_int_equal(login_throttle_ask(g, &alice, T0), 0);
		assert_int_equal(alice.lane, LOGIN_LANE_KNOWN);
	}
	assert_int_not_equal(login_throttle_ask(g, &alice, T0), 0);
	for (unsigned i = 0; i < LOGIN_AT_A_TIME; i++)
		login_throttle_done(g, &alice, LOGIN_WRONG, T0);
	/* its own failures hold, and slow it down like any other */
	assert_in_range(login_throttle_ask(g, &alice, T0), 3900, 4001);
	assert_int_equal(checked_within(g, &alice, 60), 4);
	/* they count for its address, too */
	assert_true(login_throttle_ask(g, &other, T0 + 48 * NS_PER_S) > 10000);
}

static void
test_a_pair_is_known_after_the_first_login(void **state)
{
	struct login_throttle *g = *state;
	struct login_keys alice = who(g, "198.51.100.1", "alice");

	assert_int_equal(login_throttle_ask(g, &alice, T0), 0);
	assert_int_equal(alice.lane, LOGIN_LANE_NEW);
	login_throttle_done(g, &alice, LOGIN_RIGHT, T0);
	assert_int_equal(login_throttle_ask(g, &alice, T0), 0);
	assert_int_equal(alice.lane, LOGIN_LANE_KNOWN);
	login_throttle_done(g, &alice, LOGIN_WRONG, T0);
	assert_true(login_throttle_ask(g, &alice, T0) > 400);
	assert_int_equal(login_throttle_ask(g, &alice, T0 + NS_PER_S), 0);
	assert_int_equal(alice.lane, LOGIN_LANE_KNOWN);
	login_throttle_done(g, &alice, LOGIN_RIGHT, T0 + NS_PER_S);
}

static void
test_leaving_early_counts(void **state)
{
	struct login_throttle *g = *state;
	struct login_keys w = who(g, "203.0.113.7", "alice");
	struct login_keys alice = who(g, "198.51.100.1", "alice");

	/* while it was checked: as a wrong one */
	assert_int_equal(login_throttle_ask(g, &w, T0), 0);
	login_throttle_done(g, &w, LOGIN_LEFT, T0);
	assert_in_range(login_throttle_ask(g, &w, T0), 400, 501);
	/* while it waited: its address has one failure more */
	login_throttle_left(g, &w, T0);
	assert_in_range(login_throttle_ask(g, &w, T0), 900, 1001);
	for (unsigned i = 0; i < 10; i++)
		login_throttle_left(g, &w, T0);
	assert_in_range(login_throttle_ask(g, &w, T0), 15000, 16001);
	/* but not the name, on which nothing was tried */
	assert_in_range(login_throttle_ask(g, &alice, T0), 1, 501);
}

static void
test_right_forgets_its_own_failures_only(void **state)
{
	struct login_throttle *g = *state;
	struct login_keys alice = who(g, "203.0.113.7", "alice");
	struct login_keys mallory = who(g, "203.0.113.7", "mallory");
	uint64_t t = T0;

	for (unsigned i = 0; i < 5; i++, t += 20 * NS_PER_S)
		wrong_login(g, &alice, t);
	/* an account of one's own does not wipe the slate */
	assert_int_equal(login_throttle_ask(g, &mallory, t), 0);
	login_throttle_done(g, &mallory, LOGIN_RIGHT, t);
	wrong_login(g, &alice, t);
	assert_true(login_throttle_ask(g, &alice, t) > 8000);
	/* the right password does */
	t += 20 * NS_PER_S;
	assert_int_equal(login_throttle_ask(g, &alice, t), 0);
	login_throttle_done(g, &alice, LOGIN_RIGHT, t);
	assert_int_equal(login_throttle_ask(g, &alice, t), 0);
	login_throttle_done(g, &alice, LOGIN_WRONG, t);
	assert_in_range(login_throttle_ask(g, &alice, t), 1, 501);
}

static void
test_codes_are_never_forgiven(void **state)
{
	struct login_throttle *g = *state;
	struct login_keys code, plain = who(g, "203.0.113.7", "alice");
	uint64_t t = T0;

	login_keys_set(g, &code, "203.0.113.7", "person", "alice", true);
	for (unsigned i = 0; i < 5; i++, t += 20 * NS_PER_S)
		wrong_login(g, &code, t);
	assert_int_equal(login_throttle_ask(g, &plain, t), 0);
	login_throttle_done(g, &plain, LOGIN_RIGHT, t);
	wrong_login(g, &code, t);
	assert_true(login_throttle_ask(g, &code, t) > 15000);
}

static void
test_forgotten_after_a_while(void **state)
{
	struct login_throttle *g = *state;
	struct login_keys w = who(g, "203.0.113.7", "alice");

	for (unsigned i = 0; i < 6; i++)
		wrong_login(g, &w, T0 + i * 20 * NS_PER_S);
	assert_int_equal(
	    login_throttle_ask(g, &w, T0 + (120 + LOGIN_FORGET_S) * NS_PER_S),
	    0);
	assert_int_equal(
	    login_throttle_ask(g, &w, T0 + (120 + LOGIN_FORGET_S) * NS_PER_S),
	    0);
}

static void
test_abandoned_counts_for_nothing(void **state)
{
	struct login_throttle *g = *state;
	struct login_keys w = who(g, "203.0.113.7", "alice");

	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(login_throttle_ask(g, &w, T0), 0);
		login_throttle_done(g, &w, LOGIN_ABANDONED, T0);
	}
}

static void
test_learnt_from_the_database(void **state)
{
	struct login_throttle *g = *state;
	struct login_keys w = who(g, "203.0.113.7", "alice");

	login_throttle_learn(g, &w, LOGIN_KEY_ADDRESS, 5, 2, T0);
	assert_in_range(login_throttle_ask(g, &w, T0), 5000, 6001);
	/* fewer, older ones and what has no key change nothing */
	login_throttle_learn(g, &w, LOGIN_KEY_ADDRESS, 2, 0, T0);
	login_throttle_learn(g, &w, LOGIN_KEY_NAME, 9, LOGIN_FORGET_S + 1, T0);
	login_throttle_learn(g, &w, LOGIN_KEY_CODES, 9, 0, T0);
	assert_in_range(login_throttle_ask(g, &w, T0), 5000, 6001);
}

/* A flood of names makes nothing grow, and does not wash away its source. */
static void
test_flood_of_names_is_bounded(void **state)
{
	struct login_throttle *g = *state;
	struct login_keys w = who(g, "203.0.113.7", "alice");
	char name[32];

	for (unsigned i = 0; i < 6; i++)
		wrong_login(g, &w, T0 + i * 20 * NS_PER_S);
	for (unsigned i = 0; i < 10 * LOGIN_THROTTLE_MAX; i++) {
		struct login_keys other;

		snprintf(name, sizeof(name), "n%u", i);
		other = who(g, name, name);
		wrong_login(g, &other, T0 + 101 * NS_PER_S);
	}
	assert_true(login_throttle_ask(g, &w, T0 + 102 * NS_PER_S) > 10000);
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
	char out[LOGIN_PREFIX_LEN];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		login_prefix(out, rows[i][0]);
		assert_string_equal(out, rows[i][1]);
	}
}

static void
test_refusals_are_a_row_a_minute(void **state)
{
	struct reject_log r;
	struct reject_entry out;
	char longest[300];

	reject_log_init(&r);
	assert_false(reject_log_take(&r, REJECT_AGENT, T0, &out));
	reject_log_add(&r, REJECT_AGENT, "203.0.113.7", "lap");
	assert_false(reject_log_take(&r, REJECT_REVERSE, T0, &out));
	assert_true(reject_log_take(&r, REJECT_AGENT, T0, &out));
	assert_int_equal(out.n, 1);
	assert_string_equal(out.object, "lap");
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	for (unsigned i = 0; i < 1000; i++)
		reject_log_add(&r, REJECT_AGENT, "203.0.113.8", longest);
	assert_false(
	    reject_log_take(&r, REJECT_AGENT, T0 + 59 * NS_PER_S, &out));
	assert_true(
	    reject_log_take(&r, REJECT_AGENT, T0 + 60 * NS_PER_S, &out));
	assert_int_equal(out.n, 1000);
	assert_string_equal(out.client, "203.0.113.8");
	assert_int_equal(strlen(out.object), REJECT_TEXT_MAX - 1);
	assert_false(
	    reject_log_take(&r, REJECT_AGENT, T0 + 200 * NS_PER_S, &out));
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
