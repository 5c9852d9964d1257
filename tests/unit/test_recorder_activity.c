/*
 * X5: what happened in each second, and a poster; the parts, and what the
 * real recorder (argv[1]) writes into manifests and beside the files.
 */
#include <turbojpeg.h>

#include "recorder/frame/activity.h"
#include "recorder/frame/poster.h"
#include "tests/unit/recorder_check.h"

/* ---- the parts ---- */

static void
check_text(const struct activity *a, uint64_t duration_ms, const char *want)
{
	char *got = activity_text(a, duration_ms);

	assert_string_equal(got, want);
	free(got);
}

static void
tiles_count_once_a_second(void **state)
{
	uint8_t one[1000] = { 1 }, other[1000] = { 0, 1, 1 };
	struct activity a = { 0 };

	(void)state;
	activity_set_tiles(&a, 1000);
	check_text(&a, 0, "[]");
	check_text(&a, 1500, "[[0,0,0],[0,0,0]]");
	activity_changed(&a, 0, one);
	activity_changed(&a, 0, one);
	activity_changed(&a, 0, other);
	activity_input(&a, 0, 7);
	activity_changed(&a, 3, one);
	activity_input(&a, 3, 2);
	activity_input(&a, 3, 3);
	activity_merged(&a, 3, 1);
	activity_merged(&a, 3, 3);
	check_text(&a, 4000, "[[3,7,0],[0,0,0],[0,0,0],[1,5,4]]");
	check_text(&a, 4001, "[[3,7,0],[0,0,0],[0,0,0],[1,5,4],[0,0,0]]");
	/* told a moment after the end: it belongs to what there is */
	check_text(&a, 2000, "[[3,7,0],[1,5,4]]");
	activity_reset(&a);
	activity_changed(&a, 0, other);
	check_text(&a, 1, "[[2,0,0]]");
	activity_release(&a);
}

static void
one_tile_of_many_is_not_nothing(void **state)
{
	uint8_t dirty[8160] = { [77] = 1 };
	struct activity a = { 0 };

	(void)state;
	activity_set_tiles(&a, sizeof(dirty));
	activity_changed(&a, 0, dirty);
	memset(dirty, 1, sizeof(dirty));
	activity_changed(&a, 1, dirty);
	/* another size within a second keeps what was seen */
	activity_set_tiles(&a, 4);
	memset(dirty, 0, sizeof(dirty));
	dirty[0] = 1;
	activity_changed(&a, 1, dirty);
	activity_input(&a, 1, UINT64_MAX);
	activity_input(&a, 1, 1);
	activity_merged(&a, 1, UINT64_MAX);
	activity_merged(&a, 1, 2);
	check_text(&a, 2000, "[[1,0,0],[1000,65535,65535]]");
	activity_release(&a);
}

/* A day and more: bounded, and each entry where it belongs. */
static void
days_are_bounded(void **state)
{
	struct activity a = { 0 };
	char *text;
	json_t *j;

	(void)state;
	for (uint64_t s = 0; s < 100000; s += 7) {
		activity_input(&a, s, s % 100);
		activity_merged(&a, s, 65000);
	}
	text = activity_text(&a, UINT64_C(100000) * 1000);
	assert_true(strlen(text) <= ACTIVITY_SECONDS_MAX * 19 + 2);
	j = json_loads(text, 0, NULL);
	assert_int_equal(json_array_size(j), ACTIVITY_SECONDS_MAX);
	for (size_t s = 0; s + 1 < ACTIVITY_SECONDS_MAX; s++)
		assert_int_equal(
		    json_integer_value(json_array_get(json_array_get(j, s), 1)),
		    s % 7 == 0 ? s % 100 : 0);
	json_decref(j);
	free(text);
	activity_release(&a);
}

static void
fill(struct canvas *c, unsigned w, unsigned h, uint8_t y)
{
	assert_int_equal(canvas_init(c, w, h), 0);
	memset(c->y, y, c->stride_y * c->rows * CANVAS_TILE);
}

static void
blank_screens_have_no_content(void **state)
{
	struct canvas c;

	(void)state;
	fill(&c, 640, 480, 16);
	assert_false(poster_has_content(&c));
	for (unsigned y = 0; y < 24; y++) /* a pointer */
		memset(c.y + (100 + y) * c.stride_y + 100, 235, 16);
	assert_false(poster_has_content(&c));
	for (unsigned y = 0; y < 200; y++) /* a window */
		memset(c.y + (100 + y) * c.stride_y + 100, 235, 300);
	assert_true(poster_has_content(&c));
	canvas_release(&c);
	fill(&c, 640, 480, 95); /* a plain desktop with noise */
	for (unsigned i = 0; i < 640 * 480; i++)
		c.y[i] = (uint8_t)(95 + i * 7919 % 3);
	assert_false(poster_has_content(&c));
	canvas_release(&c);
}

/* Size and mean colour of a JPEG. */
static void
look(const uint8_t *jpeg, size_t len, int *w, int *h, int mean[3])
{
	static uint8_t out[POSTER_SIDE_MAX * POSTER_SIDE_MAX * 3];
	tjhandle tj = tjInitDecompress();
	int subsamp, space;
	long sum[3] = { 0 };

	assert_int_equal(
	    tjDecompressHeader3(tj, jpeg, len, w, h, &subsamp, &space), 0);
	assert_true(*w <= POSTER_SIDE_MAX && *h <= POSTER_SIDE_MAX);
	assert_int_equal(
	    tjDecompress2(tj, jpeg, len, out, *w, 0, *h, TJPF_RGB, 0), 0);
	for (int i = 0; i < *w * *h * 3; i++)
		sum[i % 3] += out[i];
	for (int i = 0; i < 3; i++)
		mean[i] = (int)(sum[i] / (*w * *h));
	tjDestroy(tj);
}

static void
posters_have_size_and_colours(void **state)
{
	static const struct {
		unsigned w, h;
		int to_w, to_h;
	} rows[] = { { 1920, 1080, 320, 180 }, { 1081, 1921, 180, 320 },
		{ 3840, 2160, 320, 180 }, { 200, 101, 200, 101 },
		{ 1, 1, 1, 1 }, { 4000, 3, 320, 1 }, { 321, 1, 320, 1 } };

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		unsigned w = rows[i].w, h = rows[i].h;
		uint8_t *bgrx = malloc((size_t)w * h * 4), *jpeg;
		int got_w, got_h, mean[3];
		struct canvas c;
		size_t len;

		for (size_t p = 0; p < (size_t)w * h; p++)
			memcpy(bgrx + 4 * p, "\x00\x40\xff\xff", 4);
		assert_int_equal(canvas_init(&c, w, h), 0);
		canvas_convert(&c, bgrx, (size_t)w * 4);
		jpeg = poster_make(&c, &len);
		assert_non_null(jpeg);
		look(jpeg, len, &got_w, &got_h, mean);
		assert_int_equal(got_w, rows[i].to_w);
		assert_int_equal(got_h, rows[i].to_h);
		/* the full range: black and white are not grey */
		assert_true(abs(mean[0] - 0xff) <= 4);
		assert_true(abs(mean[1] - 0x40) <= 4);
		assert_true(abs(mean[2] - 0x00) <= 4);
		poster_free(jpeg);
		canvas_release(&c);
		free(bgrx);
	}
}

/* ---- the recorder ---- */

static void
check_second(const json_t *j, size_t second, int permille, int events)
{
	const json_t *pair =
	    json_array_get(json_object_get(j, "activity"), second);

	assert_int_equal(json_array_size(pair), 3);
	assert_int_equal(json_integer_value(json_array_get(pair, 0)), permille);
	assert_int_equal(json_integer_value(json_array_get(pair, 1)), events);
}

static void
check_merged(const json_t *j, size_t second, int merged)
{
	const json_t *entry =
	    json_array_get(json_object_get(j, "activity"), second);

	assert_int_equal(json_integer_value(json_array_get(entry, 2)), merged);
}

static void
mark_input(struct child *c, uint64_t ns, uint32_t keys, uint32_t pointer)
{
	struct tee_mark m = {
		.offset = c->offset, .mono_ns = ns, .kind = TEE_MARK_INPUT
	};

	store_be32(m.value, keys);
	store_be32(m.value + 4, pointer);
	assert_int_equal(tee_writer_mark(c->tee, &m), 0);
}

static size_t
seconds_of(const json_t *j)
{
	return json_array_size(json_object_get(j, "activity"));
}

/* Seconds run from each segment's start; a split carries nothing over. */
static void
manifests_say_what_happened(void **state)
{
	uint8_t area[64 * 48 * 4] = { 0 };
	struct child c;
	json_t *j;

	(void)state;
	child_new(&c, &basic, &spool);
	fixture_desktop(px, W, H, 1);
	draw(&c, AT_MS(100), W, H);
	mark_input(&c, AT_MS(900), 3, 4);
	mark_input(&c, AT_MS(2500), 0, 1);
	/* 4 x 3 tiles of 20 x 15, twice the same */
	child_feed(
	    &c, AT_MS(2600), msg, fixture_raw(msg, area, 64, 0, 0, 64, 48));
	child_feed(
	    &c, AT_MS(2800), msg, fixture_raw(msg, area, 64, 0, 0, 64, 48));
	child_mark(&c, TEE_MARK_FRAME_RATE, AT_MS(4500), 5);
	mark_input(&c, AT_MS(4600), 2, 0);
	/* what is sent again as it was is no change */
	child_feed(
	    &c, AT_MS(4700), msg, fixture_raw(msg, area, 64, 0, 0, 64, 48));
	memset(area, 0xff, sizeof(area));
	child_feed(
	    &c, AT_MS(5700), msg, fixture_raw(msg, area, 64, 0, 0, 16, 16));
	child_mark(&c, TEE_MARK_STOP, AT_MS(6500), 0);
	mark_input(&c, AT_MS(7000), 50, 50); /* nobody records it */
	child_mark(&c, TEE_MARK_START, AT_MS(8000), 0);
	child_mark(&c, TEE_MARK_END, AT_MS(8500), TEE_END_NORMAL);

	assert_int_equal(run_to_done(&c), 3);
	j = manifests[0];
	assert_int_equal(seconds_of(j), 5);
	check_second(j, 0, 1000, 7);
	check_second(j, 1, 0, 0);
	check_second(j, 2, 40, 1);
	check_second(j, 3, 0, 0);
	check_second(j, 4, 0, 0);
	j = manifests[1];
	assert_int_equal(seconds_of(j), 2);
	check_second(j, 0, 0, 2);
	check_second(j, 1, 4, 0); /* 1 of 300, rounded up */
	assert_int_equal(seconds_of(manifests[2]), 1);
	check_second(manifests[2], 0, 0, 0);
	free_manifests();
	child_free(&c);
}

static void
read_poster(const json_t *j, int *w, int *h, int mean[3])
{
	static uint8_t jpeg[1 << 20];
	char want[64];
	int fd;
	ssize_t n;

	snprintf(want, sizeof(want), "%s.jpg", text(j, "segment"));
	assert_string_equal(text(j, "poster"), want);
	fd = openat(spool.fd, want, O_RDONLY);
	n = read(fd, jpeg, sizeof(jpeg));
	close(fd);
	assert_true(n > 0);
	look(jpeg, (size_t)n, w, h, mean);
}

/* The first picture that shows something; else the last of all. */
static void
poster_shows_the_first_content(void **state)
{
	struct child c;
	int w, h, mean[3];

	(void)state;
	child_new(&c, &basic, &spool);
	memset(px, 0, sizeof(px)); /* a black screen */
	draw(&c, AT_MS(100), W, H);
	for (unsigned i = 0; i < W * H / 2; i++)
		memcpy(px + 4 * i, "\xff\x00\x00\xff", 4); /* half of it blue */
	draw(&c, AT_MS(1500), W, H);
	memset(px, 0xff, sizeof(px)); /* and then white */
	draw(&c, AT_MS(3000), W, H);
	child_mark(&c, TEE_MARK_FRAME_RATE, AT_MS(5000), 5);
	child_mark(&c, TEE_MARK_END, AT_MS(6000), TEE_END_NORMAL);

	assert_int_equal(run_to_done(&c), 2);
	read_poster(manifests[0], &w, &h, mean);
	assert_int_equal(w, 320);
	assert_int_equal(h, 240);
	assert_true(mean[0] < 12 && mean[1] < 12);
	assert_in_range(mean[2], 110, 140);
	read_poster(manifests[1], &w, &h, mean);
	assert_true(mean[0] > 245 && mean[1] > 245 && mean[2] > 245);
	free_manifests();
	child_free(&c);
}

/* A blinking cursor costs two pictures a second, a film the full rate. */
static void
pace_follows_what_changes(void **state)
{
	struct fixture_meta fm = basic;
	struct child c;

	(void)state;
	fm.frame_rate = 25;
	child_new(&c, &fm, &spool);
	fixture_desktop(px, W, H, 1);
	draw(&c, AT_MS(20), W, H);
	for (unsigned ms = 1000; ms < 11000; ms += 20) {
		memset(px, (int)(ms / 20), 16 * 4);
		child_feed(
		    &c, AT_MS(ms), msg, fixture_raw(msg, px, W, 0, 0, 16, 1));
	}
	child_mark(&c, TEE_MARK_FRAME_RATE, AT_MS(12000), 20);
	for (unsigned ms = 12000; ms < 17000; ms += 25) {
		fixture_noise(px, W, 32, ms);
		child_feed(
		    &c, AT_MS(ms), msg, fixture_raw(msg, px, W, 0, 0, W, 32));
	}
	child_mark(&c, TEE_MARK_END, AT_MS(18000), TEE_END_NORMAL);

	assert_int_equal(run_to_done(&c), 2);
	check_chain(AT_MS(18000));
	assert_in_range(n_pictures(manifests[0]), 20, 26);
	/* each of the 50 changes a second is in a frame, or counted */
	check_merged(manifests[0], 5, 48);
	check_merged(manifests[0], 11, 0);
	assert_in_range(n_pictures(manifests[1]), 95, 110);
	free_manifests();
	child_free(&c);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tiles_count_once_a_second),
		cmocka_unit_test(one_tile_of_many_is_not_nothing),
		cmocka_unit_test(days_are_bounded),
		cmocka_unit_test(blank_screens_have_no_content),
		cmocka_unit_test(posters_have_size_and_colours),
		WITH_SPOOL(manifests_say_what_happened),
		WITH_SPOOL(poster_shows_the_first_content),
		WITH_SPOOL(pace_follows_what_changes),
	};

	if (argc < 2)
		return 2;
	program = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
