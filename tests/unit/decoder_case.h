/*
 * For tests of the decoder: runs a stream whole and in pieces, demands the
 * same of each run, and keeps picture and events. Deflates what encodings
 * want deflated.
 */
#ifndef TESTS_DECODER_CASE_H
#define TESTS_DECODER_CASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <zlib.h>

#include "common/err.h"
#include "rfb/decoder.h"
#include "tests/unit/rfb_bytes.h"

#define CASE_EVENTS 64

struct case_run {
	int rc;
	char why[80];
	uint16_t w, h;
	uint32_t *pixels; /* w * h */
	struct rfb_decoder_event events[CASE_EVENTS];
	struct rfb_decoder_event before; /* the last DRAW or RESIZING */
	struct rfb_screen screens[4]; /* of the last layout */
	size_t n;
};

/* These say what another event says again once it happened. */
static inline bool
case_is_before(enum rfb_decoder_event_kind kind)
{
	return kind == RFB_DECODER_DRAW || kind == RFB_DECODER_RESIZING;
}

static inline void
case_event(void *arg, const struct rfb_decoder_event *ev)
{
	struct case_run *r = arg;

	if (case_is_before(ev->kind)) {
		r->before = *ev;
		return;
	}
	if (ev->kind == RFB_DECODER_DAMAGE)
		assert_true(r->before.kind == RFB_DECODER_DRAW &&
		    r->before.x == ev->x && r->before.y == ev->y &&
		    r->before.w == ev->w && r->before.h == ev->h);
	if (ev->kind == RFB_DECODER_RESIZE)
		assert_int_equal(r->before.kind, RFB_DECODER_RESIZING);
	assert_true(r->n < CASE_EVENTS);
	r->events[r->n] = *ev;
	r->events[r->n++].screens = NULL;
	for (unsigned i = 0; i < ev->n_screens && i < 4; i++)
		r->screens[i] = ev->screens[i];
}

static inline void
case_release(struct case_run *r)
{
	free(r->pixels);
	r->pixels = NULL;
}

static inline void
case_keep(struct case_run *r, const struct rfb_decoder *d)
{
	size_t row;

	r->w = rfb_decoder_width(d);
	r->h = rfb_decoder_height(d);
	row = r->w * sizeof(*r->pixels);
	r->pixels = malloc(row * r->h);
	assert_non_null(r->pixels);
	for (size_t y = 0; y < r->h; y++)
		memcpy(r->pixels + y * r->w,
		    rfb_decoder_pixels(d) + y * rfb_decoder_stride(d), row);
	snprintf(r->why, sizeof(r->why), "%s", rfb_decoder_why(d));
}

/* Each piece lies in memory of its own, so that a sanitizer sees a read
 * beyond it. */
static inline int
case_feed(struct rfb_decoder *d, const struct bytes *b, size_t piece_max)
{
	size_t done = 0, n;
	uint8_t *piece;
	int rc = 0;

	while (rc == 0 && done < b->len) {
		n = min_size(piece_max, b->len - done);
		piece = malloc(n);
		assert_non_null(piece);
		memcpy(piece, b->data + done, n);
		rc = rfb_decoder_feed(d, piece, n);
		free(piece);
		done += n;
	}
	return rc;
}

static inline struct case_run
case_run(const struct bytes *b, const struct rfb_pixel_format *pf, uint16_t w,
    uint16_t h, size_t piece_max)
{
	struct case_run r = { 0 };
	struct rfb_decoder *d = rfb_decoder_new(w, h, pf, case_event, &r);

	assert_non_null(d);
	r.rc = case_feed(d, b, piece_max);
	if (r.rc == 0)
		assert_true(rfb_decoder_is_between_messages(d));
	else
		assert_int_equal(rfb_decoder_feed(d, b->data, 1), r.rc);
	case_keep(&r, d);
	rfb_decoder_free(d);
	return r;
}

static inline void
case_same(const struct case_run *a, const struct case_run *b)
{
	assert_int_equal(a->rc, b->rc);
	assert_int_equal(a->n, b->n);
	assert_int_equal(a->w, b->w);
	assert_int_equal(a->h, b->h);
	assert_memory_equal(a->events, b->events, a->n * sizeof(a->events[0]));
	assert_string_equal(a->why, b->why);
	/* How much of a bad rectangle is drawn depends on the cuts. */
	if (a->rc != 0)
		return;
	assert_memory_equal(
	    a->pixels, b->pixels, (size_t)a->w * a->h * sizeof(*a->pixels));
}

/* Whole, byte by byte and in odd pieces; the caller releases the result. */
static inline struct case_run
case_decode(const struct bytes *b, const struct rfb_pixel_format *pf,
    uint16_t w, uint16_t h)
{
	struct case_run whole = case_run(b, pf, w, h, SIZE_MAX);
	static const size_t pieces[] = { 1, 2, 3, 7, 100 };

	for (size_t i = 0; i < N_ELEMENTS(pieces); i++) {
		struct case_run cut = case_run(b, pf, w, h, pieces[i]);

		case_same(&whole, &cut);
		case_release(&cut);
	}
	for (size_t i = 0; i < (size_t)whole.w * whole.h; i++)
		if (whole.pixels[i] != 0) /* nothing was drawn there */
			assert_int_equal(whole.pixels[i] >> 24, 255);
	return whole;
}

/* 0xRRGGBB at x, y. */
static inline uint32_t
case_pixel(const struct case_run *r, unsigned x, unsigned y)
{
	assert_true(x < r->w && y < r->h);
	return r->pixels[y * r->w + x] & 0xffffff;
}

/* The stream must be refused with this sentence, however it is cut. */
static inline void
case_refused(const struct bytes *b, const struct rfb_pixel_format *pf,
    uint16_t w, uint16_t h, const char *why)
{
	struct case_run r = case_decode(b, pf, w, h);

	assert_true(r.rc == ERR_PROTOCOL || r.rc == ERR_LIMIT);
	assert_string_equal(r.why, why);
	case_release(&r);
}

/* Appends len bytes at data. */
static inline void
put_bytes(struct bytes *b, const void *data, size_t len)
{
	put_n(b, len, 0);
	memcpy(b->data + b->len - len, data, len);
}

/* A pixel of the usual format, or its CPIXEL (len 3). */
static inline void
put_bgr(struct bytes *b, uint32_t rgb, size_t len)
{
	put8(b, rgb & 255);
	put8(b, rgb >> 8 & 255);
	put8(b, rgb >> 16 & 255);
	put_n(b, len - 3, 0);
}

/* A TPIXEL of the usual format. */
static inline void
put_rgb(struct bytes *b, uint32_t rgb)
{
	put8(b, rgb >> 16 & 255);
	put8(b, rgb >> 8 & 255);
	put8(b, rgb & 255);
}

struct packer {
	z_stream z;
	bool is_open;
};

static inline void
packer_release(struct packer *p)
{
	if (p->is_open)
		deflateEnd(&p->z);
	p->is_open = false;
}

/* Deflates all of from, ends at a byte, and returns the bytes at out. */
static inline size_t
pack(struct packer *p, const struct bytes *from, struct bytes *out)
{
	if (!p->is_open) {
		memset(&p->z, 0, sizeof(p->z));
		assert_int_equal(deflateInit(&p->z, 6), Z_OK);
		p->is_open = true;
	}
	p->z.next_in = (uint8_t *)(uintptr_t)from->data;
	p->z.avail_in = (uInt)from->len;
	p->z.next_out = out->data;
	p->z.avail_out = sizeof(out->data);
	assert_int_equal(deflate(&p->z, Z_SYNC_FLUSH), Z_OK);
	assert_true(p->z.avail_out > 0);
	out->len = sizeof(out->data) - p->z.avail_out;
	return out->len;
}

/* Zlib and ZRLE: a length of 32 bits in front. */
static inline void
put_packed(struct bytes *b, struct packer *p, const struct bytes *from)
{
	static struct bytes out;

	put32(b, (uint32_t)pack(p, from, &out));
	put_bytes(b, out.data, out.len);
}

static inline void
put_compact(struct bytes *b, size_t len)
{
	put8(b, (len & 127) | (len > 127 ? 128 : 0));
	if (len > 127)
		put8(b, (len >> 7 & 127) | (len > 16383 ? 128 : 0));
	if (len > 16383)
		put8(b, (unsigned)(len >> 14));
}

/* Tight: a compact length in front. */
static inline void
put_tight_packed(struct bytes *b, struct packer *p, const struct bytes *from)
{
	static struct bytes out;

	put_compact(b, pack(p, from, &out));
	put_bytes(b, out.data, out.len);
}

#endif
