#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "rfb/enc/enc.h"

static int
open_scratch(struct enc *e)
{
	if (e->scratch == NULL)
		e->scratch = malloc(ENC_SCRATCH);
	return e->scratch != NULL ? 0 : enc_fail(e, ERR_NOMEM, "out of memory");
}

/* window_bits: negative for a stream without a header. */
static int
open_inflater(struct enc *e, struct enc_inflater *z, int window_bits)
{
	if (z->is_open)
		return 0;
	if (open_scratch(e) != 0)
		return ERR_NOMEM;
	memset(&z->z, 0, sizeof(z->z));
	if (inflateInit2(&z->z, window_bits) != Z_OK)
		return enc_fail(e, ERR_NOMEM, "out of memory");
	/* The checksum stands at a stream's end, which never comes: not
	 * computing it saves a tenth. */
	inflateValidate(&z->z, 0);
	z->is_open = true;
	return 0;
}

void
enc_inflater_reset(struct enc_inflater *z)
{
	if (!z->is_open)
		return;
	if (!z->is_raw) {
		inflateReset(&z->z);
		return;
	}
	/* what comes now begins with a header again */
	inflateReset2(&z->z, MAX_WBITS);
	inflateValidate(&z->z, 0);
	z->is_raw = false;
}

void
enc_inflater_release(struct enc_inflater *z)
{
	if (z->is_open)
		inflateEnd(&z->z);
	z->is_open = false;
}

bool
enc_inflater_is_begun(const struct enc_inflater *z)
{
	return z->is_open && (z->is_raw || z->z.total_in > 0);
}

/*
 * inflate() tells in data_type where it stands: 128 between two blocks, 64
 * in the last one, and in the lowest bits how many of a byte are left.
 */
static bool
is_between_blocks(const z_stream *s)
{
	return (s->data_type & (128 | 64 | 7)) == 128;
}

bool
enc_inflater_can_save(const struct enc_inflater *z)
{
	return !z->is_open || z->z.total_in == 0 || is_between_blocks(&z->z);
}

ssize_t
enc_inflater_save(const struct enc_inflater *z, uint8_t *window)
{
	/* zlib does not write through it */
	z_stream *s = (z_stream *)(uintptr_t)&z->z;
	uInt n = 0;

	if (!enc_inflater_is_begun(z))
		return 0;
	if (!enc_inflater_can_save(z))
		return ERR_UNSUPPORTED;
	return inflateGetDictionary(s, window, &n) == Z_OK ? (ssize_t)n
							   : ERR_UNSUPPORTED;
}

int
enc_inflater_restore(
    struct enc *e, struct enc_inflater *z, const uint8_t *window, size_t n)
{
	int rc =
	    n <= ENC_WINDOW_MAX ? open_inflater(e, z, -MAX_WBITS) : ERR_CORRUPT;

	if (rc != 0)
		return rc;
	z->is_raw = true;
	return inflateSetDictionary(&z->z, window, (uInt)n) == Z_OK
	    ? 0
	    : ERR_CORRUPT;
}

static int
check(struct enc *e, const z_stream *z, int rc)
{
	switch (rc) {
	case Z_OK:
	case Z_BUF_ERROR: /* nothing left to do, which is no fault */
		return 0;
	case Z_STREAM_END:
		if (z->avail_in == 0)
			return 0;
		return enc_fail(
		    e, ERR_PROTOCOL, "data after the end of a zlib stream");
	case Z_MEM_ERROR:
		return enc_fail(e, ERR_NOMEM, "out of memory");
	default:
		return enc_fail(e, ERR_PROTOCOL, "zlib data is corrupt");
	}
}

/* Gives the sink what is there and moves its rest to the front. */
static int
drain(struct enc *e, enc_sink *sink)
{
	ssize_t used = sink(e, e->scratch, e->n_scratch);

	if (used < 0)
		return (int)used;
	e->n_scratch -= (size_t)used;
	if (e->n_scratch == 0)
		return 0;
	if (enc_is_drawn(e) || e->n_scratch == ENC_SCRATCH)
		return enc_fail(e, ERR_PROTOCOL,
		    "data inflates to more than its rectangle holds");
	memmove(e->scratch, e->scratch + used, e->n_scratch);
	return 0;
}

int
enc_inflate(struct enc *e, struct enc_inflater *z, const uint8_t *in,
    size_t len, enc_sink *sink)
{
	z_stream *s = &z->z;
	bool is_full;
	int status, rc = open_inflater(e, z, MAX_WBITS);

	/* asked again for nothing, zlib would forget where it stands */
	if (rc != 0 || len == 0)
		return rc;
	s->next_in = (uint8_t *)(uintptr_t)in; /* zlib does not write there */
	s->avail_in = (uInt)len;
	do {
		s->next_out = e->scratch + e->n_scratch;
		s->avail_out = (uInt)(ENC_SCRATCH - e->n_scratch);
		status = inflate(s, Z_SYNC_FLUSH);
		e->n_scratch = ENC_SCRATCH - s->avail_out;
		is_full = s->avail_out == 0;
		/* What came before a fault is drawn however pieces fell. */
		rc = drain(e, sink);
		if (rc == 0)
			rc = check(e, s, status);
	} while (
	    rc == 0 && (s->avail_in > 0 || (is_full && !is_between_blocks(s))));
	return rc;
}

int
enc_pass(struct enc *e, const uint8_t *in, size_t len, enc_sink *sink)
{
	size_t n;
	int rc = open_scratch(e);

	while (rc == 0 && len > 0) {
		n = min_size(len, ENC_SCRATCH - e->n_scratch);
		memcpy(e->scratch + e->n_scratch, in, n);
		e->n_scratch += n;
		in += n;
		len -= n;
		rc = drain(e, sink);
	}
	return rc;
}
