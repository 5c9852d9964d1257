#include "relay/pump/ring.h"

#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/tee.h"

/* Moving this much costs less than what more room saves. */
#define CHEAP_LEN 1024

static uint8_t *
get_buffer(struct ring *r)
{
	uint8_t *data = r->spare != NULL ? *r->spare : NULL;

	if (data == NULL)
		return malloc(RING_PRIVATE_LEN);
	*r->spare = NULL; /* taken */
	return data;
}

static void
put_buffer(struct ring *r)
{
	if (r->spare != NULL && *r->spare == NULL)
		*r->spare = r->data;
	else
		free(r->data);
	r->data = NULL;
}

int
ring_init(struct ring *r, size_t tee_len, uint8_t **spare)
{
	*r = (struct ring){ .spare = spare };
	return tee_len != 0 ? tee_writer_new(&r->tee, tee_len) : 0;
}

void
ring_release(struct ring *r)
{
	tee_writer_free(r->tee);
	if (r->data != NULL)
		put_buffer(r);
	*r = (struct ring){ 0 };
}

/* Moves what is left to the front. */
static void
compact(struct ring *r)
{
	size_t done = (size_t)(r->forwarded - r->base);

	memmove(r->data, r->data + done, (size_t)(r->received - r->forwarded));
	r->base = r->forwarded;
}

uint8_t *
ring_room(struct ring *r, size_t *len)
{
	size_t used;

	if (r->tee != NULL)
		return tee_writer_room(r->tee, len);
	*len = 0;
	if (r->data == NULL) {
		r->data = get_buffer(r);
		r->base = r->received;
		if (r->data == NULL)
			return NULL;
	}
	used = (size_t)(r->received - r->base);
	/* little to move, or less room than a TLS record needs */
	if (r->forwarded != r->base &&
	    (r->received - r->forwarded <= CHEAP_LEN ||
		RING_PRIVATE_LEN - used < 16384)) {
		compact(r);
		used = (size_t)(r->received - r->base);
	}
	*len = RING_PRIVATE_LEN - used;
	return r->data + used;
}

void
ring_received(struct ring *r, size_t n)
{
	r->received += n;
	if (r->tee != NULL)
		tee_writer_received(r->tee, n);
}

void
ring_framed(struct ring *r, uint64_t offset)
{
	r->framed = offset;
	if (r->tee != NULL)
		tee_writer_publish(r->tee, offset);
}

const uint8_t *
ring_span(const struct ring *r, size_t *len)
{
	*len = (size_t)(r->framed - r->forwarded);
	if (r->tee != NULL)
		return tee_writer_at(r->tee, r->forwarded);
	return r->data + (r->forwarded - r->base);
}

void
ring_forwarded(struct ring *r, size_t n)
{
	r->forwarded += n;
	if (r->tee != NULL)
		tee_writer_forwarded(r->tee, r->forwarded);
}

void
ring_idle(struct ring *r)
{
	if (r->data != NULL && r->forwarded == r->received)
		put_buffer(r);
}
