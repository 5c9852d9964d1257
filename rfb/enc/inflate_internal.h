/* What the files of the inflater share; nobody else includes this. */
#ifndef RFB_ENC_INFLATE_INTERNAL_H
#define RFB_ENC_INFLATE_INTERNAL_H

#include "rfb/enc/inflate_stream.h"
#include "rfb/enc/inflate_table.h"

/*
 *	0 ........ window, rest ........ pos ........ INFLATE_FULL_AT .. end
 *
 * Output is appended at pos. Once that has passed INFLATE_FULL_AT, the window
 * moves to the front. Behind it is room for the literals and the longest
 * match of a step, copied in words.
 */
#define INFLATE_MATCH_MAX 258
#define INFLATE_FULL_AT   (INFLATE_WINDOW_MAX + 64 * 1024)
#define INFLATE_BUFFER    (INFLATE_FULL_AT + INFLATE_MATCH_MAX + 32)

enum inflate_step {
	STEP_HEADER,
	STEP_BLOCK,
	STEP_STORED_LEN,
	STEP_STORED,
	STEP_COUNTS,  /* of the codes of a block */
	STEP_CODES,   /* lengths of the codes for lengths */
	STEP_LENGTHS, /* of all others */
	STEP_SYMBOLS,
	STEP_TRAILER,
	STEP_END,
};

/* Of a step; any other enum inflate_status ends the run. */
#define GO_ON ((enum inflate_status) - 1)

struct inflate_stream {
	enum inflate_step step;
	bool is_last;  /* the block under way */
	bool is_fixed; /* the tables are those of fixed codes */

	/* Read, not used; n_bits is below 64, those above are 0. */
	uint64_t bits;
	unsigned n_bits;

	size_t stored_left;
	unsigned n_litlen, n_dist, n_codes;
	unsigned n_lens; /* known so far */
	uint8_t lens[INFLATE_N_LITLEN + INFLATE_N_DIST];

	struct inflate_table litlen, dist, codes;
	uint32_t litlen_entries[INFLATE_LITLEN_CAP];
	uint32_t dist_entries[INFLATE_DIST_CAP];
	uint32_t codes_entries[INFLATE_CODES_CAP];

	size_t pos;
	uint8_t buf[INFLATE_BUFFER];
};

/* The piece of input under way. */
struct inflate_input {
	const uint8_t *p, *end;
};

/* Whether n bits, 56 at most, are there. */
static inline bool
inflate_need(struct inflate_stream *s, struct inflate_input *in, unsigned n)
{
	while (s->n_bits < n) {
		if (in->p == in->end)
			return false;
		s->bits |= (uint64_t)*in->p++ << s->n_bits;
		s->n_bits += 8;
	}
	return true;
}

static inline unsigned
inflate_peek(const struct inflate_stream *s, unsigned n)
{
	return (unsigned)(s->bits & ((UINT64_C(1) << n) - 1));
}

/* The n bits that are there. */
static inline unsigned
inflate_take(struct inflate_stream *s, unsigned n)
{
	unsigned v = inflate_peek(s, n);

	s->bits >>= n;
	s->n_bits -= n;
	return v;
}

/* inflate_block.c */
/* Step from a block's first bit to its first symbol. */
enum inflate_status inflate_block_step(
    struct inflate_stream *s, struct inflate_input *in);

/* inflate_symbols.c */
/* Symbols of a block, up to its end: then GO_ON. */
enum inflate_status inflate_symbols(
    struct inflate_stream *s, struct inflate_input *in);

#endif
