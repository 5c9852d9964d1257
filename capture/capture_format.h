/*
 * Inside capture/ only: the bytes of a capture, docs/capture.md.
 * All numbers are big-endian.
 */
#ifndef CAPTURE_CAPTURE_FORMAT_H
#define CAPTURE_CAPTURE_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture/capture.h"

#define CAPTURE_MAGIC UINT32_C(0x52436362) /* "RCcb" */

enum capture_block {
	BLOCK_META = 1,    /* version, numbers, JSON; not compressed */
	BLOCK_RECORDS = 2, /* zstd */
	BLOCK_LAST = 3,    /* the same; nothing follows */
};

enum capture_tag {
	TAG_MARK = 1,  /* u32 kind, u64 ns, the value */
	TAG_TIME = 2,  /* u64 ns: a TEE_MARK_TIME */
	TAG_BYTES = 3, /* u32 len, the bytes */
	TAG_END = 4,   /* u64 ns, u8 len, the word */
	TAG_STATE = 5, /* u32 len, what rfb_decoder_save wrote */
};

#define CAPTURE_VERSION    1
#define META_NUMBERS_LEN   32 /* u64 version, first seq, frame, gap start */
#define RECORD_MARK_LEN    (1 + 4 + 8 + TEE_MARK_VALUE)
#define RECORD_TIME_LEN    (1 + 8)
#define RECORD_BYTES_LEN   (1 + 4) /* and of TAG_STATE */
#define RECORD_END_MAX_LEN (1 + 8 + 1 + CAPTURE_WORD_MAX)

/* What stands before each block. */
struct capture_header {
	uint64_t number; /* of the block, from 0 */
	enum capture_block kind;
	uint32_t stored, raw;       /* bytes that follow; of records in them */
	uint64_t offset;            /* stream offset of the first byte */
	uint64_t first_ns, last_ns; /* time in force before and after it */
	uint32_t sum;               /* CRC-32 of the bytes that follow */
};

/* CRC-32 of len bytes. */
uint32_t capture_sum(const uint8_t *data, size_t len);
void capture_header_pack(
    const struct capture_header *h, uint8_t out[CAPTURE_HEADER_LEN]);
/* Whether the bytes of p can be those of a block's header; fills *h. */
bool capture_header_parse(
    struct capture_header *h, const uint8_t p[CAPTURE_HEADER_LEN]);

#endif
