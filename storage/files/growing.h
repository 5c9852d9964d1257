/*
 * What is known of the WebM files that somebody looks at: one index a file,
 * scanned on a thread of its own and kept while it is in use and a while
 * after. Scans of one file are shared by all who wait for it.
 */
#ifndef STORAGE_FILES_GROWING_H
#define STORAGE_FILES_GROWING_H

#include <sys/queue.h>

#include "webm/webm_scan.h"

struct event_base;
struct growing;
struct growing_set;
struct growing_wait;

/* scan: borrowed for the call. err: 0, or ERR_IO, ERR_NOMEM. */
typedef void growing_cb(
    struct growing_wait *w, const struct webm_scan *scan, int err);

/* Embedded in who waits; all zeros when it does not. */
struct growing_wait {
	TAILQ_ENTRY(growing_wait) link;
	struct growing *g; /* not NULL: waits */
	growing_cb *cb;
};

struct growing_set *growing_set_new(struct event_base *base);
/* Nobody waits any more. */
void growing_set_free(struct growing_set *set);
/* Ends the thread; nobody who waits is answered after that. */
void growing_set_stop(struct growing_set *set);

/*
 * Scans what is new in fd (borrowed) and then calls w->cb from the loop,
 * once, never before this returned. 0, ERR_NOMEM, ERR_IO or ERR_LIMIT.
 */
int growing_look(struct growing_set *set, int fd, struct growing_wait *w);
/* Forgets a wait; allowed when there is none. */
void growing_cancel(struct growing_wait *w);

#endif
