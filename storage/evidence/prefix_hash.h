/*
 * Hashes of growing recordings (X3): every few seconds the SHA-256 of a
 * recording's closed clusters so far goes into the database. Somebody who
 * gets at the spool folder afterwards cannot put another file there unseen.
 * One loop; reading happens on a thread of its own.
 */
#ifndef STORAGE_EVIDENCE_PREFIX_HASH_H
#define STORAGE_EVIDENCE_PREFIX_HASH_H

#include <stdint.h>

struct daemon;
struct prefix_hashes;

/* 0 or ERR_NOMEM; d->prefix_hashes. */
int prefix_hashes_new(struct daemon *d);
/* Allowed when there are none. */
void prefix_hashes_free(struct prefix_hashes *h);
/* Bytes of a growing segment's header and whole clusters; 0: not known now. */
uint64_t prefix_hashes_whole_bytes(
    const struct prefix_hashes *set, const char *segment);

#endif
