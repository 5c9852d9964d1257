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
#include "storage/spool/recorder_child.h"
#include "storage/daemon.h"
#include "storage/spool/spool.h"

#define REPAIRS_MAX 1

static void
repair_failed(struct spool_segment *sg, enum spool_cause cause, const char *why)
{
	sg->row.d->counters.repairs_failed++;
	log_error("repair_failed", LOG_S("segment", sg->row.id),
	    LOG_S("session", sg->row.folder), LOG_S("why", why),
	    LOG_I("retry_seconds", sg->row.d->conf.retry_seconds));
	spool_row_retry(&sg->row, cause, why);
}

void
spool_repair_start(struct spool_segment *sg)
{
	struct daemon *d = sg->row.d;
	char dir[PATH_MAX];
	char *argv[] = { "relaycam-recorder", "--repair",
		spool_folder_path(
		    d->spool_conf.dir, sg->row.folder, dir, sizeof(dir)),
		sg->row.id, NULL };
	char why[200];
	int rc;

	if (d->stopping || d->spool->n_repairs >= REPAIRS_MAX)
		return;
	/* what cannot be repaired is tried again, and keeps nobody waiting */
	if (strcmp(sg->row.status, "corrupted") != 0)
		spool_row_move(&sg->row, CAUSE_REPAIR_BEGUN,
		    "cut off by a crash, being repaired");
	rc = child_run(d->conf.recorder_program, argv, -1, &sg->row.pid);
	if (rc != 0) {
		sg->row.pid = 0;
		snprintf(why, sizeof(why), "repair: cannot run %.100s: %s",
		    d->conf.recorder_program, strerror(rc));
		repair_failed(sg, CAUSE_REPAIR_FAILED, why);
		return;
	}
	d->spool->n_repairs++;
	child_watch_begin(&sg->row.watch);
	sg->row.was_stuck = false;
	log_info("repair_start", LOG_S("segment", sg->row.id),
	    LOG_S("session", sg->row.folder), LOG_I("pid", sg->row.pid));
}

/* A stuck one would keep all others waiting for ever. */
void
spool_repair_tick(struct spool_segment *sg)
{
	int64_t limit_s = sg->row.d->conf.recorder_stall_seconds;

	if (sg->row.pid == 0 ||
	    !child_is_stuck(&sg->row.watch, sg->row.pid, limit_s))
		return;
	log_error("repair_stuck", LOG_S("segment", sg->row.id),
	    LOG_S("session", sg->row.folder), LOG_I("pid", sg->row.pid),
	    LOG_I("seconds", limit_s));
	sg->row.was_stuck = true;
	kill(sg->row.pid, SIGKILL);
}

static void
repair_done(struct spool_segment *sg, int status)
{
	char why[80], how[40];
	bool is_broken;

	sg->row.pid = 0;
	sg->row.d->spool->n_repairs--;
	sg->row.has_manifest = sg->row.has_manifest && !sg->row.m.is_closed;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		sg->row.d->counters.repairs_ok++;
		log_info("repair_done", LOG_S("segment", sg->row.id),
		    LOG_S("session", sg->row.folder));
		spool_row_move(&sg->row, CAUSE_REPAIRED, NULL);
	} else if (WIFEXITED(status) && WEXITSTATUS(status) == EX_UNAVAILABLE) {
		log_warn("repair_empty", LOG_S("segment", sg->row.id),
		    LOG_S("session", sg->row.folder));
		sg->is_empty = true;
		spool_row_move(&sg->row, CAUSE_REPAIRED, NULL);
	} else {
		snprintf(why, sizeof(why), "repair: %s%s",
		    sg->row.was_stuck ? "stuck, " : "",
		    child_say(status, how, sizeof(how)));
		is_broken =
		    WIFEXITED(status) && WEXITSTATUS(status) == EX_DATAERR;
		repair_failed(sg,
		    is_broken ? CAUSE_REPAIR_BROKEN : CAUSE_REPAIR_FAILED, why);
	}
	spool_kick(sg->row.d->spool, false);
}

void
spool_repair_reap(struct spool *s)
{
	struct spool_segment *sg;
	int status;

	TAILQ_FOREACH(sg, &s->segments, link)
		if (sg->row.pid != 0 &&
		    waitpid(sg->row.pid, &status, WNOHANG) == sg->row.pid)
			repair_done(sg, status);
}
