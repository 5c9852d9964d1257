/*
 * Recording by hand (C1, C5, C6): the real recorder decodes from byte 0 and
 * records from START to STOP. argv[1]: the program.
 */
#include <sys/statvfs.h>

#include "tests/unit/recorder_check.h"

#define MARGIN ((off_t)48 << 20)

static struct fixture_meta
by_hand(void)
{
	struct fixture_meta fm = basic;

	fm.more = ",\"recording\":\"off\"";
	return fm;
}

static void
records_from_start_to_stop(void **state)
{
	struct fixture_meta fm = by_hand();
	int64_t frame = 1;
	struct child c;

	(void)state;
	child_new(&c, &fm, &spool);
	fixture_desktop(px, W, H, 1);
	draw(&c, AT_MS(100), W, H);
	child_mark(&c, TEE_MARK_STOP, AT_MS(1000), 0); /* nothing runs */
	child_mark(&c, TEE_MARK_START, AT_MS(2000), 0);
	child_mark(&c, TEE_MARK_START, AT_MS(2500), 0); /* runs already */
	fixture_desktop(px, W, H, 2);
	draw(&c, AT_MS(3000), W, H);
	child_mark(&c, TEE_MARK_STOP, AT_MS(4000), 0);
	child_mark(&c, TEE_MARK_FRAME_RATE, AT_MS(4500), 5);
	resize(&c, AT_MS(5000), 200, 400);
	fixture_desktop(px, 200, 400, 3);
	draw(&c, AT_MS(5100), 200, 400);
	child_mark(&c, TEE_MARK_START, AT_MS(6000), 0);
	child_mark(&c, TEE_MARK_STOP, AT_MS(7000), 0);
	fixture_desktop(px, 200, 400, 4);
	draw(&c, AT_MS(7100), 200, 400);
	child_mark(&c, TEE_MARK_START, AT_MS(8000), 0);
	child_mark(&c, TEE_MARK_END, AT_MS(9000), TEE_END_NORMAL);

	assert_int_equal(run_to_done(&c), 3);
	for (int i = 0; i < 3; i++) {
		const json_t *j = manifests[i];

		assert_int_equal(num(j, "seq"), i + 1);
		assert_string_equal(text(j, "split_reason"), "manual");
		assert_int_equal(num(j, "first_frame"), frame);
		frame = num(j, "last_frame") + 1;
		assert_int_equal(num(j, "frame_rate"), i == 0 ? 10 : 5);
		check_media(j);
	}
	assert_int_equal(num(manifests[0], "start_mono_ns"), AT_MS(2000));
	assert_int_equal(num(manifests[0], "end_mono_ns"), AT_MS(4000));
	assert_string_equal(text(manifests[0], "end"), "manual");
	assert_int_equal(num(manifests[1], "start_mono_ns"), AT_MS(6000));
	assert_int_equal(num(manifests[1], "end_mono_ns"), AT_MS(7000));
	assert_int_equal(num(manifests[1], "width"), 200);
	assert_int_equal(num(manifests[2], "start_mono_ns"), AT_MS(8000));
	assert_string_equal(text(manifests[2], "end"), "normal");
	/* painted while nothing was recorded */
	assert_true(last_frame_psnr(manifests[2], 200, 400) >= 40);
	free_manifests();
	child_free(&c);
}

/* Never started: READY, DONE, and an empty spool. */
static void
leaves_nothing_behind(void **state)
{
	struct fixture_meta fm = by_hand();
	struct child c;

	(void)state;
	child_new(&c, &fm, &spool);
	fixture_desktop(px, W, H, 1);
	draw(&c, AT_MS(100), W, H);
	child_mark(&c, TEE_MARK_END, AT_MS(60000), TEE_END_NORMAL);
	assert_int_equal(run_to_done(&c), 0);
	assert_int_equal(fixture_spool_count(&spool, "", NULL), 0);
	child_free(&c);
}

/* START before anything was painted: no picture of a black screen. */
static void
waits_for_pixels(void **state)
{
	struct fixture_meta fm = by_hand();
	struct child c;

	(void)state;
	child_new(&c, &fm, &spool);
	child_mark(&c, TEE_MARK_START, AT_MS(10), 0);
	fixture_desktop(px, W, H, 1);
	draw(&c, AT_MS(500), W, H);
	child_mark(&c, TEE_MARK_STOP, AT_MS(520), 0);
	child_mark(&c, TEE_MARK_END, AT_MS(60000), TEE_END_NORMAL);
	assert_int_equal(run_to_done(&c), 1);
	assert_int_equal(num(manifests[0], "start_mono_ns"), AT_MS(10));
	assert_int_equal(num(manifests[0], "duration_ms"), 510);
	/* the one at its start, which shows what came */
	assert_in_range(n_pictures(manifests[0]), 1, 2);
	assert_true(last_frame_psnr(manifests[0], W, H) >= 40);
	free_manifests();
	child_free(&c);
}

static void
expect(struct child *c, uint32_t kind)
{
	struct tee_status st;

	assert_true(child_status(c, &st));
	assert_int_equal(st.kind, kind);
}

static void
fill_disk(bool fill)
{
	int fd;

	if (!fill) {
		assert_int_equal(unlinkat(spool.fd, "filler", 0), 0);
		return;
	}
	fd = openat(spool.fd, "filler", O_CREAT | O_WRONLY, 0600);
	assert_int_equal(posix_fallocate(fd, 0, 2 * MARGIN), 0);
	close(fd);
}

/*
 * C6: the floor is looked at when it starts and while it runs; each time
 * the relay is told, the recorder lives on, and may be told again.
 */
static void
outlives_a_full_disk(void **state)
{
	struct fixture_meta fm = by_hand();
	struct statvfs fs;
	struct child c;
	uint64_t now;
	int status;

	(void)state;
	fixture_spool_remove(&spool);
	fixture_spool_make_in(&spool, "/dev/shm"); /* nobody else's files */
	assert_int_equal(fstatvfs(spool.fd, &fs), 0);
	now = fm.start_mono_ns = clock_mono_ns();
	fm.min_free_bytes = fs.f_bavail * fs.f_frsize - (uint64_t)MARGIN;
	child_new(&c, &fm, &spool);
	fill_disk(true);
	child_start(&c, program);
	expect(&c, TEE_STATUS_READY); /* decoding needs no disk */
	fixture_noise(px, W, H, 1);
	draw(&c, now, W, H);
	child_mark(&c, TEE_MARK_START, now, 0);
	expect(&c, TEE_STATUS_NOSPACE);
	assert_int_equal(fixture_spool_count(&spool, "", NULL), 1);
	child_mark(&c, TEE_MARK_STOP, now, 0); /* does no harm */

	fill_disk(false);
	child_mark(&c, TEE_MARK_START, now, 0);
	fixture_noise(px, W, H, 2);
	draw(&c, now + NS_PER_S / 2, W, H);
	wait_written(&c, 10000);
	fill_disk(true);
	fixture_noise(px, W, H, 3);
	draw(&c, now + 3 * NS_PER_S, W, H);
	expect(&c, TEE_STATUS_SEGMENT);
	expect(&c, TEE_STATUS_NOSPACE);

	fill_disk(false);
	child_mark(&c, TEE_MARK_START, now + 4 * NS_PER_S, 0);
	child_mark(&c, TEE_MARK_END, now + 5 * NS_PER_S, TEE_END_NORMAL);
	expect(&c, TEE_STATUS_SEGMENT);
	expect(&c, TEE_STATUS_DONE);
	status = child_wait(&c);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	load_manifests();
	assert_int_equal(n_manifests, 2);
	assert_string_equal(text(manifests[0], "end"), "nospace");
	assert_string_equal(text(manifests[1], "split_reason"), "manual");
	assert_int_equal(num(manifests[1], "seq"), 2);
	assert_int_equal(num(manifests[1], "first_frame"),
	    num(manifests[0], "last_frame") + 1);
	check_media(manifests[0]);
	check_media(manifests[1]);
	free_manifests();
	child_free(&c);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		WITH_SPOOL(records_from_start_to_stop),
		WITH_SPOOL(leaves_nothing_behind),
		WITH_SPOOL(waits_for_pixels),
		WITH_SPOOL(outlives_a_full_disk),
	};

	if (argc < 2)
		return 2;
	program = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
