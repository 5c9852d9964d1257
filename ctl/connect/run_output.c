#include "ctl/connect/run_output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"

/* In the child: a session of its own, so that all of it can be ended. */
static _Noreturn void
become(const char *const argv[], int out)
{
	int null = open("/dev/null", O_RDWR);

	setsid();
	dup2(null, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
	unsetenv("DISPLAY");
	unsetenv("WAYLAND_DISPLAY");
	setenv("QT_QPA_PLATFORM", "offscreen", 1);
	execvp(argv[0], (char *const *)argv);
	_exit(127);
}

static void
read_all(int fd, int timeout_ms, char *out, size_t len)
{
	uint64_t end = clock_mono_ns() + (uint64_t)timeout_ms * NS_PER_MS;
	size_t have = 0;

	out[0] = '\0';
	while (have + 1 < len) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		uint64_t now = clock_mono_ns();
		ssize_t n;

		if (now >= end ||
		    poll(&p, 1, (int)((end - now) / NS_PER_MS) + 1) <= 0)
			break;
		n = read(fd, out + have, len - 1 - have);
		if (n <= 0)
			break;
		have += (size_t)n;
		out[have] = '\0';
	}
}

int
run_output(const char *const argv[], int timeout_ms, char *out, size_t len)
{
	int fds[2], status;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) != 0)
		return -1;
	pid = fork();
	if (pid == 0)
		become(argv, fds[1]);
	close(fds[1]);
	if (pid > 0) {
		read_all(fds[0], timeout_ms, out, len);
		kill(-pid, SIGKILL); /* what is left of its session */
		kill(pid, SIGKILL);
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
	}
	close(fds[0]);
	return pid > 0 ? 0 : -1;
}
