#include "relay/spool_flusher.h"

#include <errno.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"

#define DIR_FD 3

bool
spool_flusher_pass(struct spool_flush_page *page, int dir)
{
	uint64_t begun = clock_mono_ns();
	bool is_done = syncfs(dir) == 0;

	if (!is_done)
		log_error("spool_flush_failed", LOG_ERRNO(),
		    LOG_S("remedy",
			"recorders sync their files by themselves; look at "
			"the spool's disk"));
	spool_flush_passed(page, begun, !is_done);
	return is_done;
}

static void
sleep_until(uint64_t at_ns)
{
	uint64_t now = clock_mono_ns(), left = at_ns > now ? at_ns - now : 0;
	struct timespec ts = { .tv_sec = (time_t)(left / NS_PER_S),
		.tv_nsec = (long)(left % NS_PER_S) };

	nanosleep(&ts, NULL);
}

/* Holds nothing of the spawner's but the folder: the relay takes the end of
 * the spawner's socket for the spawner's. */
static _Noreturn void
flusher_loop(struct spool_flush_page *page, int dir, pid_t spawner)
{
	sigset_t none;

	prctl(PR_SET_NAME, "relaycam-flush");
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (dup2(dir, DIR_FD) < 0)
		_exit(1);
	close_range(DIR_FD + 1, ~0u, 0);
	while (getppid() == spawner && atomic_load(&page->recorders) > 0) {
		uint64_t begun = clock_mono_ns();

		spool_flusher_pass(page, DIR_FD);
		sleep_until(begun + SPOOL_FLUSH_EVERY_NS);
	}
	_exit(0);
}

bool
spool_flusher_keep(struct spool_flusher *f, int dir, uint64_t n_recorders)
{
	uint64_t now = clock_mono_ns();
	pid_t spawner = getpid();

	if (f->page == NULL)
		return false;
	atomic_store(&f->page->recorders, n_recorders);
	if (n_recorders == 0 || dir < 0 || f->pid > 0)
		return false;
	if (f->tried_ns != 0 && now < f->tried_ns + NS_PER_S)
		return true;
	f->tried_ns = now;
	f->pid = fork();
	if (f->pid == 0)
		flusher_loop(f->page, dir, spawner);
	return f->pid < 0;
}

bool
spool_flusher_ended(struct spool_flusher *f, pid_t pid, int status)
{
	if (f->pid <= 0 || pid != f->pid)
		return false;
	f->pid = 0;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		log_error("spool_flusher_died",
		    LOG_I("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0),
		    LOG_S("remedy",
			"another one starts; until then recorders sync their "
			"files by themselves"));
	return true;
}
