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
repair_failed(struct item *it, enum spool_cause cause, const char *why)
{
	it->row.d->counters.repairs_failed++;
	log_error("repair_failed", LOG_S("segment", it->row.id),
	    LOG_S("session", it->row.folder), LOG_S("why", why),
	    LOG_I("retry_seconds", it->row.d->conf.retry_seconds));
	spool_row_retry(&it->row, cause, why);
}

void
repair_start(struct item *it)
{
	struct daemon *d = it->row.d;
	char dir[PATH_MAX];
	char *argv[] = { "relaycam-recorder", "--repair",
		spool_folder_path(
		    d->spool_conf.dir, it->row.folder, dir, sizeof(dir)),
		it->row.id, NULL };
	char why[200];
	int rc;

	if (d->stopping || d->spool->n_repairs >= REPAIRS_MAX)
		return;
	/* what cannot be repaired is tried again, and keeps nobody waiting */
	if (strcmp(it->row.status, "corrupted") != 0)
		spool_row_move(&it->row, CAUSE_REPAIR_BEGUN,
		    "cut off by a crash, being repaired");
	rc = child_run(d->conf.recorder_program, argv, -1, &it->row.pid);
	if (rc != 0) {
		it->row.pid = 0;
		snprintf(why, sizeof(why), "repair: cannot run %.100s: %s",
		    d->conf.recorder_program, strerror(rc));
		repair_failed(it, CAUSE_REPAIR_FAILED, why);
		return;
	}
	d->spool->n_repairs++;
	child_watch_begin(&it->row.watch);
	it->row.was_stuck = false;
	log_info("repair_start", LOG_S("segment", it->row.id),
	    LOG_S("session", it->row.folder), LOG_I("pid", it->row.pid));
}

/* A stuck one would keep all others waiting for ever. */
void
repair_tick(struct item *it)
{
	int64_t limit_s = it->row.d->conf.recorder_stall_seconds;

	if (it->row.pid == 0 ||
	    !child_is_stuck(&it->row.watch, it->row.pid, limit_s))
		return;
	log_error("repair_stuck", LOG_S("segment", it->row.id),
	    LOG_S("session", it->row.folder), LOG_I("pid", it->row.pid),
	    LOG_I("seconds", limit_s));
	it->row.was_stuck = true;
	kill(it->row.pid, SIGKILL);
}

static void
repair_done(struct item *it, int status)
{
	char why[80], how[40];
	bool is_broken;

	it->row.pid = 0;
	it->row.d->spool->n_repairs--;
	it->row.has_manifest = it->row.has_manifest && !it->row.m.is_closed;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		it->row.d->counters.repairs_ok++;
		log_info("repair_done", LOG_S("segment", it->row.id),
		    LOG_S("session", it->row.folder));
		spool_row_move(&it->row, CAUSE_REPAIRED, NULL);
	} else if (WIFEXITED(status) && WEXITSTATUS(status) == EX_UNAVAILABLE) {
		log_warn("repair_empty", LOG_S("segment", it->row.id),
		    LOG_S("session", it->row.folder));
		it->is_empty = true;
		spool_row_move(&it->row, CAUSE_REPAIRED, NULL);
	} else {
		snprintf(why, sizeof(why), "repair: %s%s",
		    it->row.was_stuck ? "stuck, " : "",
		    child_say(status, how, sizeof(how)));
		is_broken =
		    WIFEXITED(status) && WEXITSTATUS(status) == EX_DATAERR;
		repair_failed(it,
		    is_broken ? CAUSE_REPAIR_BROKEN : CAUSE_REPAIR_FAILED, why);
	}
	spool_kick(it->row.d->spool, false);
}

void
repair_reap(struct spool *s)
{
	struct item *it;
	int status;

	TAILQ_FOREACH(it, &s->items, link)
		if (it->row.pid != 0 &&
		    waitpid(it->row.pid, &status, WNOHANG) == it->row.pid)
			repair_done(it, status);
}
