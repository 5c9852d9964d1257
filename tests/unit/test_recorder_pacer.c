/*
 * The pacer driven as a session drives it, through streams of damage, and
 * held against a model that is worked out from the whole list beforehand.
 * Single steps are in test_recorder_canvas.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "recorder/frame/pacer.h"

#define N_DAMAGE 2000
#define N_MAX    (2 * N_DAMAGE)
#define START    (7 * NS_PER_S)

/* Tiles of a 1920x1080 screen, and what changes of them. */
#define TILES 8160
#define TINY  4
#define SOME  120
#define MUCH  500

struct picture {
	uint64_t ns;
	bool is_key;
};

static uint64_t damage[N_DAMAGE];
static struct picture taken[N_MAX], want[N_MAX];

static uint32_t
next_random(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

/* Times that never go back: bursts, single updates, long silences. */
static void
make_damage(uint32_t seed)
{
	uint64_t t = START;

	for (size_t i = 0; i < N_DAMAGE; i++) {
		uint32_t kind = next_random(&seed) % 100;
		uint64_t most_ms = kind < 70 ? 20 : kind < 97 ? 400 : 15000;

		damage[i] = t;
		t += next_random(&seed) % most_ms * NS_PER_MS;
	}
}

static size_t
take(struct pacer *p, uint64_t t, size_t n)
{
	assert_true(n < N_MAX);
	taken[n] = (struct picture){ t, n == 0 || pacer_is_key_due(p, t) };
	pacer_taken(p, t, taken[n].is_key, false, false);
	return n + 1;
}

/* What is due before each damage, then the damage; returns the pictures. */
static size_t
drive(unsigned rate, unsigned slowdown)
{
	struct pacer p;
	size_t n = 0;

	pacer_init(&p, rate);
	pacer_set_slowdown(&p, slowdown);
	for (size_t i = 0; i < N_DAMAGE; i++) {
		if (pacer_due(&p) <= damage[i])
			n = take(&p, pacer_due(&p), n);
		/* nothing changed since, so nothing is due */
		if (n > 0 && damage[i - 1] < taken[n - 1].ns)
			assert_true(pacer_due(&p) == PACER_NEVER);
		pacer_damage(&p, damage[i], SOME, TILES);
		if (pacer_due(&p) <= damage[i])
			n = take(&p, damage[i], n);
	}
	if (pacer_due(&p) != PACER_NEVER)
		n = take(&p, pacer_due(&p), n);
	assert_true(pacer_due(&p) == PACER_NEVER);
	assert_true(pacer_quiet_due(&p) == PACER_NEVER);
	return n;
}

/*
 * The same from the list: the oldest damage not shown is shown at once, or
 * `interval` after the last picture, together with all that came before.
 */
static size_t
model(uint64_t interval)
{
	uint64_t last_key = 0;
	size_t n = 0, i = 0;

	while (i < N_DAMAGE) {
		uint64_t t = damage[i];

		if (n > 0 && t < want[n - 1].ns + interval)
			t = want[n - 1].ns + interval;
		want[n].ns = t;
		want[n].is_key = n == 0 || t - last_key >= 10 * NS_PER_S;
		if (want[n].is_key)
			last_key = t;
		n++;
		for (i++; i < N_DAMAGE && damage[i] < t; i++)
			;
	}
	return n;
}

static void
check_stream(unsigned rate, unsigned slowdown)
{
	uint64_t interval = NS_PER_S / (rate < 10 ? rate : 10) * slowdown;
	size_t n = drive(rate, slowdown), n_keys = 0;

	assert_int_equal(n, model(interval));
	for (size_t i = 0; i < n; i++) {
		assert_true(taken[i].ns == want[i].ns);
		assert_int_equal(taken[i].is_key, want[i].is_key);
		n_keys += taken[i].is_key;
		if (i > 0)
			assert_true(taken[i].ns - taken[i - 1].ns >= interval);
	}
	/* the stream is long enough to say something */
	assert_true(n_keys > 3);
	assert_true(taken[n - 1].ns >= damage[N_DAMAGE - 1]);
}

static void
pictures_follow_damage_at_the_pace(void **state)
{
	static const unsigned rates[] = { 1, 5, 10, 24, 30, 60 };

	(void)state;
	for (uint32_t seed = 1; seed <= 8; seed++) {
		make_damage(seed);
		for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
			check_stream(rates[i], 1);
			check_stream(rates[i], 2);
			check_stream(rates[i], PACER_SLOWDOWN_MAX);
		}
	}
}

/* Pictures of so many seconds in which n_dirty tiles change all the time. */
static unsigned
change(struct pacer *p, uint64_t *now, unsigned seconds, size_t n_dirty)
{
	uint64_t end = *now + seconds * NS_PER_S;
	unsigned n = 0;

	for (; *now < end; *now += NS_PER_MS) {
		pacer_damage(p, *now, n_dirty, TILES);
		if (pacer_due(p) > *now)
			continue;
		pacer_taken(p, *now, false, false, false);
		n++;
	}
	return n;
}

/* Constant change: exactly so many pictures in each second. */
static void
pace_follows_what_changes(void **state)
{
	static const struct {
		unsigned rate, tiny, some, much;
	} rows[] = {
		{ 1, 1, 1, 1 },
		{ 5, 2, 5, 5 },
		{ 10, 2, 10, 10 },
		{ 20, 2, 10, 20 },
		{ 50, 2, 10, 50 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t t = START;
		struct pacer p;
		unsigned n;

		pacer_init(&p, rows[i].rate);
		n = change(&p, &t, 30, SOME);
		assert_int_equal(n, 30 * rows[i].some);
		n = change(&p, &t, 30, TINY);
		assert_in_range(n, 30 * rows[i].tiny - 1, 30 * rows[i].tiny);
		/* the first pictures of a motion come at the usual pace */
		n = change(&p, &t, 30, MUCH);
		assert_in_range(
		    n, 30 * rows[i].much - 10, 30 * rows[i].much + 1);
		n = change(&p, &t, 30, SOME);
		assert_in_range(
		    n, 30 * rows[i].some - 1, 30 * rows[i].some + 1);
	}
}

/* Large pictures far apart are no motion: slides, not a film. */
static void
single_changes_are_no_motion(void **state)
{
	uint64_t t = START;
	struct pacer p;

	(void)state;
	pacer_init(&p, 60);
	for (unsigned i = 0; i < 20; i++, t += NS_PER_S) {
		pacer_damage(&p, t, TILES, TILES);
		assert_true(pacer_due(&p) == t); /* at once after quiet */
		pacer_taken(&p, t, false, false, false);
		pacer_damage(&p, t + 1, MUCH, TILES);
		assert_true(pacer_due(&p) == t + NS_PER_S / 10);
		pacer_taken(&p, t + NS_PER_S / 10, false, false, false);
		assert_true(pacer_due(&p) == PACER_NEVER);
	}
}

/* A clock ticks while something larger happens: that sets the pace. */
static void
more_damage_moves_it_forward(void **state)
{
	struct pacer p;

	(void)state;
	pacer_init(&p, 10);
	pacer_damage(&p, START, TINY, TILES);
	assert_true(pacer_due(&p) == START);
	pacer_taken(&p, START, true, false, false);
	pacer_damage(&p, START + 20 * NS_PER_MS, TINY, TILES);
	assert_true(pacer_due(&p) == START + NS_PER_S / 2);
	pacer_damage(&p, START + 30 * NS_PER_MS, PACER_TINY_TILES + 1, TILES);
	assert_true(pacer_due(&p) == START + NS_PER_S / 10);
	/* a quarter of a small screen is not next to nothing */
	pacer_damage(&p, START + 40 * NS_PER_MS, 5, 20);
	assert_true(pacer_due(&p) == START + NS_PER_S / 10);
}

static void
input_is_not_tiny(void **state)
{
	uint64_t t = START;
	struct pacer p;

	(void)state;
	pacer_init(&p, 10);
	for (unsigned i = 0; i < 5; i++) {
		pacer_input(&p, t);
		assert_int_equal(change(&p, &t, 1, TINY), 10);
	}
	t += 2 * NS_PER_S;
	assert_int_equal(change(&p, &t, 10, TINY), 20);
}

/*
 * A server that sends the same again and again: it is looked at as often as
 * the session's rate says, and what does change is shown at the next look.
 */
static void
nothing_new_is_looked_at_in_turn(void **state)
{
	uint64_t t = START;
	struct pacer p;
	unsigned n = 0;

	(void)state;
	pacer_init(&p, 20);
	pacer_damage(&p, t, SOME, TILES);
	pacer_taken(&p, t, true, false, true);
	for (; t < START + 10 * NS_PER_S; t += NS_PER_MS) {
		pacer_damage(&p, t, TILES, TILES);
		if (pacer_due(&p) > t)
			continue;
		pacer_found(&p, 0);
		pacer_nothing(&p, t, false);
		assert_true(pacer_due(&p) == PACER_NEVER);
		n++;
	}
	assert_in_range(n, 10 * 20 - 3, 10 * 20);
	pacer_damage(&p, t, SOME, TILES);
	assert_true(pacer_due(&p) <= t + NS_PER_S / 20);
	/* coarse tiles are still to be sharpened, and their tries not spent */
	pacer_nothing(&p, t, false);
	assert_true(pacer_quiet_due(&p) == START + PACER_QUIET_NS);
	pacer_nothing(&p, t, true);
	assert_true(pacer_quiet_due(&p) == PACER_NEVER);
}

/* Large rectangles in which little changes are no motion. */
static void
claims_are_no_motion(void **state)
{
	uint64_t t = START;
	struct pacer p;
	unsigned n = 0;

	(void)state;
	pacer_init(&p, 60);
	for (; t < START + 10 * NS_PER_S; t += NS_PER_MS) {
		pacer_damage(&p, t, TILES, TILES);
		if (pacer_due(&p) > t)
			continue;
		pacer_found(&p, SOME);
		pacer_taken(&p, t, false, false, false);
		n++;
	}
	assert_in_range(n, 10 * 10 - 1, 10 * 10 + 1);
}

/* A rate that changes holds from the next picture on, both ways. */
static void
new_rate_moves_what_waits(void **state)
{
	struct pacer p;

	(void)state;
	pacer_init(&p, 1);
	pacer_damage(&p, START, SOME, TILES);
	pacer_taken(&p, START, true, false, false);
	pacer_damage(&p, START + NS_PER_MS, SOME, TILES);
	assert_true(pacer_due(&p) == START + NS_PER_S);
	pacer_set_rate(&p, 8);
	assert_true(pacer_due(&p) == START + NS_PER_S / 8);
	pacer_set_rate(&p, 2);
	assert_true(pacer_due(&p) == START + NS_PER_S / 2);
}

/* New damage gives coarse tiles all their quiet pictures again. */
static void
quiet_pictures_are_bounded(void **state)
{
	uint64_t t = START, due;
	struct pacer p;

	(void)state;
	pacer_init(&p, 10);
	for (unsigned round = 0; round < 20; round++) {
		unsigned n = 0;

		t += NS_PER_S;
		pacer_damage(&p, t, SOME, TILES);
		pacer_taken(&p, t, false, false, true);
		while ((due = pacer_quiet_due(&p)) != PACER_NEVER) {
			assert_true(due == t + (PACER_QUIET_NS << n));
			assert_true(pacer_due(&p) == PACER_NEVER);
			t = due;
			assert_true(++n <= PACER_QUIET_MAX);
			/* every other round it gets sharp at the second try */
			pacer_taken(
			    &p, t, false, true, round % 2 == 0 || n < 2);
		}
		assert_int_equal(n, round % 2 == 0 ? PACER_QUIET_MAX : 2);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pictures_follow_damage_at_the_pace),
		cmocka_unit_test(pace_follows_what_changes),
		cmocka_unit_test(single_changes_are_no_motion),
		cmocka_unit_test(more_damage_moves_it_forward),
		cmocka_unit_test(input_is_not_tiny),
		cmocka_unit_test(nothing_new_is_looked_at_in_turn),
		cmocka_unit_test(claims_are_no_motion),
		cmocka_unit_test(new_rate_moves_what_waits),
		cmocka_unit_test(quiet_pictures_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
