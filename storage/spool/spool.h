/*
 * The spool folder as storage sees it: one entry per segment
 * (storage/spool/spool_segment.h), updated whenever something may have changed:
 * an event of inotify that names it, an answer, a place that became free; and
 * all of them at the start, when something new appears, and by a timer.
 */
#ifndef STORAGE_SPOOL_SPOOL_H
#define STORAGE_SPOOL_SPOOL_H

#include <stdbool.h>
#include <stdint.h>

#include "storage/spool/spool_segment.h"
#include "storage/spool/spool_set.h"
#include "storage/spool/spool_watch.h"
#include "storage/spool/vanished.h"

struct daemon;
struct event;
struct removal;

struct spool {
	struct daemon *d;
	struct spool_watch watch;
	int dir; /* of watch */
	struct spool_segment_list segments;
	struct spool_set set; /* the same by name, and what is due */
	struct event *due;
	struct removal *removal;
	struct vanished vanished;
	bool was_scanned; /* what is found from now on came after the start */
	unsigned n_transfers, n_repairs;
	unsigned n_state[SPOOL_STATES]; /* as of the last tick */
	uint64_t bytes_waiting;
	int64_t oldest_wall_ns; /* end of the oldest of these; 0: none */
};

/* Opens [spool] dir. Returns 0, ERR_CONFIG with err, or ERR_NOMEM. */
int spool_new(struct daemon *d, char *err, size_t err_len);
void spool_free(struct spool *s);

/* Looks through the folder within 50 ms; retry: what failed, too. */
void spool_kick(struct spool *s, bool retry);
/* Looks at its files, and takes its next step, at the next turn of the loop. */
void spool_look_at(struct spool_segment *sg);
/* It is in order, and there is no place to send it: it gets the next one. */
void spool_wait_for_place(struct spool_segment *sg);
/* A transfer has ended: the first that waits gets its place. */
void spool_free_place(struct spool *s);
/* Its files are gone: forgets it. */
void spool_drop(struct spool_segment *sg);
/* By hand: what was given up is tried again, too. */
void spool_again(struct spool *s);

/*
 * Opens the media, or the poster, of the segment with that object key, if
 * the database knows it by that key. *is_growing: it is not closed. Returns
 * a descriptor or -1.
 */
int spool_open(const struct spool *s, const char *key, bool *is_growing);

/*
 * Whether such a segment may lie here that the database was not told of yet,
 * as in the first moments after a start.
 */
bool spool_expects(const struct spool *s, const char *key);

/* Transfers and repairs under way. */
unsigned spool_busy(const struct spool *s);

/* After SIGCHLD; repair.c. */
void spool_repair_reap(struct spool *s);

#endif
