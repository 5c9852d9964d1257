/*
 * One pass over a file on a worker thread: SHA-256 of the whole, and SHA-256
 * and MD5 of each part, which an S3 upload signs and verifies with.
 */
#ifndef STORAGE_HASH_H
#define STORAGE_HASH_H

#include <sodium.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "storage/worker.h"

struct part_hash {
	uint8_t sha256[32], md5[16];
};

/* Set fd, bytes, part_bytes, work.done; parts has ceil(bytes/part_bytes). */
struct hash_job {
	struct worker_job work;
	int fd;
	uint64_t bytes, part_bytes;
	struct part_hash *parts;
	uint8_t sha256[32];
	atomic_bool *stopping; /* borrowed; ends with ERR_CANCELLED */
	int err;
	int saved_errno;
};

/* The `run` of a hash job. */
void hash_run(struct worker_job *work);

/*
 * Adds bytes [*at, to) of fd to a sum that goes on, and moves *at. stopping
 * may be NULL. Returns 0, ERR_CANCELLED, ERR_IO, or ERR_EOF when the file
 * ends before.
 */
int hash_bytes(int fd, uint64_t *at, uint64_t to, crypto_hash_sha256_state *sum,
    const atomic_bool *stopping);

#endif
