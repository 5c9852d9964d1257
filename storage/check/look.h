/*
 * One stored recording compared with its row: recording, poster and signed
 * manifest, each by the store's own check and, when asked for, by its bytes.
 * Writes what it finds into the row: `missing` when it is gone, `corrupted`
 * when size or checksum differ (M1), `available` again when it was put back
 * (M4). Posters and signed manifests have the same words in poster_fault and
 * manifest_fault. One at a time, on the loop.
 */
#ifndef STORAGE_CHECK_LOOK_H
#define STORAGE_CHECK_LOOK_H

#include <stdbool.h>

struct daemon;
struct look;

/* why: NULL, or a sentence: the store or the database is away, and nothing
 * was learnt. */
typedef void look_done_cb(void *arg, const char *why);

/* NULL: no memory. */
struct look *look_new(struct daemon *d, look_done_cb *on_done, void *arg);
void look_free(struct look *l);

/*
 * Looks at one, answered from the loop. by_bytes: the store's bytes are read
 * and hashed, where its own check does not do that.
 */
void look_at(struct look *l, const char *segment, bool by_bytes);

#endif
