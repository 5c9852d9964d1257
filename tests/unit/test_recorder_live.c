/*
 * The real relaycam-recorder, fed through a real ring: what it writes is
 * read back with ffprobe and ffmpeg. argv[1]: the program.
 *
 * Sessions that are over when the program starts (all bytes, marks and END
 * are in the ring) have times of their own, so nothing depends on how fast
 * this machine is.
 */
#include <sys/statvfs.h>
#include <sysexits.h>

#include "tests/unit/recorder_check.h"

/* ---- tests ---- */

/* Typing on a desktop, a scroll by CopyRect, a long quiet end. */
static void
desktop(unsigned w, unsigned h, const char *codec, double psnr)
{
	struct fixture_meta fm = basic;
	struct child c;
	size_t n;

	fm.width = w;
	fm.height = h;
	fm.codec = codec;
	child_new(&c, &fm, &spool);
	fixture_desktop(px, w, h, 7);
	draw(&c, AT_MS(60), w, h);
	for (unsigned i = 0; i < 40; i++) {
		unsigned x = 100 + i * 4 % 200;

		for (unsigned r = 100; r < 110; r++)
			memset(px + ((size_t)r * w + x) * 4, (int)(i * 6), 12);
		n = fixture_raw(msg, px, w, x, 100, 3, 10);
		if (i % 20 == 0) /* without it these are a clock's */
			child_mark(&c, TEE_MARK_INPUT, AT_MS(300 + 50 * i), 20);
		child_feed(&c, AT_MS(300 + 50 * i), msg, n);
	}
	for (unsigned r = 0; r < 60; r++)
		memmove(px + ((size_t)(140 + r) * w + 4) * 4,
		    px + ((size_t)(120 + r) * w + 4) * 4, 200 * 4);
	/* rows went one by one downwards: send what that made */
	n = fixture_raw(msg, px, w, 4, 140, 200, 60);
	child_feed(&c, AT_MS(3000), msg, n);
	n = fixture_update(msg, 1);
	n += fixture_rect(msg + n, 10, 20, 80, 40, 1);
	store_be16(msg + n, 10);
	store_be16(msg + n + 2, 60);
	child_feed(&c, AT_MS(3500), msg, n + 4);
	for (unsigned r = 0; r < 40; r++)
		memcpy(px + ((size_t)(20 + r) * w + 10) * 4,
		    px + ((size_t)(60 + r) * w + 10) * 4, 80 * 4);
	child_mark(&c, TEE_MARK_END, AT_MS(12345), TEE_END_ENDPOINT);

	assert_int_equal(run_to_done(&c), 1);
	check_chain(AT_MS(12345));
	assert_int_equal(num(manifests[0], "duration_ms"), 12345);
	assert_string_equal(text(manifests[0], "end"), "endpoint");
	assert_string_equal(text(manifests[0], "split_reason"), "start");
	assert_true(json_is_false(json_object_get(manifests[0], "recovered")));
	/* 40 letters in 2 s at 10 a second, and a few besides */
	assert_in_range(n_pictures(manifests[0]), 20, 32);
	assert_true(last_frame_psnr(manifests[0], w, h) >= psnr);
	free_manifests();
	child_free(&c);
}

static void
records_a_desktop(void **state)
{
	(void)state;
	desktop(W, H, "vp9", 45);
}

static void
records_odd_sizes(void **state)
{
	(void)state;
	desktop(321, 241, "vp9", 45);
}

static void
records_vp8(void **state)
{
	(void)state;
	desktop(W, H, "vp8", 40);
}

/* Idle costs nothing, also where the whole screen is sent all the time. */
static void
the_same_again_is_no_picture(void **state)
{
	struct child c;

	(void)state;
	child_new(&c, &basic, &spool);
	fixture_desktop(px, W, H, 1);
	for (unsigned i = 0; i < 40; i++)
		draw(&c, AT_MS(100 + i * 50), W, H);
	memset(px + ((size_t)100 * W + 100) * 4, 0x55, 40 * 4);
	draw(&c, AT_MS(2100), W, H); /* one line is new */
	draw(&c, AT_MS(2150), W, H);
	child_mark(&c, TEE_MARK_END, AT_MS(4000), TEE_END_NORMAL);

	assert_int_equal(run_to_done(&c), 1);
	check_chain(AT_MS(4000));
	/* the first, the line; a helping where one came out coarse */
	assert_in_range(n_pictures(manifests[0]), 2, 3);
	assert_true(last_frame_psnr(manifests[0], W, H) >= 45);
	free_manifests();
	child_free(&c);
}

static void
splits_on_resize(void **state)
{
	struct child c;

	(void)state;
	child_new(&c, &basic, &spool);
	fixture_desktop(px, W, H, 1);
	draw(&c, AT_MS(100), W, H);
	resize(&c, AT_MS(4000), 200, 400); /* turned */
	fixture_desktop(px, 200, 400, 2);
	draw(&c, AT_MS(4200), 200, 400);
	resize(&c, AT_MS(8000), 240, 400); /* still portrait */
	fixture_desktop(px, 240, 400, 3);
	draw(&c, AT_MS(8100), 240, 400);
	/* a window edge being dragged: one segment, of the last size */
	resize(&c, AT_MS(12000), 400, 300);
	resize(&c, AT_MS(12100), 410, 300);
	resize(&c, AT_MS(12200), 420, 301);
	fixture_desktop(px, 420, 301, 4);
	draw(&c, AT_MS(12300), 420, 301);
	child_mark(&c, TEE_MARK_END, AT_MS(15000), TEE_END_NORMAL);

	assert_int_equal(run_to_done(&c), 4);
	check_chain(AT_MS(15000));
	assert_string_equal(text(manifests[1], "split_reason"), "orientation");
	assert_string_equal(text(manifests[2], "split_reason"), "resolution");
	assert_string_equal(text(manifests[3], "split_reason"), "orientation");
	assert_string_equal(text(manifests[3], "end"), "normal");
	assert_int_equal(num(manifests[0], "duration_ms"), 4000);
	assert_int_equal(num(manifests[1], "duration_ms"), 4000);
	assert_int_equal(num(manifests[3], "width"), 420);
	assert_true(last_frame_psnr(manifests[3], 420, 301) >= 45);
	free_manifests();
	child_free(&c);
}

/* Two sizes within two seconds: the second file, too, shows what came. */
static void
splits_on_resize_twice(void **state)
{
	const unsigned ms[] = { 100, 4100, 5100, 5400, 5700, 6000 };
	const uint64_t want[] = { 0, 400, 700, 1000 };
	uint64_t times[N_ELEMENTS(want)];
	struct child c;

	(void)state;
	child_new(&c, &basic, &spool);
	for (unsigned i = 0; i < N_ELEMENTS(ms); i++) {
		if (i == 1)
			resize(&c, AT_MS(4000), 200, 400);
		if (i == 2)
			resize(&c, AT_MS(5000), 240, 400);
		fixture_desktop(px, 240, 400, i);
		draw(&c, AT_MS(ms[i]),
		    i == 0       ? W
			: i == 1 ? 200
				 : 240,
		    i == 0 ? H : 400);
	}
	child_mark(&c, TEE_MARK_END, AT_MS(8000), TEE_END_NORMAL);

	assert_int_equal(run_to_done(&c), 3);
	check_chain(AT_MS(8000));
	assert_true(changed_times(manifests[2], times, N_ELEMENTS(want)) >= 4);
	assert_memory_equal(times, want, sizeof(want));
	free_manifests();
	child_free(&c);
}

/* T10: no file above the bound, the frames run on. */
static void
splits_on_size(void **state)
{
	struct fixture_meta fm = basic;
	struct child c;
	int n;

	(void)state;
	fm.segment_bytes = 1 << 20;
	child_new(&c, &fm, &spool);
	for (unsigned i = 0; i < 360; i++) {
		fixture_noise(px, W, H, i);
		draw(&c, AT_MS(100 + 110 * i), W, H);
	}
	child_mark(&c, TEE_MARK_END, AT_MS(45000), TEE_END_COMMAND);

	n = run_to_done(&c);
	assert_in_range(n, 3, N_MAX - 1);
	check_chain(AT_MS(45000));
	for (int i = 0; i < n; i++) {
		const json_t *j = manifests[i];

		assert_true(num(j, "bytes") <= 1 << 20);
		if (i + 1 < n) {
			/* full but for a frame and what ends the file */
			assert_true(num(j, "bytes") > (1 << 20) * 3 / 4);
			assert_string_equal(text(j, "end"), "size");
		}
	}
	free_manifests();
	child_free(&c);
}

static void
obeys_other_marks(void **state)
{
	static const char *const reasons[] = { "start", "frame_rate", "monitor",
		"manual" };
	struct child c;

	(void)state;
	child_new(&c, &basic, &spool);
	fixture_desktop(px, W, H, 1);
	draw(&c, AT_MS(100), W, H);
	child_mark(&c, TEE_MARK_FRAME_RATE, AT_MS(2000), 10); /* the same */
	child_mark(&c, TEE_MARK_FRAME_RATE, AT_MS(3000), 5);
	child_mark(&c, TEE_MARK_MONITOR, AT_MS(5000), 2);
	fixture_desktop(px, W, H, 2);
	draw(&c, AT_MS(5100), W, H);
	child_mark(&c, TEE_MARK_STOP, AT_MS(7000), 0);
	fixture_desktop(px, W, H, 3);
	draw(&c, AT_MS(8000), W, H);
	child_mark(&c, TEE_MARK_START, AT_MS(9000), 0);
	child_mark(&c, TEE_MARK_END, AT_MS(11000), TEE_END_MAX_DURATION);

	assert_int_equal(run_to_done(&c), 4);
	for (int i = 0; i < 4; i++) {
		assert_string_equal(
		    text(manifests[i], "split_reason"), reasons[i]);
		assert_int_equal(num(manifests[i], "seq"), i + 1);
		check_media(manifests[i]);
	}
	assert_int_equal(num(manifests[1], "frame_rate"), 5);
	assert_int_equal(num(manifests[2], "monitor"), 2);
	assert_int_equal(num(manifests[2], "end_mono_ns"), AT_MS(7000));
	assert_int_equal(num(manifests[3], "start_mono_ns"), AT_MS(9000));
	assert_int_equal(num(manifests[3], "first_frame"),
	    num(manifests[2], "last_frame") + 1);
	assert_string_equal(text(manifests[3], "end"), "max_duration");
	/* what changed while it was stopped is there */
	assert_true(last_frame_psnr(manifests[3], W, H) >= 45);
	free_manifests();
	child_free(&c);
}

/* Noise on a session of today, up to some bytes in its open file. */
static void
start_live(struct child *c)
{
	struct fixture_meta fm = basic;
	struct tee_status st;

	fm.start_mono_ns = clock_mono_ns();
	child_new(c, &fm, &spool);
	child_start(c, program);
	assert_true(child_status(c, &st));
	assert_int_equal(st.kind, TEE_STATUS_READY);
	for (unsigned i = 0; i < 8; i++) {
		fixture_noise(px, W, H, i);
		draw(c, fm.start_mono_ns + i * 200 * NS_PER_MS, W, H);
	}
	wait_written(c, 100000);
}

/* X4: kill -9, then what storage does. */
static void
killed_file_is_repaired(void **state)
{
	char name[64], command[300];
	struct child c;
	int status;

	(void)state;
	start_live(&c);
	kill(c.pid, SIGKILL);
	status = child_wait(&c);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(fixture_spool_count(&spool, ".json.open", name), 1);
	assert_int_equal(fixture_spool_count(&spool, ".json", NULL), 0);
	name[36] = '\0';
	snprintf(command, sizeof(command), "%s --repair %s %s", program,
	    spool.path, name);
	status = system(command);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(fixture_spool_count(&spool, "", NULL), 3);
	load_manifests();
	assert_int_equal(n_manifests, 1);
	assert_true(json_is_true(json_object_get(manifests[0], "recovered")));
	assert_string_equal(text(manifests[0], "end"), "crash");
	assert_true(num(manifests[0], "frames") >= 1);
	check_media(manifests[0]);
	free_manifests();
	child_free(&c);
}

/* The segment is closed in order, for the stated reason. */
static void
check_closed(const char *end)
{
	load_manifests();
	assert_int_equal(n_manifests, 1);
	assert_string_equal(text(manifests[0], "end"), end);
	assert_int_equal(fixture_spool_count(&spool, "", NULL), 3);
	check_media(manifests[0]);
	free_manifests();
}

static void
relay_that_dies_ends_it(void **state)
{
	struct child c;
	int status;

	(void)state;
	start_live(&c);
	close(c.status_fd);
	c.status_fd = -1;
	status = child_wait(&c);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	check_closed("error");
	child_free(&c);
}

static void
sigterm_ends_it(void **state)
{
	struct tee_status st;
	struct child c;
	int status;

	(void)state;
	start_live(&c);
	kill(c.pid, SIGTERM);
	assert_true(child_status(&c, &st));
	assert_int_equal(st.kind, TEE_STATUS_SEGMENT);
	assert_true(child_status(&c, &st));
	assert_int_equal(st.kind, TEE_STATUS_DONE);
	status = child_wait(&c);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	check_closed("command");
	child_free(&c);
}

/* Broken bytes end a recording; what was recorded is kept. */
static void
hostile_bytes_end_it(void **state)
{
	static const uint8_t junk[16] = { 99, 1, 2, 3 };
	struct tee_status st;
	struct child c;
	int status;

	(void)state;
	start_live(&c);
	child_feed(&c, clock_mono_ns(), junk, sizeof(junk));
	assert_true(child_status(&c, &st));
	assert_int_equal(st.kind, TEE_STATUS_SEGMENT);
	assert_true(child_status(&c, &st));
	assert_int_equal(st.kind, TEE_STATUS_FAILED);
	assert_true(st.text[0] != '\0');
	status = child_wait(&c);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EX_SOFTWARE);
	check_closed("error");
	child_free(&c);
}

/* C6: space runs out while it records; the file is closed in order. */
static void
stops_when_space_runs_out(void **state)
{
	const off_t margin = 48 << 20;
	struct fixture_meta fm = basic;
	struct tee_status st;
	struct statvfs fs;
	struct child c;
	int fd, status;

	(void)state;
	fixture_spool_remove(&spool);
	fixture_spool_make_in(&spool, "/dev/shm"); /* nobody else's files */
	assert_int_equal(fstatvfs(spool.fd, &fs), 0);
	fm.start_mono_ns = clock_mono_ns();
	fm.min_free_bytes = fs.f_bavail * fs.f_frsize - (uint64_t)margin;
	child_new(&c, &fm, &spool);
	child_start(&c, program);
	assert_true(child_status(&c, &st));
	assert_int_equal(st.kind, TEE_STATUS_READY);
	fixture_noise(px, W, H, 1);
	draw(&c, fm.start_mono_ns, W, H);
	wait_written(&c, 10000);
	fd = openat(spool.fd, "filler", O_CREAT | O_WRONLY, 0600);
	assert_int_equal(posix_fallocate(fd, 0, 2 * margin), 0);
	close(fd);
	/* a second later it looks again */
	fixture_noise(px, W, H, 2);
	draw(&c, fm.start_mono_ns + 2 * NS_PER_S, W, H);
	assert_true(child_status(&c, &st));
	assert_int_equal(st.kind, TEE_STATUS_SEGMENT);
	assert_true(child_status(&c, &st));
	assert_int_equal(st.kind, TEE_STATUS_NOSPACE);
	status = child_wait(&c);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EX_TEMPFAIL);
	assert_int_equal(unlinkat(spool.fd, "filler", 0), 0);
	check_closed("nospace");
	child_free(&c);
}

static void
does_not_start_without_space(void **state)
{
	struct fixture_meta fm = basic;
	struct tee_status st;
	struct child c;
	int status;

	(void)state;
	fm.min_free_bytes = INT64_MAX;
	child_new(&c, &fm, &spool);
	child_start(&c, program);
	assert_true(child_status(&c, &st));
	assert_int_equal(st.kind, TEE_STATUS_NOSPACE);
	assert_false(child_status(&c, &st));
	status = child_wait(&c);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EX_TEMPFAIL);
	assert_int_equal(fixture_spool_count(&spool, "", NULL), 0);
	child_free(&c);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		WITH_SPOOL(records_a_desktop),
		WITH_SPOOL(records_odd_sizes),
		WITH_SPOOL(records_vp8),
		WITH_SPOOL(the_same_again_is_no_picture),
		WITH_SPOOL(splits_on_resize),
		WITH_SPOOL(splits_on_resize_twice),
		WITH_SPOOL(splits_on_size),
		WITH_SPOOL(obeys_other_marks),
		WITH_SPOOL(killed_file_is_repaired),
		WITH_SPOOL(relay_that_dies_ends_it),
		WITH_SPOOL(sigterm_ends_it),
		WITH_SPOOL(hostile_bytes_end_it),
		WITH_SPOOL(stops_when_space_runs_out),
		WITH_SPOOL(does_not_start_without_space),
	};

	if (argc < 2)
		return 2;
	program = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
