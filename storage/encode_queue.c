#include "storage/encode_queue.h"

#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/db.h"
#include "common/err.h"
#include "common/log.h"
#include "storage/daemon.h"
#include "storage/encode_rows.h"
#include "storage/node.h"
#include "storage/rows.h"
#include "storage/spool.h"
#include "storage/worker.h"

#define SOON_MS   100 /* a lock is let go just after the last close */
#define REMNANT_S 86400

enum { F_PART = 1, F_CAPTURE = 2, F_JSON = 4, F_ENCODE = 8, F_ENCODED = 16 };

/* In the order they are looked for: a rename never hides the capture. */
static const struct {
	const char *suffix;
	unsigned bit;
} suffixes[] = {
	{ ".capture.part", F_PART },
	{ ".capture", F_CAPTURE },
	{ ".capture.json", F_JSON },
	{ ".encode", F_ENCODE },
	{ ".encoded", F_ENCODED },
};

static const char *const state_names[CAPTURE_STATES] = { "new", "recording",
	"waiting", "asking", "encoding", "encoded", "failed", "lost" };

char *
capture_name(const struct capture *c, const char *suffix, char out[64])
{
	snprintf(out, 64, "%s%s", c->id, suffix);
	return out;
}

void
capture_change(struct capture *c, enum capture_state to, const char *why)
{
	if (c->state == to)
		return;
	log_info("capture_state", LOG_S("capture", c->id),
	    LOG_S("from", state_names[c->state]), LOG_S("to", state_names[to]),
	    LOG_S("why", why));
	c->state = to;
}

/* ---- the row ---- */

static void capture_sync(struct capture *c);
static void capture_update(struct capture *c);

static bool
is_gone(const char *status)
{
	return strcmp(status, "deleted") == 0 || strcmp(status, "expired") == 0;
}

static void
on_row(void *arg, PGresult *res)
{
	struct capture *c = arg;
	struct daemon *d = c->q->d;

	c->row_busy = false;
	if (d->exiting)
		return;
	if (res == NULL) {
		c->sent_status[0] = '\0'; /* sent again on reconnect */
		return;
	}
	if (!db_ok(res, "write capture") || PQntuples(res) == 0) {
		if (db_sqlstate(res)[0] == '\0')
			log_error("capture_of_another_session",
			    LOG_S("capture", c->id));
		c->sent_status[0] = '\0';
		c->row_known = false;
		c->row_retry_ns = clock_mono_ns() +
		    (uint64_t)d->conf.retry_seconds * NS_PER_S;
		return;
	}
	c->row_known = true;
	if (is_gone(PQgetvalue(res, 0, 0)) && c->state != CAPTURE_RECORDING) {
		log_warn("capture_discarded", LOG_S("capture", c->id));
		encode_discard(c);
		return;
	}
	capture_sync(c);
	capture_update(c);
}

static void
capture_sync(struct capture *c)
{
	struct daemon *d = c->q->d;
	const struct rows_state state = { .node = node_id(d->node),
		.status = c->status,
		.detail = c->detail,
		.is_capture = true };

	if (c->row_busy || !c->has_manifest || c->status[0] == '\0' ||
	    c->row_retry_ns > clock_mono_ns() || !db_is_connected(d->db))
		return;
	if (strcmp(c->status, c->sent_status) == 0 &&
	    strcmp(c->detail, c->sent_detail) == 0)
		return;
	if (rows_upsert(d->db, &c->m, &state, on_row, c) != 0)
		return;
	c->row_busy = true;
	c->row_known = false;
	strcpy(c->sent_status, c->status);
	strcpy(c->sent_detail, c->detail);
}

void
capture_want(struct capture *c, const char *status, const char *detail)
{
	snprintf(c->status, sizeof(c->status), "%s", status);
	snprintf(c->detail, sizeof(c->detail), "%s", detail);
	capture_sync(c);
}

void
capture_retry_later(struct capture *c)
{
	capture_change(c, CAPTURE_WAITING, "tried again later");
	c->retry_ns =
	    clock_mono_ns() + (uint64_t)c->q->d->conf.retry_seconds * NS_PER_S;
}

/* ---- decisions ---- */

static unsigned
look(const struct capture *c)
{
	unsigned files = 0;
	struct stat st;
	char name[64];

	for (size_t i = 0; i < N_ELEMENTS(suffixes); i++) {
		bool is_folder = suffixes[i].bit >= F_ENCODE;

		if (fstatat(c->q->dir,
			capture_name(c, suffixes[i].suffix, name), &st,
			AT_SYMLINK_NOFOLLOW) == 0 &&
		    (is_folder ? S_ISDIR(st.st_mode) : S_ISREG(st.st_mode)))
			files |= suffixes[i].bit;
	}
	return files;
}

int
capture_open(const struct capture *c, const char *suffix)
{
	char name[64];

	return openat(c->q->dir, capture_name(c, suffix, name),
	    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
}

/* 1: somebody holds it; 0: nobody does; negative: it is not there. */
static int
is_locked(const struct capture *c, const char *suffix, time_t *changed)
{
	int fd = capture_open(c, suffix);
	struct stat st = { 0 };
	int locked;

	if (fd < 0)
		return ERR_NOTFOUND;
	locked = flock(fd, LOCK_EX | LOCK_NB) != 0;
	if (fstat(fd, &st) == 0 && changed != NULL)
		*changed = st.st_mtime;
	close(fd);
	return locked;
}

static void
log_once(struct capture *c, const char *event, const char *why)
{
	if (!c->was_logged)
		log_warn(event, LOG_S("capture", c->id), LOG_S("why", why));
	c->was_logged = true;
}

static int
load_manifest(struct capture *c)
{
	char name[64], err[160] = "";
	int rc;

	if (c->has_manifest)
		return 0;
	rc = manifest_load(&c->m, c->q->dir,
	    capture_name(c, ".capture.json", name), c->id, false, err,
	    sizeof(err));
	c->has_manifest = rc == 0;
	if (rc != 0 && rc != ERR_NOTFOUND) {
		log_once(c, "manifest_refused", err);
		capture_change(c, CAPTURE_LOST, err);
	}
	return rc;
}

/* Its recorder writes it, or died: what is on disk is readable. */
static void
update_part(struct capture *c)
{
	char from[64], to[64];
	time_t changed = 0;
	int locked = is_locked(c, ".capture.part", &changed);

	if (locked < 0)
		return;
	if ((c->files & F_JSON) == 0) {
		if (locked == 0 &&
		    (uint64_t)changed + REMNANT_S < clock_wall_ns() / NS_PER_S)
			unlinkat(c->q->dir,
			    capture_name(c, ".capture.part", from), 0);
		return;
	}
	if (load_manifest(c) != 0)
		return;
	if (locked == 1) {
		capture_change(c, CAPTURE_RECORDING, "locked by its recorder");
		capture_want(
		    c, "recording", "encoded when the session is over");
		return;
	}
	log_warn("capture_cut_off", LOG_S("capture", c->id));
	renameat(c->q->dir, capture_name(c, ".capture.part", from), c->q->dir,
	    capture_name(c, ".capture", to));
	fsync(c->q->dir);
	encode_queue_kick(c->q, false);
}

static bool
is_before(const struct manifest *m, const struct capture *c)
{
	return strcmp(m->session, c->m.session) == 0 && m->seq < c->m.seq;
}

/*
 * Whether something of its session lies in this folder that comes before it
 * and has no final numbers yet. What is not here, the database knows.
 */
static bool
has_to_wait(const struct capture *c)
{
	const struct capture *o;
	const struct item *it;

	TAILQ_FOREACH(o, &c->q->captures, link)
	if (o != c && o->has_manifest && is_before(&o->m, c))
		return true;
	TAILQ_FOREACH(it, &c->q->d->spool->items, link)
	if (it->has_manifest && !it->is_registered && is_before(&it->m, c))
		return true;
	return false;
}

/* Copied and ready: its row first, then its turn. */
static void
update_ready(struct capture *c)
{
	if (load_manifest(c) != 0 || c->state == CAPTURE_FAILED)
		return;
	if (is_locked(c, ".capture", NULL) != 0)
		return; /* an encoder of the storage before us, not yet dead */
	if (c->files & F_ENCODE)
		encode_job_remove(c, ".encode");
	capture_change(c, CAPTURE_WAITING, "ready for encoding");
	capture_want(c, "downloaded",
	    strcmp(c->status, "downloaded") == 0 ? c->detail : "");
	if (c->row_known && !c->row_busy && !has_to_wait(c))
		encode_job_start(c);
}

static void
update_lost(struct capture *c)
{
	if (load_manifest(c) != 0)
		return;
	capture_change(c, CAPTURE_LOST, "manifest without capture");
	capture_want(c, "missing", "the capture is not in the spool");
}

static bool
is_under_way(const struct capture *c)
{
	return c->row_busy || c->pid != 0 || c->state == CAPTURE_ASKING;
}

static void
capture_update(struct capture *c)
{
	struct encode_queue *q = c->q;

	if (is_under_way(c))
		return;
	c->files = look(c);
	if (c->files == 0) {
		TAILQ_REMOVE(&q->captures, c, link);
		free(c);
		return;
	}
	if (q->d->stopping || c->retry_ns > clock_mono_ns())
		return;
	if (c->files & F_ENCODED)
		encode_publish(c);
	else if (c->files & F_PART)
		update_part(c);
	else if ((c->files & F_CAPTURE) && (c->files & F_JSON))
		update_ready(c);
	else if (c->files & F_JSON)
		update_lost(c);
	else
		log_once(c, "capture_remnant", "no manifest");
}

/* ---- the folder ---- */

static struct capture *
find_capture(struct encode_queue *q, const char *id)
{
	struct capture *c;

	TAILQ_FOREACH(c, &q->captures, link)
	if (strcmp(c->id, id) == 0)
		return c;
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return NULL;
	c->q = q;
	c->out = -1;
	strcpy(c->id, id);
	TAILQ_INSERT_TAIL(&q->captures, c, link);
	return c;
}

/* A spool file's capture, if it is one's. */
static bool
parse_name(const char *name, char id[37])
{
	if (strlen(name) < 37)
		return false;
	memcpy(id, name, 36);
	id[36] = '\0';
	if (!is_uuid(id))
		return false;
	for (size_t i = 0; i < N_ELEMENTS(suffixes); i++)
		if (strcmp(name + 36, suffixes[i].suffix) == 0)
			return true;
	return false;
}

static void
update_all(struct encode_queue *q)
{
	struct capture *c, *next;

	for (c = TAILQ_FIRST(&q->captures); c != NULL; c = next) {
		next = TAILQ_NEXT(c, link);
		capture_sync(c);
		capture_update(c);
	}
}

static void
scan(struct encode_queue *q)
{
	int fd = openat(q->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *e;
	char id[37];

	q->next_scan_ns =
	    clock_mono_ns() + (uint64_t)q->d->conf.scan_seconds * NS_PER_S;
	if (dir == NULL) {
		log_error("spool_read", LOG_ERRNO());
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((e = readdir(dir)) != NULL)
		if (parse_name(e->d_name, id))
			find_capture(q, id);
	closedir(dir);
	update_all(q);
}

static void
on_soon(evutil_socket_t fd, short what, void *arg)
{
	scan(arg);
}

void
encode_queue_kick(struct encode_queue *q, bool retry)
{
	struct timeval tv = { 0, SOON_MS * 1000 };
	struct capture *c;

	if (retry)
		TAILQ_FOREACH(c, &q->captures, link)
		{
			c->retry_ns = c->row_retry_ns = 0;
			if (c->state == CAPTURE_FAILED)
				c->state = CAPTURE_NEW;
		}
	evtimer_add(q->soon, &tv);
}

static void
on_inotify(evutil_socket_t fd, short what, void *arg)
{
	char events[8192];

	while (read(fd, events, sizeof(events)) > 0)
		;
	if (!evtimer_pending(((struct encode_queue *)arg)->soon, NULL))
		encode_queue_kick(arg, false);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct encode_queue *q = arg;
	struct capture *c;
	bool due = clock_mono_ns() >= q->next_scan_ns;

	TAILQ_FOREACH(c, &q->captures, link)
	{
		if (c->state == CAPTURE_WAITING &&
		    c->retry_ns <= clock_mono_ns())
			due = true;
		if (c->state == CAPTURE_ENCODING)
			encode_job_tick(c);
	}
	if (due)
		scan(q);
}

static void
on_child(evutil_socket_t fd, short what, void *arg)
{
	struct encode_queue *q = arg;
	struct capture *c;

	TAILQ_FOREACH(c, &q->captures, link)
	encode_job_reap(c);
	encode_queue_kick(q, false);
}

/* ---- life ---- */

void
encode_queue_stop(struct encode_queue *q)
{
	struct capture *c;

	TAILQ_FOREACH(c, &q->captures, link)
	encode_job_kill(c);
}

unsigned
encode_queue_busy(const struct encode_queue *q)
{
	const struct capture *c;
	unsigned n = 0;

	TAILQ_FOREACH(c, &q->captures, link)
	n += is_under_way(c);
	return n;
}

unsigned
encode_queue_count(const struct encode_queue *q, enum capture_state state)
{
	const struct capture *c;
	unsigned n = 0;

	TAILQ_FOREACH(c, &q->captures, link)
	n += c->state == state;
	return n;
}

static int
add_events(struct encode_queue *q)
{
	struct event_base *base = q->d->base;
	struct timeval second = { 1, 0 };

	q->ev =
	    event_new(base, q->inotify, EV_READ | EV_PERSIST, on_inotify, q);
	q->soon = evtimer_new(base, on_soon, q);
	q->tick = event_new(base, -1, EV_PERSIST, on_tick, q);
	q->child = evsignal_new(base, SIGCHLD, on_child, q);
	if (q->ev == NULL || q->soon == NULL || q->tick == NULL ||
	    q->child == NULL || event_add(q->ev, NULL) != 0 ||
	    event_add(q->tick, &second) != 0 || event_add(q->child, NULL) != 0)
		return ERR_NOMEM;
	return 0;
}

int
encode_queue_new(struct daemon *d, char *err, size_t err_len)
{
	struct encode_queue *q = calloc(1, sizeof(*q));
	const char *dir = d->spool_conf.dir;
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	if (q == NULL)
		return ERR_NOMEM;
	q->d = d;
	d->encode_queue = q;
	q->max_encoders = d->conf.encoders > 0 ? (unsigned)d->conf.encoders
	    : cores > 0                        ? (unsigned)cores
					       : 1;
	TAILQ_INIT(&q->captures);
	q->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	q->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (q->dir < 0 || q->inotify < 0 ||
	    inotify_add_watch(q->inotify, dir,
		IN_CREATE | IN_MOVED_TO | IN_CLOSE_WRITE | IN_DELETE) < 0) {
		snprintf(
		    err, err_len, "spool.dir %s: %s", dir, strerror(errno));
		return ERR_CONFIG;
	}
	q->checkers = workers_new(d->base, 1);
	if (q->checkers == NULL || add_events(q) != 0)
		return ERR_NOMEM;
	encode_queue_kick(q, false);
	return 0;
}

void
encode_queue_free(struct encode_queue *q)
{
	struct event *events[] = { q->ev, q->soon, q->tick, q->child };
	struct capture *c;

	for (size_t i = 0; i < N_ELEMENTS(events); i++)
		if (events[i] != NULL)
			event_free(events[i]);
	if (q->checkers != NULL)
		workers_free(q->checkers);
	while ((c = TAILQ_FIRST(&q->captures)) != NULL) {
		TAILQ_REMOVE(&q->captures, c, link);
		encode_check_free(c);
		if (c->ev != NULL)
			event_free(c->ev);
		if (c->out >= 0)
			close(c->out);
		free(c);
	}
	if (q->dir >= 0)
		close(q->dir);
	if (q->inotify >= 0)
		close(q->inotify);
	free(q);
}
