/*
 * Where the endpoint's bytes stand between receiving and forwarding: the
 * shared tee ring of a recorded session, or a small private buffer, which
 * exists only while something is in it.
 */
#ifndef RELAY_PUMP_RING_H
#define RELAY_PUMP_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tee_writer;

#define RING_PRIVATE_LEN (144 * 1024)

struct ring {
	struct tee_writer *tee; /* owned; NULL: private buffer */
	uint8_t *data;          /* private, NULL while empty */
	uint8_t **spare;        /* of the loop: a buffer nobody uses, or NULL */
	uint64_t base;          /* stream offset of data[0] */
	uint64_t received, framed, forwarded;
};

/*
 * tee_len: 0 for a private buffer, which then is taken from *spare (borrowed
 * for the ring's lifetime) and given back there: the rings of a loop have
 * seldom more than one in use. Returns 0 or an error of tee_writer_new.
 */
int ring_init(struct ring *r, size_t tee_len, uint8_t **spare);
void ring_release(struct ring *r);

/* Contiguous room at `received`; NULL only for memory, *len may be 0. */
uint8_t *ring_room(struct ring *r, size_t *len);
/* n bytes were written there. */
void ring_received(struct ring *r, size_t n);
/* Bytes up to offset are checked: they may be forwarded and recorded. */
void ring_framed(struct ring *r, uint64_t offset);
/* What is framed and not forwarded, contiguous. */
const uint8_t *ring_span(const struct ring *r, size_t *len);
void ring_forwarded(struct ring *r, size_t n);

/* Gives an empty private buffer back. */
void ring_idle(struct ring *r);

#endif
