/*
 * A recorder dies and another one takes its place on the same ring (X4):
 * the real programs, argv[1]. What the relay does to the endpoint meanwhile
 * is played: a stateful rectangle still in flight, then the whole screen in
 * encodings that stand for themselves.
 */
#include <sysexits.h>

#include "common/err.h"
#include "rfb/decoder.h"
#include "tests/unit/recorder_check.h"

#define RESUME ",\"resume\":true"

static struct fixture_meta
resumed(const struct child *c, const char *more)
{
	struct fixture_meta fm = c->meta;

	fm.begin = "recorder_restart";
	fm.more = more;
	return fm;
}

static void
expect(struct child *c, uint32_t kind, struct tee_status *st)
{
	assert_true(child_status(c, st));
	assert_int_equal(st->kind, kind);
}

/* ZRLE of a stream that nobody saw begin: bytes that no inflater takes. */
static void
in_flight(struct child *c, unsigned x, unsigned y, unsigned w, unsigned h)
{
	size_t n = fixture_update(msg, 1);

	n += fixture_rect(msg + n, x, y, w, h, 16);
	store_be32(msg + n, 200);
	memset(msg + n + 4, 0xee, 200);
	child_feed(c, clock_mono_ns(), msg, n + 204);
}

static void
copy(struct child *c, unsigned to_x, unsigned to_y, unsigned w, unsigned h,
    unsigned from_x, unsigned from_y)
{
	size_t n = fixture_update(msg, 1);

	n += fixture_rect(msg + n, to_x, to_y, w, h, 1);
	store_be16(msg + n, (uint16_t)from_x);
	store_be16(msg + n + 2, (uint16_t)from_y);
	child_feed(c, clock_mono_ns(), msg, n + 4);
}

static void
draw_part(struct child *c, unsigned x, unsigned y, unsigned w, unsigned h)
{
	child_feed(
	    c, clock_mono_ns(), msg, fixture_raw(msg, px, W, x, y, w, h));
}

static void
wait_read(struct child *c)
{
	uint64_t until = clock_mono_ns() + CHILD_WAIT_MS * NS_PER_MS;
	struct timespec ms = { .tv_nsec = 1000000 };

	while (tee_writer_get_recorded(c->tee) < c->offset) {
		assert_true(clock_mono_ns() < until);
		nanosleep(&ms, NULL);
	}
}

/* Nothing was said, nothing was opened. */
static void
check_silence(struct child *c, int n_open)
{
	struct pollfd p = { .fd = c->status_fd, .events = POLLIN };

	wait_read(c);
	assert_int_equal(poll(&p, 1, 0), 0);
	assert_int_equal(
	    fixture_spool_count(&spool, ".json.open", NULL), n_open);
}

/* A session of today with some pictures, then kill -9. */
static void
start_and_kill(struct child *c, const char *more)
{
	struct fixture_meta fm = basic;
	struct tee_status st;
	int status;

	fm.start_mono_ns = clock_mono_ns();
	fm.more = more;
	child_new(c, &fm, &spool);
	child_start(c, program);
	expect(c, TEE_STATUS_READY, &st);
	assert_int_equal(st.frames, 1);
	if (more != NULL)
		child_mark(c, TEE_MARK_START, clock_mono_ns(), 0);
	for (unsigned i = 0; i < 8; i++) {
		fixture_noise(px, W, H, i);
		draw(c, fm.start_mono_ns + i * 200 * NS_PER_MS, W, H);
	}
	wait_written(c, 50000);
	kill(c->pid, SIGKILL);
	status = child_wait(c);
	assert_true(WIFSIGNALED(status));
}

static void
repair_spool(void)
{
	char name[64], command[300];
	int status;

	assert_int_equal(fixture_spool_count(&spool, ".json.open", name), 1);
	name[36] = '\0';
	snprintf(command, sizeof(command), "%s --repair %s %s", program,
	    spool.path, name);
	status = system(command);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void
end(struct child *c)
{
	struct tee_status st;
	int status;

	child_mark(c, TEE_MARK_END, clock_mono_ns(), TEE_END_NORMAL);
	expect(c, TEE_STATUS_SEGMENT, &st);
	expect(c, TEE_STATUS_DONE, &st);
	status = child_wait(c);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void
goes_on_in_a_new_file(void **state)
{
	struct fixture_meta fm;
	struct tee_status st;
	uint64_t joined;
	struct child c;

	(void)state;
	start_and_kill(&c, NULL);
	fm = resumed(&c, RESUME);
	child_restart(&c, program, &fm, clock_mono_ns());
	in_flight(&c, 0, 0, W, H);
	fixture_desktop(px, W, H, 3);
	draw_part(&c, 0, 0, W, H / 2);
	/* copied from where nothing is known: unknown again */
	copy(&c, 10, 10, 20, 20, 100, 180);
	draw_part(&c, 0, H / 2, W, H / 2);
	check_silence(&c, 1);
	/* overdrawn by what nobody can read: unknown too */
	in_flight(&c, 50, 50, 7, 7);
	draw_part(&c, 10, 10, 20, 20);
	check_silence(&c, 1);
	joined = clock_mono_ns();
	fixture_desktop(px, W, H, 4);
	draw(&c, joined, W, H);
	expect(&c, TEE_STATUS_READY, &st);
	fixture_desktop(px, W, H, 5);
	draw(&c, joined + NS_PER_S, W, H);
	copy(&c, 0, 0, 50, 50, 100, 100);
	for (unsigned r = 0; r < 50; r++)
		memcpy(px + (size_t)r * W * 4,
		    px + ((size_t)(100 + r) * W + 100) * 4, 50 * 4);
	end(&c);
	repair_spool();

	load_manifests();
	assert_int_equal(n_manifests, 2);
	assert_int_equal(num(manifests[1], "seq"), 2);
	assert_string_equal(
	    text(manifests[1], "split_reason"), "recorder_restart");
	assert_int_equal(num(manifests[1], "first_frame"),
	    num(manifests[0], "last_frame") + 1);
	assert_int_equal(st.frames, num(manifests[1], "first_frame"));
	assert_int_equal(num(manifests[1], "start_mono_ns"), joined);
	assert_int_equal(num(manifests[1], "gap_end_mono_ns"), joined);
	/* repair lets the last picture last a millisecond */
	assert_in_range(num(manifests[0], "end_mono_ns") -
		num(manifests[1], "gap_start_mono_ns"),
	    0, NS_PER_MS);
	assert_null(json_object_get(manifests[0], "gap_start_mono_ns"));
	assert_string_not_equal(
	    text(manifests[0], "object_key"), text(manifests[1], "object_key"));
	assert_true(last_frame_psnr(manifests[1], W, H) >= 40);
	check_media(manifests[0]);
	check_media(manifests[1]);
	free_manifests();
	child_free(&c);
}

/* Storage was faster, and even took the file away: numbers run on. */
static void
counts_on(bool is_taken)
{
	struct fixture_meta fm;
	struct tee_status st;
	int64_t last;
	struct child c;

	start_and_kill(&c, NULL);
	repair_spool();
	load_manifests();
	last = num(manifests[0], "last_frame");
	free_manifests();
	if (is_taken) {
		fixture_spool_remove(&spool);
		fixture_spool_make(&spool);
	}
	fm = resumed(&c, RESUME);
	child_restart(&c, program, &fm, clock_mono_ns());
	draw(&c, clock_mono_ns(), W, H);
	expect(&c, TEE_STATUS_READY, &st);
	assert_int_equal(st.frames, last + 1);
	end(&c);
	load_manifests();
	assert_int_equal(n_manifests, is_taken ? 1 : 2);
	assert_int_equal(num(manifests[n_manifests - 1], "seq"), 2);
	free_manifests();
	child_free(&c);
}

/* It died before its first frame: nothing will come of that file. */
static void
takes_the_number_of_an_empty_file(void **state)
{
	struct fixture_meta fm = basic;
	struct tee_status st;
	char ending[16];
	struct child c;

	(void)state;
	fm.start_mono_ns = clock_mono_ns();
	child_new(&c, &fm, &spool);
	child_start(&c, program);
	expect(&c, TEE_STATUS_READY, &st);
	kill(c.pid, SIGKILL);
	child_wait(&c);
	assert_int_equal(fixture_spool_count(&spool, ".json.open", NULL), 1);
	fm = resumed(&c, RESUME);
	child_restart(&c, program, &fm, clock_mono_ns());
	draw(&c, clock_mono_ns(), W, H);
	expect(&c, TEE_STATUS_READY, &st);
	assert_int_equal(st.frames, 1);
	end(&c);
	load_manifests();
	assert_int_equal(n_manifests, 1);
	assert_int_equal(num(manifests[0], "seq"), 1);
	assert_int_equal(num(manifests[0], "first_frame"), 1);
	/* and not its name, though it may be of the same second */
	snprintf(ending, sizeof(ending), "-%.4s.webm",
	    text(manifests[0], "segment"));
	assert_non_null(strstr(text(manifests[0], "object_key"), ending));
	free_manifests();
	child_free(&c);
}

static void
counts_on_beside_repair(void **state)
{
	(void)state;
	counts_on(false);
}

static void
counts_on_after_it_was_taken(void **state)
{
	(void)state;
	counts_on(true);
}

/* An endpoint that does not change its ways: the relay must decide. */
static void
fails_when_streams_go_on(void **state)
{
	struct fixture_meta fm;
	struct tee_status st;
	struct child c;
	int status;

	(void)state;
	start_and_kill(&c, NULL);
	fm = resumed(&c, RESUME);
	child_restart(&c, program, &fm, clock_mono_ns());
	draw(&c, clock_mono_ns(), W, H);
	expect(&c, TEE_STATUS_READY, &st);
	in_flight(&c, 5, 5, 10, 10);
	expect(&c, TEE_STATUS_SEGMENT, &st);
	expect(&c, TEE_STATUS_FAILED, &st);
	assert_int_equal(st.code, -ERR_UNSUPPORTED);
	status = child_wait(&c);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EX_SOFTWARE);
	/* a third one counts on from the closed file */
	child_restart(&c, program, &fm, clock_mono_ns());
	draw(&c, clock_mono_ns(), W, H);
	expect(&c, TEE_STATUS_READY, &st);
	end(&c);
	repair_spool();
	load_manifests();
	assert_int_equal(n_manifests, 3);
	assert_string_equal(text(manifests[1], "end"), "error");
	for (int i = 1; i < 3; i++)
		assert_int_equal(num(manifests[i], "first_frame"),
		    num(manifests[i - 1], "last_frame") + 1);
	assert_true(num(manifests[2], "gap_start_mono_ns") >=
	    num(manifests[1], "start_mono_ns"));
	free_manifests();
	child_free(&c);
}

/* By hand: what was running goes on if the relay says START again. */
static void
by_hand(void **state)
{
	struct fixture_meta fm;
	struct tee_status st;
	struct child c;

	(void)state;
	start_and_kill(&c, ",\"recording\":\"off\"");
	repair_spool();
	fm = resumed(&c, RESUME ",\"recording\":\"off\"");
	child_restart(&c, program, &fm, clock_mono_ns());
	child_mark(&c, TEE_MARK_START, clock_mono_ns(), 0);
	check_silence(&c, 0);
	draw(&c, clock_mono_ns(), W, H);
	expect(&c, TEE_STATUS_READY, &st);
	child_mark(&c, TEE_MARK_STOP, clock_mono_ns(), 0);
	expect(&c, TEE_STATUS_SEGMENT, &st);
	child_mark(&c, TEE_MARK_START, clock_mono_ns(), 0);
	end(&c);
	load_manifests();
	assert_int_equal(n_manifests, 3);
	assert_string_equal(text(manifests[0], "split_reason"), "manual");
	assert_string_equal(
	    text(manifests[1], "split_reason"), "recorder_restart");
	assert_string_equal(text(manifests[1], "end"), "manual");
	assert_string_equal(text(manifests[2], "split_reason"), "manual");
	assert_null(json_object_get(manifests[2], "gap_start_mono_ns"));
	for (int i = 1; i < 3; i++)
		assert_int_equal(num(manifests[i], "first_frame"),
		    num(manifests[i - 1], "last_frame") + 1);
	free_manifests();
	child_free(&c);
}

/* Stopped when it died: the next one waits for START, without a gap. */
static void
stopped_by_hand(void **state)
{
	struct fixture_meta fm = basic;
	struct tee_status st;
	struct child c;

	(void)state;
	fm.start_mono_ns = clock_mono_ns();
	fm.more = ",\"recording\":\"off\"";
	child_new(&c, &fm, &spool);
	child_start(&c, program);
	expect(&c, TEE_STATUS_READY, &st);
	fixture_desktop(px, W, H, 1);
	draw(&c, fm.start_mono_ns, W, H);
	wait_read(&c);
	kill(c.pid, SIGKILL);
	child_wait(&c);
	fm = resumed(&c, RESUME ",\"recording\":\"off\"");
	child_restart(&c, program, &fm, clock_mono_ns());
	draw(&c, clock_mono_ns(), W, H);
	expect(&c, TEE_STATUS_READY, &st);
	assert_int_equal(st.frames, 1);
	check_silence(&c, 0);
	child_mark(&c, TEE_MARK_START, clock_mono_ns(), 0);
	end(&c);
	load_manifests();
	assert_int_equal(n_manifests, 1);
	assert_int_equal(num(manifests[0], "seq"), 1);
	assert_string_equal(text(manifests[0], "split_reason"), "manual");
	assert_null(json_object_get(manifests[0], "gap_start_mono_ns"));
	free_manifests();
	child_free(&c);
}

/* ---- the decoder's part ---- */

static void
on_event(void *arg, const struct rfb_decoder_event *ev)
{
	(void)arg;
	(void)ev;
}

static void
knows_what_it_knows(void **state)
{
	struct rfb_pixel_format pf = { 32, 24, 0, 1, 255, 255, 255, 16, 8, 0 };
	struct rfb_decoder *d = rfb_decoder_new(W, H, &pf, on_event, NULL);
	size_t n;

	(void)state;
	assert_non_null(d);
	assert_true(rfb_decoder_is_known(d, 0, 0, W, H));
	rfb_decoder_skip_stateful(d);
	assert_false(rfb_decoder_is_known(d, 0, 0, 1, 1));
	n = fixture_raw(msg, px, W, 10, 20, 30, 40);
	assert_int_equal(rfb_decoder_feed(d, msg, n), 0);
	assert_true(rfb_decoder_is_known(d, 10, 20, 30, 40));
	assert_false(rfb_decoder_is_known(d, 9, 20, 1, 1));
	assert_false(rfb_decoder_is_known(d, 10, 19, 1, 2));
	assert_false(rfb_decoder_is_known(d, 10, 20, 31, 1));
	assert_false(rfb_decoder_is_known(d, 39, 59, 2, 2));
	/* what a resize keeps stays known, the rest is not */
	n = fixture_update(msg, 1);
	n += fixture_rect(msg + n, 0, 0, 600, 400, -223);
	assert_int_equal(rfb_decoder_feed(d, msg, n), 0);
	assert_true(rfb_decoder_is_known(d, 10, 20, 30, 40));
	assert_false(rfb_decoder_is_known(d, 500, 300, 1, 1));
	rfb_decoder_free(d);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		WITH_SPOOL(goes_on_in_a_new_file),
		WITH_SPOOL(takes_the_number_of_an_empty_file),
		WITH_SPOOL(counts_on_beside_repair),
		WITH_SPOOL(counts_on_after_it_was_taken),
		WITH_SPOOL(fails_when_streams_go_on),
		WITH_SPOOL(by_hand),
		WITH_SPOOL(stopped_by_hand),
		cmocka_unit_test(knows_what_it_knows),
	};

	if (argc < 2)
		return 2;
	program = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
