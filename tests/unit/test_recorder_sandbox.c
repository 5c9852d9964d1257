/* The sandbox: recording works in it, everything else is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "common/err.h"
#include "recorder/sandbox.h"
#include "recorder/session/recorder_session.h"
#include "tests/unit/recorder_fixture.h"

static struct fixture_spool spool;

static void
on_session(
    void *arg, enum recorder_session_event ev, const struct segment_result *res)
{
	if (ev == RECORDER_SESSION_SEGMENT)
		*(uint64_t *)arg += res->frames;
}

/* Runs fn in a child inside the sandbox; its wait status. */
static int
run_inside(int (*fn)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct sandbox box = { .spool_fd = spool.fd,
			.status_fd = -1,
			.will_narrow = true };
		const char *why;

		setenv("TZ", "UTC", 1);
		tzset();
		if (sandbox_enter(&box, &why) != 0)
			_exit(100);
		_exit(fn());
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

/* A session with growth of memory, a resize and two files. */
static int
record(void)
{
	enum { W = 640, H = 480 };
	const struct fixture_meta fm = { W, H, 10, 1000, 1 << 20, 0, "vp9" };
	static uint8_t px[W * H * 4], msg[W * H * 4 + 64];
	struct tee_mark mark = { .kind = TEE_MARK_TIME };
	uint64_t frames = 0;
	struct recorder_session *s;
	struct meta m;
	const char *why;
	char json[2048];
	size_t n;

	if (meta_parse(&m, json, fixture_meta_json(&fm, json, sizeof(json)),
		&why) != 0)
		return 1;
	strcpy(m.time_zone, "UTC");
	s = recorder_session_new(&m, spool.fd, on_session, &frames);
	if (s == NULL || recorder_session_start(s) != 0)
		return 2;
	for (unsigned i = 1; i < 20; i++) {
		fixture_desktop(px, W, H, i);
		n = fixture_raw(msg, px, W, 0, 0, W, H);
		mark.mono_ns = 1000 + i * NS_PER_S / 4;
		if (recorder_session_mark(s, &mark) != 0 ||
		    recorder_session_feed(s, msg, n) != 0)
			return 3;
	}
	n = fixture_update(msg, 1);
	n += fixture_rect(msg + n, 0, 0, 1600, 900, -223);
	if (recorder_session_feed(s, msg, n) != 0)
		return 4;
	mark.kind = TEE_MARK_END;
	mark.mono_ns += 2 * NS_PER_S;
	if (recorder_session_mark(s, &mark) != 0)
		return 5;
	recorder_session_free(s);
	return frames >= 20 ? 0 : 6;
}

static void
recording_works(void **state)
{
	int status = run_inside(record);

	(void)state;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(fixture_spool_count(&spool, ".webm", NULL), 2);
	assert_int_equal(fixture_spool_count(&spool, ".json", NULL), 2);
	assert_int_equal(fixture_spool_count(&spool, ".part", NULL), 0);
}

static int
make_socket(void)
{
	return socket(AF_INET, SOCK_STREAM, 0) >= 0 ? 0 : 1;
}

static int
make_unix_pair(void)
{
	int fds[2];

	return socketpair(AF_UNIX, SOCK_STREAM, 0, fds);
}

static int
run_program(void)
{
	char *argv[] = { "/bin/true", NULL };

	return execv(argv[0], argv);
}

static int
make_process(void)
{
	return fork() >= 0 ? 0 : 1;
}

static int
touch_folder(void)
{
	return mkdirat(spool.fd, "d", 0700);
}

static int
signal_parent(void)
{
	return kill(getppid(), 0);
}

#ifndef RELAYCAM_SANITIZE
static int
map_code(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? 1 : 0;
}
#endif

static void
forbidden_calls_kill(void **state)
{
	static int (*const calls[])(void) = {
		make_socket,
		make_unix_pair,
		run_program,
		make_process,
		touch_folder,
		signal_parent,
#ifndef RELAYCAM_SANITIZE
		map_code,
#endif
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(calls); i++) {
		int status = run_inside(calls[i]);

		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGSYS);
	}
}

/* Opens of all kinds; each must fail with EACCES. */
static int
open_elsewhere(void)
{
	static const char *const names[] = { "/etc/passwd", "/tmp/rc-x",
		"/proc/self/maps" };

	for (size_t i = 0; i < N_ELEMENTS(names); i++)
		if (open(names[i], O_RDWR | O_CREAT, 0600) >= 0 ||
		    errno != EACCES)
			return 1 + (int)i;
	return openat(AT_FDCWD, "x", O_RDONLY) >= 0 || errno != EACCES;
}

/* By way of the spool's own descriptor: the business of Landlock, and of the
 * folder as root, where they lead nowhere. */
static int
climb_out(void)
{
	if (openat(spool.fd, "../../etc/passwd", O_RDONLY) >= 0)
		return 1;
	if (openat(spool.fd, "/etc/passwd", O_RDONLY) >= 0)
		return 2;
	if (openat(spool.fd, "/proc/self/root/etc/passwd", O_RDONLY) >= 0)
		return 3;
	return 0;
}

#define OTHERS "00000000-0000-4000-8000-000000000001.webm.part"

/* A file of another session, whose name it was told. */
static int
open_another(void)
{
	static const int flags[] = { O_RDONLY, O_WRONLY, O_RDWR, O_PATH,
		O_RDWR | O_CREAT, O_WRONLY | O_CREAT | O_TRUNC,
		O_RDWR | O_EXCL };
	int fd = openat(spool.fd, OTHERS, O_RDONLY);

	if (fd < 0) /* a recorder that joins reads what came before */
		return 1;
	close(fd);
	if (sandbox_narrow() != 0)
		return 2;
	for (size_t i = 0; i < N_ELEMENTS(flags); i++)
		if (openat(spool.fd, OTHERS, flags[i], 0600) >= 0 ||
		    errno != EACCES)
			return 3 + (int)i;
	if (openat(spool.fd, OTHERS, O_RDWR | O_CREAT | O_EXCL, 0600) >= 0 ||
	    errno != EEXIST)
		return 20;
	/* what it makes, it has */
	fd = openat(spool.fd, "own", O_RDWR | O_CREAT | O_EXCL, 0600);
	if (fd < 0 || write(fd, "x", 1) != 1)
		return 21;
	return unlinkat(spool.fd, "own", 0) == 0 ? 0 : 22;
}

static int
record_narrowed(void)
{
	return sandbox_narrow() == 0 ? record() : 50;
}

static int
list_spool(void)
{
	char names[4096];

	return syscall(SYS_getdents64, spool.fd, names, sizeof(names)) > 0;
}

static int
narrow_twice(void)
{
	return sandbox_narrow() != 0 || sandbox_narrow() == 0;
}

static int
link_another(void)
{
	return linkat(spool.fd, OTHERS, spool.fd, "mine", 0);
}

static void
files_of_others_stay_shut(void **state)
{
	static int (*const kill[])(
	    void) = { list_spool, narrow_twice, link_another };
	int status, fd = openat(spool.fd, OTHERS, O_RDWR | O_CREAT, 0600);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	status = run_inside(open_another);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	for (size_t i = 0; i < N_ELEMENTS(kill); i++) {
		status = run_inside(kill[i]);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGSYS);
	}
	/* and it can still do its work */
	assert_int_equal(unlinkat(spool.fd, OTHERS, 0), 0);
	status = run_inside(record_narrowed);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(fixture_spool_count(&spool, ".webm", NULL), 2);
	assert_int_equal(fixture_spool_count(&spool, ".json", NULL), 2);
}

static int
open_below(void)
{
	int fd = openat(spool.fd, "a.part", O_RDWR | O_CREAT | O_EXCL, 0600);

	if (fd < 0 || write(fd, "x", 1) != 1 || ftruncate(fd, 0) != 0)
		return 1;
	return renameat(spool.fd, "a.part", spool.fd, "a") == 0 &&
		unlinkat(spool.fd, "a", 0) == 0
	    ? 0
	    : 2;
}

static void
files_only_below_the_spool(void **state)
{
	int status;

	(void)state;
	status = run_inside(open_elsewhere);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	status = run_inside(open_below);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	status = run_inside(climb_out);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

#define SIBLING "00000000-0000-4000-8000-00000000000b"

/* Ways to the folder beside its own, whose name it was told. */
static const char *const to_sibling[] = { "../" SIBLING "/f", "/" SIBLING "/f",
	"./../../" SIBLING "/f", "/../" SIBLING "/f", SIBLING "/f" };

/* Everything a recorder may do with names, done there: 0 when all fail. */
static int
reach_sibling(void)
{
	static const int flags[] = { O_RDONLY, O_RDWR, O_PATH, O_RDWR | O_CREAT,
		O_WRONLY | O_CREAT | O_EXCL };
	int fd = openat(spool.fd, "own", O_RDWR | O_CREAT | O_EXCL, 0600);

	if (fd < 0)
		return 1;
	for (size_t i = 0; i < N_ELEMENTS(to_sibling); i++) {
		const char *name = to_sibling[i];
		char fresh[80];

		snprintf(fresh, sizeof(fresh), "%s.new", name);
		for (size_t k = 0; k < N_ELEMENTS(flags); k++)
			if (openat(spool.fd, name, flags[k], 0600) >= 0 ||
			    openat(spool.fd, fresh, flags[k], 0600) >= 0)
				return 10 + (int)i;
		if (unlinkat(spool.fd, name, 0) == 0)
			return 20 + (int)i;
		if (renameat(spool.fd, name, spool.fd, "taken") == 0)
			return 30 + (int)i;
		if (renameat(spool.fd, "own", spool.fd, name) == 0 ||
		    renameat(spool.fd, "own", spool.fd, fresh) == 0)
			return 40 + (int)i;
	}
	return unlinkat(spool.fd, "own", 0) == 0 ? 0 : 2;
}

static void
sibling_folder_is_out_of_reach(void **state)
{
	int whole = spool.fd, status, fd;
	char text[8] = "";

	(void)state;
	assert_int_equal(mkdirat(whole, "own", 0700), 0);
	assert_int_equal(mkdirat(whole, SIBLING, 0700), 0);
	fd = openat(whole, SIBLING "/f", O_RDWR | O_CREAT, 0600);
	assert_int_equal(write(fd, "theirs", 6), 6);
	spool.fd = openat(whole, "own", O_RDONLY | O_DIRECTORY);
	assert_true(spool.fd >= 0);
	status = run_inside(reach_sibling);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	close(spool.fd);
	spool.fd = whole;
	assert_int_equal(pread(fd, text, sizeof(text), 0), 6);
	assert_string_equal(text, "theirs");
	close(fd);
	assert_int_equal(unlinkat(whole, SIBLING "/f", 0), 0);
	/* nothing was left in either */
	assert_int_equal(unlinkat(whole, SIBLING, AT_REMOVEDIR), 0);
	assert_int_equal(unlinkat(whole, "own", AT_REMOVEDIR), 0);
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
/* The leak check of a child starts a thread, which is what is refused. */
int __lsan_is_turned_off(void);
int
__lsan_is_turned_off(void)
{
	return 1; /* not an option: the environment would have the last word */
}
#endif

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    recording_works, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    forbidden_calls_kill, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    files_only_below_the_spool, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    files_of_others_stay_shut, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    sibling_folder_is_out_of_reach, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
