/*
 * For tests: builds RFB byte streams, and records what the framer reports
 * in a form in which two runs can be compared: adjacent payload spans are
 * joined, since only the cuts of the pieces part them.
 */
#ifndef TESTS_RFB_BYTES_H
#define TESTS_RFB_BYTES_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "rfb/framer.h"
#include "rfb/protocol.h"

struct bytes {
	uint8_t data[1 << 17];
	size_t len;
};

static inline void
put_n(struct bytes *b, size_t n, uint8_t value)
{
	if (n > sizeof(b->data) - b->len)
		abort();
	memset(b->data + b->len, value, n);
	b->len += n;
}

static inline void
put8(struct bytes *b, unsigned v)
{
	put_n(b, 1, (uint8_t)v);
}

static inline void
put16(struct bytes *b, unsigned v)
{
	put8(b, v >> 8 & 0xff);
	put8(b, v & 0xff);
}

static inline void
put32(struct bytes *b, uint32_t v)
{
	put16(b, v >> 16);
	put16(b, v & 0xffff);
}

/* A FramebufferUpdate's header. */
static inline void
put_update(struct bytes *b, unsigned n_rects)
{
	put8(b, RFB_FRAMEBUFFER_UPDATE);
	put8(b, 0);
	put16(b, n_rects);
}

static inline void
put_rect(struct bytes *b, unsigned x, unsigned y, unsigned w, unsigned h,
    int32_t encoding)
{
	put16(b, x);
	put16(b, y);
	put16(b, w);
	put16(b, h);
	put32(b, (uint32_t)encoding);
}

/* 32 bits, depth 24, little-endian, red 16, green 8, blue 0. */
static inline struct rfb_pixel_format
usual_format(void)
{
	return (struct rfb_pixel_format){
		.bits_per_pixel = 32,
		.depth = 24,
		.true_colour = true,
		.red_max = 255,
		.green_max = 255,
		.blue_max = 255,
		.red_shift = 16,
		.green_shift = 8,
	};
}

struct traced {
	enum rfb_framer_event_kind kind;
	uint8_t type;
	uint16_t n_rects;
	struct rfb_rect rect;
	uint64_t offset;
	uint64_t len;
	uint32_t sum; /* of the payload's bytes, order matters */
};

#define TRACE_MAX 4096

struct trace {
	struct traced events[TRACE_MAX];
	size_t n;
	size_t n_spans;
	int stop_at; /* event at which the callback refuses; -1 never */
};

static inline void
trace_payload(struct traced *t, const struct rfb_framer_event *ev)
{
	t->len += ev->len;
	for (size_t i = 0; i < ev->len; i++)
		t->sum = t->sum * 31 + ev->data[i] + 1;
}

static inline int
trace_event(void *arg, const struct rfb_framer_event *ev)
{
	struct trace *tr = arg;
	struct traced *last = tr->n > 0 ? &tr->events[tr->n - 1] : NULL;
	bool is_payload = ev->kind == RFB_FRAMER_PAYLOAD;

	tr->n_spans += is_payload;
	if (is_payload && ev->len == 0)
		abort();
	if (is_payload && last != NULL && last->kind == ev->kind) {
		if (last->offset + last->len != ev->offset)
			abort();
		trace_payload(last, ev);
		return 0;
	}
	if ((int)tr->n == tr->stop_at)
		return 7;
	if (tr->n == TRACE_MAX)
		return 8;
	tr->events[tr->n] = (struct traced){
		.kind = ev->kind,
		.type = ev->type,
		.n_rects = ev->n_rects,
		.rect = ev->rect,
		.offset = ev->offset,
	};
	trace_payload(&tr->events[tr->n++], ev);
	return 0;
}

static inline bool
is_same_event(const struct traced *a, const struct traced *b)
{
	return a->kind == b->kind && a->type == b->type &&
	    a->n_rects == b->n_rects && a->rect.x == b->rect.x &&
	    a->rect.y == b->rect.y && a->rect.w == b->rect.w &&
	    a->rect.h == b->rect.h && a->rect.encoding == b->rect.encoding &&
	    a->offset == b->offset && a->len == b->len && a->sum == b->sum;
}

static inline bool
is_same_trace(const struct trace *a, const struct trace *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		if (!is_same_event(&a->events[i], &b->events[i]))
			return false;
	}
	return true;
}

/*
 * Feeds len bytes in pieces of 1 to piece_max bytes, each in a buffer of
 * its own size so that a sanitizer sees a read beyond it. seed picks the
 * sizes; piece_max 0 means in one piece, 1 byte by byte.
 */
static inline int
feed_pieces(struct rfb_framer *f, const uint8_t *data, size_t len,
    size_t piece_max, uint32_t seed)
{
	size_t done = 0, n;
	uint8_t *piece;
	int rc = 0;

	while (done < len && rc == 0) {
		seed = seed * 1664525 + 1013904223;
		n = piece_max == 0 ? len : 1 + (seed >> 8) % piece_max;
		n = min_size(n, len - done);
		piece = malloc(n);
		if (piece == NULL)
			abort();
		memcpy(piece, data + done, n);
		rc = rfb_framer_feed(f, piece, n);
		free(piece);
		done += n;
	}
	return rc;
}

#endif
