/*
 * The encoder while nothing moves: it goes when all is shown and repeated, and
 * the next picture is a key frame of a new one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <time.h>

#include "common/clock.h"
#include "recorder/meta.h"
#include "recorder/session/recorder_session_internal.h"
#include "webm/webm_reader.h"
#include "tests/unit/recorder_fixture.h"

#define W        320u
#define H        240u
#define START    (100 * NS_PER_S)
#define AT_S(s)  (START + (uint64_t)(s)*NS_PER_S)
#define BLOCKS_N 256

static struct fixture_spool spool;
static struct meta meta;
static struct recorder_session *s;
static uint8_t px[W * H * 4], msg[W * H * 4 + 64];
static struct webm_block blocks[BLOCKS_N];

static void
on_session(
    void *arg, enum recorder_session_event ev, const struct segment_result *res)
{
	(void)arg;
	(void)ev;
	(void)res;
}

static void
begin(const char *codec)
{
	const struct fixture_meta fm = { W, H, 10, START, 1 << 20, 0, codec };
	const char *why;
	char json[2048];

	fixture_spool_make(&spool);
	assert_int_equal(meta_parse(&meta, json,
			     fixture_meta_json(&fm, json, sizeof(json)), &why),
	    0);
	strcpy(meta.time_zone, "UTC");
	s = recorder_session_new(&meta, spool.fd, on_session, NULL);
	assert_non_null(s);
	assert_int_equal(recorder_session_start(s), 0);
}

static void
draw(uint64_t ns, unsigned seed)
{
	struct tee_mark mark = { .kind = TEE_MARK_TIME, .mono_ns = ns };

	fixture_desktop(px, W, H, seed);
	assert_int_equal(recorder_session_mark(s, &mark), 0);
	assert_int_equal(
	    recorder_session_feed(s, msg, fixture_raw(msg, px, W, 0, 0, W, H)),
	    0);
}

/* Ends the session; its file's frames. */
static size_t
end(uint64_t ns)
{
	struct tee_mark mark = { .kind = TEE_MARK_END, .mono_ns = ns };
	struct webm_reader *r;
	char name[64], path[160];
	size_t n = 0;
	int fd;

	assert_int_equal(recorder_session_mark(s, &mark), 0);
	recorder_session_free(s);
	assert_int_equal(fixture_spool_count(&spool, ".webm", name), 1);
	snprintf(path, sizeof(path), "%s/%s", spool.path, name);
	fd = open(path, O_RDONLY);
	assert_int_equal(webm_reader_new_fd(&r, fd), 0);
	while (webm_reader_next(r, &blocks[n]) == 1)
		assert_true(++n < BLOCKS_N);
	assert_int_equal(webm_reader_end(r), WEBM_END_FINISHED);
	webm_reader_free(r);
	close(fd);
	fixture_spool_remove(&spool);
	return n;
}

static const struct webm_block *
block_at(size_t n, uint64_t ms)
{
	for (size_t i = 0; i < n; i++)
		if (blocks[i].time_ms == ms)
			return &blocks[i];
	fail_msg("no frame at %u ms", (unsigned)ms);
	return NULL;
}

static void
goes_and_comes_back(void **state)
{
	uint64_t longest = 0;
	size_t n;

	(void)state;
	begin("vp9");
	draw(AT_S(0), 1);
	draw(AT_S(1), 2);
	assert_int_equal(recorder_session_tick(s, AT_S(9)), 0);
	assert_non_null(s->encoder);
	assert_int_equal(recorder_session_tick(s, AT_S(20)), 0);
	assert_null(s->encoder);
	/* repeats need none */
	assert_int_equal(recorder_session_tick(s, AT_S(25)), 0);
	assert_null(s->encoder);
	draw(AT_S(30), 3);
	assert_non_null(s->encoder);
	draw(AT_S(31), 4);
	n = end(AT_S(60));
	assert_true(block_at(n, 30000)->is_key);
	assert_false(block_at(n, 31000)->is_key);
	for (size_t i = 1; i < n; i++)
		longest =
		    max_u64(longest, blocks[i].time_ms - blocks[i - 1].time_ms);
	assert_in_range(longest, 900, 1100);
}

/* The key frame that comes every ten minutes of stillness has one as well. */
static void
makes_the_key_frame_of_a_still_screen(void **state)
{
	size_t n = 0;

	(void)state;
	begin("vp9");
	draw(AT_S(0), 1);
	for (unsigned t = 1; t <= 20; t++)
		assert_int_equal(recorder_session_tick(s, AT_S(t)), 0);
	assert_null(s->encoder);
	s->pacer.last_key_ns -= 590 * NS_PER_S;
	assert_int_equal(recorder_session_tick(s, AT_S(22)), 0);
	assert_non_null(s->encoder);
	assert_int_equal(recorder_session_tick(s, AT_S(60)), 0);
	assert_null(s->encoder);
	n = end(AT_S(62));
	for (size_t i = 1; i < n; i++)
		if (blocks[i].is_key)
			return;
	fail_msg("none of %zu frames is a key frame", n);
}

/* Damage of which nothing is left to show does not need one. */
static void
stays_away_while_nothing_changes(void **state)
{
	(void)state;
	begin("vp9");
	draw(AT_S(0), 1);
	assert_int_equal(recorder_session_tick(s, AT_S(20)), 0);
	assert_null(s->encoder);
	draw(AT_S(21), 1); /* the same picture */
	assert_int_equal(recorder_session_tick(s, AT_S(40)), 0);
	assert_null(s->encoder);
	end(AT_S(41));
}

/* VP8 has no packet that repeats: a key frame after a pause would be shown
 * too early (docs/webm.md). */
static void
stays_with_vp8(void **state)
{
	(void)state;
	begin("vp8");
	draw(AT_S(0), 1);
	assert_int_equal(recorder_session_tick(s, AT_S(60)), 0);
	assert_non_null(s->encoder);
	end(AT_S(61));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(goes_and_comes_back),
		cmocka_unit_test(makes_the_key_frame_of_a_still_screen),
		cmocka_unit_test(stays_away_while_nothing_changes),
		cmocka_unit_test(stays_with_vp8),
	};

	setenv("TZ", "UTC", 1);
	tzset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
