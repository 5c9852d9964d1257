/*
 * One transfer at a time of a segment that two spools have: that of a node
 * that was taken for lost, and that of the node which made a recording of what
 * was in the store (lost_nodes.h). Both write the same object. The lock is one
 * of PostgreSQL's, of the daemon's connection, so it ends with that daemon;
 * the row is read anew behind it. One loop.
 */
#ifndef STORAGE_SPOOL_TRANSFER_LOCK_H
#define STORAGE_SPOOL_TRANSFER_LOCK_H

#include <stdbool.h>

struct spool_segment;

/*
 * Asks for it, and reads the row then; what the row says decides whether
 * transfer_start is called again, with the lock. Another daemon has it: later,
 * after storage.retry_seconds.
 */
void transfer_lock_take(struct spool_segment *sg);
/* False also when the connection that it was taken on is gone. */
bool transfer_lock_is_held(const struct spool_segment *sg);
/* There may be none. */
void transfer_lock_release(struct spool_segment *sg);

#endif
