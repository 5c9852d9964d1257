/*
 * What a recorder inherits. The test's own program is the recorder: started
 * by the spawner it finds its status socket under TEE_FD_STATUS, looks at
 * its descriptors and reports.
 */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/bytes.h"
#include "common/tee.h"
#include "relay/recorder_folder.h"
#include "relay/recorder_log.h"
#include "relay/spawner.h"

static char self[4096];
static const char ids[3][SPAWNER_ID_LEN] = {
	"00000000-0000-4000-8000-000000000000",
	"00000000-0000-4000-8000-000000000001",
	"00000000-0000-4000-8000-000000000002"
};
static char folder[] = "/tmp/relay-spawner-XXXXXX";

/* ---- as the recorder ---- */

static int
is_socket(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

/* The folder in which "here" lies has a folder that is ours. */
static int
is_below_spool(void)
{
	return faccessat(TEE_FD_SPOOL, "../here", F_OK, 0) == 0 &&
	    faccessat(TEE_FD_SPOOL, "here", F_OK, 0) != 0;
}

static void
look(char *text, size_t len)
{
	struct stat st;
	char digit = 0;

	for (int fd = TEE_FD_DATA; fd <= TEE_FD_META; fd++)
		if (fd != TEE_FD_STATUS &&
		    (pread(fd, &digit, 1, 0) != 1 || digit != '0' + fd))
			snprintf(text, len, "descriptor %d is another", fd);
	if (fstat(TEE_FD_SPOOL, &st) != 0 || !S_ISDIR(st.st_mode) ||
	    (st.st_mode & 0777) != 0700 || !is_below_spool())
		snprintf(text, len, "no folder of its own");
	for (int fd = TEE_FD_SPOOL + 1; fd < 256; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			snprintf(text, len, "descriptor %d is open", fd);
	if (getenv("RELAY_SECRET") != NULL)
		snprintf(text, len, "environment was inherited");
	if (read(STDIN_FILENO, &digit, 1) != 0)
		snprintf(text, len, "standard input is not empty");
}

/* A line as the relay writes them, of another session. */
#define FORGED                                                                 \
	"2026-11-30T04:00:00.000Z error relaycam-relay session_end "           \
	"session=00000000-0000-4000-8000-00000000000f code=\"x\"\x1b[2J"

static int
be_recorder(void)
{
	struct tee_status st = { .kind = TEE_STATUS_READY };
	struct pollfd fd = { TEE_FD_STATUS, POLLRDHUP, 0 };

	look(st.text, sizeof(st.text));
	for (int out = STDOUT_FILENO; out <= STDERR_FILENO; out++)
		if (write(out, FORGED "\n", sizeof(FORGED)) < 0)
			strcpy(st.text, "nothing to write to");
	send(TEE_FD_STATUS, &st, sizeof(st), MSG_NOSIGNAL);
	poll(&fd, 1, -1);
	return 0;
}

/* ---- as the relay ---- */

struct request {
	int fds[SPAWNER_FDS];
	int status;
};

static void
request_open(struct request *q)
{
	int pair[2];
	char digit;

	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	for (int i = 0; i < SPAWNER_FDS; i++) {
		digit = (char)('0' + TEE_FD_DATA + i);
		q->fds[i] = memfd_create("n", MFD_CLOEXEC);
		assert_int_equal(write(q->fds[i], &digit, 1), 1);
	}
	close(q->fds[TEE_FD_STATUS - TEE_FD_DATA]);
	q->fds[TEE_FD_STATUS - TEE_FD_DATA] = pair[1];
	q->status = pair[0];
}

/* After the request was sent: only the recorder's copies are left. */
static void
request_sent(struct request *q)
{
	for (int i = 0; i < SPAWNER_FDS; i++)
		close(q->fds[i]);
}

/* The next status; 0 at the end, within a minute. */
static ssize_t
next_status(int fd, struct tee_status *st)
{
	struct pollfd p = { fd, POLLIN, 0 };

	assert_int_equal(poll(&p, 1, 60000), 1);
	return recv(fd, st, sizeof(*st), 0);
}

static void
test_descriptors_under_their_numbers(void **state)
{
	int sock = spawner_start(self, folder, NULL, NULL);
	struct tee_status st = { 0 };
	struct request q[3];

	assert_true(sock >= 0);
	for (int i = 0; i < 3; i++) {
		request_open(&q[i]);
		assert_int_equal(spawner_request(sock, ids[i], q[i].fds), 0);
		request_sent(&q[i]);
	}
	for (int i = 0; i < 3; i++) {
		assert_int_equal(next_status(q[i].status, &st), sizeof(st));
		assert_string_equal(st.text, "");
		assert_int_equal(st.kind, TEE_STATUS_READY);
	}
	/* the spawner goes, recorders stay until their relay's socket goes */
	close(sock);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(
		    recv(q[i].status, &st, sizeof(st), MSG_DONTWAIT), -1);
		close(q[i].status);
	}
}

/* A program that cannot be run is told as a recorder's own failure. */
static void
test_missing_program_is_told(void **state)
{
	int sock = spawner_start("/nonexistent/recorder", folder, NULL, NULL);
	struct tee_status st = { 0 };
	struct request q;

	request_open(&q);
	assert_int_equal(spawner_request(sock, ids[0], q.fds), 0);
	request_sent(&q);
	assert_int_equal(next_status(q.status, &st), sizeof(st));
	assert_int_equal(st.kind, TEE_STATUS_FAILED);
	assert_non_null(strstr(st.text, "No such file"));
	assert_int_equal(next_status(q.status, &st), 0);
	close(q.status);
	close(sock);
}

/* What is in the way of a session's folder is told, and followed nowhere. */
static void
test_folder_that_cannot_be(void **state)
{
	int sock, dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	static const char link[] = "00000000-0000-4000-8000-000000000003",
			  file[] = "00000000-0000-4000-8000-000000000004";
	const char *const bad[] = { "../../tmp", link, file, "" };
	char id[SPAWNER_ID_LEN];

	assert_int_equal(symlinkat("/tmp", dir, link), 0);
	close(openat(dir, file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	sock = spawner_start(self, folder, NULL, NULL);
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		struct tee_status st = { 0 };
		struct request q;

		memset(id, 0, sizeof(id));
		strcpy(id, bad[i]);
		request_open(&q);
		assert_int_equal(spawner_request(sock, id, q.fds), 0);
		request_sent(&q);
		assert_int_equal(next_status(q.status, &st), sizeof(st));
		assert_int_equal(st.kind, TEE_STATUS_FAILED);
		assert_non_null(strstr(st.text, "the session's folder"));
		assert_int_equal(next_status(q.status, &st), 0);
		close(q.status);
	}
	close(sock);
	assert_int_equal(unlinkat(dir, link, 0), 0);
	assert_int_equal(unlinkat(dir, file, 0), 0);
	close(dir);
}

/* For as long as its recorder lives, also when the spawner is gone. */
static void
test_folder_is_held(void **state)
{
	int sock = spawner_start(self, folder, NULL, NULL), fd;
	struct tee_status st = { 0 };
	struct request q;
	char name[64];

	request_open(&q);
	assert_int_equal(spawner_request(sock, ids[0], q.fds), 0);
	request_sent(&q);
	assert_int_equal(next_status(q.status, &st), sizeof(st));
	snprintf(name, sizeof(name), "%s/%s", folder, ids[0]);
	fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), -1);
	close(sock);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), -1);
	close(q.status);
	assert_int_equal(flock(fd, LOCK_EX), 0); /* it ends */
	close(fd);
}

/* Removes the third session's folder whenever nobody holds it, as storage does
 * after each scan, until it is killed. */
static _Noreturn void
remove_again_and_again(int dir)
{
	const struct timespec scan = { 0, 100000 };

	for (;;) {
		int fd = openat(dir, ids[2], O_RDONLY | O_DIRECTORY);

		if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
			unlinkat(dir, ids[2], AT_REMOVEDIR);
		if (fd >= 0)
			close(fd);
		nanosleep(&scan, NULL);
	}
}

/* Holds it, makes a file in it and removes that. Returns whether all went
 * well. */
static bool
use_folder(int dir)
{
	const char *why = "";
	bool is_new, is_well = false;
	int file, fd = recorder_folder_open(dir, ids[2], &is_new, &why);

	if (fd < 0)
		return false;
	file = openat(fd, "f", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	if (file >= 0) {
		is_well = unlinkat(fd, "f", 0) == 0;
		close(file);
	}
	close(fd);
	return is_well;
}

/* A folder that is removed just before it is held is made anew. */
static void
test_folder_beside_its_removal(void **state)
{
	int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	pid_t remover = fork();
	unsigned n = 0;

	if (remover == 0)
		remove_again_and_again(dir);
	while (n < 2000 && use_folder(dir))
		n++;
	kill(remover, SIGKILL);
	assert_int_equal(waitpid(remover, NULL, 0), remover);
	assert_int_equal(n, 2000);
	unlinkat(dir, ids[2], AT_REMOVEDIR);
	close(dir);
}

/* One recorder is killed by its session's name, the other one lives. */
static void
test_kill_by_session(void **state)
{
	int sock = spawner_start(self, folder, NULL, NULL);
	struct tee_status st = { 0 };
	struct request q[2];

	for (int i = 0; i < 2; i++) {
		request_open(&q[i]);
		assert_int_equal(spawner_request(sock, ids[i], q[i].fds), 0);
		request_sent(&q[i]);
		assert_int_equal(next_status(q[i].status, &st), sizeof(st));
	}
	assert_int_equal(spawner_kill(sock, ids[2]), 0); /* nobody's */
	assert_int_equal(spawner_kill(sock, ids[0]), 0);
	assert_int_equal(next_status(q[0].status, &st), 0);
	assert_int_equal(recv(q[1].status, &st, sizeof(st), MSG_DONTWAIT), -1);
	close(q[0].status);
	close(q[1].status);
	close(sock);
}

/* Standard error goes to a file from here on. Returns the old one. */
static int
divert(char path[32])
{
	int old = dup(STDERR_FILENO), fd;

	strcpy(path, "/tmp/relay-log-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	dup2(fd, STDERR_FILENO);
	close(fd);
	return old;
}

/* What was written there; the file goes. */
static char *
undivert(int old, char *path)
{
	int fd = open(path, O_RDONLY);
	char *text = calloc(1, 1 << 20);

	dup2(old, STDERR_FILENO);
	close(old);
	assert_true(read(fd, text, (1 << 20) - 1) >= 0);
	close(fd);
	unlink(path);
	return text;
}

static unsigned
count(const char *text, const char *what)
{
	unsigned n = 0;

	while ((text = strstr(text, what)) != NULL) {
		n++;
		text += strlen(what);
	}
	return n;
}

/* Each line begins with a time of ours, and says who spoke. */
static void
check_quoted(char *text)
{
	for (char *at = strtok(text, "\n"); at != NULL;
	     at = strtok(NULL, "\n")) {
		const char *forged = strstr(at, "session_end");

		if (forged == NULL)
			continue;
		assert_non_null(strstr(at, " recorder_says session="));
		assert_true(strstr(at, " recorder_says session=") < forged);
		assert_non_null(strstr(at, ids[0]));
		assert_non_null(strstr(at, " text=\"2026-11-30T04:00"));
		assert_non_null(strstr(at, "code=\\\"x\\\"?[2J\""));
	}
}

/* What a recorder says is a quotation under its session's name. */
static void
test_forged_line_is_quoted(void **state)
{
	char path[32], *text;
	int old = divert(path), sock = spawner_start(self, folder, NULL, NULL);
	struct tee_status st = { 0 };
	struct request q;
	struct pollfd end = { -1, 0, 0 };

	request_open(&q);
	assert_int_equal(spawner_request(sock, ids[0], q.fds), 0);
	request_sent(&q);
	assert_int_equal(next_status(q.status, &st), sizeof(st));
	assert_string_equal(st.text, "");
	close(q.status);
	/* the spawner ends behind its recorders, with all that they said */
	assert_int_equal(shutdown(sock, SHUT_WR), 0);
	end.fd = sock;
	end.events = POLLIN;
	assert_int_equal(poll(&end, 1, 60000), 1);
	close(sock);
	text = undivert(old, path);
	assert_int_equal(count(text, "session_end"), 2);
	assert_int_equal(count(text, "\x1b"), 0);
	check_quoted(text);
	free(text);
}

static void
test_flood_of_lines(void **state)
{
	static const uint8_t line[] = "so many\n", half[] = "half";
	struct recorder_log l = { 0 };
	uint64_t now = UINT64_C(5000000000);
	char path[32], *text;
	int old = divert(path);

	for (unsigned i = 0; i < 1000; i++)
		recorder_log_feed(&l, ids[0], line, sizeof(line) - 1, now);
	recorder_log_feed(
	    &l, ids[0], line, sizeof(line) - 1, now + 2 * RECORDER_LOG_NS);
	for (unsigned i = 0; i < 1000; i++)
		recorder_log_feed(&l, ids[0], half, sizeof(half) - 1,
		    now + 2 * RECORDER_LOG_NS);
	recorder_log_end(&l, ids[0], now + 2 * RECORDER_LOG_NS);
	text = undivert(old, path);
	assert_int_equal(count(text, "recorder_says"), RECORDER_LOG_BURST + 2);
	assert_non_null(strstr(text, "omitted_before=970"));
	/* a line without an end is as long as any, and one */
	assert_int_equal(count(text, "half"), RECORDER_LOG_LINE / 4);
	free(text);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_descriptors_under_their_numbers),
		cmocka_unit_test(test_missing_program_is_told),
		cmocka_unit_test(test_folder_that_cannot_be),
		cmocka_unit_test(test_folder_is_held),
		cmocka_unit_test(test_folder_beside_its_removal),
		cmocka_unit_test(test_kill_by_session),
		cmocka_unit_test(test_forged_line_is_quoted),
		cmocka_unit_test(test_flood_of_lines),
	};
	char name[4096];
	int fd, rc;

	if (is_socket(TEE_FD_STATUS) && getenv("RELAY_SECRET") == NULL)
		return be_recorder();
	setenv("RELAY_SECRET", "x", 1);
	if (readlink("/proc/self/exe", self, sizeof(self) - 1) <= 0 ||
	    mkdtemp(folder) == NULL)
		return 1;
	snprintf(name, sizeof(name), "%s/here", folder);
	fd = open(name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	close(fd);
	/* something in the way, and something to read that is not theirs */
	rc = open("/proc/self/exe", O_RDONLY);
	dup2(rc, STDIN_FILENO);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(name);
	for (int i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "%s/%s", folder, ids[i]);
		rmdir(name);
	}
	rmdir(folder);
	return rc;
}
