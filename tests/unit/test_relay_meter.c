/* How fast an endpoint's drawing is taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdint.h>

#include "common/clock.h"
#include "relay/pump/meter.h"
#include "rfb/framer.h"
#include "rfb/protocol.h"
#include "rfb/work.h"

#define SCREEN UINT64_C(24883200) /* three of 3840x2160 */

static void
a_burst_and_a_rate(void **state)
{
	struct meter m = { 0 };
	uint64_t now = 5 * NS_PER_S, wait;

	(void)state;
	assert_int_equal(meter_wait(&m, now), 0);
	meter_add(&m, METER_BURST);
	assert_int_equal(meter_wait(&m, now), 0);
	meter_add(&m, RFB_WORK_PER_S);
	wait = meter_wait(&m, now);
	assert_in_range(wait, NS_PER_S, NS_PER_S + NS_PER_MS);
	assert_in_range(meter_wait(&m, now + wait / 2), wait / 2 - NS_PER_MS,
	    wait / 2 + NS_PER_MS);
	assert_int_equal(meter_wait(&m, now + wait), 0);
	/* time without drawing is not saved up */
	now += 3600 * NS_PER_S;
	assert_int_equal(meter_wait(&m, now), 0);
	meter_add(&m, METER_BURST + RFB_WORK_PER_S);
	assert_in_range(meter_wait(&m, now), NS_PER_S, NS_PER_S + NS_PER_MS);
	/* a clock that stands still or goes back gives nothing */
	assert_in_range(meter_wait(&m, 0), NS_PER_S, NS_PER_S + NS_PER_MS);
}

/* Asked often, it loses no time to rounding. */
static void
asked_often(void **state)
{
	struct meter m = { 0 };
	uint64_t start = 7 * NS_PER_S + 123, now = start;

	(void)state;
	meter_wait(&m, now);
	meter_add(&m, METER_BURST + RFB_WORK_PER_S);
	while (meter_wait(&m, now) > 0)
		now += 777;
	assert_in_range(now - start, NS_PER_S, NS_PER_S + NS_PER_MS);
}

/* Draws `screens` of them a second for ten seconds; how long that took. */
static uint64_t
play(uint64_t pixels, unsigned per_second, int32_t encoding)
{
	struct rfb_rect r = { 0, 0, 0, 0, encoding };
	struct meter m = { 0 };
	uint64_t now = NS_PER_S, start = now;

	r.w = 10000;
	r.h = (uint16_t)(pixels / 10000);
	for (unsigned i = 0; i < 10 * per_second; i++) {
		meter_add(&m, rfb_rect_work(&r));
		now += NS_PER_S / per_second;
		now += meter_wait(&m, now);
	}
	return now - start;
}

static void
what_is_not_slowed_down(void **state)
{
	const uint64_t usual = 10 * NS_PER_S + NS_PER_MS;

	(void)state;
	/* scrolling all of three 4K screens, 40 times a second */
	assert_true(play(SCREEN, 40, RFB_ENC_COPYRECT) <= usual);
	/* a 4K video in Tight, 60 pictures a second; Raw at any rate */
	assert_true(play(3840 * 2160, 60, RFB_ENC_TIGHT) <= usual);
	assert_true(play(SCREEN, 1000, RFB_ENC_RAW) <= usual);
	/* and what is */
	assert_true(play(SCREEN, 1000, RFB_ENC_COPYRECT) > 240 * NS_PER_S);
}

static void
work_of_rectangles(void **state)
{
	struct rfb_rect r = { 5, 6, 100, 50, RFB_ENC_COPYRECT };
	static const int32_t drawing[] = { RFB_ENC_COPYRECT, RFB_ENC_RRE,
		RFB_ENC_CORRE, RFB_ENC_HEXTILE, RFB_ENC_ZLIB, RFB_ENC_TIGHT,
		RFB_ENC_ZRLE, RFB_ENC_CURSOR_ALPHA, RFB_ENC_DESKTOP_SIZE,
		RFB_ENC_EXT_DESKTOP_SIZE };
	static const int32_t none[] = { RFB_ENC_RAW, RFB_ENC_CURSOR,
		RFB_ENC_LAST_RECT, RFB_ENC_POINTER_POS, RFB_ENC_DESKTOP_NAME };

	(void)state;
	for (size_t i = 0; i < sizeof(drawing) / sizeof(drawing[0]); i++) {
		r.encoding = drawing[i];
		assert_int_equal(rfb_rect_work(&r), 5000);
	}
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		r.encoding = none[i];
		assert_int_equal(rfb_rect_work(&r), 0);
	}
}

static void
too_much_of_a_capture(void **state)
{
	(void)state;
	assert_false(rfb_work_is_too_much(RFB_WORK_BURST, 0));
	assert_true(rfb_work_is_too_much(RFB_WORK_BURST + 1, 0));
	/* an hour of what the meter lets through is half of what is allowed */
	assert_false(rfb_work_is_too_much(
	    RFB_WORK_BURST + 7200 * RFB_WORK_PER_S, 3600 * NS_PER_S));
	assert_true(rfb_work_is_too_much(
	    RFB_WORK_BURST + 7200 * RFB_WORK_PER_S + 1, 3600 * NS_PER_S));
	assert_false(
	    rfb_work_is_too_much(UINT64_C(1) << 40, UINT64_MAX / 1000));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_burst_and_a_rate),
		cmocka_unit_test(asked_often),
		cmocka_unit_test(what_is_not_slowed_down),
		cmocka_unit_test(work_of_rectangles),
		cmocka_unit_test(too_much_of_a_capture),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
