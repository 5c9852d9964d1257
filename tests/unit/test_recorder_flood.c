/*
 * Streams that order much drawing with few bytes (rfb/work.h), the real
 * relaycam-recorder (argv[1]): while it records, it is seen to move and says
 * what it costs; a capture that orders more than a relay lets through stops
 * the replay, with words, and what came before is a segment.
 */
#include <sysexits.h>

#include "rfb/protocol.h"
#include "tests/unit/recorder_check.h"

#define SIDE    4096 /* of the screen; 64x64 of it are recorded */
#define FILLS   60   /* of the whole screen, in an update of 1204 bytes */
#define UPDATES 250  /* 250 thousand million pixels: minutes */

static uint8_t flood[UPDATES * (4 + FILLS * 20)];

static size_t
fill_everything(uint8_t *out)
{
	size_t n = 0;

	for (unsigned u = 0; u < UPDATES; u++) {
		n += fixture_update(out + n, FILLS);
		for (unsigned i = 0; i < FILLS; i++) {
			n += fixture_rect(
			    out + n, 0, 0, SIDE, SIDE, RFB_ENC_RRE);
			store_be32(out + n, 0);
			store_be32(out + n + 4, i);
			n += 8;
		}
	}
	return n;
}

/* Waits for a status of this kind. */
static void
expect_kind(struct child *c, uint32_t kind)
{
	struct tee_status st;

	do
		assert_true(child_status(c, &st));
	while (st.kind != kind);
}

/* child_status leaves these out. */
static void
expect_load(struct child *c)
{
	struct pollfd p = { .fd = c->status_fd, .events = POLLIN };
	struct tee_status st = { 0 };

	while (st.kind != TEE_STATUS_LOAD) {
		assert_int_equal(poll(&p, 1, CHILD_WAIT_MS), 1);
		assert_int_equal(
		    recv(c->status_fd, &st, sizeof(st), 0), sizeof(st));
	}
}

static void
a_recorder_is_seen_to_move(void **state)
{
	struct fixture_meta fm = basic;
	struct child c;
	uint64_t at;
	size_t len;

	(void)state;
	fm.width = fm.height = SIDE;
	child_new(&c, &fm, &spool);
	child_mark_monitor(&c, START, 1, 0, 0, 64, 64, "corner");
	len = fill_everything(flood);
	assert_int_equal(len, sizeof(flood));
	child_feed(&c, AT_MS(10), flood, len);
	child_start(&c, program);
	/* the relay would take it for dead if nothing of this came */
	expect_load(&c);
	at = tee_writer_get_recorded(c.tee);
	assert_in_range(at, 1, len - 1);
	expect_load(&c);
	assert_in_range(tee_writer_get_recorded(c.tee), at + 1, len - 1);
	kill(c.pid, SIGKILL);
	child_wait(&c);
	child_free(&c);
}

/* Sizes draw nothing where a corner is recorded, and count: a flood whose
 * replay would take days, without the days. */
static void
feed_sizes(struct child *c, unsigned n)
{
	size_t len = 0;

	for (unsigned i = 0; i < n; i++) {
		unsigned side = i % 2 == 0 ? RFB_MAX_SIDE : 64;

		len += fixture_update(flood + len, 1);
		len += fixture_rect(
		    flood + len, 0, 0, side, side, RFB_ENC_DESKTOP_SIZE);
	}
	child_feed(c, AT_MS(1000), flood, len);
}

static void
make_capture(unsigned n_sizes, char id[64])
{
	struct fixture_meta fm = basic;
	struct child c;

	fm.width = fm.height = 64;
	fm.more = ",\"mode\":\"capture\"";
	child_new(&c, &fm, &spool);
	child_mark_monitor(&c, START, 1, 0, 0, 64, 64, "corner");
	fixture_desktop(px, 64, 64, 1);
	draw(&c, AT_MS(100), 64, 64);
	feed_sizes(&c, n_sizes);
	child_mark(&c, TEE_MARK_END, AT_MS(2000), TEE_END_COMMAND);
	child_start(&c, program);
	expect_kind(&c, TEE_STATUS_DONE);
	assert_int_equal(child_wait(&c), 0);
	child_free(&c);
	assert_int_equal(fixture_spool_count(&spool, ".capture", id), 1);
	id[36] = '\0';
}

/* Exit status; whether it said that it stopped, and why. */
static int
replay(const char *id, bool *is_stopped)
{
	char command[400], line[200];
	FILE *f;
	int status;

	/* a sanitizer would mark gigabytes that nobody touches */
	snprintf(command, sizeof(command),
	    "ASAN_OPTIONS=$ASAN_OPTIONS:poison_heap=0 %s --log-level error "
	    "--replay %s %s",
	    program, spool.path, id);
	f = popen(command, "r");
	assert_non_null(f);
	*is_stopped = false;
	while (fgets(line, sizeof(line), f) != NULL)
		*is_stopped |= strcmp(line,
				   "stopped it draws more than can be encoded "
				   "in twice its time\n") == 0;
	status = pclose(f);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void
take_replayed(const char *id)
{
	char command[300];

	/* the capture's first segment has its id */
	snprintf(command, sizeof(command),
	    "cd %s && rm %s.capture* && mv %s.encode/* . && rmdir %s.encode",
	    spool.path, id, id, id);
	assert_int_equal(system(command), 0);
	load_manifests();
}

static void
a_replay_has_an_end(void **state)
{
	char id[64];
	bool is_stopped;

	(void)state;
	/* 2,000 screens of 268 million pixels are more than RFB_WORK_BURST */
	make_capture(4000, id);
	assert_int_equal(replay(id, &is_stopped), EX_PROTOCOL);
	assert_true(is_stopped);
	take_replayed(id);
	assert_int_equal(n_manifests, 1);
	assert_string_equal(text(manifests[0], "end"), "error");
	assert_int_equal(num(manifests[0], "end_mono_ns"), AT_MS(1000));
	free_manifests();
}

static void
less_is_no_flood(void **state)
{
	char id[64];
	bool is_stopped;

	(void)state;
	make_capture(200, id);
	assert_int_equal(replay(id, &is_stopped), 0);
	assert_false(is_stopped);
	take_replayed(id);
	assert_int_equal(n_manifests, 1);
	assert_string_equal(text(manifests[0], "end"), "command");
	free_manifests();
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		WITH_SPOOL(a_recorder_is_seen_to_move),
		WITH_SPOOL(a_replay_has_an_end),
		WITH_SPOOL(less_is_no_flood),
	};

	if (argc != 2)
		return 2;
	program = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
