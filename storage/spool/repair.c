/* Segments whose recorder died are finished by the recorder's own code. */
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/log.h"
#include "storage/spool/child.h"
#include "storage/daemon.h"
#include "storage/spool/spool.h"

#define REPAIRS_MAX 1

static void
repair_failed(struct item *it, const char *status, const char *why)
{
	it->d->counters.repairs_failed++;
	log_error("repair_failed", LOG_S("segment", it->id), LOG_S("why", why),
	    LOG_I("retry_seconds", it->d->conf.retry_seconds));
	item_want(it, status, why);
	item_retry_later(it);
}

void
repair_start(struct item *it)
{
	struct daemon *d = it->d;
	char dir[PATH_MAX];
	char *argv[] = { "relaycam-recorder", "--repair",
		spool_folder_path(
		    d->spool_conf.dir, it->folder, dir, sizeof(dir)),
		it->id, NULL };
	char why[200];
	int rc;

	if (d->stopping || d->spool->n_repairs >= REPAIRS_MAX)
		return;
	/* what cannot be repaired is tried again, and keeps nobody waiting */
	if (strcmp(it->status, "corrupted") != 0)
		item_want(
		    it, "recording", "cut off by a crash, being repaired");
	rc = child_run(d->conf.recorder_program, argv, -1, &it->pid);
	if (rc != 0) {
		it->pid = 0;
		snprintf(why, sizeof(why), "repair: cannot run %.100s: %s",
		    d->conf.recorder_program, strerror(rc));
		repair_failed(it, "recording", why);
		return;
	}
	d->spool->n_repairs++;
	child_watch_begin(&it->watch);
	it->was_stuck = false;
	log_info(
	    "repair_start", LOG_S("segment", it->id), LOG_I("pid", it->pid));
}

/* A stuck one would keep all others waiting for ever. */
void
repair_tick(struct item *it)
{
	int64_t limit_s = it->d->conf.recorder_stall_seconds;

	if (it->pid == 0 || !child_is_stuck(&it->watch, it->pid, limit_s))
		return;
	log_error("repair_stuck", LOG_S("segment", it->id),
	    LOG_I("pid", it->pid), LOG_I("seconds", limit_s));
	it->was_stuck = true;
	kill(it->pid, SIGKILL);
}

static void
repair_done(struct item *it, int status)
{
	char why[80], how[40];
	bool is_broken;

	it->pid = 0;
	it->d->spool->n_repairs--;
	it->has_manifest = it->has_manifest && !it->m.is_closed;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		it->d->counters.repairs_ok++;
		log_info("repair_done", LOG_S("segment", it->id));
		it->state = ITEM_NEW;
	} else if (WIFEXITED(status) && WEXITSTATUS(status) == EX_UNAVAILABLE) {
		log_warn("repair_empty", LOG_S("segment", it->id));
		it->is_empty = true;
		it->state = ITEM_NEW;
	} else {
		snprintf(why, sizeof(why), "repair: %s%s",
		    it->was_stuck ? "stuck, " : "",
		    child_say(status, how, sizeof(how)));
		is_broken =
		    WIFEXITED(status) && WEXITSTATUS(status) == EX_DATAERR;
		repair_failed(it, is_broken ? "corrupted" : "recording", why);
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
