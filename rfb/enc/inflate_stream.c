#include "rfb/enc/inflate_stream.h"

#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "rfb/enc/inflate_internal.h"

struct inflate_stream *
inflate_stream_new(void)
{
	/* the buffer is not touched before there is output */
	struct inflate_stream *s = malloc(sizeof(*s));

	if (s == NULL)
		return NULL;
	s->is_fixed = false;
	s->litlen.entries = s->litlen_entries;
	s->dist.entries = s->dist_entries;
	s->codes.entries = s->codes_entries;
	inflate_stream_reset(s);
	return s;
}

void
inflate_stream_free(struct inflate_stream *s)
{
	free(s);
}

void
inflate_stream_reset(struct inflate_stream *s)
{
	s->step = STEP_HEADER;
	s->is_last = false;
	s->bits = 0;
	s->n_bits = 0;
	s->pos = 0;
}

void
inflate_stream_restore(
    struct inflate_stream *s, const uint8_t *window, size_t n)
{
	inflate_stream_reset(s);
	s->step = STEP_BLOCK;
	memcpy(s->buf, window, n);
	s->pos = n;
}

bool
inflate_stream_is_between_blocks(const struct inflate_stream *s)
{
	return s->step == STEP_BLOCK && !s->is_last && s->n_bits == 0;
}

const uint8_t *
inflate_stream_window(const struct inflate_stream *s, size_t *n)
{
	*n = min_size(s->pos, INFLATE_WINDOW_MAX);
	return s->buf + s->pos - *n;
}

const uint8_t *
inflate_stream_out(const struct inflate_stream *s)
{
	return s->buf + s->pos;
}

/* Moves the window, and what the caller has not taken, to the front. */
static void
make_room(struct inflate_stream *s, size_t rest)
{
	size_t kept = rest > INFLATE_WINDOW_MAX ? rest : INFLATE_WINDOW_MAX;

	if (s->pos < INFLATE_FULL_AT)
		return;
	memmove(s->buf, s->buf + s->pos - kept, kept);
	s->pos = kept;
}

/* Method 8, any window, no preset dictionary. RFC 1950, 2.2. */
static enum inflate_status
header(struct inflate_stream *s, struct inflate_input *in)
{
	unsigned method, flags;

	if (!inflate_need(s, in, 16))
		return INFLATE_MORE;
	method = inflate_take(s, 8);
	flags = inflate_take(s, 8);
	if ((method << 8 | flags) % 31 != 0 || (method & 15) != 8 ||
	    method >> 4 > 7 || (flags & 0x20) != 0)
		return INFLATE_BAD;
	s->step = STEP_BLOCK;
	return GO_ON;
}

/* The checksum, which begins with a byte. */
static enum inflate_status
trailer(struct inflate_stream *s, struct inflate_input *in)
{
	inflate_take(s, s->n_bits % 8);
	if (!inflate_need(s, in, 32))
		return INFLATE_MORE;
	inflate_take(s, 32);
	s->step = STEP_END;
	return GO_ON;
}

/* What lies behind the end, in the buffer of bits, is input not used. */
static enum inflate_status
end(struct inflate_stream *s, struct inflate_input *in)
{
	in->p -= s->n_bits / 8;
	s->bits = 0;
	s->n_bits = 0;
	return INFLATE_END;
}

static enum inflate_status
step(struct inflate_stream *s, struct inflate_input *in)
{
	switch (s->step) {
	case STEP_HEADER:
		return header(s, in);
	case STEP_SYMBOLS:
		return inflate_symbols(s, in);
	case STEP_TRAILER:
		return trailer(s, in);
	case STEP_END:
		return end(s, in);
	case STEP_BLOCK:
	case STEP_STORED_LEN:
	case STEP_STORED:
	case STEP_COUNTS:
	case STEP_CODES:
	case STEP_LENGTHS:
	default:
		return inflate_block_step(s, in);
	}
}

enum inflate_status
inflate_stream_run(struct inflate_stream *s, const uint8_t **in,
    const uint8_t *input_end, size_t *rest)
{
	struct inflate_input piece = { *in, input_end };
	enum inflate_status status;
	size_t from;

	make_room(s, *rest);
	from = s->pos;
	do
		status = step(s, &piece);
	while (status == GO_ON);
	*rest += s->pos - from;
	*in = piece.p;
	return status;
}
