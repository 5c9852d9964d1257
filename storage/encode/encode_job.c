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
#include <unistd.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/db.h"
#include "common/log.h"
#include "storage/daemon.h"
#include "storage/encode/encode_queue.h"
#include "storage/encode/encode_rows.h"
#include "storage/node.h"

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

void
encode_job_read(evutil_socket_t fd, short what, void *arg)
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

/* Nor may what was recorded, such as a flood of CopyRect, hold a place for
 * days (M3). */
static void
watch_time(struct capture *c)
{
	if (c->is_late || child_cpu_s(&c->row.watch) <= c->limit_s)
		return;
	log_error("encoder_too_slow", LOG_S("capture", c->row.id),
	    LOG_S("session", c->row.folder), LOG_I("pid", c->row.pid),
	    LOG_I("cpu_seconds", c->limit_s));
	c->is_late = true;
	encode_job_kill(c);
}

/*
 * A stuck one would keep its place, and its session, waiting for ever. The
 * percentage does not tell: one of it may be minutes of a long session.
 */
static void
watch_progress(struct capture *c)
{
	int64_t limit_s = c->row.d->conf.recorder_stall_seconds;

	if (!child_is_stuck(&c->row.watch, c->row.pid, limit_s)) {
		watch_time(c);
		return;
	}
	c->row.was_stuck = true;
	log_error("encoder_stuck", LOG_S("capture", c->row.id),
	    LOG_S("session", c->row.folder), LOG_I("pid", c->row.pid),
	    LOG_I("seconds", limit_s));
	encode_job_kill(c);
}

static void
on_renewed(void *arg, PGresult *res)
{
	struct capture *c = arg;

	c->is_renewing = false;
	if (c->row.d->exiting || res == NULL || c->row.pid == 0 ||
	    !db_ok(res, "renew the lease of a capture") || PQntuples(res) != 0)
		return;
	log_error("encode_lease_lost", LOG_S("capture", c->row.id),
	    LOG_S("session", c->row.folder));
	encode_job_kill(c);
}

/* Else another node may take it over. */
static void
renew_lease(struct capture *c)
{
	uint64_t now = clock_mono_ns();

	if (c->is_renewing || now < c->renew_ns)
		return;
	c->renew_ns = now + ENCODE_RENEW_S * NS_PER_S;
	c->is_renewing = encode_rows_renew(c->row.d->db, c->row.id,
			     node_id(c->row.d->node), on_renewed, c) == 0;
}

void
encode_job_tick(struct capture *c)
{
	if (c->row.pid != 0) {
		watch_progress(c);
		renew_lease(c);
	}
}

/* ---- beginning ---- */

void
encode_job_failed(struct capture *c, const char *why)
{
	log_error("encode_failed", LOG_S("capture", c->row.id),
	    LOG_S("session", c->row.folder), LOG_S("why", why));
	spool_row_retry(&c->row, CAUSE_ENCODE_LATER, why);
}

static int
watch_output(struct capture *c, int fd)
{
	evutil_make_socket_nonblocking(fd);
	c->out = fd;
	c->line_len = 0;
	c->ev = event_new(
	    c->row.d->base, fd, EV_READ | EV_PERSIST, encode_job_read, c);
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
	c->row.was_stuck = c->is_late = false;
	c->renew_ns = clock_mono_ns() + ENCODE_RENEW_S * NS_PER_S;
	c->stopped[0] = '\0';
	spool_row_move(&c->row, CAUSE_ENCODER_RUNS, NULL);
	watch_output(c, fds[0]); /* without, there is no progress to show */
	log_info("encode_start", LOG_S("capture", c->row.id),
	    LOG_S("session", c->row.folder), LOG_I("pid", c->row.pid),
	    LOG_S("seq", c->first_seq), LOG_S("frame", c->first_frame));
}

void
encode_job_give_up(struct capture *c, const char *why)
{
	char text[STORE_DETAIL_MAX];

	snprintf(text, sizeof(text),
	    "%.140s; not tried again after %d failures: relaycam recordings "
	    "encode",
	    why, ENCODE_TRIES_MAX);
	log_error("encode_given_up", LOG_S("capture", c->row.id),
	    LOG_S("session", c->row.folder), LOG_S("why", text));
	spool_row_retry(&c->row, CAUSE_ENCODE_GIVEN_UP, text);
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
	c->by_hand = false;
	encode_turns_note(&c->q->turns, c->row.m.team_id);
	spool_row_moved(&c->row, CAUSE_ENCODE_BEGUN);
	encode_check_start(c, PQgetvalue(res, 0, 1), PQgetvalue(res, 0, 2));
}

static void
on_before(void *arg, PGresult *res)
{
	struct capture *c = arg;
	struct encode_claim claim = { .id = c->row.id,
		.node = node_id(c->row.d->node),
		.seq = c->first_seq,
		.by_hand = c->by_hand };

	if (!has_answer(c, res, "numbers of a capture"))
		return;
	c->n_failures = c->by_hand ? 0 : atoi(PQgetvalue(res, 0, 4));
	if (c->n_failures >= ENCODE_TRIES_MAX) {
		encode_job_give_up(c, PQgetvalue(res, 0, 5));
		return;
	}
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
	if (encode_rows_begin(c->row.d->db, &claim, on_begun, c) == 0) {
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

void
encode_job_kill(struct capture *c)
{
	if (c->row.pid != 0)
		kill(c->row.pid, SIGKILL);
}
