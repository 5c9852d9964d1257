/*
 * Brings an object that was made of early parts (early.h) into the spool, as
 * the files of a segment whose recorder died: SPOOL/.recover-<segment>/ with
 * <segment>.webm.part and <segment>.json.open, which lost_copy_place renames to
 * the session's folder. Each part is compared with the SHA-256 that was noted
 * of it. Where that folder is there already, as of another segment of the
 * session, the two files move into it. One loop; a thread syncs.
 */
#ifndef STORAGE_SPOOL_LOST_COPY_H
#define STORAGE_SPOOL_LOST_COPY_H

#include <stddef.h>
#include <stdint.h>

#include "common/sha256.h"
#include "storage/store/store.h"

struct daemon;

/* A part as it was noted after it was sent, [0], and before, [1]; bytes 0: was
 * not. */
struct lost_part {
	uint64_t bytes[2];
	uint8_t sha256[2][SHA256_LEN];
};

/* All borrowed until the answer. */
struct lost_copy {
	const char *segment, *key, *manifest;
	uint64_t part_bytes;
	const struct lost_part *parts;
	size_t n_parts;
	uint64_t
	    head_from; /* where the evidence of it begins (prefix_hash.h) */
};

struct lost_copied {
	struct store_result r;
	uint64_t bytes;
	uint8_t head_sha256[SHA256_LEN]; /* of [head_from, bytes) */
};
typedef void lost_copied_cb(void *arg, const struct lost_copied *what);

/* 0 or ERR_NOMEM; the answer may come before it returns. The answer's error:
 * ERR_CORRUPT, ERR_NOSPACE, ERR_IO, or the store's. */
int lost_copy_start(struct daemon *d, const struct lost_copy *copy,
    lost_copied_cb *cb, void *arg);
/* 0; ERR_EXISTS: files of that segment are there; ERR_IO. */
int lost_copy_place(struct daemon *d, const char *segment, const char *session);
/* Removes the copy of a segment that is not placed; there may be none. */
void lost_copy_remove(struct daemon *d, const char *segment);
/* At the start: ends the moves that a crash left half done, and removes the
 * other copies. */
void lost_copy_tidy(struct daemon *d);

#endif
