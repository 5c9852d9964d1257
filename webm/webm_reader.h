/*
 * Reads the WebM files that webm_writer makes: frame by frame, growing and
 * cut-off files too. Stops at the first byte that is not ours; nothing
 * behind it is believed. Safe with hostile files: bounded memory, every
 * frame inside the file, times strictly growing, no recursion.
 *
 * Cluster sizes are hints: a cluster ends where an element begins that is
 * none of its children, so an open or torn size changes nothing.
 * Blocking file I/O (pread). One owner, not thread-safe.
 */
#ifndef WEBM_WEBM_READER_H
#define WEBM_WEBM_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "webm/webm_walk.h"
#include "webm/webm_writer.h"

struct webm_info {
	enum webm_codec codec;
	uint32_t width, height;
	uint8_t uuid[WEBM_UUID_LEN]; /* zeros when absent */
	uint64_t duration_ms;        /* 0 until finished or repaired */
	uint64_t header_len;         /* bytes before the first cluster */
	uint64_t segment_data;       /* offset that positions count from */
	uint64_t segment_size;       /* EBML_SIZE_UNKNOWN until finished */
	/* Where the three patched places lie; docs/webm.md. */
	uint64_t size_at, cues_slot_at, duration_slot_at;
};

struct webm_cluster_head {
	uint64_t offset; /* of its id */
	uint64_t data_offset;
	uint64_t size; /* as declared, or EBML_SIZE_UNKNOWN */
	uint64_t time_ms;
};

struct webm_block {
	uint64_t offset; /* of the frame's bytes */
	size_t len;
	uint64_t end; /* after the whole block element */
	uint64_t time_ms;
	uint32_t duration_ms; /* 0: not stated */
	bool is_key;
	struct webm_cluster_head cluster;
};

enum webm_end {
	WEBM_END_NONE,     /* not at the end yet */
	WEBM_END_FINISHED, /* closed properly: sizes and cues all agree */
	WEBM_END_CUT,      /* the file ends: growing, or cut off */
	WEBM_END_CORRUPT,  /* bytes follow that are not ours */
};

struct webm_reader;

/*
 * Reads the header of fd (borrowed; its size is taken now) or of len bytes
 * of memory (borrowed until free).
 * Returns 0, ERR_NOMEM, ERR_IO, ERR_EOF (cut off inside the header),
 * ERR_CORRUPT (not one of our files) or ERR_LIMIT (header too long).
 */
int webm_reader_new_fd(struct webm_reader **out, int fd);
int webm_reader_new_mem(
    struct webm_reader **out, const uint8_t *data, size_t len);
void webm_reader_free(struct webm_reader *r);

const struct webm_info *webm_reader_info(const struct webm_reader *r);

/* Bytes of the file, as at new. */
uint64_t webm_reader_size(const struct webm_reader *r);

/* The next complete frame. Returns 1, 0 at the end, or ERR_IO. */
int webm_reader_next(struct webm_reader *r, struct webm_block *b);

/* Copies bytes of the file, all inside it. Returns 0, ERR_EOF or ERR_IO. */
int webm_reader_copy(
    struct webm_reader *r, uint64_t offset, void *out, size_t len);

/* Why webm_reader_next returned 0. */
enum webm_end webm_reader_end(const struct webm_reader *r);

/*
 * After the end: offset behind the last complete block, or header_len when
 * there is none: what a repair keeps.
 */
uint64_t webm_reader_valid_end(const struct webm_reader *r);

#endif
