/*
 * What was coded coarsely gets sharp again while other parts of the screen
 * go on moving: the bookkeeping, and the real recorder (argv[1]).
 */
#include "common/err.h"
#include "recorder/frame/tiles.h"
#include "tests/unit/recorder_check.h"

#define FINE 24

static void
chooses_what_changed_and_what_rested(void **state)
{
	uint8_t dirty[10] = { 1 };
	struct tiles t;

	(void)state;
	assert_int_equal(tiles_init(&t, 10, FINE), 0);
	assert_int_equal(tiles_choose(&t, dirty, 1000, 400, 99), 1);
	assert_true(t.active[0]);
	assert_true(tiles_coded(&t, false, 40));
	memset(dirty, 0, sizeof(dirty));
	dirty[1] = 1;
	/* not yet rested; then it has, to the millisecond */
	assert_int_equal(tiles_choose(&t, dirty, 1399, 400, 99), 1);
	assert_false(tiles_has_rested(&t, 1399, 400));
	assert_true(tiles_has_rested(&t, 1400, 400));
	assert_int_equal(tiles_choose(&t, dirty, 1400, 400, 99), 2);
	assert_int_equal(tiles_choose(&t, dirty, 1400, 400, 0), 1);
	assert_false(t.active[0]);
	/* fine tiles are left alone, FINE is fine */
	assert_int_equal(tiles_choose(&t, NULL, 1500, 0, 99), 1);
	assert_false(tiles_coded(&t, false, FINE));
	assert_int_equal(tiles_choose(&t, NULL, 9000, 0, 99), 0);
	tiles_release(&t);
}

static void
refines_a_few_at_a_time(void **state)
{
	struct tiles t;
	size_t n = 0;

	(void)state;
	assert_int_equal(tiles_init(&t, 1000, FINE), 0);
	assert_true(tiles_coded(&t, true, 63));
	for (int i = 0; i < 4; i++) {
		n = tiles_choose(&t, NULL, 500, 400, 300);
		assert_int_equal(n, i < 3 ? 300 : 100);
		assert_int_equal(tiles_coded(&t, false, 20), i < 3);
	}
	assert_int_equal(tiles_choose(&t, NULL, 500, 400, 300), 0);
	/* time that wraps round is time that passes */
	memset(t.touched_ms, 0xff, 1000 * sizeof(*t.touched_ms));
	tiles_coded(&t, true, 63);
	assert_false(tiles_has_rested(&t, UINT32_MAX, 400));
	assert_true(tiles_has_rested(&t, 399, 400));
	tiles_release(&t);
}

/* Y-PSNR of x, y, w, h in the picture so many before the last. */
static double
psnr_before_end(const json_t *j, int back, unsigned x, unsigned y, unsigned w,
    unsigned h, unsigned width, unsigned height)
{
	size_t len_y = (size_t)width * height, len = len_y * 3 / 2;
	uint8_t *want = malloc(len), *got = malloc(len);
	char path[160], command[600];
	double sum = 0;
	FILE *f;

	ARGBToI420(px, (int)width * 4, want, (int)width, want + len_y,
	    (int)width / 2, want + len_y * 5 / 4, (int)width / 2, (int)width,
	    (int)height);
	snprintf(command, sizeof(command),
	    "ffmpeg -v error -i %s -f rawvideo -pix_fmt yuv420p -vsync 0 "
	    "-enc_time_base 1:1000 - | tail -c %zu",
	    media_path(j, path), len * (size_t)(back + 1));
	f = popen(command, "r");
	assert_int_equal(fread(got, 1, len, f), len);
	while (fread(want + len_y, 1, len - len_y, f) > 0)
		; /* the pictures after it */
	pclose(f);
	for (unsigned r = y; r < y + h; r++)
		for (unsigned c = x; c < x + w; c++) {
			int d = got[r * width + c] - want[r * width + c];

			sum += d * d;
		}
	free(want);
	free(got);
	return 10 * log10(255.0 * 255.0 * w * h / (sum + 1e-9));
}

/* A full screen in motion, then text beside what goes on moving. */
static void
text_gets_sharp_beside_a_film(void **state)
{
	enum { SW = 640, SH = 480, LEFT = 320 };
	struct fixture_meta fm = basic;
	uint64_t ms = 100;
	struct child c;

	(void)state;
	fm.width = SW;
	fm.height = SH;
	child_new(&c, &fm, &spool);
	for (unsigned i = 0; i < 80; i++, ms += 100) {
		fixture_noise(px, SW, SH, i);
		draw(&c, AT_MS(ms), SW, SH);
	}
	fixture_desktop(px, SW, SH, 5);
	draw(&c, AT_MS(ms), SW, SH); /* coarse, after all that */
	for (unsigned i = 0; i < 40; i++) {
		static uint8_t film[SW * SH * 4];

		ms += 100;
		fixture_noise(film, SW - LEFT, SH, 100 + i);
		for (unsigned r = 0; r < SH; r++)
			memcpy(px + ((size_t)r * SW + LEFT) * 4,
			    film + (size_t)r * (SW - LEFT) * 4,
			    (SW - LEFT) * 4);
		child_feed(&c, AT_MS(ms), msg,
		    fixture_raw(msg, px, SW, LEFT, 0, SW - LEFT, SH));
	}
	child_mark(&c, TEE_MARK_END, AT_MS(ms + 50), TEE_END_NORMAL);

	assert_int_equal(run_to_done(&c), 1);
	check_chain(AT_MS(ms + 50));
	/*
	 * four seconds later, before the closing picture sharpens all; it
	 * came out at 31 dB and stays there where nothing is refined
	 */
	assert_true(psnr_before_end(
			manifests[0], 3, 16, 16, 256, SH - 32, SW, SH) >= 44);
	free_manifests();
	child_free(&c);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chooses_what_changed_and_what_rested),
		cmocka_unit_test(refines_a_few_at_a_time),
		WITH_SPOOL(text_gets_sharp_beside_a_film),
	};

	if (argc < 2)
		return 2;
	program = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
