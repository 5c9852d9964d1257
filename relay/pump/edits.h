/*
 * What the technician gets instead of parts of the endpoint's stream: an
 * ordered queue of edits, each "in place of bytes [from, to) send these".
 * from == to inserts, no bytes removes. The ring itself is never changed, as
 * the recorder reads the same bytes.
 *
 *      ring     ......####......|........##......
 *      edit           from to   from=to  from to
 *      sent     ......bytes.....bytes............
 *
 * Edits come in stream order, and never behind what was forwarded. Nothing
 * is allocated while there are none. No I/O, one owner.
 */
#ifndef RELAY_PUMP_EDITS_H
#define RELAY_PUMP_EDITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"

/*
 * Above EDITS_HIGH no more of the stream should be looked at until some were
 * sent. What one piece of it can add (TRANSPORT_RECORD_LEN * 8 / 12 rectangles)
 * still fits below EDITS_MAX.
 */
#define EDITS_HIGH      4096
#define EDITS_MAX       (EDITS_HIGH + 16384)
#define EDITS_BYTES_MAX (4u << 20)

struct edit {
	uint64_t from, to; /* stream offsets */
	uint32_t len;      /* bytes of it that are not sent yet */
};

struct edits {
	struct edit *list; /* NULL while there are none */
	unsigned head, n, cap;
	struct buf bytes; /* of all edits, in their order */
};

/* What to do next at the forwarding position. */
enum edits_step {
	EDITS_WAIT,  /* nothing until more is framed */
	EDITS_RING,  /* send len bytes of the ring */
	EDITS_BYTES, /* send these len bytes, then edits_sent */
	EDITS_SKIP,  /* pass over len bytes of the ring */
};

struct edits_span {
	enum edits_step step;
	const uint8_t *bytes; /* EDITS_BYTES: borrowed until the next call */
	size_t len;
};

void edits_init(struct edits *e);
void edits_release(struct edits *e);

static inline bool
edits_is_empty(const struct edits *e)
{
	return e->n == 0;
}

/* Is it time to send before more of the stream is looked at? */
static inline bool
edits_is_full(const struct edits *e)
{
	return e->n >= EDITS_HIGH;
}

/* Bytes that wait to be sent in place of others. */
static inline size_t
edits_bytes(const struct edits *e)
{
	return buf_len(&e->bytes);
}

/*
 * Adds an edit. at: what was forwarded, a stream offset; to may lie ahead of
 * what has come. A removal right behind another one joins it.
 * Returns 0, ERR_PROTOCOL (behind `at` or behind an earlier edit's end: a
 * fault of the caller), ERR_LIMIT or ERR_NOMEM.
 */
int edits_add(struct edits *e, uint64_t at, uint64_t from, uint64_t to,
    const void *bytes, size_t len);

/*
 * What comes next when everything before at was forwarded and everything
 * before end may be. The caller moves `at` on after RING and SKIP and calls
 * again until WAIT.
 */
struct edits_span edits_next(struct edits *e, uint64_t at, uint64_t end);

/* n bytes of the span EDITS_BYTES were sent. */
void edits_sent(struct edits *e, size_t n);

#endif
