/*
 * A disk that takes a picture no more and then takes the file's end: what is in
 * the file shows what was there (X2). A session fed with times of its own.
 */
#include <signal.h>
#include <sys/resource.h>

#include "recorder/session/recorder_session.h"
#include "tests/unit/recorder_check.h"

#define SPOT 16

static struct meta meta;
static struct recorder_session *session;

static void
on_session(
    void *arg, enum recorder_session_event ev, const struct segment_result *res)
{
	(void)arg;
	(void)ev;
	(void)res;
}

static int
mark(unsigned ms)
{
	struct tee_mark m = { .kind = TEE_MARK_TIME, .mono_ns = AT_MS(ms) };

	return recorder_session_mark(session, &m);
}

static void
feed(unsigned ms, size_t len)
{
	assert_int_equal(mark(ms), 0);
	assert_int_equal(recorder_session_feed(session, msg, len), 0);
}

/* All of the screen. */
static void
show_all(unsigned ms, int grey)
{
	memset(px, grey, sizeof(px));
	feed(ms, fixture_raw(msg, px, W, 0, 0, W, H));
}

/* Its first corner. */
static void
show_spot(unsigned ms, int grey)
{
	memset(px, grey, sizeof(px));
	feed(ms, fixture_raw(msg, px, SPOT, 0, 0, SPOT, SPOT));
}

/* No file grows beyond what the segment's has; 0: as they like. */
static void
limit_files(bool is_on)
{
	struct rlimit limit;
	struct stat st;
	char name[64];

	assert_int_equal(fixture_spool_count(&spool, ".webm.part", name), 1);
	assert_int_equal(fstatat(spool.fd, name, &st, 0), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = is_on ? (rlim_t)st.st_size : limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* What the last frame has in that corner. */
static int
last_grey(const json_t *j)
{
	static uint8_t picture[W * H];
	char path[160], command[400];
	size_t n = 0;
	FILE *f;

	snprintf(command, sizeof(command),
	    "ffmpeg -v error -i %s -f rawvideo -pix_fmt gray -vsync 0 "
	    "-enc_time_base 1:1000 -",
	    media_path(j, path));
	f = popen(command, "r");
	while (fread(picture, 1, sizeof(picture), f) == sizeof(picture))
		n++;
	assert_int_equal(pclose(f), 0);
	assert_int_equal(n, num(j, "frames"));
	return picture[SPOT / 2 * W + SPOT / 2];
}

static void
what_was_not_written_is_not_built_on(void **state)
{
	struct fixture_meta fm = basic;
	char json[2048];
	const char *why;

	(void)state;
	assert_int_equal(meta_parse(&meta, json,
			     fixture_meta_json(&fm, json, sizeof(json)), &why),
	    0);
	session = recorder_session_new(&meta, spool.fd, on_session, NULL);
	assert_non_null(session);
	assert_int_equal(recorder_session_start(session), 0);
	show_all(20, 220);
	show_all(1000, 200);
	show_spot(1100, 60);
	limit_files(true);
	assert_int_not_equal(mark(1800), 0); /* its picture */
	limit_files(false);
	recorder_session_close(session, "error", AT_MS(2500));
	recorder_session_free(session);
	load_manifests();
	assert_int_equal(n_manifests, 1);
	check_media(manifests[0]);
	assert_in_range(last_grey(manifests[0]), 50, 75);
	free_manifests();
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		WITH_SPOOL(what_was_not_written_is_not_built_on),
	};

	if (argc < 2)
		return 2;
	program = argv[1];
	/* a limit of the size is told by it, and by the error */
	signal(SIGXFSZ, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
