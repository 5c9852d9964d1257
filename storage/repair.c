/* Segments whose recorder died are finished by the recorder's own code. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/log.h"
#include "storage/daemon.h"
#include "storage/spool.h"

#define REPAIRS_MAX 1

extern char **environ;

/* Default signals and an empty mask, whatever the daemon blocks. */
static int
spawn(const char *program, char *const argv[], pid_t *pid)
{
	posix_spawnattr_t attr;
	sigset_t none, all;
	int rc;

	if (posix_spawnattr_init(&attr) != 0)
		return ENOMEM;
	sigemptyset(&none);
	sigemptyset(&all);
	sigaddset(&all, SIGPIPE);
	sigaddset(&all, SIGTERM);
	sigaddset(&all, SIGHUP);
	sigaddset(&all, SIGCHLD);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setflags(
	    &attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	rc = posix_spawnp(pid, program, NULL, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	return rc;
}

static void
repair_failed(struct item *it, const char *why)
{
	it->d->counters.repairs_failed++;
	log_error("repair_failed", LOG_S("segment", it->id), LOG_S("why", why),
	    LOG_I("retry_seconds", it->d->conf.retry_seconds));
	item_want(it, "recording", why);
	item_retry_later(it);
}

void
repair_start(struct item *it)
{
	struct daemon *d = it->d;
	char *argv[] = { "relaycam-recorder", "--repair", d->spool_conf.dir,
		it->id, NULL };
	char why[200];
	int rc;

	if (d->stopping || d->spool->n_repairs >= REPAIRS_MAX)
		return;
	item_want(it, "recording", "cut off by a crash, being repaired");
	rc = spawn(d->conf.recorder_program, argv, &it->pid);
	if (rc != 0) {
		it->pid = 0;
		snprintf(why, sizeof(why), "repair: cannot run %.100s: %s",
		    d->conf.recorder_program, strerror(rc));
		repair_failed(it, why);
		return;
	}
	d->spool->n_repairs++;
	log_info(
	    "repair_start", LOG_S("segment", it->id), LOG_I("pid", it->pid));
}

static void
repair_done(struct item *it, int status)
{
	char why[80];

	it->pid = 0;
	it->d->spool->n_repairs--;
	it->has_manifest = it->has_manifest && !it->m.is_closed;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		it->d->counters.repairs_ok++;
		log_info("repair_done", LOG_S("segment", it->id));
		it->state = ITEM_NEW;
	} else {
		snprintf(why, sizeof(why), "repair: %s %d",
		    WIFSIGNALED(status) ? "killed by signal"
					: "ended with status",
		    WIFSIGNALED(status) ? WTERMSIG(status)
					: WEXITSTATUS(status));
		repair_failed(it, why);
	}
	spool_kick(it->d->spool, false);
}

void
repair_reap(struct spool *s)
{
	struct item *it;
	int status;

	TAILQ_FOREACH(it, &s->items, link)
	if (it->pid != 0 && waitpid(it->pid, &status, WNOHANG) == it->pid)
		repair_done(it, status);
}
