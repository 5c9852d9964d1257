#include "relay/ring.h"

#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/tee.h"

int
ring_init(struct ring *r, size_t tee_len)
{
	*r = (struct ring){ 0 };
	return tee_len != 0 ? tee_writer_new(&r->tee, tee_len) : 0;
}

void
ring_release(struct ring *r)
{
	tee_writer_free(r->tee);
	free(r->data);
	*r = (struct ring){ 0 };
}

/* Moves what is left to the front; used only when the end was reached. */
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
		r->data = malloc(RING_PRIVATE_LEN);
		r->base = r->received;
		if (r->data == NULL)
			return NULL;
	}
	if (r->forwarded == r->received)
		r->base = r->received;
	used = (size_t)(r->received - r->base);
	/* room for a whole TLS record, or reading would cost more calls */
	if (RING_PRIVATE_LEN - used < 16384 && r->forwarded != r->base) {
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
	if (r->tee == NULL && r->forwarded == r->received) {
		free(r->data);
		r->data = NULL;
	}
}
