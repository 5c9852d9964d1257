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
#include "storage/spool/child.h"
#include "storage/daemon.h"
#include "storage/encode/encode_queue.h"
#include "storage/encode/encode_rows.h"

void
encode_job_remove(struct capture *c, const char *suffix)
{
	char name[SPOOL_NAME_MAX];
	int dir = c->q->dir;
	int fd = openat(dir, capture_name(c, suffix, name),
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
		c->percent = n;
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
	int64_t limit_s = c->q->d->conf.recorder_stall_seconds;

	if (!child_is_stuck(&c->watch, c->pid, limit_s))
		return;
	log_error("encoder_stuck", LOG_S("capture", c->id),
	    LOG_I("pid", c->pid), LOG_I("seconds", limit_s));
	c->was_stuck = true;
	encode_job_kill(c);
}

void
encode_job_tick(struct capture *c)
{
	if (c->percent != c->percent_sent) {
		c->percent_sent = c->percent;
		encode_rows_progress(c->q->d->db, c->id, c->percent);
	}
	if (c->pid != 0)
		watch_progress(c);
}

/* ---- beginning ---- */

void
encode_job_failed(struct capture *c, const char *why)
{
	log_error("encode_failed", LOG_S("capture", c->id), LOG_S("why", why));
	capture_want(c, "downloaded", why);
	capture_retry_later(c);
}

static int
watch_output(struct capture *c, int fd)
{
	evutil_make_socket_nonblocking(fd);
	c->out = fd;
	c->line_len = 0;
	c->ev =
	    event_new(c->q->d->base, fd, EV_READ | EV_PERSIST, on_output, c);
	return c->ev == NULL ? -1 : event_add(c->ev, NULL);
}

void
encode_job_run(struct capture *c)
{
	struct daemon *d = c->q->d;
	char dir[PATH_MAX];
	char *argv[] = { "relaycam-recorder", "--first-seq", c->first_seq,
		"--first-frame", c->first_frame, "--gap-start", c->gap_start,
		"--replay",
		spool_folder_path(
		    d->spool_conf.dir, c->folder, dir, sizeof(dir)),
		c->id, NULL };
	char why[160];
	int fds[2], rc;

	if (strcmp(c->gap_start, "0") == 0) { /* nothing came before it */
		argv[5] = "--replay";
		argv[6] = dir;
		argv[7] = c->id;
		argv[8] = NULL;
	}
	if (pipe2(fds, O_CLOEXEC) != 0) {
		encode_job_failed(c, "no pipe can be had");
		return;
	}
	rc = child_run(d->conf.recorder_program, argv, fds[1], &c->pid);
	close(fds[1]);
	if (rc != 0) {
		c->pid = 0;
		close(fds[0]);
		snprintf(why, sizeof(why), "cannot run %.100s: %s",
		    d->conf.recorder_program, strerror(rc));
		encode_job_failed(c, why);
		return;
	}
	c->q->n_encoders++;
	c->percent = c->percent_sent = 0;
	child_watch_begin(&c->watch);
	c->was_stuck = false;
	c->stopped[0] = '\0';
	capture_change(c, CAPTURE_ENCODING, "its turn");
	watch_output(c, fds[0]); /* without, there is no progress to show */
	log_info("encode_start", LOG_S("capture", c->id), LOG_I("pid", c->pid),
	    LOG_S("seq", c->first_seq), LOG_S("frame", c->first_frame));
}

/* The answer came: does the capture go on? */
static bool
has_answer(struct capture *c, PGresult *res, const char *what)
{
	c->row_busy = false;
	capture_change(c, CAPTURE_WAITING, what);
	if (c->q->d->exiting || c->q->d->stopping || res == NULL)
		return false;
	if (db_ok(res, what))
		return true;
	capture_retry_later(c);
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
		c->sent_status[0] = '\0';
		capture_retry_later(c);
		return;
	}
	snprintf(
	    c->first_seq, sizeof(c->first_seq), "%s", PQgetvalue(res, 0, 3));
	/* the row says so already */
	strcpy(c->status, "encoding");
	c->detail[0] = '\0';
	strcpy(c->sent_status, c->status);
	c->sent_detail[0] = '\0';
	if (c->q->n_encoders < c->q->max_encoders)
		encode_check_start(
		    c, PQgetvalue(res, 0, 1), PQgetvalue(res, 0, 2));
}

static void
on_before(void *arg, PGresult *res)
{
	struct capture *c = arg;

	if (!has_answer(c, res, "numbers of a capture"))
		return;
	if (PQgetvalue(res, 0, 3)[0] == 't') {
		capture_want(c, "downloaded", encode_waits);
		capture_retry_later(c);
		return;
	}
	snprintf(c->first_seq, sizeof(c->first_seq), "%lld",
	    atoll(PQgetvalue(res, 0, 0)) + 1);
	snprintf(c->first_frame, sizeof(c->first_frame), "%lld",
	    atoll(PQgetvalue(res, 0, 1)) + 1);
	snprintf(
	    c->gap_start, sizeof(c->gap_start), "%s", PQgetvalue(res, 0, 2));
	if (encode_rows_begin(c->q->d->db, c->id, c->first_seq, on_begun, c) ==
	    0) {
		c->row_busy = true;
		c->state = CAPTURE_ASKING;
	}
}

void
encode_job_start(struct capture *c)
{
	struct encode_queue *q = c->q;

	if (q->d->stopping || c->row_busy || !db_is_connected(q->d->db) ||
	    q->n_encoders + encode_queue_count(q, CAPTURE_ASKING) >=
		q->max_encoders)
		return;
	if (encode_rows_before(q->d->db, &c->m, on_before, c) != 0)
		return;
	c->row_busy = true;
	c->state = CAPTURE_ASKING;
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
	    capture_name(c, ".encode", folder), CAPTURE_STOPPED);
	fd = openat(c->q->dir, name,
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
	char from[SPOOL_NAME_MAX], to[SPOOL_NAME_MAX];

	if (!encode_check_holds(c)) {
		encode_job_remove(c, ".encode");
		encode_job_failed(c, "the capture was changed meanwhile");
		return;
	}
	log_info("encode_done", LOG_S("capture", c->id));
	c->q->d->counters.encodes_ok++;
	if (renameat(c->q->dir, capture_name(c, ".encode", from), c->q->dir,
		capture_name(c, ".encoded", to)) != 0 ||
	    capture_sync_folder(c) != 0)
		encode_job_failed(c, "the spool cannot be written");
	else
		capture_change(c, CAPTURE_ENCODED, "its encoder is done");
}

/* Something came out before the stream could not be decoded. */
static bool
has_segment(const struct capture *c)
{
	char name[2 * SPOOL_NAME_MAX], folder[SPOOL_NAME_MAX];

	snprintf(name, sizeof(name), "%s/%s.json",
	    capture_name(c, ".encode", folder), c->id);
	return faccessat(c->q->dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void
finished_in_part(struct capture *c)
{
	log_error("encode_stopped", LOG_S("capture", c->id),
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
	struct daemon *d = c->q->d;
	char why[180], how[40];

	encode_job_remove(c, ".encode");
	if (d->stopping) {
		capture_change(c, CAPTURE_WAITING, "stopped");
		capture_want(c, "downloaded", "");
		return;
	}
	if (c->stopped[0] != '\0')
		snprintf(why, sizeof(why),
		    "it cannot be decoded from its beginning: %s", c->stopped);
	else
		snprintf(why, sizeof(why), "encoding: %s%s",
		    c->was_stuck ? "stuck, " : "",
		    child_say(status, how, sizeof(how)));
	log_error("encode_failed", LOG_S("capture", c->id), LOG_S("why", why));
	d->counters.encodes_failed++;
	if (is_passing(status)) {
		capture_want(c, "downloaded", why);
		capture_retry_later(c);
		return;
	}
	capture_change(c, CAPTURE_FAILED, why);
	capture_want(c, "encoding_failed", why);
}

void
encode_job_reap(struct capture *c)
{
	int status;

	if (c->pid == 0 || waitpid(c->pid, &status, WNOHANG) != c->pid)
		return;
	c->pid = 0;
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
	    has_segment(c) && !c->q->d->stopping)
		finished_in_part(c);
	else
		ended(c, status);
}

void
encode_job_kill(struct capture *c)
{
	if (c->pid != 0)
		kill(c->pid, SIGKILL);
}
