/*
 * What lives from the spool is told when it, or the folder of a session in
 * it, may have changed (inotify), once a second, and when a child has ended;
 * and lists the names there. Each user has a watch of its own. One loop.
 */
#ifndef STORAGE_SPOOL_SPOOL_WATCH_H
#define STORAGE_SPOOL_SPOOL_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "storage/spool/spool_folder.h"

struct daemon;
struct event;

/* When to scan after an event. */
enum spool_look {
	SPOOL_LOOK_NONE,
	SPOOL_LOOK_SWEEP, /* within a second: folders may be empty now */
	SPOOL_LOOK_SOON,
};

struct spool_watch_ops {
	void (*scan)(void *arg);  /* look through the folders */
	bool (*tick)(void *arg);  /* each second; true: scan now */
	void (*child)(void *arg); /* after SIGCHLD */
	/* of a walk, spool_folder.h */
	void (*found)(void *arg, const char *folder, const char *id);
	void (*empty)(void *arg, const char *folder); /* may be NULL */
	/* A name in the spool, or in a folder of it, appeared, was closed by
	 * who wrote it, or is_gone. */
	enum spool_look (*changed)(void *arg, const char *name, bool is_gone);
};

struct spool_watch {
	struct daemon *d;
	const struct spool_watch_ops *ops;
	void *arg;
	int dir, inotify;
	struct event *changed, *soon, *tick, *child;
	uint64_t soon_ns, next_scan_ns; /* clock_mono_ns */
	unsigned n_foreign;             /* entries, as of the last walk */
	bool is_blind; /* some folder cannot be watched: they are scanned */
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
 * Walks through the spool; the folders of sessions are watched from then on.
 * It is due again after scan_seconds.
 */
void spool_watch_list(
    struct spool_watch *w, const struct spool_suffix *kinds, size_t n);

#endif
