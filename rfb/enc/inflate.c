/*
 * The zlib streams of a connection, whose output is drawn by sinks.
 */
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "rfb/enc/enc.h"

static int
open_inflater(struct enc *e, struct enc_inflater *z)
{
	if (z->stream == NULL)
		z->stream = inflate_stream_new();
	return z->stream != NULL ? 0 : enc_fail(e, ERR_NOMEM, "out of memory");
}

void
enc_inflater_reset(struct enc_inflater *z)
{
	if (z->stream != NULL)
		inflate_stream_reset(z->stream);
	z->is_begun = false;
}

void
enc_inflater_release(struct enc_inflater *z)
{
	inflate_stream_free(z->stream);
	z->stream = NULL;
}

bool
enc_inflater_is_begun(const struct enc_inflater *z)
{
	return z->is_begun;
}

bool
enc_inflater_can_save(const struct enc_inflater *z)
{
	return !z->is_begun || inflate_stream_is_between_blocks(z->stream);
}

ssize_t
enc_inflater_save(const struct enc_inflater *z, uint8_t *window)
{
	const uint8_t *p;
	size_t n;

	if (!z->is_begun)
		return 0;
	if (!enc_inflater_can_save(z))
		return ERR_UNSUPPORTED;
	p = inflate_stream_window(z->stream, &n);
	memcpy(window, p, n);
	return (ssize_t)n;
}

int
enc_inflater_restore(
    struct enc *e, struct enc_inflater *z, const uint8_t *window, size_t n)
{
	int rc = n <= INFLATE_WINDOW_MAX ? open_inflater(e, z) : ERR_CORRUPT;

	if (rc != 0)
		return rc;
	inflate_stream_restore(z->stream, window, n);
	z->is_begun = true;
	return 0;
}

/* Gives the sink n_rest bytes up to end, of which it may leave some. */
static int
drain(struct enc *e, const uint8_t *end, enc_sink *sink)
{
	ssize_t used = sink(e, end - e->n_rest, e->n_rest);

	if (used < 0)
		return (int)used;
	e->n_rest -= (size_t)used;
	e->rest = end - e->n_rest;
	if (e->n_rest == 0)
		return 0;
	if (enc_is_drawn(e) || e->n_rest > INFLATE_REST_MAX)
		return enc_fail(e, ERR_PROTOCOL,
		    "data inflates to more than its rectangle holds");
	return 0;
}

static int
check(struct enc *e, enum inflate_status status, size_t left)
{
	if (status == INFLATE_BAD)
		return enc_fail(e, ERR_PROTOCOL, "zlib data is corrupt");
	if (status == INFLATE_END && left > 0)
		return enc_fail(
		    e, ERR_PROTOCOL, "data after the end of a zlib stream");
	return 0;
}

int
enc_inflate(struct enc *e, struct enc_inflater *z, const uint8_t *in,
    size_t len, enc_sink *sink)
{
	const uint8_t *end = in + len;
	enum inflate_status status;
	int rc = open_inflater(e, z);

	if (rc != 0 || len == 0)
		return rc;
	z->is_begun = true;
	do {
		status = inflate_stream_run(z->stream, &in, end, &e->n_rest);
		/* What came before a fault is drawn however pieces fell. */
		rc = drain(e, inflate_stream_out(z->stream), sink);
		if (rc == 0)
			rc = check(e, status, (size_t)(end - in));
	} while (rc == 0 && status == INFLATE_FULL);
	return rc;
}

int
enc_pass(struct enc *e, const uint8_t *in, size_t len, enc_sink *sink)
{
	size_t n;
	int rc = 0;

	if (e->scratch == NULL)
		e->scratch = malloc(ENC_SCRATCH);
	if (e->scratch == NULL)
		return enc_fail(e, ERR_NOMEM, "out of memory");
	while (rc == 0 && len > 0) {
		n = min_size(len, ENC_SCRATCH - e->n_rest);
		memcpy(e->scratch + e->n_rest, in, n);
		e->n_rest += n;
		in += n;
		len -= n;
		rc = drain(e, e->scratch + e->n_rest, sink);
		if (rc == 0)
			memmove(e->scratch, e->rest, e->n_rest);
	}
	return rc;
}
