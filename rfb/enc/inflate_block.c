/*
 * How a block of RFC 1951 begins, and blocks that are stored as they are.
 */
#include <string.h>

#include "common/bytes.h"
#include "rfb/enc/inflate_internal.h"

enum block_type { BLOCK_STORED, BLOCK_FIXED, BLOCK_DYNAMIC };

/* The lengths of fixed codes, 3.2.6. */
static void
use_fixed_codes(struct inflate_stream *s)
{
	s->step = STEP_SYMBOLS;
	if (s->is_fixed)
		return;
	memset(s->lens, 8, 144);
	memset(s->lens + 144, 9, 112);
	memset(s->lens + 256, 7, 24);
	memset(s->lens + 280, 8, 8);
	memset(s->lens + INFLATE_N_LITLEN, 5, INFLATE_N_DIST);
	inflate_table_build(
	    &s->litlen, INFLATE_LITLENS, s->lens, INFLATE_N_LITLEN);
	inflate_table_build(&s->dist, INFLATE_DISTS, s->lens + INFLATE_N_LITLEN,
	    INFLATE_N_DIST);
	s->is_fixed = true;
}

static enum inflate_status
begin_block(struct inflate_stream *s, struct inflate_input *in)
{
	if (s->is_last) {
		s->step = STEP_TRAILER;
		return GO_ON;
	}
	if (!inflate_need(s, in, 3))
		return INFLATE_MORE;
	s->is_last = inflate_take(s, 1) != 0;
	switch (inflate_take(s, 2)) {
	case BLOCK_STORED:
		inflate_take(s, s->n_bits % 8);
		s->step = STEP_STORED_LEN;
		return GO_ON;
	case BLOCK_FIXED:
		use_fixed_codes(s);
		return GO_ON;
	case BLOCK_DYNAMIC:
		s->step = STEP_COUNTS;
		return GO_ON;
	default:
		return INFLATE_BAD;
	}
}

static enum inflate_status
stored_len(struct inflate_stream *s, struct inflate_input *in)
{
	unsigned len;

	if (!inflate_need(s, in, 32))
		return INFLATE_MORE;
	len = inflate_take(s, 16);
	if (inflate_take(s, 16) != (len ^ 0xffff))
		return INFLATE_BAD;
	s->stored_left = len;
	s->step = STEP_STORED;
	return GO_ON;
}

/* Whole bytes, of which the first may have been read as bits. */
static enum inflate_status
stored(struct inflate_stream *s, struct inflate_input *in)
{
	size_t n = 0;

	if (s->pos < INFLATE_FULL_AT)
		n = min_size(s->stored_left, INFLATE_FULL_AT - s->pos);
	s->stored_left -= n;
	for (; n > 0 && s->n_bits > 0; n--)
		s->buf[s->pos++] = (uint8_t)inflate_take(s, 8);
	s->stored_left += n;
	n = min_size(n, (size_t)(in->end - in->p));
	s->stored_left -= n;
	memcpy(s->buf + s->pos, in->p, n);
	s->pos += n;
	in->p += n;
	if (s->stored_left > 0)
		return s->pos >= INFLATE_FULL_AT ? INFLATE_FULL : INFLATE_MORE;
	s->step = STEP_BLOCK;
	return GO_ON;
}

static enum inflate_status
counts(struct inflate_stream *s, struct inflate_input *in)
{
	if (!inflate_need(s, in, 14))
		return INFLATE_MORE;
	s->n_litlen = inflate_take(s, 5) + 257;
	s->n_dist = inflate_take(s, 5) + 1;
	s->n_codes = inflate_take(s, 4) + 4;
	if (s->n_litlen > 286 || s->n_dist > 30)
		return INFLATE_BAD;
	memset(s->lens, 0, INFLATE_N_CODES);
	s->n_lens = 0;
	s->is_fixed = false;
	s->step = STEP_CODES;
	return GO_ON;
}

static enum inflate_status
codes(struct inflate_stream *s, struct inflate_input *in)
{
	static const uint8_t order[INFLATE_N_CODES] = { 16, 17, 18, 0, 8, 7, 9,
		6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15 };

	for (; s->n_lens < s->n_codes; s->n_lens++) {
		if (!inflate_need(s, in, 3))
			return INFLATE_MORE;
		s->lens[order[s->n_lens]] = (uint8_t)inflate_take(s, 3);
	}
	if (!inflate_table_build(
		&s->codes, INFLATE_CODES, s->lens, INFLATE_N_CODES))
		return INFLATE_BAD;
	s->n_lens = 0;
	s->step = STEP_LENGTHS;
	return GO_ON;
}

/* How often a symbol sets a length: the bits behind it, and their base. */
static const struct repeat {
	unsigned bits, base;
} repeats[] = { { 2, 3 }, { 3, 3 }, { 7, 11 } };

/* One symbol: a length, or several of the last one or of 0. */
static enum inflate_status
one_length(struct inflate_stream *s, struct inflate_input *in)
{
	unsigned all = s->n_litlen + s->n_dist, symbol, bits, n = 1;
	uint8_t len;
	uint32_t e;

	do {
		e = s->codes.entries[inflate_peek(s, s->codes.bits)];
		symbol = inflate_entry_base(e);
		bits = symbol < 16 ? 0 : repeats[symbol - 16].bits;
	} while (s->n_bits < inflate_entry_drop(e) + bits &&
	    inflate_need(s, in, s->n_bits + 1));
	if (s->n_bits < inflate_entry_drop(e) + bits)
		return INFLATE_MORE;
	inflate_take(s, inflate_entry_drop(e));
	if (symbol >= 16)
		n = repeats[symbol - 16].base + inflate_take(s, bits);
	if (s->n_lens + n > all || (symbol == 16 && s->n_lens == 0))
		return INFLATE_BAD;
	len = symbol < 16  ? (uint8_t)symbol
	    : symbol == 16 ? s->lens[s->n_lens - 1]
			   : 0;
	memset(s->lens + s->n_lens, len, n);
	s->n_lens += n;
	return GO_ON;
}

static enum inflate_status
all_lengths(struct inflate_stream *s, struct inflate_input *in)
{
	enum inflate_status status = GO_ON;

	while (status == GO_ON && s->n_lens < s->n_litlen + s->n_dist)
		status = one_length(s, in);
	if (status != GO_ON)
		return status;
	/* a block without an end is refused */
	if (s->lens[256] == 0 ||
	    !inflate_table_build(
		&s->litlen, INFLATE_LITLENS, s->lens, s->n_litlen) ||
	    !inflate_table_build(
		&s->dist, INFLATE_DISTS, s->lens + s->n_litlen, s->n_dist))
		return INFLATE_BAD;
	s->step = STEP_SYMBOLS;
	return GO_ON;
}

enum inflate_status
inflate_block_step(struct inflate_stream *s, struct inflate_input *in)
{
	switch (s->step) {
	case STEP_STORED_LEN:
		return stored_len(s, in);
	case STEP_STORED:
		return stored(s, in);
	case STEP_COUNTS:
		return counts(s, in);
	case STEP_CODES:
		return codes(s, in);
	case STEP_LENGTHS:
		return all_lengths(s, in);
	case STEP_HEADER:
	case STEP_BLOCK:
	case STEP_SYMBOLS:
	case STEP_TRAILER:
	case STEP_END:
	default:
		return begin_block(s, in);
	}
}
