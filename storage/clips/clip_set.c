#include "storage/clips/clip_set.h"

#include <event2/event.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "storage/daemon.h"

TAILQ_HEAD(wait_list, clip_wait);
TAILQ_HEAD(entry_list, clip_entry);

struct clip_entry {
	TAILQ_ENTRY(clip_entry) link;
	struct clip_set *set;
	struct clip_key key; /* is_manifest does not count */
	struct wait_list waits;
	bool is_made;
	int fd;
	char *manifest;
	struct event *timer; /* its end */
};

struct clip_set {
	struct daemon *d;
	struct entry_list entries; /* the oldest first */
	unsigned n;
};

struct clip_set *
clip_set_new(struct daemon *d)
{
	struct clip_set *set = calloc(1, sizeof(*set));

	if (set == NULL)
		return NULL;
	set->d = d;
	TAILQ_INIT(&set->entries);
	return set;
}

static void
entry_free(struct clip_entry *e)
{
	TAILQ_REMOVE(&e->set->entries, e, link);
	e->set->n--;
	if (e->timer != NULL)
		event_free(e->timer);
	if (e->fd >= 0)
		close(e->fd);
	free(e->manifest);
	free(e);
}

void
clip_set_free(struct clip_set *set)
{
	struct clip_entry *e;

	if (set == NULL)
		return;
	while ((e = TAILQ_FIRST(&set->entries)) != NULL)
		entry_free(e);
	free(set);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	entry_free(arg);
}

static void
on_built(void *arg, const struct clip_result *r)
{
	struct timeval tv = { CLIP_KEPT_SECONDS, 0 };
	struct clip_entry *e = arg;
	struct clip_wait *w;

	e->fd = r->fd;
	e->manifest = r->manifest;
	e->is_made = r->err == 0;
	while ((w = TAILQ_FIRST(&e->waits)) != NULL) {
		clip_set_cancel(w);
		w->cb(w, r);
	}
	if (!e->is_made)
		entry_free(e);
	else
		evtimer_add(e->timer, &tv);
}

static struct clip_entry *
find(struct clip_set *set, const struct clip_key *key)
{
	struct clip_entry *e;

	TAILQ_FOREACH(e, &set->entries, link)
		if (strcmp(e->key.id, key->id) == 0 &&
		    strcmp(e->key.recording, key->recording) == 0)
			return e;
	return NULL;
}

/* The oldest that nobody waits for goes. False: all are being made. */
static bool
make_room(struct clip_set *set)
{
	struct clip_entry *e;

	if (set->n < CLIP_SET_MAX)
		return true;
	TAILQ_FOREACH(e, &set->entries, link)
		if (e->is_made) {
			entry_free(e);
			return true;
		}
	return false;
}

static int
begin(struct clip_set *set, const struct clip_key *key, struct clip_entry **out)
{
	struct clip_entry *e;
	int rc;

	if (!make_room(set))
		return ERR_LIMIT;
	e = calloc(1, sizeof(*e));
	if (e == NULL)
		return ERR_NOMEM;
	e->set = set;
	e->key = *key;
	e->fd = -1;
	TAILQ_INIT(&e->waits);
	TAILQ_INSERT_TAIL(&set->entries, e, link);
	set->n++;
	e->timer = evtimer_new(set->d->base, on_timer, e);
	rc =
	    e->timer != NULL ? clip_build(set->d, key, on_built, e) : ERR_NOMEM;
	if (rc != 0)
		entry_free(e);
	*out = e;
	return rc;
}

int
clip_set_get(
    struct clip_set *set, const struct clip_key *key, struct clip_wait *w)
{
	struct clip_entry *e = find(set, key);
	int rc = e != NULL ? 0 : begin(set, key, &e);

	if (rc != 0)
		return rc;
	if (e->is_made) {
		const struct clip_result r = { .fd = e->fd,
			.manifest = e->manifest };

		w->cb(w, &r);
		return 0;
	}
	w->entry = e;
	TAILQ_INSERT_TAIL(&e->waits, w, link);
	return 0;
}

void
clip_set_cancel(struct clip_wait *w)
{
	if (w->entry != NULL)
		TAILQ_REMOVE(&w->entry->waits, w, link);
	w->entry = NULL;
}
