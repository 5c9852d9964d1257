/*
 * The process that flushes the spool once a second for all recorders of this
 * node (common/spool_flush.h). A child of the spawner, so that a slow disk
 * keeps nobody waiting for a recorder; it runs while there are recorders and
 * dies with the spawner.
 */
#ifndef RELAY_SPOOL_FLUSHER_H
#define RELAY_SPOOL_FLUSHER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/spool_flush.h"

struct spool_flusher {
	struct spool_flush_page *page; /* NULL: recorders sync by themselves */
	pid_t pid;                     /* 0: it does not run */
	uint64_t tried_ns;             /* when it was started last */
};

/*
 * Starts it when there are recorders and it does not run, at most once a
 * second. dir: the spool folder, open. Returns whether to call again within a
 * second.
 */
bool spool_flusher_keep(struct spool_flusher *f, int dir, uint64_t n_recorders);

/* The spawner waited for pid. True when that was the flusher. */
bool spool_flusher_ended(struct spool_flusher *f, pid_t pid, int status);

/* One pass over the file system of dir. Returns whether it succeeded. */
bool spool_flusher_pass(struct spool_flush_page *page, int dir);

#endif
