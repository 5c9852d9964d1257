/*
 * EBML primitives: elements appended to a struct buf, ids and sizes read
 * from memory. Sizes are written in the 8-byte form where they are patched
 * later and in 1 byte for small elements. Source: RFC 8794. Pure.
 */
#ifndef RECORDER_EBML_H
#define RECORDER_EBML_H

#include <stddef.h>
#include <stdint.h>

struct buf;

#define EBML_HEAD_MAX 12 /* bytes of an id and a size */

/* Append; each returns 0, ERR_NOMEM or ERR_LIMIT. */
int ebml_put_id(struct buf *b, uint32_t id);
int ebml_put_uint(struct buf *b, uint32_t id, uint64_t v, size_t len);
int ebml_put_bytes(struct buf *b, uint32_t id, const void *data, size_t len);
int ebml_put_string(struct buf *b, uint32_t id, const char *s);
/* An id with an 8-byte size. */
int ebml_put_head8(struct buf *b, uint32_t id, uint64_t size);

/* 8-byte size form of v at p. */
void ebml_store_size8(uint8_t *p, uint64_t v);

struct ebml_element {
	uint32_t id;
	uint64_t size; /* UINT64_MAX: unknown */
	size_t head_len;
};

/*
 * Reads id and size. Returns bytes of the head, 0 when more are needed,
 * ERR_CORRUPT.
 */
int ebml_read_head(struct ebml_element *e, const uint8_t *p, size_t len);

/* Big-endian unsigned of len bytes, at most 8. */
uint64_t ebml_read_uint(const uint8_t *p, size_t len);

#endif
