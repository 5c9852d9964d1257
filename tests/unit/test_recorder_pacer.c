/*
 * The pacer driven as a session drives it, through streams of damage, and
 * held against a model that is worked out from the whole list beforehand.
 * Single steps are in test_recorder_canvas.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "recorder/pacer.h"

#define N_DAMAGE 2000
#define N_MAX    (2 * N_DAMAGE)
#define START    (7 * NS_PER_S)

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
drive(unsigned rate, unsigned stretch)
{
	struct pacer p;
	size_t n = 0;

	pacer_init(&p, rate);
	pacer_set_stretch(&p, stretch);
	for (size_t i = 0; i < N_DAMAGE; i++) {
		if (pacer_due(&p) <= damage[i])
			n = take(&p, pacer_due(&p), n);
		/* nothing changed since, so nothing is due */
		if (n > 0 && damage[i - 1] < taken[n - 1].ns)
			assert_true(pacer_due(&p) == PACER_NEVER);
		pacer_damage(&p, damage[i]);
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
check_stream(unsigned rate, unsigned stretch)
{
	uint64_t interval = NS_PER_S / rate * stretch;
	size_t n = drive(rate, stretch), n_keys = 0;

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
			check_stream(rates[i], PACER_STRETCH_MAX);
		}
	}
}

/* Constant change: exactly frame_rate pictures in each second. */
static void
constant_change_fills_the_rate(void **state)
{
	struct pacer p;
	unsigned n = 0;

	(void)state;
	pacer_init(&p, 10);
	for (uint64_t t = START; t < START + 30 * NS_PER_S; t += NS_PER_MS) {
		pacer_damage(&p, t);
		if (pacer_due(&p) > t)
			continue;
		pacer_taken(&p, t, n == 0, false, false);
		n++;
	}
	assert_int_equal(n, 30 * 10);
}

/* A rate that changes holds from the next picture on, both ways. */
static void
new_rate_moves_what_waits(void **state)
{
	struct pacer p;

	(void)state;
	pacer_init(&p, 1);
	pacer_damage(&p, START);
	pacer_taken(&p, START, true, false, false);
	pacer_damage(&p, START + NS_PER_MS);
	assert_true(pacer_due(&p) == START + NS_PER_S);
	pacer_set_rate(&p, 20);
	assert_true(pacer_due(&p) == START + NS_PER_S / 20);
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
		pacer_damage(&p, t);
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
		cmocka_unit_test(constant_change_fills_the_rate),
		cmocka_unit_test(new_rate_moves_what_waits),
		cmocka_unit_test(quiet_pictures_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
