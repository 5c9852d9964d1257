/* What comes of an encoder that has ended. */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/log.h"
#include "storage/daemon.h"
#include "storage/encode/encode_queue.h"
#include "storage/encode/encode_rows.h"

/* Beside what was made of it: the note to keep the capture, and why. */
static bool
note_stopped(struct capture *c)
{
	char name[SPOOL_NAME_MAX + sizeof(CAPTURE_STOPPED)];
	char folder[SPOOL_NAME_MAX];
	size_t len = strlen(c->stopped);
	int fd;
	bool ok;

	snprintf(name, sizeof(name), "%s/%s",
	    spool_row_name(&c->row, ".encode", folder), CAPTURE_STOPPED);
	fd = openat(c->row.dir, name,
	    O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0640);
	ok = fd >= 0 && write(fd, c->stopped, len) == (ssize_t)len &&
	    fsync(fd) == 0;
	if (fd >= 0)
		close(fd);
	return ok;
}

/* Renamed as one, so that a crash leaves all of it or nothing. */
static void
finished(struct capture *c)
{
	if (!encode_check_holds(c)) {
		encode_job_remove(c, ".encode");
		encode_job_failed(c, "the capture was changed meanwhile");
		return;
	}
	log_info("encode_done", LOG_S("capture", c->row.id),
	    LOG_S("session", c->row.folder));
	c->row.d->counters.encodes_ok++;
	if (spool_row_rename(&c->row, ".encode", ".encoded") != 0)
		encode_job_failed(c, "the spool cannot be written");
	else
		spool_row_move(&c->row, CAUSE_ENCODER_DONE, NULL);
}

/* Something came out before the stream could not be decoded. */
static bool
has_segment(const struct capture *c)
{
	char name[2 * SPOOL_NAME_MAX], folder[SPOOL_NAME_MAX];

	snprintf(name, sizeof(name), "%s/%s.json",
	    spool_row_name(&c->row, ".encode", folder), c->row.id);
	return faccessat(c->row.dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void
finished_in_part(struct capture *c)
{
	log_error("encode_stopped", LOG_S("capture", c->row.id),
	    LOG_S("session", c->row.folder), LOG_S("why", c->stopped));
	if (note_stopped(c))
		finished(c);
	else
		encode_job_failed(c, "the spool cannot be written");
}

/* From outside: the next try may do better. */
static bool
is_killed(int status)
{
	return WIFSIGNALED(status) &&
	    (WTERMSIG(status) == SIGKILL || WTERMSIG(status) == SIGTERM);
}

static void
ended(struct capture *c, int status)
{
	struct daemon *d = c->row.d;
	char why[180], how[40];

	encode_job_remove(c, ".encode");
	if (d->stopping) {
		spool_row_move(&c->row, CAUSE_ENCODER_STOPPED, NULL);
		return;
	}
	if (c->is_late)
		snprintf(why, sizeof(why),
		    "encoding took more than %lld s of processor time",
		    (long long)c->limit_s);
	else if (c->stopped[0] != '\0')
		snprintf(why, sizeof(why),
		    "it cannot be decoded from its beginning: %s", c->stopped);
	else
		snprintf(why, sizeof(why), "encoding: %s%s",
		    c->row.was_stuck ? "stuck, " : "",
		    child_say(status, how, sizeof(how)));
	log_error("encode_failed", LOG_S("capture", c->row.id),
	    LOG_S("session", c->row.folder), LOG_S("why", why));
	d->counters.encodes_failed++;
	if (WIFEXITED(status) && WEXITSTATUS(status) == EX_TEMPFAIL) {
		spool_row_retry(&c->row, CAUSE_ENCODE_LATER, why);
		return;
	}
	encode_rows_failed(d->db, c->row.id, why);
	if (++c->n_failures >= ENCODE_TRIES_MAX)
		encode_job_give_up(c, why);
	else if (is_killed(status) && !c->is_late)
		spool_row_retry(&c->row, CAUSE_ENCODE_LATER, why);
	else
		spool_row_retry(&c->row, CAUSE_ENCODE_FAILED, why);
}

void
encode_job_reap(struct capture *c)
{
	int status;

	if (c->row.pid == 0 ||
	    waitpid(c->row.pid, &status, WNOHANG) != c->row.pid)
		return;
	c->row.pid = 0;
	c->q->n_encoders--;
	if (c->out >= 0)
		encode_job_read(c->out, EV_READ, c); /* its last line */
	if (c->ev != NULL)
		event_free(c->ev);
	c->ev = NULL;
	if (c->out >= 0)
		close(c->out);
	c->out = -1;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		finished(c);
	else if (WIFEXITED(status) && WEXITSTATUS(status) == EX_PROTOCOL &&
	    has_segment(c) && !c->row.d->stopping)
		finished_in_part(c);
	else
		ended(c, status);
}
