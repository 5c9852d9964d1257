#include "storage/spool/spool.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "storage/daemon.h"
#include "manifest/object_key.h"
#include "storage/rows.h"
#include "storage/spool/removal.h"
#include "storage/spool/transfer_lock.h"

#define DUE_MAX 64 /* segments per turn of the loop */

static void
on_found(void *arg, const char *folder, const char *id)
{
	struct spool *s = arg;
	struct spool_segment *sg;

	if (spool_set_find(&s->set, folder, id) != NULL ||
	    (sg = calloc(1, sizeof(*sg))) == NULL)
		return;
	sg->row.d = s->d;
	sg->row.kind = &spool_segment_kind;
	sg->row.dir = s->dir;
	sg->fd = sg->poster_fd = -1;
	sg->was_tried = !s->was_scanned;
	strcpy(sg->row.folder, folder);
	strcpy(sg->row.id, id);
	if (spool_set_add(&s->set, sg) != 0) {
		free(sg); /* found again by the next scan */
		return;
	}
	TAILQ_INSERT_TAIL(&s->segments, sg, link);
}

/* Its session is over, or has no recorder now; a new one makes it anew. */
static void
on_empty(void *arg, const char *folder)
{
	struct spool *s = arg;

	if (spool_folder_remove(s->dir, folder))
		log_debug("spool_folder_removed", LOG_S("session", folder));
}

/* ---- one at a time ---- */

static void
arm(struct spool *s)
{
	struct timeval now = { 0, 0 };

	if (!evtimer_pending(s->due, NULL))
		evtimer_add(s->due, &now);
}

void
spool_look_at(struct spool_segment *sg)
{
	struct spool *s = sg->row.d->spool;

	spool_set_queue(&s->set, SPOOL_QUEUE_LOOK, sg);
	arm(s);
}

void
spool_wait_for_place(struct spool_segment *sg)
{
	spool_set_queue(&sg->row.d->spool->set, SPOOL_QUEUE_PLACE, sg);
}

void
spool_free_place(struct spool *s)
{
	s->n_transfers--;
	arm(s);
}

void
spool_drop(struct spool_segment *sg)
{
	struct spool *s = sg->row.d->spool;

	transfer_lock_release(sg);
	TAILQ_REMOVE(&s->segments, sg, link);
	spool_set_remove(&s->set, sg);
	spool_segment_free(sg);
}

static void
look(struct spool_segment *sg)
{
	spool_row_sync(&sg->row);
	spool_segment_update(sg);
}

/* Places are given in the order in which they were waited for. */
static void
on_due(evutil_socket_t fd, short what, void *arg)
{
	struct spool *s = arg;
	struct spool_segment *sg;

	for (size_t n = min_size(s->set.n[SPOOL_QUEUE_LOOK], DUE_MAX);
	     n > 0 && (sg = spool_set_next(&s->set, SPOOL_QUEUE_LOOK)) != NULL;
	     n--)
		look(sg);
	for (unsigned n = s->set.n[SPOOL_QUEUE_PLACE];
	     n > 0 && s->n_transfers < (unsigned)s->d->conf.concurrency &&
	     (sg = spool_set_next(&s->set, SPOOL_QUEUE_PLACE)) != NULL;
	     n--)
		look(sg);
	if (s->set.n[SPOOL_QUEUE_LOOK] > 0)
		arm(s);
}

/* ---- all ---- */

static void
on_scan(void *arg)
{
	struct spool *s = arg;
	struct spool_segment *sg, *next;

	spool_watch_list(
	    &s->watch, spool_segment_suffixes, SPOOL_SEGMENT_KINDS);
	for (sg = TAILQ_FIRST(&s->segments); sg != NULL; sg = next) {
		next = TAILQ_NEXT(sg, link);
		look(sg);
	}
	s->was_scanned = true;
	vanished_look(&s->vanished);
}

/* What happened to a file of one that is known concerns that one alone. */
static enum spool_look
on_changed(void *arg, const char *name, bool is_gone)
{
	struct spool *s = arg;
	char id[SPOOL_FOLDER_MAX];
	struct spool_segment *sg;

	if (!spool_name_has_id(name, id))
		return is_gone ? SPOOL_LOOK_SWEEP : SPOOL_LOOK_SOON;
	if (!is_gone &&
	    !spool_name_is_of(
		spool_segment_suffixes, SPOOL_SEGMENT_KINDS, name))
		return SPOOL_LOOK_NONE;
	sg = spool_set_find(&s->set, NULL, id);
	if (sg != NULL && !s->set.has_twins) {
		spool_look_at(sg);
		return SPOOL_LOOK_NONE;
	}
	/* the last file of its folder may have gone */
	return sg == NULL && is_gone ? SPOOL_LOOK_SWEEP : SPOOL_LOOK_SOON;
}

void
spool_kick(struct spool *s, bool retry)
{
	struct spool_segment *sg;

	if (retry)
		TAILQ_FOREACH(sg, &s->segments, link)
			spool_row_again(&sg->row, false);
	spool_watch_soon(&s->watch);
}

void
spool_again(struct spool *s)
{
	struct spool_segment *sg;

	TAILQ_FOREACH(sg, &s->segments, link)
		spool_row_again(&sg->row, true);
	spool_watch_soon(&s->watch);
}

static void
count_waiting(struct spool *s, const struct manifest *m)
{
	s->bytes_waiting += (uint64_t)m->bytes;
	if (s->oldest_wall_ns == 0 || m->end_wall_ns < s->oldest_wall_ns)
		s->oldest_wall_ns = m->end_wall_ns;
}

/* Counts for /metrics; true when something waited for this moment. */
static bool
on_tick(void *arg)
{
	struct spool *s = arg;
	struct spool_segment *sg;
	bool due = false;

	memset(s->n_state, 0, sizeof(s->n_state));
	s->bytes_waiting = 0;
	s->oldest_wall_ns = 0;
	TAILQ_FOREACH(sg, &s->segments, link) {
		s->n_state[sg->row.state]++;
		spool_repair_tick(sg);
		if (sg->row.has_manifest && sg->row.m.is_closed &&
		    (sg->row.files & SPOOL_SEGMENT_WEBM))
			count_waiting(s, &sg->row.m);
		if (sg->row.state == SPOOL_WAIT &&
		    sg->row.retry_ns <= clock_mono_ns())
			due = true;
		spool_row_tick(&sg->row);
	}
	return due;
}

static void
on_child(void *arg)
{
	spool_repair_reap(arg);
}

/* As its recorder named it; the closed file first. */
static int
open_media(const struct spool_segment *sg, bool *is_growing)
{
	int fd = spool_row_open(&sg->row, ".webm");

	*is_growing = fd < 0;
	return fd >= 0 ? fd : spool_row_open(&sg->row, ".webm.part");
}

int
spool_open(const struct spool *s, const char *key, bool *is_growing)
{
	const struct spool_segment *sg;

	*is_growing = false;
	TAILQ_FOREACH(sg, &s->segments, link)
		if (spool_segment_is_key(sg, key))
			break;
	if (sg == NULL)
		return -1;
	return object_key_is_poster(key) ? spool_row_open(&sg->row, ".jpg")
					 : open_media(sg, is_growing);
}

bool
spool_expects(const struct spool *s, const char *key)
{
	const struct spool_segment *sg;

	TAILQ_FOREACH(sg, &s->segments, link)
		if (!sg->row.is_registered && sg->row.has_manifest &&
		    strcmp(sg->row.m.object_key, key) == 0)
			return true;
	return s->watch.next_scan_ns == 0;
}

unsigned
spool_busy(const struct spool *s)
{
	const struct spool_segment *sg;
	unsigned n = 0;

	TAILQ_FOREACH(sg, &s->segments, link)
		n += spool_segment_is_under_way(sg) || sg->row.is_busy;
	return n;
}

int
spool_new(struct daemon *d, char *err, size_t err_len)
{
	static const struct spool_watch_ops ops = { on_scan, on_tick, on_child,
		on_found, on_empty, on_changed };
	struct spool *s = calloc(1, sizeof(*s));
	int rc;

	if (s == NULL)
		return ERR_NOMEM;
	s->d = d;
	d->spool = s;
	TAILQ_INIT(&s->segments);
	spool_set_init(&s->set);
	s->due = evtimer_new(d->base, on_due, s);
	s->removal = removal_new(d);
	if (s->due == NULL || s->removal == NULL)
		return ERR_NOMEM;
	rc = spool_watch_init(&s->watch, d, &ops, s, err, err_len);
	s->dir = s->watch.dir;
	s->vanished = (struct vanished){ .d = d, .dir = s->dir };
	return rc;
}

void
spool_free(struct spool *s)
{
	struct spool_segment *sg;

	removal_free(s->removal);
	while ((sg = TAILQ_FIRST(&s->segments)) != NULL)
		spool_drop(sg);
	if (s->due != NULL)
		event_free(s->due);
	spool_watch_release(&s->watch);
	free(s);
}
