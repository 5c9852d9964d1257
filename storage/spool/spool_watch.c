#include "storage/spool/spool_watch.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "storage/daemon.h"

#define SOON_MS  50
#define LATER_MS 300 /* a lock is let go just after the last close */
#define SWEEP_MS 1000

/* ---- when to look ---- */

static void
scan(struct spool_watch *w)
{
	w->soon_ns = 0;
	w->ops->scan(w->arg);
}

static void
on_soon(evutil_socket_t fd, short what, void *arg)
{
	scan(arg);
}

/* Sooner than planned, never later: events that go on put off nothing. */
static void
plan(struct spool_watch *w, uint64_t ms)
{
	struct timeval tv = { (time_t)(ms / 1000),
		(suseconds_t)(ms % 1000 * 1000) };
	uint64_t at = clock_mono_ns() + ms * NS_PER_MS;

	if (w->soon_ns != 0 && w->soon_ns <= at)
		return;
	w->soon_ns = at;
	evtimer_add(w->soon, &tv);
}

void
spool_watch_soon(struct spool_watch *w)
{
	plan(w, SOON_MS);
}

void
spool_watch_later(struct spool_watch *w)
{
	plan(w, LATER_MS);
}

static void
take_event(struct spool_watch *w, const struct inotify_event *e)
{
	enum spool_look look = SPOOL_LOOK_SOON; /* events were lost */

	if (e->mask & IN_IGNORED)
		return;
	if (!(e->mask & IN_Q_OVERFLOW) && e->len > 0)
		look = w->ops->changed(w->arg, e->name,
		    (e->mask & (IN_DELETE | IN_MOVED_FROM)) != 0);
	if ((e->mask & IN_CLOSE_WRITE) && w->soon_ns == 0)
		spool_watch_later(w);
	else if (look == SPOOL_LOOK_SOON)
		spool_watch_soon(w);
	else if (look == SPOOL_LOOK_SWEEP)
		plan(w, SWEEP_MS);
}

static void
on_changed(evutil_socket_t fd, short what, void *arg)
{
	_Alignas(struct inotify_event) char events[8192];
	struct spool_watch *w = arg;
	ssize_t n;

	while ((n = read(fd, events, sizeof(events))) > 0)
		for (ssize_t at = 0; at < n;) {
			const struct inotify_event *e =
			    (const void *)(events + at);

			take_event(w, e);
			at += (ssize_t)(sizeof(*e) + e->len);
		}
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct spool_watch *w = arg;

	if (w->ops->tick(w->arg) || clock_mono_ns() >= w->next_scan_ns)
		scan(w);
}

static void
on_child(evutil_socket_t fd, short what, void *arg)
{
	struct spool_watch *w = arg;

	w->ops->child(w->arg);
}

/* ---- what is in it ---- */

#define EVENTS                                                                 \
	(IN_CREATE | IN_MOVED_TO | IN_CLOSE_WRITE | IN_DELETE | IN_MOVED_FROM)

/* A folder that is watched already stays it; one that goes takes its watch. */
static void
on_enter(void *arg, const char *folder)
{
	struct spool_watch *w = arg;
	char path[PATH_MAX];
	bool was_blind = w->is_blind;

	spool_folder_path(w->d->spool_conf.dir, folder, path, sizeof(path));
	if (inotify_add_watch(
		w->inotify, path, EVENTS | IN_ONLYDIR | IN_DONT_FOLLOW) >= 0 ||
	    errno != ENOSPC)
		return;
	w->is_blind = true;
	if (!was_blind)
		log_warn("spool_not_watched", LOG_S("folder", folder),
		    LOG_S("remedy", "raise fs.inotify.max_user_watches"),
		    LOG_I("scan_seconds", w->d->conf.scan_seconds));
}

static void
on_found(void *arg, const char *folder, const char *id)
{
	struct spool_watch *w = arg;

	w->ops->found(w->arg, folder, id);
}

static void
on_empty(void *arg, const char *folder)
{
	struct spool_watch *w = arg;

	w->ops->empty(w->arg, folder);
}

/* Said when there are more of them than before, by who removes folders. */
static void
tell_foreign(struct spool_watch *w, const struct spool_walk *walk)
{
	if (walk->n_foreign > w->n_foreign && w->ops->empty != NULL)
		log_warn("spool_entry_ignored", LOG_S("name", walk->foreign),
		    LOG_U("entries", walk->n_foreign),
		    LOG_S("why", "neither a file nor a folder of a session"));
	w->n_foreign = walk->n_foreign;
}

void
spool_watch_list(
    struct spool_watch *w, const struct spool_suffix *kinds, size_t n)
{
	struct spool_walk walk = { .kinds = kinds,
		.n_kinds = n,
		.found = on_found,
		.enter = on_enter,
		.empty = w->ops->empty != NULL ? on_empty : NULL,
		.arg = w };

	w->next_scan_ns =
	    clock_mono_ns() + (uint64_t)w->d->conf.scan_seconds * NS_PER_S;
	if (spool_walk(w->dir, &walk) != 0)
		log_error("spool_unreadable", LOG_ERRNO());
	else
		tell_foreign(w, &walk);
}

/* ---- life ---- */

static int
add_events(struct spool_watch *w)
{
	struct event_base *base = w->d->base;
	struct timeval second = { 1, 0 };

	w->changed =
	    event_new(base, w->inotify, EV_READ | EV_PERSIST, on_changed, w);
	w->soon = evtimer_new(base, on_soon, w);
	w->tick = event_new(base, -1, EV_PERSIST, on_tick, w);
	w->child = evsignal_new(base, SIGCHLD, on_child, w);
	if (w->changed == NULL || w->soon == NULL || w->tick == NULL ||
	    w->child == NULL || event_add(w->changed, NULL) != 0 ||
	    event_add(w->tick, &second) != 0 || event_add(w->child, NULL) != 0)
		return ERR_NOMEM;
	return 0;
}

static bool
can_be_used(struct spool_watch *w, const char *dir)
{
	w->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	w->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	return w->dir >= 0 && w->inotify >= 0 &&
	    inotify_add_watch(w->inotify, dir, EVENTS) >= 0 &&
	    faccessat(w->dir, ".", W_OK | X_OK, AT_EACCESS) == 0;
}

int
spool_watch_init(struct spool_watch *w, struct daemon *d,
    const struct spool_watch_ops *ops, void *arg, char *err, size_t err_len)
{
	const char *dir = d->spool_conf.dir;

	memset(w, 0, sizeof(*w));
	w->d = d;
	w->ops = ops;
	w->arg = arg;
	w->inotify = -1;
	if (!can_be_used(w, dir)) {
		snprintf(
		    err, err_len, "spool.dir %s: %s", dir, strerror(errno));
		return ERR_CONFIG;
	}
	if (add_events(w) != 0)
		return ERR_NOMEM;
	spool_watch_soon(w);
	return 0;
}

void
spool_watch_release(struct spool_watch *w)
{
	struct event *events[] = { w->changed, w->soon, w->tick, w->child };

	for (size_t i = 0; i < N_ELEMENTS(events); i++)
		if (events[i] != NULL)
			event_free(events[i]);
	if (w->dir >= 0)
		close(w->dir);
	if (w->inotify >= 0)
		close(w->inotify);
}
