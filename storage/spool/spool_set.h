/*
 * Segments of the spool by name, and queues of them: those whose files are to
 * be looked at, those that wait for a place to be sent, those that are to be
 * removed. Each is in a queue at most once, and leaves it with
 * spool_set_remove. No I/O; one loop.
 */
#ifndef STORAGE_SPOOL_SPOOL_SET_H
#define STORAGE_SPOOL_SPOOL_SET_H

#include <stdbool.h>

#include "storage/spool/spool_segment.h"

enum spool_queue {
	SPOOL_QUEUE_LOOK,   /* something happened to its files */
	SPOOL_QUEUE_PLACE,  /* a place for its transfer */
	SPOOL_QUEUE_REMOVE, /* its files are to be removed */
	SPOOL_QUEUES,
};
_Static_assert(SPOOL_QUEUES == SPOOL_QUEUES_MAX, "an entry for each");

struct spool_set {
	void *by_name; /* a tree of tsearch: by id, then by folder */
	struct spool_segment_list queue[SPOOL_QUEUES];
	unsigned n[SPOOL_QUEUES];
	bool has_twins; /* an id was in two folders */
};

void spool_set_init(struct spool_set *set);
/* 0 or ERR_NOMEM. Its names stay as they are while it is in the set. */
int spool_set_add(struct spool_set *set, struct spool_segment *sg);
/* From the set and its queues; allowed when it is in none. */
void spool_set_remove(struct spool_set *set, struct spool_segment *sg);
/* folder NULL: in any. NULL: there is none. */
struct spool_segment *spool_set_find(
    const struct spool_set *set, const char *folder, const char *id);

/* At the end; nothing for one that is in that queue. */
void spool_set_queue(
    struct spool_set *set, enum spool_queue q, struct spool_segment *sg);
/* The first one, not in that queue any more; NULL: it is empty. */
struct spool_segment *spool_set_next(struct spool_set *set, enum spool_queue q);

#endif
