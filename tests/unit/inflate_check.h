/*
 * Our inflater beside zlib's, on the same bytes: they have to agree about
 * output, fault, end, what is left behind the end, and where the stream can be
 * handed over, with which window.
 */
#ifndef TESTS_INFLATE_CHECK_H
#define TESTS_INFLATE_CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "common/bytes.h"
#include "rfb/enc/inflate_stream.h"

struct inflated {
	uint8_t *data; /* owned */
	size_t len, cap;
	size_t input_left;
	bool is_bad, is_end, is_between_blocks;
	uint8_t window[INFLATE_WINDOW_MAX];
	size_t n_window;
};

static inline void
inflated_add(struct inflated *o, const uint8_t *p, size_t n)
{
	if (n > o->cap - o->len) {
		o->cap = 2 * o->cap + n;
		o->data = realloc(o->data, o->cap);
		if (o->data == NULL)
			abort();
	}
	if (n > 0)
		memcpy(o->data + o->len, p, n);
	o->len += n;
}

/* One piece, which lies alone so that reading past it is seen. The caller
 * takes all output but, now and then, some bytes that wait. */
static inline enum inflate_status
inflate_piece(struct inflate_stream *s, struct inflated *o, const uint8_t *data,
    size_t n, size_t *rest)
{
	uint8_t *piece = malloc(n + (n == 0));
	const uint8_t *in = piece;
	enum inflate_status status;
	size_t taken;

	if (piece == NULL)
		abort();
	memcpy(piece, data, n);
	do {
		status = inflate_stream_run(s, &in, piece + n, rest);
		taken = *rest - *rest / 3 % INFLATE_REST_MAX;
		inflated_add(o, inflate_stream_out(s) - *rest, taken);
		*rest -= taken;
	} while (status == INFLATE_FULL);
	o->input_left = (size_t)(piece + n - in);
	free(piece);
	return status;
}

/* In pieces of n bytes; window: what the stream continues behind, or NULL. */
static inline struct inflated *
inflate_ours(const uint8_t *data, size_t len, size_t piece,
    const struct inflated *before)
{
	struct inflated *o = calloc(1, sizeof(*o));
	struct inflate_stream *s = inflate_stream_new();
	enum inflate_status status = INFLATE_MORE;
	const uint8_t *window;
	size_t at = 0, rest = 0, n;

	if (o == NULL || s == NULL)
		abort();
	if (before != NULL)
		inflate_stream_restore(s, before->window, before->n_window);
	for (; status == INFLATE_MORE && at < len; at += n) {
		n = min_size(piece, len - at);
		status = inflate_piece(s, o, data + at, n, &rest);
	}
	inflated_add(o, inflate_stream_out(s) - rest, rest);
	o->input_left += len - at;
	o->is_bad = status == INFLATE_BAD;
	o->is_end = status == INFLATE_END;
	o->is_between_blocks =
	    !o->is_bad && !o->is_end && inflate_stream_is_between_blocks(s);
	window = inflate_stream_window(s, &o->n_window);
	memcpy(o->window, window, o->n_window);
	inflate_stream_free(s);
	return o;
}

static inline struct inflated *
inflate_zlibs(const uint8_t *data, size_t len)
{
	static uint8_t out[1 << 16];
	struct inflated *o = calloc(1, sizeof(*o));
	z_stream z = { .next_in = (uint8_t *)(uintptr_t)data,
		.avail_in = (uInt)len };
	uInt n_window = 0;
	int rc;

	if (o == NULL || inflateInit(&z) != Z_OK)
		abort();
	inflateValidate(&z, 0);
	do {
		z.next_out = out;
		z.avail_out = sizeof(out);
		rc = inflate(&z, Z_SYNC_FLUSH);
		inflated_add(o, out, sizeof(out) - z.avail_out);
	} while (rc == Z_OK && (z.avail_in > 0 || z.avail_out == 0));
	o->input_left = z.avail_in;
	o->is_end = rc == Z_STREAM_END;
	o->is_bad = rc != Z_OK && rc != Z_BUF_ERROR && !o->is_end;
	o->is_between_blocks =
	    !o->is_bad && !o->is_end && (z.data_type & (128 | 64 | 7)) == 128;
	inflateGetDictionary(&z, o->window, &n_window);
	o->n_window = n_window;
	inflateEnd(&z);
	return o;
}

static inline void
inflated_free(struct inflated *o)
{
	free(o->data);
	free(o);
}

/* What differs, or NULL. Ours may refuse a code that zlib would wait for more
 * input of. */
static inline const char *
inflate_difference(const struct inflated *ours, const struct inflated *theirs)
{
	if (ours->len != theirs->len ||
	    (ours->len > 0 && memcmp(ours->data, theirs->data, ours->len) != 0))
		return "output";
	if (theirs->is_bad != ours->is_bad)
		return theirs->is_bad || theirs->is_end ||
			theirs->is_between_blocks
		    ? "fault"
		    : NULL;
	if (ours->is_end != theirs->is_end ||
	    (ours->is_end && ours->input_left != theirs->input_left))
		return "end";
	if (ours->is_between_blocks != theirs->is_between_blocks)
		return "place between blocks";
	if (ours->is_between_blocks &&
	    (ours->n_window != theirs->n_window ||
		memcmp(ours->window, theirs->window, ours->n_window) != 0))
		return "window";
	return NULL;
}

/* NULL when both agree about data, fed to ours in pieces. */
static inline const char *
inflate_compare(const uint8_t *data, size_t len, size_t piece)
{
	struct inflated *ours = inflate_ours(data, len, piece, NULL);
	struct inflated *theirs = inflate_zlibs(data, len);
	const char *what = inflate_difference(ours, theirs);

	inflated_free(ours);
	inflated_free(theirs);
	return what;
}

#endif
