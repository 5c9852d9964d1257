#include "storage/encode/encode_queue.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/db.h"
#include "common/err.h"
#include "storage/daemon.h"
#include "storage/storage_worker.h"

static void
on_found(void *arg, const char *folder, const char *id)
{
	struct encode_queue *q = arg;
	struct capture *c;

	TAILQ_FOREACH(c, &q->captures, link)
		if (strcmp(c->row.id, id) == 0 &&
		    strcmp(c->row.folder, folder) == 0)
			return;
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return;
	c->q = q;
	c->row.d = q->d;
	c->row.kind = &capture_kind;
	c->row.dir = q->dir;
	c->out = -1;
	strcpy(c->row.folder, folder);
	strcpy(c->row.id, id);
	TAILQ_INSERT_TAIL(&q->captures, c, link);
}

static void
on_scan(void *arg)
{
	struct encode_queue *q = arg;
	struct capture *c, *next;

	spool_watch_list(&q->watch, capture_suffixes, CAPTURE_KINDS);
	for (c = TAILQ_FIRST(&q->captures); c != NULL; c = next) {
		next = TAILQ_NEXT(c, link);
		spool_row_sync(&c->row);
		capture_update(c);
	}
}

/* Files of segments are not looked at here. */
static enum spool_look
on_changed(void *arg, const char *name, bool is_gone)
{
	char id[SPOOL_FOLDER_MAX];

	if (!spool_name_has_id(name, id))
		return is_gone ? SPOOL_LOOK_SWEEP : SPOOL_LOOK_SOON;
	return spool_name_is_of(capture_suffixes, CAPTURE_KINDS, name)
	    ? SPOOL_LOOK_SOON
	    : SPOOL_LOOK_NONE;
}

void
encode_queue_kick(struct encode_queue *q, bool retry)
{
	struct capture *c;

	if (retry)
		TAILQ_FOREACH(c, &q->captures, link) {
			c->by_hand = true;
			spool_row_again(&c->row, true);
		}
	spool_watch_soon(&q->watch);
}

static void
on_notified(void *arg, PGresult *res)
{
	struct encode_queue *q = arg;
	struct capture *c;

	if (res == NULL || !db_ok(res, "read the status of a capture") ||
	    PQntuples(res) == 0)
		return;
	TAILQ_FOREACH(c, &q->captures, link)
		if (c->row.state == SPOOL_FAILED && !c->row.is_busy &&
		    strcmp(c->row.id, PQgetvalue(res, 0, 0)) == 0) {
			c->by_hand = true;
			spool_row_again(&c->row, true);
			spool_watch_soon(&q->watch);
		}
}

void
encode_queue_notified(struct encode_queue *q, const char *id)
{
	const struct capture *c;

	TAILQ_FOREACH(c, &q->captures, link)
		if (c->row.state == SPOOL_FAILED && strcmp(c->row.id, id) == 0)
			db_query_now(q->d->db,
			    "SELECT id FROM segments WHERE id = $1::uuid AND "
			    "is_capture AND status = 'downloaded'",
			    1, &id, on_notified, q);
}

/* True when something waited for this moment. */
static bool
on_tick(void *arg)
{
	struct encode_queue *q = arg;
	struct capture *c;
	bool due = false;

	encode_quarantine_tick(q);
	TAILQ_FOREACH(c, &q->captures, link) {
		/* a place, or the numbers before it, may have come */
		if ((c->row.state == SPOOL_CLOSED ||
			c->row.state == SPOOL_WAIT) &&
		    c->row.retry_ns <= clock_mono_ns())
			due = true;
		spool_row_tick(&c->row);
		encode_job_tick(c);
	}
	return due;
}

static void
on_child(void *arg)
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

	atomic_store(&q->stopping, true);
	TAILQ_FOREACH(c, &q->captures, link)
		encode_job_kill(c);
}

unsigned
encode_queue_busy(const struct encode_queue *q)
{
	const struct capture *c;
	unsigned n = 0;

	TAILQ_FOREACH(c, &q->captures, link)
		n += capture_is_under_way(c);
	return n;
}

unsigned
encode_queue_count(const struct encode_queue *q, enum spool_state state)
{
	const struct capture *c;
	unsigned n = 0;

	TAILQ_FOREACH(c, &q->captures, link)
		n += c->row.state == state;
	return n;
}

int64_t
encode_queue_oldest(const struct encode_queue *q)
{
	const struct capture *c;
	int64_t oldest = 0;

	TAILQ_FOREACH(c, &q->captures, link)
		if (c->row.has_manifest && c->row.m.is_closed &&
		    c->row.state != SPOOL_FAILED &&
		    c->row.state != SPOOL_DONE &&
		    (oldest == 0 || c->row.m.end_wall_ns < oldest))
			oldest = c->row.m.end_wall_ns;
	return oldest;
}

int
encode_queue_new(struct daemon *d, char *err, size_t err_len)
{
	struct encode_queue *q = calloc(1, sizeof(*q));
	static const struct spool_watch_ops ops = { on_scan, on_tick, on_child,
		on_found, NULL, on_changed };
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	int rc;

	if (q == NULL)
		return ERR_NOMEM;
	q->d = d;
	d->encode_queue = q;
	q->max_encoders = d->conf.encoders > 0 ? (unsigned)d->conf.encoders
	    : cores > 0                        ? (unsigned)cores
					       : 1;
	TAILQ_INIT(&q->captures);
	q->checkers = workers_new(d->base, 1);
	if (q->checkers == NULL)
		return ERR_NOMEM;
	rc = spool_watch_init(&q->watch, d, &ops, q, err, err_len);
	q->dir = q->watch.dir;
	return rc;
}

void
encode_queue_free(struct encode_queue *q)
{
	struct capture *c;

	if (q->checkers != NULL)
		workers_free(q->checkers);
	while ((c = TAILQ_FIRST(&q->captures)) != NULL) {
		TAILQ_REMOVE(&q->captures, c, link);
		capture_free(c);
	}
	spool_watch_release(&q->watch);
	free(q);
}
