/*
 * A session recorded live and the same session captured and replayed, by the
 * real relaycam-recorder (argv[1]): equal frame for frame. And captures that
 * were cut off, damaged, or are not there.
 */
#include <sys/file.h>
#include <sysexits.h>

#include "capture/capture.h"
#include "tests/unit/recorder_check.h"

static struct fixture_spool captured;
static char id[64]; /* of the capture */

static int
setup_both(void **state)
{
	fixture_spool_make(&captured);
	return setup(state);
}

static void
remove_below(const char *name)
{
	char command[200];

	snprintf(command, sizeof(command), "rm -rf %s/%s", captured.path, name);
	assert_int_equal(system(command), 0);
}

static int
teardown_both(void **state)
{
	remove_below("*.encode");
	fixture_spool_remove(&captured);
	return teardown(state);
}

#define WITH_SPOOLS(f)                                                         \
	cmocka_unit_test_setup_teardown(f, setup_both, teardown_both)

/* ---- a session with something of everything ---- */

static void
type(struct child *c, unsigned n, uint64_t ns, uint64_t step_ns)
{
	for (unsigned i = 0; i < n; i++) {
		unsigned x = 20 + i * 4 % 200;

		for (unsigned r = 100; r < 110; r++)
			memset(px + ((size_t)r * W + x) * 4, (int)(i * 6), 12);
		child_feed(c, ns + i * step_ns, msg,
		    fixture_raw(msg, px, W, x, 100, 3, 10));
	}
}

static void
flash_once(struct child *c, uint64_t ns, unsigned value)
{
	for (unsigned r = 5; r < 15; r++)
		memset(px + ((size_t)r * W + 5) * 4, (int)value * 25, 40);
	child_feed(c, ns, msg, fixture_raw(msg, px, W, 5, 5, 10, 10));
}

/* A spot that changes too fast for a frame. */
static void
flash(struct child *c, uint64_t ns)
{
	for (unsigned i = 0; i < 8; i++)
		flash_once(c, ns + i * 10 * NS_PER_MS, i);
}

/* Each stands just long enough. */
static void
slow_flash(struct child *c, uint64_t ns)
{
	for (unsigned i = 0; i < 4; i++)
		flash_once(c, ns + i * 100 * NS_PER_MS, i);
}

static void
act(struct child *c)
{
	fixture_desktop(px, W, H, 7);
	draw(c, AT_MS(60), W, H);
	type(c, 40, AT_MS(300), 47 * NS_PER_MS);
	child_mark(c, TEE_MARK_INPUT, AT_MS(2300), 3);
	child_mark(c, TEE_MARK_FRAME_RATE, AT_MS(2400), 5);
	flash(c, AT_MS(2410));
	type(c, 30, AT_MS(2500), 33 * NS_PER_MS);
	slow_flash(c, AT_MS(3500));
	resize(c, AT_MS(4000), 240, 320);
	fixture_desktop(px, 240, 320, 9);
	draw(c, AT_MS(4050), 240, 320);
	child_mark_monitor(c, AT_MS(6000), 2, 0, 0, 120, 320, "left");
	fixture_noise(px, 240, 320, 3);
	draw(c, AT_MS(6100), 240, 320);
	child_mark(c, TEE_MARK_END, AT_MS(9876), TEE_END_COMMAND);
}

/* ---- the three programs ---- */

static void
capture_new(struct child *c, struct fixture_meta fm)
{
	fm.more = ",\"mode\":\"capture\"";
	child_new(c, &fm, &captured);
}

/* Runs a capturing recorder to its end. */
static void
capture(struct child *c)
{
	struct tee_status st;

	child_start(c, program);
	assert_true(child_status(c, &st));
	assert_int_equal(st.kind, TEE_STATUS_READY);
	assert_true(child_status(c, &st));
	assert_int_equal(st.kind, TEE_STATUS_SEGMENT);
	assert_true(child_status(c, &st));
	assert_int_equal(st.kind, TEE_STATUS_DONE);
	assert_int_equal(child_wait(c), 0);
}

static void
find_capture(const char *ending)
{
	assert_int_equal(fixture_spool_count(&captured, ending, id), 1);
	id[36] = '\0';
}

/* Runs --replay; its exit status. *last: the last progress it told. */
static int
replay(const char *which, const char *options, int *last)
{
	char command[400], line[64];
	FILE *f;
	int n, status;

	snprintf(command, sizeof(command),
	    "%s --log-level error %s --replay %s %s 2>/dev/null", program,
	    options, captured.path, which);
	f = popen(command, "r");
	assert_non_null(f);
	*last = -1;
	while (fgets(line, sizeof(line), f) != NULL) {
		assert_int_equal(sscanf(line, "progress %d", &n), 1);
		assert_true(n > *last && n <= 100);
		*last = n;
	}
	status = pclose(f);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* From here on the tests look at what the replay made. */
static void
look_at_replayed(void)
{
	static char folder[200];

	free_manifests();
	snprintf(folder, sizeof(folder), "%s/%s.encode", captured.path, id);
	fixture_spool_remove(&spool);
	assert_true(strlen(folder) < 64 + 64);
	assert_int_equal(rename(folder, spool.path), 0);
	spool.fd = open(spool.path, O_RDONLY | O_DIRECTORY);
	load_manifests();
}

#define FRAMES_MAX (1 << 20)

/* Times and hashes of the decoded pictures, and of the packets. */
static size_t
frames_of(const json_t *j, char *out, size_t len)
{
	char path[160], command[600];
	size_t n;
	FILE *f;

	snprintf(command, sizeof(command),
	    "ffmpeg -v error -i %s -vsync 0 -enc_time_base 1:1000 -f framemd5 "
	    "- && ffmpeg -v error -i %s -c copy -f framemd5 -",
	    media_path(j, path), path);
	f = popen(command, "r");
	assert_non_null(f);
	n = fread(out, 1, len, f);
	assert_int_equal(pclose(f), 0);
	assert_true(n > 0 && n < len);
	return n;
}

/* ---- tests ---- */

static const char *const same_fields[] = { "seq", "monitor", "frame_rate",
	"width", "height", "start_mono_ns", "start_wall_ns", "end_mono_ns",
	"end_wall_ns", "first_frame", "last_frame", "frames", "duration_ms",
	"bytes", "retention_days", "object_key", "split_reason", "end",
	"recovered", "monitor_name", "access", "codec", "activity" };

static void
replay_equals_live(void **state)
{
	static char live[N_MAX][FRAMES_MAX / 8], again[FRAMES_MAX / 8];
	json_t *was[N_MAX];
	size_t len[N_MAX];
	struct child c;
	int n, last;

	(void)state;
	child_new(&c, &basic, &spool);
	act(&c);
	n = run_to_done(&c);
	assert_int_equal(n, 4);
	child_free(&c);
	for (int i = 0; i < n; i++) {
		was[i] = json_incref(manifests[i]);
		len[i] = frames_of(was[i], live[i], sizeof(live[i]));
	}

	capture_new(&c, basic);
	act(&c);
	capture(&c);
	child_free(&c);
	find_capture(".capture");
	assert_int_equal(fixture_spool_count(&captured, "", NULL), 2);
	assert_int_equal(replay(id, "", &last), 0);
	assert_int_equal(last, 100);
	look_at_replayed();
	assert_int_equal(n_manifests, n);
	check_chain(AT_MS(9876));
	assert_string_equal(text(manifests[0], "segment"), id);
	for (int i = 0; i < n; i++) {
		for (size_t k = 0; k < N_ELEMENTS(same_fields); k++)
			assert_true(
			    json_equal(json_object_get(was[i], same_fields[k]),
				json_object_get(manifests[i], same_fields[k])));
		assert_int_equal(
		    frames_of(manifests[i], again, sizeof(again)), len[i]);
		assert_memory_equal(again, live[i], len[i]);
		json_decref(was[i]);
	}
	free_manifests();
}

/* Both at once, by the clock, while the bytes come. */
static void
replay_equals_live_by_the_clock(void **state)
{
	static char live[FRAMES_MAX], again[FRAMES_MAX];
	struct timespec step = { .tv_nsec = 23000000 };
	struct fixture_meta fm = basic;
	struct child c, d;
	struct tee_status st;
	size_t len;
	int last;

	(void)state;
	fm.start_mono_ns = clock_mono_ns();
	child_new(&c, &fm, &spool);
	capture_new(&d, fm);
	child_start(&c, program);
	child_start(&d, program);
	assert_true(child_status(&c, &st) && child_status(&d, &st));
	fixture_desktop(px, W, H, 7);
	for (unsigned i = 0; i < 100; i++) {
		uint64_t now = clock_mono_ns();
		unsigned x = i * 3 % 200;
		size_t n;

		for (unsigned y = i; i > 0 && y < i + 20; y++)
			memset(px + ((size_t)y * W + x) * 4, (int)i, 60 * 4);
		n = i == 0 ? fixture_raw(msg, px, W, 0, 0, W, H)
			   : fixture_raw(msg, px, W, x, i, 60, 20);
		child_feed(&c, now, msg, n);
		child_feed(&d, now, msg, n);
		nanosleep(&step, NULL);
	}
	fm.start_mono_ns = clock_mono_ns();
	child_mark(&c, TEE_MARK_END, fm.start_mono_ns, TEE_END_NORMAL);
	child_mark(&d, TEE_MARK_END, fm.start_mono_ns, TEE_END_NORMAL);
	tee_writer_wake(c.tee);
	tee_writer_wake(d.tee);
	assert_int_equal(child_wait(&c), 0);
	assert_int_equal(child_wait(&d), 0);
	child_free(&c);
	child_free(&d);
	load_manifests();
	assert_int_equal(n_manifests, 1);
	len = frames_of(manifests[0], live, sizeof(live));
	assert_in_range(num(manifests[0], "frames"), 15, 40);
	find_capture(".capture");
	assert_int_equal(replay(id, "", &last), 0);
	look_at_replayed();
	assert_int_equal(n_manifests, 1);
	assert_int_equal(frames_of(manifests[0], again, sizeof(again)), len);
	assert_memory_equal(again, live, len);
	free_manifests();
}

/* Up to when the capture that is being written can be read. */
static uint64_t
readable_ns(void)
{
	struct capture_reader *r;
	struct capture_record rec;
	uint64_t ns = 0;
	char name[64];
	int fd;

	if (fixture_spool_count(&captured, ".capture.part", name) != 1)
		return 0;
	fd = openat(captured.fd, name, O_RDONLY);
	if (capture_reader_new_fd(&r, fd) == 0) {
		while (capture_reader_next(r, &rec) == 1)
			;
		ns = capture_reader_last_ns(r);
		capture_reader_free(r);
	}
	close(fd);
	return ns;
}

/* kill -9: what was on disk plays, and says that it was cut off. */
static void
killed_while_capturing(void **state)
{
	struct timespec ms = { .tv_nsec = 1000000 };
	char from[100], to[100];
	struct tee_status st;
	struct child c;
	uint64_t until;
	int last;

	(void)state;
	capture_new(&c, basic);
	child_start(&c, program);
	assert_true(child_status(&c, &st));
	fixture_noise(px, W, H, 7);
	draw(&c, AT_MS(60), W, H);
	type(&c, 40, AT_MS(300), 50 * NS_PER_MS);
	until = clock_mono_ns() + CHILD_WAIT_MS * NS_PER_MS;
	while (readable_ns() < AT_MS(2250)) { /* a block within a second */
		assert_true(clock_mono_ns() < until);
		nanosleep(&ms, NULL);
	}
	child_feed(&c, AT_MS(8000), msg, 10); /* lost */
	kill(c.pid, SIGKILL);
	child_wait(&c);
	child_free(&c);

	find_capture(".capture.part");
	snprintf(from, sizeof(from), "%s.capture.part", id);
	snprintf(to, sizeof(to), "%s.capture", id);
	assert_int_equal(renameat(captured.fd, from, captured.fd, to), 0);
	assert_int_equal(replay(id, "", &last), 0);
	look_at_replayed();
	assert_int_equal(n_manifests, 1);
	assert_string_equal(text(manifests[0], "end"), "crash");
	assert_true(json_is_true(json_object_get(manifests[0], "recovered")));
	assert_int_equal(num(manifests[0], "end_mono_ns"), AT_MS(2250));
	assert_true(last_frame_psnr(manifests[0], W, H) > 30);
	check_media(manifests[0]);
	free_manifests();
}

/* Ends that no END mark says. */
static void
end_of_relay_and_sigterm(void **state)
{
	static const char *const words[] = { "error", "command" };
	struct tee_status st;
	struct child c;
	int last;

	(void)state;
	for (int i = 0; i < 2; i++) {
		capture_new(&c, basic);
		child_start(&c, program);
		assert_true(child_status(&c, &st));
		fixture_desktop(px, W, H, 7);
		draw(&c, AT_MS(60), W, H);
		if (i == 0) {
			close(c.status_fd);
			c.status_fd = -1;
		} else {
			kill(c.pid, SIGTERM);
		}
		assert_int_equal(child_wait(&c), 0);
		child_free(&c);
		find_capture(".capture");
		/* the clock is far from the marks' times: a long file */
		assert_int_equal(replay(id, "", &last), 0);
		look_at_replayed();
		assert_string_equal(text(manifests[0], "end"), words[i]);
		check_media(manifests[0]);
		free_manifests();
		remove_below("*");
	}
}

/* In a dead one's place, with the numbers that storage found out. */
static void
numbers_go_on(void **state)
{
	struct fixture_meta fm = basic;
	struct child c;
	int last;

	(void)state;
	fm.begin = "recorder_restart";
	fm.more = ",\"mode\":\"capture\",\"resume\":true";
	child_new(&c, &fm, &captured);
	act(&c);
	capture(&c);
	child_free(&c);
	find_capture(".capture");
	assert_int_equal(replay(id,
			     "--first-seq 7 --first-frame 1234 --gap-start "
			     "99000000000",
			     &last),
	    0);
	look_at_replayed();
	assert_int_equal(num(manifests[0], "seq"), 7);
	assert_int_equal(num(manifests[3], "seq"), 10);
	assert_int_equal(num(manifests[0], "first_frame"), 1234);
	assert_int_equal(num(manifests[1], "first_frame"),
	    num(manifests[0], "last_frame") + 1);
	assert_int_equal(num(manifests[0], "gap_start_mono_ns"), 99000000000);
	assert_null(json_object_get(manifests[1], "gap_start_mono_ns"));
	free_manifests();
}

/* A second try begins from nothing, whatever the first left behind. */
static void
replay_begins_anew(void **state)
{
	char path[300];
	struct child c;
	int last, fd;

	(void)state;
	capture_new(&c, basic);
	act(&c);
	capture(&c);
	child_free(&c);
	find_capture(".capture");
	snprintf(path, sizeof(path), "%s/%s.encode", captured.path, id);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/%s.encode/%s.webm.part", captured.path,
	    id, id);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(fd, "half a video", 12), 12);
	close(fd);
	assert_int_equal(replay(id, "", &last), 0);
	assert_int_equal(replay(id, "", &last), 0);
	look_at_replayed();
	assert_int_equal(n_manifests, 4);
	assert_int_equal(fixture_spool_count(&spool, "", NULL), 12);
	check_chain(AT_MS(9876));
	free_manifests();
}

static void
refuses_what_it_cannot_play(void **state)
{
	char path[300];
	struct child c;
	uint8_t byte;
	int last, fd;

	(void)state;
	capture_new(&c, basic);
	for (unsigned i = 0; i < 16; i++) {
		fixture_noise(px, W, H, i);
		draw(&c, AT_MS(60 + 100 * i), W, H);
	}
	child_mark(&c, TEE_MARK_END, AT_MS(5000), TEE_END_COMMAND);
	capture(&c);
	child_free(&c);
	find_capture(".capture");
	snprintf(path, sizeof(path), "%s/%s.capture", captured.path, id);
	assert_int_equal(replay("../etc/passwd", "", &last), EX_USAGE);
	assert_int_equal(replay(id, "--first-seq -1", &last), EX_USAGE);
	assert_int_equal(replay(id, "--repair", &last), EX_USAGE);
	assert_int_equal(replay(FIXTURE_SESSION, "", &last), EX_NOINPUT);

	fd = open(path, O_RDWR);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_int_equal(replay(id, "", &last), EX_TEMPFAIL);
	assert_int_equal(flock(fd, LOCK_UN), 0);
	/* one bit in the middle of much more */
	assert_int_equal(pread(fd, &byte, 1, 800000), 1);
	byte ^= 4;
	assert_int_equal(pwrite(fd, &byte, 1, 800000), 1);
	assert_int_equal(replay(id, "", &last), EX_DATAERR);
	byte ^= 4;
	assert_int_equal(pwrite(fd, &byte, 1, 800000), 1);
	assert_int_equal(replay(id, "", &last), 0);
	assert_int_equal(ftruncate(fd, 100), 0);
	assert_int_equal(replay(id, "", &last), EX_DATAERR);
	close(fd);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		WITH_SPOOLS(replay_equals_live),
		WITH_SPOOLS(replay_equals_live_by_the_clock),
		WITH_SPOOLS(killed_while_capturing),
		WITH_SPOOLS(end_of_relay_and_sigterm),
		WITH_SPOOLS(numbers_go_on),
		WITH_SPOOLS(replay_begins_anew),
		WITH_SPOOLS(refuses_what_it_cannot_play),
	};

	if (argc != 2)
		return 2;
	program = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
