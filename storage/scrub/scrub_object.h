/*
 * One stored recording compared with its row: recording, poster and signed
 * manifest, each by the store's own check and, when asked for, by its bytes.
 * Writes what it finds into the row: `missing` when it is gone, `corrupted`
 * when size or checksum differ (M1), `available` again when it was put back
 * (M4). Posters and signed manifests have the same words in poster_fault and
 * manifest_fault. One at a time, on the loop.
 */
#ifndef STORAGE_SCRUB_SCRUB_OBJECT_H
#define STORAGE_SCRUB_SCRUB_OBJECT_H

#include <stdbool.h>

struct daemon;
struct scrub_object;

/* why: NULL, or a sentence: the store or the database is away, and nothing
 * was learnt. */
typedef void scrub_object_cb(void *arg, const char *why);

/* NULL: no memory. */
struct scrub_object *scrub_object_new(
    struct daemon *d, scrub_object_cb *on_done, void *arg);
void scrub_object_free(struct scrub_object *l);

/*
 * Looks at one, answered from the loop. by_bytes: the store's bytes are read
 * and hashed, where its own check does not do that.
 */
void scrub_object_start(
    struct scrub_object *l, const char *segment, bool by_bytes);

#endif
