#include "relay/recorder_exec.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/err.h"
#include "common/log.h"
#include "common/tee.h"

#define N_SENT (SPAWNER_FDS - 1) /* the folder comes beside them */

/*
 * Moves the descriptors to their fixed numbers: first all above the range,
 * so that none is overwritten before it was moved.
 */
static int
place_fds(const int *fds, int folder, int flush_fd, int log_fd)
{
	int high[SPAWNER_FDS], null;
	int flush = fcntl(flush_fd, F_DUPFD_CLOEXEC, 64);

	/* not the relay's log itself: whatever it writes is a quotation */
	if (dup2(log_fd, STDOUT_FILENO) < 0 || dup2(log_fd, STDERR_FILENO) < 0)
		return ERR_IO;

	for (int i = 0; i < SPAWNER_FDS; i++) {
		high[i] =
		    fcntl(i < N_SENT ? fds[i] : folder, F_DUPFD_CLOEXEC, 64);
		if (high[i] < 0)
			return ERR_IO;
	}
	for (int i = 0; i < SPAWNER_FDS; i++)
		if (dup2(high[i], TEE_FD_DATA + i) < 0)
			return ERR_IO;
	/* 0 is /dev/null, docs/tee.md: nothing of ours to read */
	null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0)
		return ERR_IO;
	/* what the relay's own parent left open */
	close_range(TEE_FD_SPOOL + 1, ~0u, CLOSE_RANGE_CLOEXEC);
	/* without a flusher the recorder syncs by itself */
	if (flush >= 0 && dup2(flush, TEE_FD_FLUSH) < 0)
		return ERR_IO;
	return 0;
}

void
recorder_exec_failed(int status_fd, const char *what)
{
	struct tee_status st = { .kind = TEE_STATUS_FAILED,
		.code = (uint32_t)-ERR_IO };

	snprintf(
	    st.text, sizeof(st.text), "%.70s: %.30s", what, strerror(errno));
	while (send(status_fd, &st, sizeof(st), MSG_NOSIGNAL) < 0 &&
	    errno == EINTR)
		;
}

_Noreturn void
recorder_exec(
    const char *program, const int *fds, int folder, int flush_fd, int log_fd)
{
	char *const argv[] = { (char *)(uintptr_t)program, NULL };
	/* what sanitizers are told is the only thing worth passing on */
	char *env[4] = { "PATH=/usr/bin:/bin", "TZ=UTC", NULL, NULL };
	const char *asan = getenv("ASAN_OPTIONS");
	char keep[256], what[80];
	sigset_t none;

	if (asan != NULL && strlen(asan) < sizeof(keep) - 14) {
		strcpy(keep, "ASAN_OPTIONS=");
		strcat(keep, asan);
		env[2] = keep;
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGCHLD, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	/* a terminal's Ctrl-C is for the relay, which drains */
	setpgid(0, 0);
	if (place_fds(fds, folder, flush_fd, log_fd) == 0)
		execve(program, argv, env);
	snprintf(what, sizeof(what), "cannot run %.59s", program);
	recorder_exec_failed(TEE_FD_STATUS, what);
	log_error(
	    "recorder_exec_failed", LOG_S("program", program), LOG_ERRNO());
	_exit(127);
}
