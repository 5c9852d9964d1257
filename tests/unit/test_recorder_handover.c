/*
 * A live recorder that is behind for good hands over to a capture, the real
 * programs (argv[1]): between what it encoded and what the replay makes
 * there is no gap, and every picture that a recorder without hurry took is
 * there. The stream is one zlib stream in a pixel format of its own, so that
 * it can only be gone on with by who knows its state.
 */
#include <zlib.h>

#include "recorder/lag.h"
#include "webm/webm_reader.h"
#include "rfb/protocol.h"
#include "tests/unit/recorder_check.h"

#define WIDE     640
#define HIGH     480
#define PICTURES 600 /* some seconds of work */
#define STEP_MS  100
#define END_MS   (STEP_MS * (PICTURES + 5))

static uint8_t swapped[sizeof(px)];
static z_stream deflater;

/* Red where blue was. */
static void
mark_format(struct child *c, uint64_t ns)
{
	static const uint8_t wire[16] = { 32, 24, 0, 1, 0, 255, 0, 255, 0, 255,
		0, 8, 16 };
	struct tee_mark m = { .offset = c->offset,
		.mono_ns = ns,
		.kind = TEE_MARK_PIXEL_FORMAT };

	memcpy(m.value, wire, sizeof(wire));
	assert_int_equal(tee_writer_mark(c->tee, &m), 0);
}

static void
draw_packed(struct child *c, uint64_t ns, uint32_t seed)
{
	size_t n = fixture_update(msg, 1), at;

	fixture_desktop(px, WIDE, HIGH, seed);
	for (size_t i = 0; i < (size_t)WIDE * HIGH * 4; i += 4) {
		swapped[i] = px[i + 2];
		swapped[i + 1] = px[i + 1];
		swapped[i + 2] = px[i];
	}
	n += fixture_rect(msg + n, 0, 0, WIDE, HIGH, 6);
	at = n;
	deflater.next_in = swapped;
	deflater.avail_in = WIDE * HIGH * 4;
	deflater.next_out = msg + at + 4;
	deflater.avail_out = (uInt)(sizeof(msg) - at - 4);
	assert_int_equal(deflate(&deflater, Z_SYNC_FLUSH), Z_OK);
	assert_true(deflater.avail_in == 0 && deflater.avail_out > 0);
	n = (size_t)(deflater.next_out - msg);
	store_be32(msg + at, (uint32_t)(n - at - 4));
	child_feed(c, ns, msg, n);
}

/* All of a session, ready to be read at once. */
static void
make_session(struct child *c, const char *more)
{
	struct fixture_meta fm = basic;

	fm.width = WIDE;
	fm.height = HIGH;
	fm.more = more;
	child_new(c, &fm, &spool);
	memset(&deflater, 0, sizeof(deflater));
	assert_int_equal(deflateInit(&deflater, 1), Z_OK);
	mark_format(c, START);
	child_mark(c, TEE_MARK_FRAME_RATE, START, 20);
	child_mark_monitor(c, START, 2, 0, 0, 320, HIGH, "left");
	for (uint32_t i = 0; i < PICTURES; i++)
		draw_packed(c, AT_MS(STEP_MS * (i + 1)), i);
	child_mark(c, TEE_MARK_END, AT_MS(END_MS), TEE_END_COMMAND);
	deflateEnd(&deflater);
}

/* When the pictures of all files are shown, ms of the session. */
static size_t
picture_times(uint64_t *out, size_t max)
{
	size_t n = 0;

	for (int i = 0; i < n_manifests; i++) {
		uint64_t start =
		    ((uint64_t)num(manifests[i], "start_mono_ns") - START) /
		    NS_PER_MS;
		struct webm_reader *r;
		struct webm_block b;
		char path[160];
		int fd = open(media_path(manifests[i], path), O_RDONLY);

		assert_int_equal(webm_reader_new_fd(&r, fd), 0);
		while (webm_reader_next(r, &b) == 1) {
			assert_true(n < max);
			out[n++] = start + b.time_ms;
		}
		webm_reader_free(r);
		close(fd);
	}
	return n;
}

static void
replay_into_spool(void)
{
	char id[64], command[600];
	int status;

	assert_int_equal(fixture_spool_count(&spool, ".capture", id), 1);
	id[36] = '\0';
	snprintf(command, sizeof(command),
	    "%s --log-level error --replay %s %s >/dev/null && cd %s && mv "
	    "%s.encode/* . && rm -r %s.*capture* %s.encode",
	    program, spool.path, id, spool.path, id, id, id);
	status = system(command);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void
expect(struct child *c, uint32_t kind, struct tee_status *st)
{
	assert_true(child_status(c, st));
	assert_int_equal(st->kind, kind);
}

static void
check_includes(
    const uint64_t *all, size_t n_all, const uint64_t *some, size_t n_some)
{
	size_t k = 0;

	for (size_t i = 0; i < n_some; i++) {
		while (k < n_all && all[k] < some[i])
			k++;
		if (k == n_all || all[k] != some[i])
			fail_msg("no picture at %llu ms",
			    (unsigned long long)some[i]);
	}
}

/* The same session without hurry: when its pictures are shown. */
static size_t
record_live(uint64_t *out, size_t max)
{
	struct child c;
	size_t n;

	make_session(&c, NULL);
	assert_int_equal(run_to_done(&c), 1);
	child_free(&c);
	n = picture_times(out, max);
	free_manifests();
	fixture_spool_remove(&spool);
	fixture_spool_make(&spool);
	return n;
}

static void
nothing_is_missing(void **state)
{
	static uint64_t usual[2 * PICTURES], all[2 * PICTURES];
	size_t n_usual = record_live(usual, N_ELEMENTS(usual)), n_all;
	struct tee_status st;
	uint64_t first;
	struct child c;

	(void)state;
	assert_in_range(n_usual, PICTURES, PICTURES + 2);
	make_session(&c, ",\"behind_seconds\":1");
	child_start(&c, program);
	expect(&c, TEE_STATUS_READY, &st);
	expect(&c, TEE_STATUS_SEGMENT, &st);
	expect(&c, TEE_STATUS_CAPTURE, &st);
	first = st.frames;
	expect(&c, TEE_STATUS_SEGMENT, &st);
	expect(&c, TEE_STATUS_DONE, &st);
	assert_int_equal(child_wait(&c), 0);
	child_free(&c);
	replay_into_spool();
	load_manifests();
	assert_int_equal(n_manifests, 2);
	check_chain(AT_MS(END_MS));
	assert_string_equal(text(manifests[1], "split_reason"), "overload");
	assert_null(json_object_get(manifests[1], "gap_start_mono_ns"));
	assert_int_equal(num(manifests[1], "first_frame"), first);
	assert_int_equal(num(manifests[1], "frame_rate"), 20);
	assert_int_equal(num(manifests[1], "monitor"), 2);
	assert_string_equal(text(manifests[1], "monitor_name"), "left");
	assert_int_equal(num(manifests[1], "width"), 320);
	assert_in_range(num(manifests[1], "frames"), 10, PICTURES - 10);
	n_all = picture_times(all, N_ELEMENTS(all));
	check_includes(all, n_all, usual, n_usual);
	assert_true(last_crop_psnr(manifests[1], WIDE, 0, 0, 320, HIGH) > 30);
	free_manifests();
}

static void
draw_raw(struct child *c, uint64_t ns, unsigned w, unsigned h, uint32_t seed)
{
	size_t n = fixture_update(msg, 1);

	fixture_desktop(px, w, h, seed);
	n += fixture_rect(msg + n, 0, 0, w, h, 0);
	memcpy(msg + n, px, (size_t)w * h * 4);
	child_feed(c, ns, msg, n + (size_t)w * h * 4);
}

/*
 * The relay has no memory for what the screen becomes: the capture begins
 * with the new size, at the moment of the change, and the segment before it
 * ended there for that reason. No encoder of the new size was made.
 */
static void
told_at_a_resize(void **state)
{
	struct fixture_meta fm = basic;
	struct tee_status st;
	struct child c;
	size_t n;

	(void)state;
	fm.width = 320;
	fm.height = 240;
	child_new(&c, &fm, &spool);
	draw_raw(&c, AT_MS(100), 320, 240, 1);
	draw_raw(&c, AT_MS(1000), 320, 240, 2);
	/* as the relay: at the rectangle, when the message has begun */
	n = fixture_update(msg, 1);
	child_feed(&c, AT_MS(3000), msg, n);
	child_mark(&c, TEE_MARK_CAPTURE, AT_MS(3000), 0);
	n = fixture_rect(msg, 0, 0, 240, 480, RFB_ENC_DESKTOP_SIZE);
	child_feed(&c, AT_MS(3000), msg, n);
	draw_raw(&c, AT_MS(3400), 240, 480, 3);
	draw_raw(&c, AT_MS(4000), 240, 480, 4);
	child_mark(&c, TEE_MARK_END, AT_MS(5000), TEE_END_COMMAND);
	child_start(&c, program);
	expect(&c, TEE_STATUS_READY, &st);
	expect(&c, TEE_STATUS_SEGMENT, &st);
	expect(&c, TEE_STATUS_CAPTURE, &st);
	expect(&c, TEE_STATUS_SEGMENT, &st);
	expect(&c, TEE_STATUS_DONE, &st);
	assert_int_equal(child_wait(&c), 0);
	child_free(&c);
	replay_into_spool();
	load_manifests();
	assert_int_equal(n_manifests, 2);
	check_chain(AT_MS(5000));
	assert_string_equal(text(manifests[0], "end"), "orientation");
	assert_int_equal(num(manifests[0], "end_mono_ns"), AT_MS(3000));
	assert_string_equal(text(manifests[1], "split_reason"), "orientation");
	assert_int_equal(num(manifests[1], "width"), 240);
	assert_int_equal(num(manifests[1], "height"), 480);
	assert_null(json_object_get(manifests[1], "gap_start_mono_ns"));
	assert_true(last_frame_psnr(manifests[1], 240, 480) > 30);
	free_manifests();
}

/* Without a resize: it ends here, and goes on here. */
static void
told_in_between(void **state)
{
	struct tee_status st;
	struct child c;

	(void)state;
	child_new(&c, &basic, &spool);
	draw_raw(&c, AT_MS(100), W, H, 1);
	draw_raw(&c, AT_MS(1000), W, H, 2);
	child_mark(&c, TEE_MARK_CAPTURE, AT_MS(2000), 0);
	draw_raw(&c, AT_MS(3000), W, H, 3);
	child_mark(&c, TEE_MARK_END, AT_MS(5000), TEE_END_COMMAND);
	child_start(&c, program);
	expect(&c, TEE_STATUS_READY, &st);
	expect(&c, TEE_STATUS_SEGMENT, &st);
	expect(&c, TEE_STATUS_CAPTURE, &st);
	expect(&c, TEE_STATUS_SEGMENT, &st);
	expect(&c, TEE_STATUS_DONE, &st);
	assert_int_equal(child_wait(&c), 0);
	child_free(&c);
	replay_into_spool();
	load_manifests();
	assert_int_equal(n_manifests, 2);
	check_chain(AT_MS(5000));
	assert_string_equal(text(manifests[1], "split_reason"), "overload");
	assert_true(last_frame_psnr(manifests[1], W, H) > 30);
	free_manifests();
}

/* A screen beyond max_pixels is refused before any memory is taken for it;
 * what came before is a segment. */
static void
too_large_a_screen(void **state)
{
	struct fixture_meta fm = basic;
	struct tee_status st;
	struct child c;

	(void)state;
	fm.more = ",\"max_pixels\":307200";
	child_new(&c, &fm, &spool);
	draw_raw(&c, AT_MS(100), W, H, 1);
	resize(&c, AT_MS(1000), 640, 481);
	child_start(&c, program);
	expect(&c, TEE_STATUS_READY, &st);
	expect(&c, TEE_STATUS_SEGMENT, &st);
	expect(&c, TEE_STATUS_FAILED, &st);
	assert_string_equal(
	    st.text, "the screen is larger than the site allows");
	assert_int_not_equal(child_wait(&c), 0);
	child_free(&c);
	fm.more = ",\"max_pixels\":100";
	child_new(&c, &fm, &spool);
	child_start(&c, program);
	expect(&c, TEE_STATUS_FAILED, &st);
	child_wait(&c);
	child_free(&c);
}

/* By hand: what is not recorded is not kept, so it stays live. */
static void
by_hand_stays_live(void **state)
{
	struct tee_status st;
	struct child c;

	(void)state;
	make_session(&c, ",\"behind_seconds\":1,\"recording\":\"off\"");
	child_start(&c, program);
	expect(&c, TEE_STATUS_READY, &st);
	expect(&c, TEE_STATUS_DONE, &st);
	assert_int_equal(child_wait(&c), 0);
	child_free(&c);
	assert_int_equal(fixture_spool_count(&spool, "", NULL), 0);
}

static void
what_counts_as_behind(void **state)
{
	const uint64_t s = NS_PER_S;
	struct lag never = { 0 }, l = { .limit_ns = 5 * s };

	(void)state;
	assert_false(lag_is_for_good(&never, 99 * s, 0, 100, 100));
	assert_false(lag_is_for_good(&never, 999 * s, 0, 100, 100));
	/* a full ring, for as long as the limit */
	assert_false(lag_is_for_good(&l, 10 * s, 10 * s, 75, 100));
	assert_false(lag_is_for_good(&l, 15 * s - 1, 14 * s, 90, 100));
	assert_true(lag_is_for_good(&l, 15 * s, 14 * s, 75, 100));
	/* a moment without it, and it counts from anew */
	assert_false(lag_is_for_good(&l, 16 * s, 15 * s, 74, 100));
	assert_false(lag_is_for_good(&l, 17 * s, 16 * s, 75, 100));
	assert_false(lag_is_for_good(&l, 21 * s, 20 * s, 75, 100));
	assert_true(lag_is_for_good(&l, 22 * s, 21 * s, 75, 100));
	/* late, though there is room */
	l.since_ns = 0;
	assert_false(lag_is_for_good(&l, 30 * s, 25 * s, 1, 100));
	assert_int_equal(l.since_ns, 0);
	assert_false(lag_is_for_good(&l, 31 * s, 25 * s, 1, 100));
	assert_true(lag_is_for_good(&l, 36 * s, 25 * s, 1, 100));
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_counts_as_behind),
		WITH_SPOOL(nothing_is_missing),
		WITH_SPOOL(told_at_a_resize),
		WITH_SPOOL(told_in_between),
		WITH_SPOOL(too_large_a_screen),
		WITH_SPOOL(by_hand_stays_live),
	};

	if (argc != 2)
		return 2;
	program = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
