/*
 * Pixels that wait for a frame, against a model that knows each one: nothing
 * is forgotten, times are never too late, and what one rectangle covers or
 * does not touch is told exactly.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

#include "recorder/frame/pending.h"
#include "tests/unit/recorder_fixture.h"

#define COLS 5
#define ROWS 4
#define W    (COLS * 16 - 3)
#define H    (ROWS * 16 - 7)

static struct pending_moment model[H][W]; /* ns 0: does not wait */

static void
check_find(const struct pending *p, struct area r, struct pending_moment now,
    bool want, uint64_t want_since, bool want_shown)
{
	uint64_t since;
	bool was_shown;

	assert_int_equal(pending_find(p, &r, &now, &since, &was_shown), want);
	if (!want)
		return;
	assert_true(since == want_since);
	assert_int_equal(was_shown, want_shown);
}

static void
rectangles_meet_or_do_not(void **state)
{
	const struct pending_moment first = { 100, 1 }, second = { 200, 2 };
	const struct area letter = { 20, 20, 3, 10 }, next = { 24, 20, 3, 10 };
	struct pending p;

	(void)state;
	assert_int_equal(pending_init(&p, COLS, ROWS), 0);
	assert_true(pending_is_empty(&p));
	check_find(&p, letter, first, false, 0, false);
	pending_add(&p, &letter, &first);
	assert_false(pending_is_empty(&p));
	/* in the same tile, beside it: nothing is replaced */
	check_find(&p, next, second, false, 0, false);
	/* in the same update at the same time: it was never to be seen */
	check_find(&p, letter, first, true, 100, false);
	/* in the same update, but later */
	check_find(
	    &p, letter, (struct pending_moment){ 150, 1 }, true, 100, true);
	check_find(&p, letter, second, true, 100, true);
	/* covered: what stands is new */
	pending_add(&p, &(struct area){ 0, 0, W, H }, &second);
	check_find(&p, letter, second, true, 200, false);
	/* half of it: the rest is as old as it was */
	pending_add(&p, &(struct area){ 20, 20, 1, 1 },
	    &(struct pending_moment){ 300, 3 });
	check_find(&p, letter, second, true, 200, false);
	pending_clear(&p);
	assert_true(pending_is_empty(&p));
	check_find(&p, (struct area){ 0, 0, W, H }, second, false, 0, false);
	pending_release(&p);
}

static void
check_against_model(const struct pending *p, const struct area *r,
    const struct pending_moment *now)
{
	uint64_t oldest = UINT64_MAX, since;
	bool shown = false, was_shown, found;

	for (unsigned y = r->y; y < r->y + r->h; y++)
		for (unsigned x = r->x; x < r->x + r->w; x++) {
			const struct pending_moment *m = &model[y][x];

			if (m->ns == 0)
				continue;
			oldest = m->ns < oldest ? m->ns : oldest;
			shown |= m->ns != now->ns || m->update != now->update;
		}
	found = pending_find(p, r, now, &since, &was_shown);
	if (oldest != UINT64_MAX) {
		assert_true(found && since <= oldest);
		assert_true(was_shown || !shown);
	}
}

static void
nothing_is_forgotten(void **state)
{
	uint32_t seed = 5;
	struct pending p;

	(void)state;
	assert_int_equal(pending_init(&p, COLS, ROWS), 0);
	for (unsigned i = 1; i <= 20000; i++) {
		struct pending_moment now = { i / 3 + 1, i / 2 };
		struct area r;

		r.x = fixture_random(&seed) % W;
		r.y = fixture_random(&seed) % H;
		r.w = 1 + fixture_random(&seed) % (W - r.x);
		r.h = 1 + fixture_random(&seed) % (H - r.y);
		check_against_model(&p, &r, &now);
		pending_add(&p, &r, &now);
		for (unsigned y = r.y; y < r.y + r.h; y++)
			for (unsigned x = r.x; x < r.x + r.w; x++)
				model[y][x] = now;
		if (fixture_random(&seed) % 20 != 0)
			continue;
		pending_clear(&p);
		memset(model, 0, sizeof(model));
	}
	pending_release(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rectangles_meet_or_do_not),
		cmocka_unit_test(nothing_is_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
