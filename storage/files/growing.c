#include "storage/files/growing.h"

#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "storage/storage_worker.h"

#define FILES_MAX 256 /* indexes at a time */
#define KEEP_S    30  /* an index, and its file, that nobody asked for */
#define SWEEP_S   10

TAILQ_HEAD(wait_list, growing_wait);

/* A file is known by its inode, which a rename keeps. */
struct growing {
	struct worker_job work; /* first: the worker hands it back */
	TAILQ_ENTRY(growing) link;
	struct growing_set *set;
	int fd;
	dev_t dev;
	ino_t ino;
	bool is_busy; /* scan, err and more belong to the thread, or are
			 shown to those who waited */
	struct webm_scan scan;
	int err, more;
	struct wait_list waits;
	uint64_t used_ns;
};
TAILQ_HEAD(growing_list, growing);

struct growing_set {
	struct workers *workers;
	struct event *timer;
	struct growing_list files;
	unsigned n;
};

static void
growing_free(struct growing *g)
{
	TAILQ_REMOVE(&g->set->files, g, link);
	g->set->n--;
	webm_scan_release(&g->scan);
	close(g->fd);
	free(g);
}

static void
run_scan(struct worker_job *work)
{
	struct growing *g = (struct growing *)work;

	g->more = webm_scan_more(&g->scan, g->fd);
	g->err = g->more < 0 ? g->more : 0;
}

/*
 * Tells those who wait now; who asks again meanwhile waits for the next
 * scan. It stays busy until all were told, so that nobody frees it.
 */
static void
tell(struct growing *g)
{
	struct growing_wait *w;
	size_t n = 0;

	TAILQ_FOREACH(w, &g->waits, link)
		n++;
	while (n-- > 0 && (w = TAILQ_FIRST(&g->waits)) != NULL) {
		TAILQ_REMOVE(&g->waits, w, link);
		w->g = NULL;
		w->cb(w, &g->scan, g->err);
	}
}

static void
on_scanned(struct worker_job *work)
{
	struct growing *g = (struct growing *)work;

	if (g->more != 1) {
		if (g->scan.was_cut)
			log_warn("growing_file_cut", LOG_U("inode", g->ino));
		g->scan.was_cut = false;
		tell(g);
	}
	g->is_busy = !TAILQ_EMPTY(&g->waits);
	if (g->is_busy)
		workers_submit(g->set->workers, &g->work);
}

/* Room for one more, by the age of those that nobody waits for. */
static void
evict(struct growing_set *set)
{
	uint64_t now = clock_mono_ns();
	struct growing *g, *next, *oldest = NULL;

	for (g = TAILQ_FIRST(&set->files); g != NULL; g = next) {
		next = TAILQ_NEXT(g, link);
		if (g->is_busy)
			continue;
		if (now - g->used_ns > KEEP_S * NS_PER_S)
			growing_free(g);
		else if (oldest == NULL || g->used_ns < oldest->used_ns)
			oldest = g;
	}
	if (set->n >= FILES_MAX && oldest != NULL)
		growing_free(oldest);
}

static struct growing *
growing_new(struct growing_set *set, int fd, const struct stat *st)
{
	struct growing *g = calloc(1, sizeof(*g));

	if (g == NULL)
		return NULL;
	g->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (g->fd < 0) {
		free(g);
		return NULL;
	}
	g->work.run = run_scan;
	g->work.done = on_scanned;
	g->set = set;
	g->dev = st->st_dev;
	g->ino = st->st_ino;
	TAILQ_INIT(&g->waits);
	TAILQ_INSERT_HEAD(&set->files, g, link);
	set->n++;
	return g;
}

int
growing_look(struct growing_set *set, int fd, struct growing_wait *w)
{
	struct growing *g;
	struct stat st;

	if (fstat(fd, &st) != 0)
		return ERR_IO;
	evict(set);
	TAILQ_FOREACH(g, &set->files, link)
		if (g->ino == st.st_ino && g->dev == st.st_dev)
			break;
	if (g == NULL && set->n >= FILES_MAX)
		return ERR_LIMIT;
	if (g == NULL && (g = growing_new(set, fd, &st)) == NULL)
		return ERR_NOMEM;
	g->used_ns = clock_mono_ns();
	w->g = g;
	TAILQ_INSERT_TAIL(&g->waits, w, link);
	if (!g->is_busy) {
		g->is_busy = true;
		workers_submit(set->workers, &g->work);
	}
	return 0;
}

void
growing_cancel(struct growing_wait *w)
{
	if (w->g != NULL)
		TAILQ_REMOVE(&w->g->waits, w, link);
	w->g = NULL;
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	evict(arg);
}

struct growing_set *
growing_set_new(struct event_base *base)
{
	struct growing_set *set = calloc(1, sizeof(*set));
	struct timeval tv = { SWEEP_S, 0 };

	if (set == NULL)
		return NULL;
	TAILQ_INIT(&set->files);
	set->workers = workers_new(base, 1);
	set->timer = event_new(base, -1, EV_PERSIST, on_timer, set);
	if (set->workers == NULL || set->timer == NULL ||
	    event_add(set->timer, &tv) != 0) {
		growing_set_free(set);
		return NULL;
	}
	return set;
}

void
growing_set_stop(struct growing_set *set)
{
	if (set != NULL)
		workers_free(set->workers);
	if (set != NULL)
		set->workers = NULL;
}

void
growing_set_free(struct growing_set *set)
{
	struct growing *g;

	if (set == NULL)
		return;
	growing_set_stop(set);
	if (set->timer != NULL)
		event_free(set->timer);
	while ((g = TAILQ_FIRST(&set->files)) != NULL)
		growing_free(g);
	free(set);
}
