/*
 * What lives from the spool folder is told when that may have changed
 * (inotify), once a second, and when a child has ended; and lists the names
 * in it. Each user has a watch of its own. One loop.
 */
#ifndef STORAGE_SPOOL_SPOOL_WATCH_H
#define STORAGE_SPOOL_SPOOL_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct daemon;
struct event;

struct spool_watch_ops {
	void (*scan)(void *arg);  /* look through the folder */
	bool (*tick)(void *arg);  /* each second; true: scan now */
	void (*child)(void *arg); /* after SIGCHLD */
};

struct spool_watch {
	struct daemon *d;
	const struct spool_watch_ops *ops;
	void *arg;
	int dir, inotify;
	struct event *changed, *soon, *tick, *child;
	uint64_t soon_ns, next_scan_ns; /* clock_mono_ns */
};

/* A kind of file of the folder: "<uuid><suffix>", and its bit. */
struct spool_suffix {
	const char *suffix;
	unsigned bit;
};

/*
 * Opens [spool] dir and begins; the first scan comes soon. Returns 0,
 * ERR_CONFIG with a sentence in err, or ERR_NOMEM; release it in any case.
 */
int spool_watch_init(struct spool_watch *w, struct daemon *d,
    const struct spool_watch_ops *ops, void *arg, char *err, size_t err_len);
void spool_watch_release(struct spool_watch *w);

/* Scans within 50 ms; _later: when a lock that was held is let go. */
void spool_watch_soon(struct spool_watch *w);
void spool_watch_later(struct spool_watch *w);

/*
 * Calls found with the UUID of every name that is one with a suffix of the
 * list, once a file. The folder is due again after scan_seconds.
 */
void spool_watch_list(struct spool_watch *w, const struct spool_suffix *list,
    size_t n, void (*found)(void *arg, const char *id));

#endif
