#include "storage/spool/spool.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "storage/daemon.h"
#include "storage/object_key.h"
#include "storage/rows.h"
#include "storage/spool/removal.h"

#define DUE_MAX 64 /* items that one turn of the loop looks at */

static void
on_found(void *arg, const char *folder, const char *id)
{
	struct spool *s = arg;
	struct item *it;

	if (item_set_find(&s->set, folder, id) != NULL ||
	    (it = calloc(1, sizeof(*it))) == NULL)
		return;
	it->row.d = s->d;
	it->row.kind = &item_kind;
	it->row.dir = s->dir;
	it->fd = it->poster_fd = -1;
	strcpy(it->row.folder, folder);
	strcpy(it->row.id, id);
	if (item_set_add(&s->set, it) != 0) {
		free(it); /* found again by the next scan */
		return;
	}
	TAILQ_INSERT_TAIL(&s->items, it, link);
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
spool_look_at(struct item *it)
{
	struct spool *s = it->row.d->spool;

	item_set_queue(&s->set, ITEM_QUEUE_LOOK, it);
	arm(s);
}

void
spool_wait_for_place(struct item *it)
{
	item_set_queue(&it->row.d->spool->set, ITEM_QUEUE_PLACE, it);
}

void
spool_free_place(struct spool *s)
{
	s->n_transfers--;
	arm(s);
}

void
spool_drop(struct item *it)
{
	struct spool *s = it->row.d->spool;

	TAILQ_REMOVE(&s->items, it, link);
	item_set_remove(&s->set, it);
	item_free(it);
}

static void
look(struct item *it)
{
	spool_row_sync(&it->row);
	item_update(it);
}

/* Places are given in the order in which they were waited for. */
static void
on_due(evutil_socket_t fd, short what, void *arg)
{
	struct spool *s = arg;
	struct item *it;

	for (size_t n = min_size(s->set.n[ITEM_QUEUE_LOOK], DUE_MAX);
	     n > 0 && (it = item_set_next(&s->set, ITEM_QUEUE_LOOK)) != NULL;
	     n--)
		look(it);
	for (unsigned n = s->set.n[ITEM_QUEUE_PLACE];
	     n > 0 && s->n_transfers < (unsigned)s->d->conf.concurrency &&
	     (it = item_set_next(&s->set, ITEM_QUEUE_PLACE)) != NULL;
	     n--)
		look(it);
	if (s->set.n[ITEM_QUEUE_LOOK] > 0)
		arm(s);
}

/* ---- all ---- */

static void
on_scan(void *arg)
{
	struct spool *s = arg;
	struct item *it, *next;

	spool_watch_list(&s->watch, item_suffixes, ITEM_KINDS);
	for (it = TAILQ_FIRST(&s->items); it != NULL; it = next) {
		next = TAILQ_NEXT(it, link);
		look(it);
	}
	vanished_look(&s->vanished);
}

/* What happened to a file of one that is known concerns that one alone. */
static enum spool_look
on_changed(void *arg, const char *name, bool is_gone)
{
	struct spool *s = arg;
	char id[SPOOL_FOLDER_MAX];
	struct item *it;

	if (!spool_name_has_id(name, id))
		return is_gone ? SPOOL_LOOK_SWEEP : SPOOL_LOOK_SOON;
	if (!is_gone && !spool_name_is_of(item_suffixes, ITEM_KINDS, name))
		return SPOOL_LOOK_NONE;
	it = item_set_find(&s->set, NULL, id);
	if (it != NULL && !s->set.has_twins) {
		spool_look_at(it);
		return SPOOL_LOOK_NONE;
	}
	/* the last file of its folder may have gone */
	return it == NULL && is_gone ? SPOOL_LOOK_SWEEP : SPOOL_LOOK_SOON;
}

void
spool_kick(struct spool *s, bool retry)
{
	struct item *it;

	if (retry)
		TAILQ_FOREACH(it, &s->items, link)
			spool_row_again(&it->row, false);
	spool_watch_soon(&s->watch);
}

void
spool_again(struct spool *s)
{
	struct item *it;

	TAILQ_FOREACH(it, &s->items, link)
		spool_row_again(&it->row, true);
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
	struct item *it;
	bool due = false;

	memset(s->n_state, 0, sizeof(s->n_state));
	s->bytes_waiting = 0;
	s->oldest_wall_ns = 0;
	TAILQ_FOREACH(it, &s->items, link) {
		s->n_state[it->row.state]++;
		repair_tick(it);
		if (it->row.has_manifest && it->row.m.is_closed &&
		    (it->row.files & ITEM_WEBM))
			count_waiting(s, &it->row.m);
		if (it->row.state == SPOOL_WAIT &&
		    it->row.retry_ns <= clock_mono_ns())
			due = true;
		spool_row_tick(&it->row);
	}
	return due;
}

static void
on_child(void *arg)
{
	repair_reap(arg);
}

/* As its recorder named it; the closed file first. */
static int
open_media(const struct item *it, bool *is_growing)
{
	int fd = spool_row_open(&it->row, ".webm");

	*is_growing = fd < 0;
	return fd >= 0 ? fd : spool_row_open(&it->row, ".webm.part");
}

int
spool_open(const struct spool *s, const char *key, bool *is_growing)
{
	const struct item *it;

	*is_growing = false;
	TAILQ_FOREACH(it, &s->items, link)
		if (item_is_key(it, key))
			break;
	if (it == NULL)
		return -1;
	return object_key_is_poster(key) ? spool_row_open(&it->row, ".jpg")
					 : open_media(it, is_growing);
}

bool
spool_expects(const struct spool *s, const char *key)
{
	const struct item *it;

	TAILQ_FOREACH(it, &s->items, link)
		if (!it->row.is_registered && it->row.has_manifest &&
		    strcmp(it->row.m.object_key, key) == 0)
			return true;
	return s->watch.next_scan_ns == 0;
}

unsigned
spool_busy(const struct spool *s)
{
	const struct item *it;
	unsigned n = 0;

	TAILQ_FOREACH(it, &s->items, link)
		n += item_is_under_way(it) || it->row.is_busy;
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
	TAILQ_INIT(&s->items);
	item_set_init(&s->set);
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
	struct item *it;

	removal_free(s->removal);
	while ((it = TAILQ_FIRST(&s->items)) != NULL)
		spool_drop(it);
	if (s->due != NULL)
		event_free(s->due);
	spool_watch_release(&s->watch);
	free(s);
}
