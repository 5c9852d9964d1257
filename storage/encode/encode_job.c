/* One encoder: relaycam-recorder --replay of one capture. */
#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/db.h"
#include "common/log.h"
#include "storage/daemon.h"
#include "storage/encode/encode_queue.h"
#include "storage/encode/encode_rows.h"

void
encode_job_remove(struct capture *c, const char *suffix)
{
	char name[SPOOL_NAME_MAX];
	int dir = c->row.dir;
	int fd = openat(dir, spool_row_name(&c->row, suffix, name),
	    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *e;

	if (d != NULL) {
		while ((e = readdir(d)) != NULL)
			if (e->d_name[0] != '.')
				unlinkat(fd, e->d_name, 0);
		closedir(d);
	} else if (fd >= 0) {
		close(fd);
	}
	if (unlinkat(dir, name, AT_REMOVEDIR) != 0 && errno != ENOENT)
		log_error("spool_remove", LOG_S("file", name), LOG_ERRNO());
}

/* ---- progress ---- */

static void
take_line(struct capture *c)
{
	int n;

	c->line[c->line_len] = '\0';
	if (strncmp(c->line, "stopped ", 8) == 0)
		snprintf(c->stopped, sizeof(c->stopped), "%s", c->line + 8);
	if (sscanf(c->line, "progress %d", &n) == 1 && n >= 0 && n <= 100)
		c->row.percent = n;
	c->line_len = 0;
}

static void
on_output(evutil_socket_t fd, short what, void *arg)
{
	struct capture *c = arg;
	char buf[256];
	ssize_t n;

	do {
		n = read(fd, buf, sizeof(buf));
		for (ssize_t i = 0; i < n; i++)
			if (buf[i] == '\n')
				take_line(c);
			else if (c->line_len < sizeof(c->line) - 1)
				c->line[c->line_len++] =
				    buf[i] >= ' ' && buf[i] < 127 ? buf[i]
								  : '?';
	} while (n == (ssize_t)sizeof(buf));
	if (n == 0 && c->ev != NULL)
		event_del(c->ev); /* it is ending: SIGCHLD follows */
}

/*
 * A stuck one would keep its place, and its session, waiting for ever. The
 * percentage does not tell: one of it may be minutes of a long session.
 */
static void
watch_progress(struct capture *c)
{
	int64_t limit_s = c->row.d->conf.recorder_stall_seconds;

	if (!child_is_stuck(&c->row.watch, c->row.pid, limit_s))
		return;
	log_error("encoder_stuck", LOG_S("capture", c->row.id),
	    LOG_I("pid", c->row.pid), LOG_I("seconds", limit_s));
	c->row.was_stuck = true;
	encode_job_kill(c);
}

void
encode_job_tick(struct capture *c)
{
	if (c->row.pid != 0)
		watch_progress(c);
}

/* ---- beginning ---- */

void
encode_job_failed(struct capture *c, const char *why)
{
	log_error(
	    "encode_failed", LOG_S("capture", c->row.id), LOG_S("why", why));
	spool_row_retry(&c->row, CAUSE_ENCODE_LATER, why);
}

static int
watch_output(struct capture *c, int fd)
{
	evutil_make_socket_nonblocking(fd);
	c->out = fd;
	c->line_len = 0;
	c->ev =
	    event_new(c->row.d->base, fd, EV_READ | EV_PERSIST, on_output, c);
	return c->ev == NULL ? -1 : event_add(c->ev, NULL);
}

void
encode_job_run(struct capture *c)
{
	struct daemon *d = c->row.d;
	char dir[PATH_MAX];
	char *argv[] = { "relaycam-recorder", "--first-seq", c->first_seq,
		"--first-frame", c->first_frame, "--gap-start", c->gap_start,
		"--replay",
		spool_folder_path(
		    d->spool_conf.dir, c->row.folder, dir, sizeof(dir)),
		c->row.id, NULL };
	char why[160];
	int fds[2], rc;

	if (strcmp(c->gap_start, "0") == 0) { /* nothing came before it */
		argv[5] = "--replay";
		argv[6] = dir;
		argv[7] = c->row.id;
		argv[8] = NULL;
	}
	if (pipe2(fds, O_CLOEXEC) != 0) {
		encode_job_failed(c, "no pipe can be had");
		return;
	}
	rc = child_run(d->conf.recorder_program, argv, fds[1], &c->row.pid);
	close(fds[1]);
	if (rc != 0) {
		c->row.pid = 0;
		close(fds[0]);
		snprintf(why, sizeof(why), "cannot run %.100s: %s",
		    d->conf.recorder_program, strerror(rc));
		encode_job_failed(c, why);
		return;
	}
	c->q->n_encoders++;
	c->row.percent = c->row.percent_sent = 0;
	child_watch_begin(&c->row.watch);
	c->row.was_stuck = false;
	c->stopped[0] = '\0';
	spool_row_move(&c->row, CAUSE_ENCODER_RUNS, NULL);
	watch_output(c, fds[0]); /* without, there is no progress to show */
	log_info("encode_start", LOG_S("capture", c->row.id),
	    LOG_I("pid", c->row.pid), LOG_S("seq", c->first_seq),
	    LOG_S("frame", c->first_frame));
}

/* The answer came: does the capture go on? */
static bool
has_answer(struct capture *c, PGresult *res, const char *what)
{
	c->row.is_busy = false;
	spool_row_move(&c->row, CAUSE_ANSWERED, what);
	if (c->row.d->exiting || c->row.d->stopping || res == NULL)
		return false;
	if (db_ok(res, what))
		return true;
	spool_row_retry(&c->row, CAUSE_LATER, NULL);
	return false;
}

static void
on_begun(void *arg, PGresult *res)
{
	struct capture *c = arg;

	if (!has_answer(c, res, "encoding begins"))
		return;
	if (PQntuples(res) == 0) {
		/* taken away meanwhile: the next look at its row tells */
		c->row.sent_status[0] = '\0';
		spool_row_retry(&c->row, CAUSE_LATER, NULL);
		return;
	}
	snprintf(
	    c->first_seq, sizeof(c->first_seq), "%s", PQgetvalue(res, 0, 3));
	spool_row_moved(&c->row, CAUSE_ENCODE_BEGUN);
	encode_check_start(c, PQgetvalue(res, 0, 1), PQgetvalue(res, 0, 2));
}

static void
on_before(void *arg, PGresult *res)
{
	struct capture *c = arg;

	if (!has_answer(c, res, "numbers of a capture"))
		return;
	if (PQgetvalue(res, 0, 3)[0] == 't') {
		spool_row_retry(&c->row, CAUSE_ENCODE_LATER, encode_waits);
		return;
	}
	snprintf(c->first_seq, sizeof(c->first_seq), "%lld",
	    atoll(PQgetvalue(res, 0, 0)) + 1);
	snprintf(c->first_frame, sizeof(c->first_frame), "%lld",
	    atoll(PQgetvalue(res, 0, 1)) + 1);
	snprintf(
	    c->gap_start, sizeof(c->gap_start), "%s", PQgetvalue(res, 0, 2));
	if (encode_rows_begin(
		c->row.d->db, c->row.id, c->first_seq, on_begun, c) == 0) {
		c->row.is_busy = true;
		spool_row_move(&c->row, CAUSE_ASKS, NULL);
	}
}

void
encode_job_start(struct capture *c)
{
	struct encode_queue *q = c->q;

	if (q->d->stopping || c->row.is_busy || !db_is_connected(q->d->db) ||
	    q->n_encoders + encode_queue_count(q, SPOOL_ASKING) >=
		q->max_encoders)
		return;
	if (encode_rows_before(q->d->db, &c->row.m, on_before, c) != 0)
		return;
	c->row.is_busy = true;
	spool_row_move(&c->row, CAUSE_ASKS, NULL);
}

/* ---- ending ---- */

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
	log_info("encode_done", LOG_S("capture", c->row.id));
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
	    LOG_S("why", c->stopped));
	if (note_stopped(c))
		finished(c);
	else
		encode_job_failed(c, "the spool cannot be written");
}

/* Killed from outside, or told that later may be better. */
static bool
is_passing(int status)
{
	if (WIFEXITED(status))
		return WEXITSTATUS(status) == EX_TEMPFAIL;
	return WTERMSIG(status) == SIGKILL || WTERMSIG(status) == SIGTERM;
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
	if (c->stopped[0] != '\0')
		snprintf(why, sizeof(why),
		    "it cannot be decoded from its beginning: %s", c->stopped);
	else
		snprintf(why, sizeof(why), "encoding: %s%s",
		    c->row.was_stuck ? "stuck, " : "",
		    child_say(status, how, sizeof(how)));
	log_error(
	    "encode_failed", LOG_S("capture", c->row.id), LOG_S("why", why));
	d->counters.encodes_failed++;
	if (is_passing(status)) {
		spool_row_retry(&c->row, CAUSE_ENCODE_LATER, why);
		return;
	}
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
		on_output(c->out, EV_READ, c); /* its last line */
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

void
encode_job_kill(struct capture *c)
{
	if (c->row.pid != 0)
		kill(c->row.pid, SIGKILL);
}
