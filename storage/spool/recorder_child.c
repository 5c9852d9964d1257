#include "storage/spool/recorder_child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int
set_signals(posix_spawnattr_t *attr)
{
	sigset_t none, all;

	sigemptyset(&none);
	sigemptyset(&all);
	sigaddset(&all, SIGPIPE);
	sigaddset(&all, SIGTERM);
	sigaddset(&all, SIGHUP);
	sigaddset(&all, SIGCHLD);
	posix_spawnattr_setsigmask(attr, &none);
	posix_spawnattr_setsigdefault(attr, &all);
	return posix_spawnattr_setflags(
	    attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

int
child_run(const char *program, char *const argv[], int out, pid_t *pid)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	int rc;

	if (posix_spawnattr_init(&attr) != 0)
		return ENOMEM;
	if (posix_spawn_file_actions_init(&files) != 0) {
		posix_spawnattr_destroy(&attr);
		return ENOMEM;
	}
	rc = set_signals(&attr);
	if (rc == 0 && out >= 0)
		rc = posix_spawn_file_actions_adddup2(
		    &files, out, STDOUT_FILENO);
	if (rc == 0)
		rc = posix_spawnp(pid, program, &files, &attr, argv, environ);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attr);
	return rc;
}

char *
child_say(int status, char *out, size_t len)
{
	snprintf(out, len, "%s %d",
	    WIFSIGNALED(status) ? "killed by signal" : "ended with status",
	    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	return out;
}

/* Clock ticks that a process has used; 0 when it cannot be told. */
static uint64_t
cpu_of(pid_t pid)
{
	char path[40], text[512], *at;
	unsigned long long user = 0, system = 0;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	at = strrchr(text, ')'); /* behind the name; then fields 3 to 13 */
	if (at == NULL ||
	    sscanf(at + 1,
		" %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu %llu", &user,
		&system) != 2)
		return 0;
	return user + system;
}

void
child_watch_begin(struct child_watch *w)
{
	w->cpu = 0;
	w->still = 0;
}

int64_t
child_cpu_s(const struct child_watch *w)
{
	return (int64_t)w->cpu / sysconf(_SC_CLK_TCK);
}

bool
child_is_stuck(struct child_watch *w, pid_t pid, int64_t limit_s)
{
	uint64_t cpu = cpu_of(pid);

	w->still = cpu == w->cpu ? w->still + 1 : 0;
	w->cpu = cpu;
	return w->still > limit_s;
}
