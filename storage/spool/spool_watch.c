#include "storage/spool/spool_watch.h"

#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
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
#include "storage/object_key.h"

#define SOON_MS  50
#define LATER_MS 300 /* a lock is let go just after the last close */

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
	struct timeval tv = { 0, (suseconds_t)(ms * 1000) };
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
on_changed(evutil_socket_t fd, short what, void *arg)
{
	struct spool_watch *w = arg;
	char events[8192];
	ssize_t n;
	bool closed = false;

	while ((n = read(fd, events, sizeof(events))) > 0)
		for (ssize_t at = 0; at < n;) {
			struct inotify_event e;

			memcpy(&e, events + at, sizeof(e));
			closed |= (e.mask & IN_CLOSE_WRITE) != 0;
			at += (ssize_t)(sizeof(e) + e.len);
		}
	if (closed && w->soon_ns == 0)
		spool_watch_later(w);
	else
		spool_watch_soon(w);
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

static bool
parse_name(
    const char *name, const struct spool_suffix *list, size_t n, char id[37])
{
	if (strlen(name) < 37)
		return false;
	memcpy(id, name, 36);
	id[36] = '\0';
	if (!is_uuid(id))
		return false;
	for (size_t i = 0; i < n; i++)
		if (strcmp(name + 36, list[i].suffix) == 0)
			return true;
	return false;
}

void
spool_watch_list(struct spool_watch *w, const struct spool_suffix *list,
    size_t n, void (*found)(void *arg, const char *id))
{
	int fd = openat(w->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *e;
	char id[37];

	w->next_scan_ns =
	    clock_mono_ns() + (uint64_t)w->d->conf.scan_seconds * NS_PER_S;
	if (dir == NULL) {
		log_error("spool_unreadable", LOG_ERRNO());
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((e = readdir(dir)) != NULL)
		if (parse_name(e->d_name, list, n, id))
			found(w->arg, id);
	closedir(dir);
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
	    inotify_add_watch(w->inotify, dir,
		IN_CREATE | IN_MOVED_TO | IN_CLOSE_WRITE | IN_DELETE |
		    IN_MOVED_FROM) >= 0 &&
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
