/*
 * Segment files and manifests: the order of steps, a death before each of
 * them, and what repair makes of what is left (docs/spool.md). The calls
 * that change the folder are wrapped by the linker and counted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <jansson.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>

#include "common/err.h"
#include "recorder/frame/encoder.h"
#include "recorder/session/recorder_manifest.h"
#include "recorder/recorder_repair.h"
#include "recorder/session/segment.h"
#include "tests/unit/recorder_fixture.h"

#define N_FRAMES 30
#define DIED     77

static struct fixture_spool spool;
/* meson builds with 64-bit file offsets, where openat is openat64 */
static int steps_left = -1; /* -1: live for ever */

/* One more change of the folder; dies in front of the chosen one. */
static void
step(void)
{
	if (steps_left == 0)
		_exit(DIED);
	if (steps_left > 0)
		steps_left--;
}

int __real_openat64(int dir, const char *name, int flags, ...);
int __wrap_openat64(int dir, const char *name, int flags, ...);
int
__wrap_openat64(int dir, const char *name, int flags, ...)
{
	if ((flags & O_CREAT) != 0)
		step();
	return __real_openat64(dir, name, flags, 0640);
}

int __real_renameat(int d1, const char *a, int d2, const char *b);
int __wrap_renameat(int d1, const char *a, int d2, const char *b);
int
__wrap_renameat(int d1, const char *a, int d2, const char *b)
{
	step();
	return __real_renameat(d1, a, d2, b);
}

int __real_unlinkat(int dir, const char *name, int flags);
int __wrap_unlinkat(int dir, const char *name, int flags);
int
__wrap_unlinkat(int dir, const char *name, int flags)
{
	step();
	return __real_unlinkat(dir, name, flags);
}

static void
make_meta(struct meta *m, uint64_t min_free, uint64_t segment_bytes)
{
	const struct fixture_meta fm = { 64, 48, 10, NS_PER_S, segment_bytes,
		min_free, "vp9" };
	const char *why;
	char json[2048];
	size_t len = fixture_meta_json(&fm, json, sizeof(json));

	assert_int_equal(meta_parse(m, json, len, &why), 0);
}

static struct segment_params
params(uint64_t start_ns)
{
	return (struct segment_params){ .seq = 3,
		.first_frame = 11,
		.split_reason = "size",
		.monitor = 2,
		.monitor_name = "DP-1",
		.frame_rate = 10,
		.width = 64,
		.height = 48,
		.start_mono_ns = start_ns };
}

/* A segment of N_FRAMES real frames, 100 ms apart. */
static int
write_segment(struct segment_store *st)
{
	struct encoder *e = encoder_new(ENCODER_VP9, ENCODER_TEXT, 64, 48);
	struct segment_params p = params(2 * NS_PER_S);
	struct segment_result res;
	struct segment *sg = NULL;
	struct encoder_packet pkt;
	struct canvas c;
	int rc = canvas_init(&c, 64, 48);

	if (rc == 0) {
		canvas_clean(&c); /* black */
		canvas_damage_all(&c);
	}
	if (rc == 0)
		rc = segment_open(&sg, st, &p);
	for (unsigned i = 0; rc == 0 && i < N_FRAMES; i++) {
		rc = encoder_encode(e, &c, 100 * i, 100, i == 0, c.dirty, &pkt);
		if (rc == 0)
			rc = segment_write(sg,
			    &(struct webm_frame){ .data = pkt.data,
				.len = pkt.len,
				.time_ms = 100 * i,
				.is_key = i == 0 },
			    0);
	}
	if (rc == 0)
		rc = segment_set_poster(sg, (const uint8_t *)"jpeg", 4);
	if (rc == 0)
		rc = segment_close(sg, "resolution", 7 * NS_PER_S, NULL, &res);
	canvas_release(&c);
	encoder_free(e);
	return rc;
}

static json_t *
load_json(const char *name)
{
	char path[160];
	json_t *j;

	snprintf(path, sizeof(path), "%s/%s", spool.path, name);
	j = json_load_file(path, 0, NULL);
	assert_non_null(j);
	return j;
}

static int64_t
num(const json_t *j, const char *field)
{
	assert_true(json_is_integer(json_object_get(j, field)));
	return json_integer_value(json_object_get(j, field));
}

static void
assert_text(const json_t *j, const char *field, const char *value)
{
	assert_string_equal(
	    json_string_value(json_object_get(j, field)), value);
}

static off_t
file_size(const char *name)
{
	struct stat st;

	assert_int_equal(fstatat(spool.fd, name, &st, 0), 0);
	return st.st_size;
}

static void
manifest_says_everything(void **state)
{
	struct segment_store st;
	struct meta m;
	char name[64];
	json_t *j;

	(void)state;
	make_meta(&m, 0, 1 << 20);
	segment_store_init(&st, spool.fd, &m);
	assert_int_equal(write_segment(&st), 0);
	assert_int_equal(fixture_spool_count(&spool, "", NULL), 3);
	assert_int_equal(fixture_spool_count(&spool, ".json", name), 1);
	j = load_json(name);
	assert_int_equal(num(j, "version"), 1);
	assert_int_equal(
	    strncmp(name, json_string_value(json_object_get(j, "segment")), 36),
	    0);
	assert_text(j, "session", FIXTURE_SESSION);
	assert_text(j, "team", "acme");
	assert_text(j, "endpoint", "pc-7");
	assert_text(j, "technician", "alice");
	assert_int_equal(num(j, "team_id"), 1);
	assert_int_equal(num(j, "endpoint_id"), 2);
	assert_int_equal(num(j, "person_id"), 3);
	assert_text(j, "access", "unattended");
	assert_text(j, "time_zone", "Europe/Berlin");
	assert_int_equal(num(j, "retention_days"), 90);
	assert_int_equal(num(j, "seq"), 3);
	assert_text(j, "split_reason", "size");
	assert_int_equal(num(j, "monitor"), 2);
	assert_text(j, "codec", "vp9");
	/* one second after 1795248219.233 Unix time, in winter time (T7) */
	assert_text(j, "object_key",
	    "acme/pc-7/" FIXTURE_SESSION
	    "/monitor-2/2026-11-21T09-03-40+0100.webm");
	assert_int_equal(num(j, "start_mono_ns"), 2 * NS_PER_S);
	assert_int_equal(num(j, "end_mono_ns"), 7 * NS_PER_S);
	assert_int_equal(
	    num(j, "end_wall_ns") - num(j, "start_wall_ns"), 5 * NS_PER_S);
	assert_int_equal(num(j, "frames"), N_FRAMES);
	assert_int_equal(num(j, "first_frame"), 11);
	assert_int_equal(num(j, "last_frame"), 11 + N_FRAMES - 1);
	assert_int_equal(num(j, "duration_ms"), 5000);
	assert_true(json_is_false(json_object_get(j, "recovered")));
	assert_text(j, "end", "resolution");
	assert_null(json_object_get(j, "activity"));
	strcpy(name + 36, ".jpg");
	assert_text(j, "poster", name);
	assert_int_equal(file_size(name), 4);
	strcpy(name + 36, ".webm");
	assert_int_equal(num(j, "bytes"), file_size(name));
	json_decref(j);
}

/* A second file in the same second gets a name of its own (T11). */
static void
names_differ_within_a_second(void **state)
{
	static const char *const endings[] = { "+0100.webm", "+0100-2.webm",
		"+0100-3.webm", "41+0100.webm" };
	struct segment_store st;
	struct meta m;

	(void)state;
	make_meta(&m, 0, 1 << 20);
	segment_store_init(&st, spool.fd, &m);
	for (size_t i = 0; i < N_ELEMENTS(endings); i++) {
		struct segment_params p =
		    params(i == 3 ? 3 * NS_PER_S : 2 * NS_PER_S + i);
		struct segment *sg;
		char name[64];
		const char *key;
		json_t *j;

		assert_int_equal(segment_open(&sg, &st, &p), 0);
		j = load_json(
		    recorder_manifest_name(segment_id(sg), ".json.open", name));
		key = json_string_value(json_object_get(j, "object_key"));
		assert_string_equal(
		    key + strlen(key) - strlen(endings[i]), endings[i]);
		json_decref(j);
		segment_abandon(sg);
	}
}

static void
open_file_is_locked(void **state)
{
	struct segment_params p = params(NS_PER_S);
	struct segment_store st;
	struct segment *sg;
	struct meta m;
	char name[64];
	int fd;

	(void)state;
	make_meta(&m, 0, 1 << 20);
	segment_store_init(&st, spool.fd, &m);
	assert_int_equal(segment_open(&sg, &st, &p), 0);
	recorder_manifest_name(segment_id(sg), ".webm.part", name);
	fd = openat(spool.fd, name, O_RDONLY);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), -1);
	segment_abandon(sg);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	close(fd);
}

static void
too_little_space_leaves_nothing(void **state)
{
	struct segment_params p = params(NS_PER_S);
	struct segment_store st;
	struct segment *sg;
	struct meta m;

	(void)state;
	make_meta(&m, INT64_MAX, 1 << 20);
	segment_store_init(&st, spool.fd, &m);
	assert_int_equal(segment_open(&sg, &st, &p), ERR_NOSPACE);
	assert_int_equal(fixture_spool_count(&spool, "", NULL), 0);
	m.min_free_bytes = 0;
	assert_int_equal(segment_open(&sg, &st, &p), 0);
	m.min_free_bytes = INT64_MAX; /* now it has become scarce */
	assert_int_equal(segment_tick(sg, 2 * NS_PER_S), ERR_NOSPACE);
	segment_abandon(sg);
}

/* repair_main enters a sandbox for good, so it gets a process. */
static int
run_repair(const char *id)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(repair_main(spool.path, id));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* What storage does with a folder in any state of docs/spool.md. */
static void
recover(const char *id, unsigned n)
{
	char name[64];
	bool part, final, open;
	json_t *j;

	part =
	    faccessat(spool.fd, recorder_manifest_name(id, ".webm.part", name),
		F_OK, 0) == 0;
	open =
	    faccessat(spool.fd, recorder_manifest_name(id, ".json.open", name),
		F_OK, 0) == 0;
	final = faccessat(spool.fd, recorder_manifest_name(id, ".webm", name),
		    F_OK, 0) == 0;
	/* never both names, never media without a manifest but at birth */
	assert_true(part != final);
	if (part && !open) {
		assert_true(n <= 3);
		assert_true(file_size(recorder_manifest_name(
				id, ".webm.part", name)) < 2048);
		return;
	}
	if (part) {
		assert_int_equal(run_repair(id), 0);
		j = load_json(recorder_manifest_name(id, ".json", name));
		assert_true(json_is_true(json_object_get(j, "recovered")));
		assert_text(j, "end", "crash");
		assert_int_equal(num(j, "frames"), N_FRAMES);
		assert_int_equal(num(j, "first_frame"), 11);
		assert_int_equal(num(j, "last_frame"), 11 + N_FRAMES - 1);
		assert_int_equal(num(j, "bytes"),
		    file_size(recorder_manifest_name(id, ".webm", name)));
		json_decref(j);
	}
	assert_int_equal(fixture_spool_count(&spool, ".webm", NULL), 1);
	assert_int_equal(fixture_spool_count(&spool, ".part", NULL), 0);
	/* named if it is there, and only then */
	j = load_json(recorder_manifest_name(id, ".json", name));
	assert_int_equal(fixture_spool_count(&spool, ".jpg", name),
	    json_object_get(j, "poster") != NULL);
	if (json_object_get(j, "poster") != NULL)
		assert_text(j, "poster", name);
	json_decref(j);
}

static void
death_before_each_step(void **state)
{
	unsigned n, n_repaired = 0;

	(void)state;
	for (n = 0; n < 50; n++) {
		char name[64] = "";
		int status;
		pid_t pid;

		fixture_spool_make(&spool);
		pid = fork();
		if (pid == 0) {
			struct segment_store st;
			struct meta m;

			make_meta(&m, 0, 1 << 20);
			segment_store_init(&st, spool.fd, &m);
			steps_left = (int)n;
			_exit(write_segment(&st) == 0 ? 0 : 1);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		if (fixture_spool_count(&spool, ".webm.part", name) == 1 ||
		    fixture_spool_count(&spool, ".webm", name) == 1) {
			n_repaired += strstr(name, ".part") != NULL;
			name[36] = '\0';
			recover(name, n);
		} else {
			assert_int_equal(n, 0); /* before anything */
		}
		fixture_spool_remove(&spool);
		if (WEXITSTATUS(status) == 0)
			break;
		assert_int_equal(WEXITSTATUS(status), DIED);
	}
	/*
	 * create, .open x3, .jpg x3, .json x3, rename, remove: 12 deaths and
	 * a life
	 */
	assert_int_equal(n, 12);
	assert_int_equal(n_repaired, 10);
}

static void
repair_refuses(void **state)
{
	static const char missing[] = "00000000-0000-4000-8000-000000000000";
	struct segment_params p = params(NS_PER_S);
	struct segment_store st;
	struct segment *sg;
	struct meta m;
	char id[META_UUID_LEN], name[64];
	int fd;

	(void)state;
	assert_int_equal(run_repair("../../etc/passwd"), EX_USAGE);
	assert_int_equal(
	    run_repair("00000000-0000-4000-8000-00000000000A"), EX_USAGE);
	assert_int_equal(run_repair(missing), EX_NOINPUT);
	make_meta(&m, 0, 1 << 20);
	segment_store_init(&st, spool.fd, &m);
	assert_int_equal(segment_open(&sg, &st, &p), 0);
	strcpy(id, segment_id(sg));
	assert_int_equal(run_repair(id), EX_TEMPFAIL); /* it lives */
	segment_abandon(sg);
	assert_int_equal(run_repair(id), EX_UNAVAILABLE); /* no frame */
	assert_int_equal(fixture_spool_count(&spool, ".webm.part", NULL), 1);
	fd = openat(spool.fd, recorder_manifest_name(id, ".json.open", name),
	    O_WRONLY | O_TRUNC);
	assert_int_equal(write(fd, "{}", 2), 2);
	close(fd);
	assert_int_equal(run_repair(id), EX_DATAERR);
}

static int
setup(void **state)
{
	(void)state;
	fixture_spool_make(&spool);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	fixture_spool_remove(&spool);
	return 0;
}

#ifdef RELAYCAM_SANITIZE
/* The leak check of a child starts a thread, which the sandbox forbids. */
int __lsan_is_turned_off(void);
int
__lsan_is_turned_off(void)
{
	return 1; /* not an option: the environment would have the last word */
}
#endif

#define WITH_SPOOL(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SPOOL(manifest_says_everything),
		WITH_SPOOL(names_differ_within_a_second),
		WITH_SPOOL(open_file_is_locked),
		WITH_SPOOL(too_little_space_leaves_nothing),
		WITH_SPOOL(repair_refuses),
		cmocka_unit_test(death_before_each_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
