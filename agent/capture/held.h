/*
 * Bytes that a VNC server sent, held back until it is known which marks stand
 * between them, with the times at which they came. No I/O; one owner.
 *
 *	0 .... written ......... received
 *	       '--- held here ---'
 */
#ifndef AGENT_CAPTURE_HELD_H
#define AGENT_CAPTURE_HELD_H

#include <event2/buffer.h>
#include <stddef.h>
#include <stdint.h>

#include "capture/capture.h"

struct held;

/* From this machine's clock to the one that the capture states time in. */
struct held_clock {
	int64_t shift_ns;
	uint64_t least_ns; /* nothing was before it */
};

uint64_t held_clock_time(const struct held_clock *c, uint64_t mono_ns);

/* NULL for memory. */
struct held *held_new(void);
/* NULL is fine. */
void held_free(struct held *h);

/* Copies the first n bytes of in, which came now. Returns 0 or ERR_NOMEM. */
int held_add(struct held *h, struct evbuffer *in, size_t n);

/* Forgets all that is held; more may come. */
void held_clear(struct held *h);

size_t held_len(const struct held *h);
uint64_t held_received(const struct held *h);

/* Drops what stands before offset. Returns 0, or ERR_PROTOCOL: it did not
 * come yet. */
int held_skip(struct held *h, uint64_t offset);

/* Writes what is held before offset (at most held_received), each with its
 * time. Returns 0 or an error of capture_writer_bytes. */
int held_write(struct held *h, struct capture_writer *w, uint64_t offset,
    const struct held_clock *clock);

#endif
