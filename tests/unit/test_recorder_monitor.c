/*
 * One monitor viewed means one monitor recorded (T10, T11): the real
 * recorder on screens with several, argv[1]: the program.
 */
#include "common/err.h"
#include "recorder/frame/monitor.h"
#include "tests/unit/recorder_check.h"

/* Two monitors side by side, the second one odd in place and size. */
#define LEFT  200
#define RIGHT 119

/* dB; one pixel beside it is not 20 */
#define SAME 40

static void
check_key(const json_t *j, const char *folder)
{
	const char *at = strstr(text(j, "object_key"), FIXTURE_SESSION "/");

	assert_non_null(at);
	at += strlen(FIXTURE_SESSION "/");
	assert_int_equal(strncmp(at, folder, strlen(folder)), 0);
}

/* Paints w x h at x, y of the screen with the next pattern. */
static void
paint(struct child *c, uint64_t ns, unsigned x, unsigned y, unsigned w,
    unsigned h, uint32_t seed)
{
	static uint8_t part[sizeof(px)];

	fixture_desktop(part, w, h, seed);
	for (unsigned r = 0; r < h; r++)
		memcpy(px + ((size_t)(y + r) * W + x) * 4,
		    part + (size_t)r * w * 4, (size_t)w * 4);
	child_feed(c, ns, msg, fixture_raw(msg, px, W, x, y, w, h));
}

static void
records_the_one_that_is_viewed(void **state)
{
	struct child c;

	(void)state;
	child_new(&c, &basic, &spool);
	paint(&c, AT_MS(100), 0, 0, W, H, 1);
	child_mark_monitor(&c, AT_MS(2000), 2, LEFT + 1, 3, RIGHT, 201, "DP-2");
	paint(&c, AT_MS(2100), LEFT, 0, W - LEFT, H, 2);
	/* what others show costs no frame, whatever moves there */
	for (unsigned i = 0; i < 20; i++)
		paint(&c, AT_MS(3000 + 100 * i), 0, 0, LEFT + 1, H, i);
	/* over the edge: only the part inside */
	paint(&c, AT_MS(6000), LEFT - 20, 0, 60, 60, 5);
	child_mark_monitor(&c, AT_MS(8000), 1, 0, 0, LEFT, H, "eDP-1");
	paint(&c, AT_MS(8100), 0, 0, LEFT, H, 3);
	child_mark_monitor(&c, AT_MS(10000), 0, 0, 0, 0, 0, "");
	paint(&c, AT_MS(10050), 5, 5, 50, 50, 4);
	child_mark(&c, TEE_MARK_END, AT_MS(12000), TEE_END_NORMAL);

	assert_int_equal(run_to_done(&c), 4);
	check_chain(AT_MS(12000));
	for (int i = 1; i < 4; i++)
		assert_string_equal(
		    text(manifests[i], "split_reason"), "monitor");
	assert_string_equal(text(manifests[0], "monitor_name"), "");
	check_key(manifests[0], "monitor-1/");
	assert_int_equal(num(manifests[1], "start_mono_ns"), AT_MS(2000));
	assert_int_equal(num(manifests[1], "monitor"), 2);
	assert_string_equal(text(manifests[1], "monitor_name"), "DP-2");
	assert_int_equal(num(manifests[1], "width"), RIGHT);
	assert_int_equal(num(manifests[1], "height"), 201);
	check_key(manifests[1], "monitor-2/");
	/* its first picture, the one at 6000, quiet ones */
	assert_in_range(n_pictures(manifests[1]), 2, 5);
	assert_string_equal(text(manifests[2], "monitor_name"), "eDP-1");
	assert_int_equal(num(manifests[2], "monitor"), 1);
	assert_int_equal(num(manifests[2], "width"), LEFT);
	check_key(manifests[3], "monitor-1/");
	assert_int_equal(num(manifests[3], "width"), W);
	assert_true(last_frame_psnr(manifests[3], W, H) >= SAME);
	free_manifests();
	child_free(&c);
}

/* What the file of one monitor shows is that part of the screen. */
static void
shows_that_part(void **state)
{
	struct fixture_meta fm = basic;
	struct child c;

	(void)state;
	fm.more = ",\"monitor\":{\"index\":3,\"x\":17,\"y\":31,\"w\":121,"
		  "\"h\":99,\"name\":\"HDMI\"}";
	child_new(&c, &fm, &spool);
	paint(&c, AT_MS(100), 0, 0, W, H, 9);
	paint(&c, AT_MS(2000), 10, 20, 100, 60, 10);
	child_mark(&c, TEE_MARK_END, AT_MS(4000), TEE_END_NORMAL);

	assert_int_equal(run_to_done(&c), 1);
	check_chain(AT_MS(4000));
	assert_string_equal(text(manifests[0], "split_reason"), "start");
	assert_string_equal(text(manifests[0], "monitor_name"), "HDMI");
	check_key(manifests[0], "monitor-3/");
	assert_int_equal(num(manifests[0], "width"), 121);
	assert_int_equal(num(manifests[0], "height"), 99);
	assert_true(last_crop_psnr(manifests[0], W, 17, 31, 121, 99) >= SAME);
	free_manifests();
	child_free(&c);
}

/*
 * The screen changes its size together with the choice of a monitor: one
 * split, and what is known when pixels come counts.
 */
static void
splits_once_for_both(void **state)
{
	struct child c;

	(void)state;
	child_new(&c, &basic, &spool);
	fixture_desktop(px, W, H, 1);
	draw(&c, AT_MS(100), W, H);
	/* a mark whose place exists only after the resize that follows */
	child_mark_monitor(&c, AT_MS(3000), 2, 320, 0, 200, 300, "two");
	resize(&c, AT_MS(3000), 520, 300);
	fixture_desktop(px, 520, 300, 2);
	draw(&c, AT_MS(3100), 520, 300);
	/* the other way round: the resize is seen first */
	resize(&c, AT_MS(6000), 600, 310);
	child_mark_monitor(&c, AT_MS(6000), 2, 380, 0, 210, 310, "two");
	fixture_desktop(px, 600, 310, 3);
	draw(&c, AT_MS(6100), 600, 310);
	/* the same monitor is turned */
	child_mark_monitor(&c, AT_MS(9000), 2, 320, 0, 280, 200, "two");
	fixture_desktop(px, 600, 310, 4);
	draw(&c, AT_MS(9100), 600, 310);
	child_mark(&c, TEE_MARK_END, AT_MS(12000), TEE_END_NORMAL);

	assert_int_equal(run_to_done(&c), 4);
	check_chain(AT_MS(12000));
	assert_string_equal(text(manifests[1], "split_reason"), "monitor");
	assert_int_equal(num(manifests[1], "start_mono_ns"), AT_MS(3000));
	assert_int_equal(num(manifests[1], "width"), 200);
	assert_int_equal(num(manifests[1], "height"), 300);
	assert_string_equal(text(manifests[2], "split_reason"), "resolution");
	assert_int_equal(num(manifests[2], "start_mono_ns"), AT_MS(6000));
	assert_int_equal(num(manifests[2], "width"), 210);
	assert_int_equal(num(manifests[2], "height"), 310);
	assert_string_equal(text(manifests[3], "split_reason"), "orientation");
	assert_int_equal(num(manifests[3], "width"), 280);
	assert_int_equal(num(manifests[3], "monitor"), 2);
	assert_true(
	    last_crop_psnr(manifests[3], 600, 320, 0, 280, 200) >= SAME);
	free_manifests();
	child_free(&c);
}

/* Chosen, and resized, before anything was painted: no file of nothing. */
static void
begins_with_the_last_word(void **state)
{
	struct child c;

	(void)state;
	child_new(&c, &basic, &spool);
	child_mark_monitor(&c, AT_MS(30), 2, 100, 50, 200, 150, "two");
	resize(&c, AT_MS(40), 500, 310);
	child_mark_monitor(&c, AT_MS(60), 2, 301, 7, 199, 303, "two");
	fixture_desktop(px, 500, 310, 2);
	draw(&c, AT_MS(100), 500, 310);
	child_mark(&c, TEE_MARK_END, AT_MS(3000), TEE_END_NORMAL);

	assert_int_equal(run_to_done(&c), 1);
	check_chain(AT_MS(3000));
	assert_string_equal(text(manifests[0], "split_reason"), "start");
	assert_string_equal(text(manifests[0], "monitor_name"), "two");
	check_key(manifests[0], "monitor-2/");
	assert_null(strstr(text(manifests[0], "object_key"), "-2.webm"));
	assert_int_equal(num(manifests[0], "width"), 199);
	assert_int_equal(num(manifests[0], "height"), 303);
	assert_true(
	    last_crop_psnr(manifests[0], 500, 301, 7, 199, 303) >= SAME);
	free_manifests();
	child_free(&c);
}

/* A screen that grows beside the monitor shown is none of its business. */
static void
keeps_the_file_while_others_change(void **state)
{
	struct fixture_meta fm = basic;
	struct child c;

	(void)state;
	fm.more = ",\"monitor\":{\"index\":1,\"x\":0,\"y\":0,\"w\":200,"
		  "\"h\":240,\"name\":\"\"}";
	child_new(&c, &fm, &spool);
	fixture_desktop(px, W, H, 1);
	draw(&c, AT_MS(100), W, H);
	resize(&c, AT_MS(3000), 500, 240);
	fixture_desktop(px, 500, 240, 2);
	draw(&c, AT_MS(3100), 500, 240);
	/* it moves, as large as before */
	child_mark_monitor(&c, AT_MS(5000), 1, 40, 0, 200, 240, "");
	child_mark_monitor(&c, AT_MS(5000), 1, 40, 0, 200, 240, "");
	fixture_desktop(px, 500, 240, 3);
	draw(&c, AT_MS(5100), 500, 240);
	child_mark(&c, TEE_MARK_END, AT_MS(8000), TEE_END_NORMAL);

	assert_int_equal(run_to_done(&c), 1);
	check_chain(AT_MS(8000));
	assert_true(last_crop_psnr(manifests[0], 500, 40, 0, 200, 240) >= SAME);
	free_manifests();
	child_free(&c);
}

/* Geometry that makes no sense is cut to the screen, or is the screen. */
static void
clamps_what_lies_outside(void **state)
{
	struct child c;

	(void)state;
	child_new(&c, &basic, &spool);
	paint(&c, AT_MS(100), 0, 0, W, H, 1);
	child_mark_monitor(&c, AT_MS(3000), 2, 300, 200, 65535, 65535, "a");
	paint(&c, AT_MS(3100), 0, 0, W, H, 2);
	child_mark_monitor(&c, AT_MS(6000), 3, 65535, 65535, 65535, 65535, "b");
	paint(&c, AT_MS(6100), 0, 0, W, H, 3);
	child_mark_monitor(&c, AT_MS(9000), UINT32_MAX, 10, 10, 0, 0, "c");
	paint(&c, AT_MS(9100), 0, 0, W, H, 4);
	child_mark(&c, TEE_MARK_END, AT_MS(12000), TEE_END_NORMAL);

	assert_int_equal(run_to_done(&c), 4);
	check_chain(AT_MS(12000));
	assert_int_equal(num(manifests[1], "width"), 20);
	assert_int_equal(num(manifests[1], "height"), 40);
	assert_int_equal(num(manifests[2], "width"), W);
	assert_int_equal(num(manifests[2], "height"), H);
	assert_int_equal(num(manifests[3], "width"), W);
	assert_int_equal(num(manifests[3], "monitor"), 1000);
	free_manifests();
	child_free(&c);
}

/* ---- arithmetic and names ---- */

static void
check_name(const char *in, size_t len, const char *out)
{
	struct monitor m;

	memset(&m, 0xff, sizeof(m));
	monitor_set_name(&m, in, len);
	assert_string_equal(m.name, out);
}

static void
names_are_utf8(void **state)
{
	char longest[MONITOR_NAME_MAX + 10];

	(void)state;
	check_name("DP-1\0\0\0\0\0\0\0\0", 12, "DP-1");
	check_name("twelve bytes!", 12, "twelve bytes");
	check_name("", 0, "");
	check_name("B\xc3\xbcro", 5, "B\xc3\xbcro");
	check_name("B\xc3\xbcro", 2, "B"); /* cut inside a letter */
	check_name("ab\xff"
		   "cd",
	    5, "ab");
	check_name("a\xc0\x80", 3, "a");     /* overlong */
	check_name("a\xed\xa0\x80", 4, "a"); /* surrogate */
	check_name("\xf0\x9f\x96\xa5", 4, "\xf0\x9f\x96\xa5");
	check_name("\xf4\x90\x80\x80", 4, "");
	check_name("a\nb\x7f", 4, "a?b?");
	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	longest[MONITOR_NAME_MAX - 1] = '\0';
	{
		char in[MONITOR_NAME_MAX + 10];

		memset(in, 'x', sizeof(in));
		check_name(in, sizeof(in), longest);
	}
}

static void
areas_are_clipped(void **state)
{
	const struct area in = { 10, 20, 30, 40 };
	struct area r = { 0, 0, 100, 100 };

	(void)state;
	assert_true(area_clip(&r, &in));
	assert_true(area_equal(&r, &(struct area){ 0, 0, 30, 40 }));
	r = (struct area){ 12, 59, 5, 5 };
	assert_true(area_clip(&r, &in));
	assert_true(area_equal(&r, &(struct area){ 2, 39, 5, 1 }));
	r = (struct area){ 0, 0, 10, 100 }; /* touches only */
	assert_false(area_clip(&r, &in));
	r = (struct area){ 40, 20, 1, 1 };
	assert_false(area_clip(&r, &in));
	r = (struct area){ 15, 25, 0, 5 };
	assert_false(area_clip(&r, &in));
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		WITH_SPOOL(records_the_one_that_is_viewed),
		WITH_SPOOL(shows_that_part),
		WITH_SPOOL(splits_once_for_both),
		WITH_SPOOL(begins_with_the_last_word),
		WITH_SPOOL(keeps_the_file_while_others_change),
		WITH_SPOOL(clamps_what_lies_outside),
		cmocka_unit_test(names_are_utf8),
		cmocka_unit_test(areas_are_clipped),
	};

	if (argc < 2)
		return 2;
	program = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
