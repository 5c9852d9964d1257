/*
 * Hashes of a file: SHA-256 of the whole, and SHA-256 and MD5 of each part,
 * which an S3 upload signs and verifies with. They are made in one pass over
 * the bytes, by whoever reads them; but the MD5s of several parts, all at a
 * time (md5_lanes.h), in a second pass that takes a third of the time that they
 * would add to the first. hash_run does both, on a worker thread.
 */
#ifndef STORAGE_HASH_H
#define STORAGE_HASH_H

#include <openssl/types.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "common/sha256.h"
#include "storage/storage_worker.h"

struct part_hash {
	uint8_t sha256[SHA256_LEN], md5[16];
};

/* part_bytes 0: of the whole alone, there are no parts. */
struct file_hash {
	uint64_t bytes, part_bytes;
	size_t n_parts;
	struct part_hash *parts;
	uint8_t sha256[SHA256_LEN];
	/* until file_hash_end */
	uint64_t at;
	struct sha256 *whole, *part;
	EVP_MD_CTX *md5;
	int err;
};

/* 0 or ERR_NOMEM; release it in any case. */
int file_hash_init(struct file_hash *h, uint64_t bytes, uint64_t part_bytes);
/* The bytes behind those that were added; more than h->bytes are an error,
 * which file_hash_end reports. */
void file_hash_add(struct file_hash *h, const uint8_t *data, size_t len);
/* 0; ERR_LIMIT: not as many bytes were added as the file has; ERR_NOMEM. */
int file_hash_end(struct file_hash *h);
/*
 * After file_hash_end: the MD5s of parts that it did not make, from fd; offset:
 * of the file's first byte in it. As md5_ranges.
 */
int file_hash_md5s(
    struct file_hash *h, int fd, uint64_t offset, const atomic_bool *stopping);
/* Allowed of one that is all zero. */
void file_hash_release(struct file_hash *h);

/* hash: after file_hash_init. Set fd and work.done. */
struct hash_job {
	struct worker_job work;
	int fd;
	uint64_t offset; /* of the first byte that is hashed */
	struct file_hash hash;
	atomic_bool *stopping; /* borrowed; ends with ERR_CANCELLED */
	int err;
	int saved_errno;
};

/* The `run` of a hash job. */
void hash_run(struct worker_job *work);

/*
 * Adds bytes [*at, to) of fd to sum, and moves *at. stopping may be NULL.
 * Returns 0, ERR_CANCELLED, ERR_IO, or ERR_EOF when the file ends before.
 */
int hash_bytes(int fd, uint64_t *at, uint64_t to, struct sha256 *sum,
    const atomic_bool *stopping);

#endif
