/*
 * A growable byte queue with an upper bound: append at the end, consume at
 * the front. One owner, not thread-safe, no I/O.
 *
 *      data ----- off ........ len ------ cap
 *             consumed   live      free
 */
#ifndef COMMON_BUF_H
#define COMMON_BUF_H

#include <stddef.h>
#include <stdint.h>

struct buf {
	uint8_t *data;
	size_t off;
	size_t len;
	size_t cap;
	size_t limit; /* live bytes never exceed this */
};

/* Prepares an empty queue of at most limit live bytes; allocates nothing. */
void buf_init(struct buf *b, size_t limit);

/* Wipes and frees the bytes; the queue may be used again. */
void buf_release(struct buf *b);

/*
 * Makes room for n more bytes and returns where they go, or NULL when the
 * limit or memory is reached; call buf_commit with what was written.
 */
uint8_t *buf_reserve(struct buf *b, size_t n);
void buf_commit(struct buf *b, size_t n);

/* Appends a copy of n bytes. Returns 0, ERR_LIMIT or ERR_NOMEM. */
int buf_append(struct buf *b, const void *data, size_t n);

/* The live bytes, borrowed until the next call on the queue. */
static inline const uint8_t *
buf_head(const struct buf *b)
{
	return b->data + b->off;
}

static inline size_t
buf_len(const struct buf *b)
{
	return b->len - b->off;
}

/* Drops n live bytes from the front; n is at most buf_len. */
void buf_consume(struct buf *b, size_t n);

#endif
