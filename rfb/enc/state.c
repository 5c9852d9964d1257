/*
 * The zlib windows of a connection, kept so that another decoder can go on
 * with its streams. Written as rfb/decoder.h says, in this order of streams.
 */
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "rfb/enc/enc.h"

#define N_STREAMS 6

static struct enc_inflater *
stream_at(struct enc *e, size_t i)
{
	if (i == 0)
		return &e->zlib;
	return i == 1 ? &e->zrle : &e->tight_streams[i - 2];
}

static const struct enc_inflater *
const_stream_at(const struct enc *e, size_t i)
{
	return stream_at((struct enc *)(uintptr_t)e, i);
}

bool
enc_state_can_save(const struct enc *e)
{
	for (size_t i = 0; i < N_STREAMS; i++)
		if (!enc_inflater_can_save(const_stream_at(e, i)))
			return false;
	return true;
}

ssize_t
enc_state_save(const struct enc *e, uint8_t *out)
{
	uint8_t *p = out;

	for (size_t i = 0; i < N_STREAMS; i++) {
		ssize_t n = enc_inflater_save(const_stream_at(e, i), p + 3);

		if (n < 0)
			return n;
		p[0] = enc_inflater_is_begun(const_stream_at(e, i));
		store_be16(p + 1, (uint16_t)n);
		p += 3 + n;
	}
	return p - out;
}

int
enc_state_restore(struct enc *e, const uint8_t *p, size_t len)
{
	const uint8_t *end = p + len;

	for (size_t i = 0; i < N_STREAMS; i++) {
		bool is_begun;
		size_t n;
		int rc = 0;

		if (end - p < 3)
			return ERR_CORRUPT;
		is_begun = p[0] != 0;
		n = load_be16(p + 1);
		p += 3;
		if ((size_t)(end - p) < n || p[-3] > 1 || (!is_begun && n > 0))
			return ERR_CORRUPT;
		if (is_begun)
			rc = enc_inflater_restore(e, stream_at(e, i), p, n);
		if (rc != 0)
			return rc;
		p += n;
	}
	return p == end ? 0 : ERR_CORRUPT;
}
