#include "agent/capture/held.h"

#include <stdlib.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/tee.h"

#define STAMPS_MAX 32768 /* times that are held; then the last one counts */
#define PARTS      8     /* of a buffer that are looked at together */

/* Bytes from offset on came at ns of this machine's clock. */
struct stamp {
	uint64_t offset, ns;
};

struct held {
	struct evbuffer *bytes;
	uint64_t written, received;
	size_t first, n_stamps; /* in a ring */
	struct stamp stamps[STAMPS_MAX];
};

uint64_t
held_clock_time(const struct held_clock *c, uint64_t mono_ns)
{
	uint64_t then = (uint64_t)((int64_t)mono_ns + c->shift_ns);

	return then > c->least_ns ? then : c->least_ns;
}

struct held *
held_new(void)
{
	struct held *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return NULL;
	h->bytes = evbuffer_new();
	if (h->bytes != NULL)
		return h;
	free(h);
	return NULL;
}

void
held_free(struct held *h)
{
	if (h == NULL)
		return;
	evbuffer_free(h->bytes);
	free(h);
}

static struct stamp *
stamp_at(struct held *h, size_t i)
{
	return &h->stamps[(h->first + i) % STAMPS_MAX];
}

static void
drop_stamp(struct held *h)
{
	h->first = (h->first + 1) % STAMPS_MAX;
	h->n_stamps--;
}

static void
add_stamp(struct held *h)
{
	uint64_t now = clock_mono_ns();

	if (h->n_stamps > 0 &&
	    now - stamp_at(h, h->n_stamps - 1)->ns < TEE_TIME_NS)
		return;
	if (h->n_stamps < STAMPS_MAX)
		*stamp_at(h, h->n_stamps++) =
		    (struct stamp){ h->received, now };
}

int
held_add(struct held *h, struct evbuffer *in, size_t n)
{
	struct evbuffer_iovec part[PARTS];
	struct evbuffer_ptr at;

	add_stamp(h);
	evbuffer_ptr_set(in, &at, 0, EVBUFFER_PTR_SET);
	for (size_t left = n; left > 0;) {
		int n_parts =
		    evbuffer_peek(in, (ssize_t)left, &at, part, PARTS);
		size_t took = 0;

		n_parts = n_parts > PARTS ? PARTS : n_parts;
		for (int i = 0; i < n_parts && left > 0; i++) {
			size_t len = min_size(part[i].iov_len, left);

			if (evbuffer_add(h->bytes, part[i].iov_base, len) != 0)
				return ERR_NOMEM;
			left -= len;
			took += len;
		}
		evbuffer_ptr_set(in, &at, took, EVBUFFER_PTR_ADD);
	}
	h->received += n;
	return 0;
}

void
held_clear(struct held *h)
{
	evbuffer_drain(h->bytes, evbuffer_get_length(h->bytes));
	h->written = h->received;
	h->n_stamps = 0;
}

size_t
held_len(const struct held *h)
{
	return evbuffer_get_length(h->bytes);
}

uint64_t
held_received(const struct held *h)
{
	return h->received;
}

int
held_skip(struct held *h, uint64_t offset)
{
	if (offset < h->written || offset > h->received)
		return ERR_PROTOCOL;
	while (h->n_stamps > 1 && stamp_at(h, 1)->offset <= offset)
		drop_stamp(h);
	evbuffer_drain(h->bytes, (size_t)(offset - h->written));
	h->written = offset;
	return 0;
}

static int
write_time(
    struct held *h, struct capture_writer *w, const struct held_clock *clock)
{
	const struct tee_mark m = { .kind = TEE_MARK_TIME,
		.mono_ns = held_clock_time(clock, stamp_at(h, 0)->ns) };

	drop_stamp(h);
	return capture_writer_mark(w, &m, clock_mono_ns());
}

int
held_write(struct held *h, struct capture_writer *w, uint64_t offset,
    const struct held_clock *clock)
{
	int rc = 0;

	while (rc == 0 && h->written < offset) {
		uint64_t end = offset;
		size_t n;

		if (h->n_stamps > 0 && stamp_at(h, 0)->offset <= h->written) {
			rc = write_time(h, w, clock);
			continue;
		}
		if (h->n_stamps > 0)
			end = min_u64(end, stamp_at(h, 0)->offset);
		n = (size_t)min_u64(
		    evbuffer_get_contiguous_space(h->bytes), end - h->written);
		rc = capture_writer_bytes(w,
		    evbuffer_pullup(h->bytes, (ssize_t)n), n, clock_mono_ns());
		evbuffer_drain(h->bytes, n);
		h->written += n;
	}
	return rc;
}
