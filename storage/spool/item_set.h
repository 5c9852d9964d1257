/*
 * Segments of the spool by name, and queues of them: those whose files are to
 * be looked at, those that wait for a place to be sent, those that are to be
 * removed. Each is in a queue at most once, and leaves it with
 * item_set_remove. No I/O; one loop.
 */
#ifndef STORAGE_SPOOL_ITEM_SET_H
#define STORAGE_SPOOL_ITEM_SET_H

#include <stdbool.h>

#include "storage/spool/item.h"

enum item_queue {
	ITEM_QUEUE_LOOK,   /* something happened to its files */
	ITEM_QUEUE_PLACE,  /* a place for its transfer */
	ITEM_QUEUE_REMOVE, /* its files are to be removed */
	ITEM_QUEUES,
};
_Static_assert(ITEM_QUEUES == ITEM_QUEUES_MAX, "an entry for each");

struct item_set {
	void *by_name; /* a tree of tsearch: by id, then by folder */
	struct item_list queue[ITEM_QUEUES];
	unsigned n[ITEM_QUEUES];
	bool has_twins; /* an id was in two folders */
};

void item_set_init(struct item_set *set);
/* 0 or ERR_NOMEM. Its names stay as they are while it is in the set. */
int item_set_add(struct item_set *set, struct item *it);
/* From the set and its queues; allowed when it is in none. */
void item_set_remove(struct item_set *set, struct item *it);
/* folder NULL: in any. NULL: there is none. */
struct item *item_set_find(
    const struct item_set *set, const char *folder, const char *id);

/* At the end; nothing for one that is in that queue. */
void item_set_queue(struct item_set *set, enum item_queue q, struct item *it);
/* The first one, not in that queue any more; NULL: it is empty. */
struct item *item_set_next(struct item_set *set, enum item_queue q);

#endif
