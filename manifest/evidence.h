/*
 * Evidence that a recording is what was recorded (X3): SHA-256 of each part
 * of a file as it was written, and one root over all of them, in the file's
 * manifest. docs/evidence.md has the format. The root is what gets signed.
 * No I/O; one owner, not thread-safe.
 */
#ifndef MANIFEST_EVIDENCE_H
#define MANIFEST_EVIDENCE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/sha256.h"

#define EVIDENCE_HASH_LEN  SHA256_LEN
#define EVIDENCE_BLOCK_MIN (1024 * 1024) /* bytes that make a block full */
#define EVIDENCE_BLOCKS    1024          /* most that one file may have */
#define EVIDENCE_CLUSTERS  32768 /* most in the lists of one file's blocks */
#define EVIDENCE_CLUSTER_HASH_LEN                                              \
	8 /* bytes of a cluster's SHA-256 in a list                            \
	   */

struct evidence_block {
	uint64_t offset, len; /* in the file */
	uint8_t hash[EVIDENCE_HASH_LEN];
	size_t first_cluster, n_clusters; /* n_clusters 0: it has no list */
};

/* One of several clusters that a block consists of. */
struct evidence_cluster {
	uint32_t len;
	uint8_t hash[EVIDENCE_CLUSTER_HASH_LEN]; /* the first bytes of it */
};

/* Those of all blocks; manifest/evidence_clusters.c. */
struct evidence_clusters {
	struct evidence_cluster *list;
	size_t n, room;
	struct sha256 *sum; /* NULL: none yet */
	bool is_full;
};

/*
 * Blocks in the order in which they were written: those behind the header,
 * next to each other, and the header, offset 0, as the last.
 */
struct evidence {
	struct evidence_block *blocks;
	size_t n;
	uint8_t root[EVIDENCE_HASH_LEN];
	struct sha256
	    *open; /* of the last block, while is_open; NULL: none yet */
	bool is_open;
	int error;
	struct evidence_clusters clusters;
};

void evidence_init(struct evidence *e);
void evidence_release(struct evidence *e);

/* Blocks are all that is wanted; before the first evidence_add. */
void evidence_without_clusters(struct evidence *e);

/*
 * len bytes at offset have their final value. Clusters that follow each other
 * are joined until they make a full block; a part that is_alone is a block.
 * Errors are told by evidence_finish.
 */
void evidence_add(struct evidence *e, uint64_t offset, const uint8_t *data,
    size_t len, bool is_alone);

/*
 * Everything was added: works out the root. segment: its id, as text.
 * Returns 0, ERR_NOMEM or ERR_LIMIT (more than EVIDENCE_BLOCKS).
 */
int evidence_finish(struct evidence *e, const char *segment);
/* The same for the clip with this id of a recording with that root. */
int evidence_finish_clip(struct evidence *e, const char *clip,
    const uint8_t original[EVIDENCE_HASH_LEN]);

/* The value of "evidence" in a manifest; NULL for memory. */
json_t *evidence_to_json(const struct evidence *e);

/*
 * Reads a manifest's "evidence" into e, which is to be released whatever
 * happens. Returns 0; ERR_NOTFOUND: it has none; ERR_CORRUPT: not of this
 * format, its blocks do not make a file, or the root is not theirs; *why is
 * then a static sentence. ERR_NOMEM.
 */
int evidence_parse(
    struct evidence *e, const json_t *manifest, const char **why);
/* The same of a clip's manifest; clip: its id, NULL is ERR_CORRUPT. */
int evidence_parse_clip(struct evidence *e, const json_t *manifest,
    const char *clip, const uint8_t original[EVIDENCE_HASH_LEN],
    const char **why);

/*
 * Reads up to len bytes at offset into buf; returns how many, fewer only at
 * the end of the file, or a negative enum err.
 */
typedef int64_t evidence_read_fn(
    void *arg, uint64_t offset, uint8_t *buf, size_t len);

enum evidence_fault_kind {
	EVIDENCE_CHANGED, /* the bytes are not those that were written */
	EVIDENCE_MISSING, /* the file ends inside of it, or before */
	EVIDENCE_ADDED,   /* bytes behind the end of what was written */
};

struct evidence_fault {
	enum evidence_fault_kind kind;
	uint64_t offset, len; /* a range of the file */
};

/*
 * Reads the whole file and compares. Returns 0; ERR_CORRUPT with the first
 * range, by offset, that is not as it was written; or read's error.
 */
int evidence_verify(const struct evidence *e, evidence_read_fn *read, void *arg,
    struct evidence_fault *fault);
/* The same of its i-th block alone. */
int evidence_verify_block(const struct evidence *e, size_t i,
    evidence_read_fn *read, void *arg, struct evidence_fault *fault);

/*
 * Narrows a fault of these two to the first cluster of its block that was
 * changed, where that is known; otherwise it stays. Reads the block once more.
 * Returns 0, ERR_NOMEM or read's error.
 */
int evidence_locate(const struct evidence *e, evidence_read_fn *read, void *arg,
    struct evidence_fault *fault);

#endif
