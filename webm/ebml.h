/*
 * EBML elements: ids, sizes and values, encoded into a buf and decoded from
 * memory. Only what our WebM files use: ids of 1 to 4 bytes, sizes of 1 to 8.
 * Source: RFC 8794 (EBML), sections 4 to 7; ids from RFC 9559 (Matroska).
 * No I/O, thread-safe.
 */
#ifndef WEBM_EBML_H
#define WEBM_EBML_H

#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"

#define EBML_SIZE_UNKNOWN UINT64_MAX /* all value bits set */
#define EBML_SIZE_MAX     ((UINT64_C(1) << 56) - 2)
#define EBML_HEAD_MAX     12 /* id of 4, size of 8 */

enum ebml_id {
	EBML_ID_HEADER = 0x1A45DFA3,
	EBML_ID_VERSION = 0x4286,
	EBML_ID_READ_VERSION = 0x42F7,
	EBML_ID_MAX_ID_LENGTH = 0x42F2,
	EBML_ID_MAX_SIZE_LENGTH = 0x42F3,
	EBML_ID_DOC_TYPE = 0x4282,
	EBML_ID_DOC_TYPE_VERSION = 0x4287,
	EBML_ID_DOC_TYPE_READ_VERSION = 0x4285,
	EBML_ID_VOID = 0xEC,
	EBML_ID_CRC32 = 0xBF,
	MKV_ID_SEGMENT = 0x18538067,
	MKV_ID_SEEK_HEAD = 0x114D9B74,
	MKV_ID_SEEK = 0x4DBB,
	MKV_ID_SEEK_ID = 0x53AB,
	MKV_ID_SEEK_POSITION = 0x53AC,
	MKV_ID_INFO = 0x1549A966,
	MKV_ID_SEGMENT_UUID = 0x73A4,
	MKV_ID_TIMESTAMP_SCALE = 0x2AD7B1,
	MKV_ID_DURATION = 0x4489,
	MKV_ID_DATE_UTC = 0x4461,
	MKV_ID_TITLE = 0x7BA9,
	MKV_ID_MUXING_APP = 0x4D80,
	MKV_ID_WRITING_APP = 0x5741,
	MKV_ID_TRACKS = 0x1654AE6B,
	MKV_ID_TRACK_ENTRY = 0xAE,
	MKV_ID_TRACK_NUMBER = 0xD7,
	MKV_ID_TRACK_UID = 0x73C5,
	MKV_ID_TRACK_TYPE = 0x83,
	MKV_ID_FLAG_LACING = 0x9C,
	MKV_ID_LANGUAGE = 0x22B59C,
	MKV_ID_CODEC_ID = 0x86,
	MKV_ID_CODEC_PRIVATE = 0x63A2,
	MKV_ID_VIDEO = 0xE0,
	MKV_ID_FLAG_INTERLACED = 0x9A,
	MKV_ID_PIXEL_WIDTH = 0xB0,
	MKV_ID_PIXEL_HEIGHT = 0xBA,
	MKV_ID_DISPLAY_WIDTH = 0x54B0,
	MKV_ID_DISPLAY_HEIGHT = 0x54BA,
	MKV_ID_COLOUR = 0x55B0,
	MKV_ID_COLOUR_MATRIX = 0x55B1,
	MKV_ID_COLOUR_RANGE = 0x55B9,
	MKV_ID_COLOUR_TRANSFER = 0x55BA,
	MKV_ID_COLOUR_PRIMARIES = 0x55BB,
	MKV_ID_TAGS = 0x1254C367,
	MKV_ID_TAG = 0x7373,
	MKV_ID_TARGETS = 0x63C0,
	MKV_ID_SIMPLE_TAG = 0x67C8,
	MKV_ID_TAG_NAME = 0x45A3,
	MKV_ID_TAG_STRING = 0x4487,
	MKV_ID_CLUSTER = 0x1F43B675,
	MKV_ID_TIMESTAMP = 0xE7,
	MKV_ID_SIMPLE_BLOCK = 0xA3,
	MKV_ID_BLOCK_GROUP = 0xA0,
	MKV_ID_BLOCK = 0xA1,
	MKV_ID_BLOCK_DURATION = 0x9B,
	MKV_ID_REFERENCE_BLOCK = 0xFB,
	MKV_ID_CUES = 0x1C53BB6B,
	MKV_ID_CUE_POINT = 0xBB,
	MKV_ID_CUE_TIME = 0xB3,
	MKV_ID_CUE_TRACK_POSITIONS = 0xB7,
	MKV_ID_CUE_TRACK = 0xF7,
	MKV_ID_CUE_CLUSTER_POSITION = 0xF1,
};

/* Bytes of an id, 1 to 4; of a size, 1 to 8; of an unsigned value, 1 to 8. */
unsigned ebml_id_len(uint32_t id);
unsigned ebml_size_len(uint64_t size);
unsigned ebml_uint_len(uint64_t v);

/* Bytes of a whole element with len bytes of data, size in shortest form. */
uint64_t ebml_element_len(uint32_t id, uint64_t len);

/*
 * Writers append one element. Return 0, ERR_LIMIT or ERR_NOMEM as buf_append.
 * ebml_put_size_in: the size in exactly n bytes (1..8); EBML_SIZE_UNKNOWN is
 * allowed. ebml_put_void: total bytes in all, 2..127.
 */
int ebml_put_id(struct buf *b, uint32_t id);
int ebml_put_size_in(struct buf *b, uint64_t size, unsigned n);
int ebml_put_head(struct buf *b, uint32_t id, uint64_t len);
int ebml_put_bytes(struct buf *b, uint32_t id, const void *data, size_t len);
int ebml_put_string(struct buf *b, uint32_t id, const char *s);
int ebml_put_uint(struct buf *b, uint32_t id, uint64_t v);
int ebml_put_uint_in(struct buf *b, uint32_t id, uint64_t v, unsigned n);
int ebml_put_void(struct buf *b, unsigned total);

/* Stores the size in exactly n bytes (1..8) at p. */
void ebml_store_size(uint8_t *p, uint64_t size, unsigned n);

/* One decoded element head. */
struct ebml_head {
	uint32_t id;
	uint64_t size; /* of the data, or EBML_SIZE_UNKNOWN */
	unsigned len;  /* bytes of id and size */
};

/*
 * Decodes an id and a size from len bytes, borrowed. Returns bytes consumed,
 * 0 when more are needed, or ERR_CORRUPT for an impossible id or size.
 */
int ebml_parse_head(const uint8_t *p, size_t len, struct ebml_head *h);

/*
 * Steps through the children of an element that lies in memory whole.
 * Returns 1 with head and data, 0 at the end, ERR_CORRUPT when a child does
 * not fit in its parent (or has an unknown size).
 */
struct ebml_cursor {
	const uint8_t *p, *end;
};
int ebml_next(struct ebml_cursor *c, struct ebml_head *h, const uint8_t **data);

/* Value of an unsigned integer of len bytes (0..8; more: ERR_CORRUPT). */
int ebml_load_uint(const uint8_t *p, uint64_t len, uint64_t *v);

/* Value of a float of 0, 4 or 8 bytes, else ERR_CORRUPT. */
int ebml_load_double(const uint8_t *p, uint64_t len, double *v);

#endif
