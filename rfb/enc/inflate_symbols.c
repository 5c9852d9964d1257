/*
 * The symbols of a block: literals, and matches that are copied from the
 * output. While there is input and room for whole steps they are decoded from
 * 64 bits at a time, else one by one.
 */
#include <string.h>

#include "common/bytes.h"
#include "rfb/enc/inflate_internal.h"

/* A step of the fast loop reads 8 bytes twice. */
#define FAST_INPUT 16

static uint64_t
load_le64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v)); /* enc.h: little-endian only */
	return v;
}

/* dist below 8: the bytes repeat within a word. */
static void
copy_pattern(uint8_t *to, size_t dist, const uint8_t *end)
{
	/* a word's bytes that are whole repetitions */
	static const uint8_t steps[8] = { 0, 8, 8, 6, 8, 5, 6, 7 };
	uint64_t v = load_le64(to - dist);

	v &= (UINT64_C(1) << 8 * dist) - 1;
	for (size_t n = dist; n < 8; n *= 2)
		v |= v << 8 * n;
	for (; to < end; to += steps[dist])
		memcpy(to, &v, sizeof(v));
}

/* May write 15 bytes too many, and reads nothing that was never written
 * but what it masks. */
static inline void
copy_match(uint8_t *to, size_t dist, size_t len)
{
	const uint8_t *end = to + len;

	if (dist >= 16)
		for (; to < end; to += 16)
			memcpy(to, to - dist, 16);
	else if (dist >= 8)
		for (; to < end; to += 8)
			memcpy(to, to - dist, 8);
	else
		copy_pattern(to, dist, end);
}

/* What the fast loop keeps in registers. */
struct fast {
	const uint8_t *in;
	uint64_t bits;
	unsigned n_bits;
	uint8_t *to;
};

/* At least 56 bits. Those above n_bits are what comes next, so they may be
 * set again. */
static inline void
refill(struct fast *f)
{
	f->bits |= load_le64(f->in) << f->n_bits;
	f->in += (63 - f->n_bits) >> 3;
	f->n_bits |= 56;
}

static inline void
drop(struct fast *f, uint32_t e)
{
	f->bits >>= inflate_entry_drop(e);
	f->n_bits -= inflate_entry_drop(e);
}

static inline uint32_t
look_up(const struct fast *f, const uint32_t *entries, unsigned bits)
{
	return entries[f->bits & ((1u << bits) - 1)];
}

static inline void
literal(struct fast *f, uint32_t e)
{
	*f->to++ = (uint8_t)(e >> 16);
	drop(f, e);
}

/* The entry of the next symbol, with at least 56 bits from its first on. */
static inline uint32_t
next_entry(struct fast *f, const struct inflate_stream *s)
{
	refill(f);
	return look_up(f, s->litlen_entries, s->litlen.bits);
}

/* Distance and copy of a match whose length has entry *e; then *e is the entry
 * of the symbol behind it, which is on its way while bytes are copied. */
static inline bool
match(struct inflate_stream *s, struct fast *f, uint32_t *next)
{
	size_t len = inflate_entry_value(*next, f->bits), dist;
	uint8_t *to = f->to;
	uint32_t e;

	drop(f, *next);
	if (f->n_bits < 32)
		refill(f);
	e = look_up(f, s->dist_entries, s->dist.bits);
	if ((e & INFLATE_DEEPER) != 0) {
		drop(f, e & 63);
		e = inflate_entry_deeper(s->dist_entries, e, f->bits);
	}
	dist = inflate_entry_value(e, f->bits);
	if ((e & INFLATE_SPECIAL) != 0 || dist > (size_t)(to - s->buf))
		return false;
	drop(f, e);
	*next = next_entry(f, s);
	f->to += len;
	copy_match(to, dist, len);
	return true;
}

/* Returns the entry that ended it: INFLATE_STOP, INFLATE_NO_CODE, or 0 when
 * input or room are short. */
static uint32_t
run_fast(struct inflate_stream *s, struct fast *f, const uint8_t *end)
{
	const uint8_t *full = s->buf + INFLATE_FULL_AT;
	const uint32_t *litlen = s->litlen_entries;
	unsigned bits = s->litlen.bits;
	uint32_t e;

	if (end - f->in < 8 + FAST_INPUT)
		return 0;
	e = next_entry(f, s);
	while (end - f->in >= FAST_INPUT && f->to < full) {
		for (int i = 0; i < 2 && (e & INFLATE_LITERAL) != 0; i++) {
			literal(f, e);
			e = look_up(f, litlen, bits);
		}
		if ((e & INFLATE_DEEPER) != 0) {
			drop(f, e & 63);
			e = inflate_entry_deeper(litlen, e, f->bits);
		}
		if ((e & INFLATE_LITERAL) != 0) {
			literal(f, e);
			e = next_entry(f, s);
			continue;
		}
		if ((e & INFLATE_SPECIAL) != 0) {
			drop(f, e);
			return e & INFLATE_SPECIAL;
		}
		if (!match(s, f, &e))
			return INFLATE_NO_CODE;
	}
	return 0;
}

static uint32_t
fast_symbols(struct inflate_stream *s, struct inflate_input *in)
{
	struct fast f = { in->p, s->bits, s->n_bits, s->buf + s->pos };
	uint32_t stop = run_fast(s, &f, in->end);

	in->p = f.in;
	s->n_bits = f.n_bits;
	s->bits = f.bits & ((UINT64_C(1) << f.n_bits) - 1);
	s->pos = (size_t)(f.to - s->buf);
	return stop;
}

/* An entry and the bits before those that it drops. */
struct symbol {
	uint32_t e;
	unsigned before;
};

/* skip: bits that are looked past. Reads input until the code is whole. */
static bool
find(struct inflate_stream *s, struct inflate_input *in,
    const struct inflate_table *t, unsigned skip, struct symbol *found)
{
	uint64_t bits;

	do {
		bits = s->bits >> skip;
		found->before = skip;
		found->e = t->entries[bits & ((1u << t->bits) - 1)];
		if ((found->e & INFLATE_DEEPER) != 0) {
			bits >>= t->bits;
			found->before += t->bits;
			found->e =
			    inflate_entry_deeper(t->entries, found->e, bits);
		}
		if (s->n_bits >= found->before + inflate_entry_drop(found->e))
			return true;
	} while (inflate_need(s, in, s->n_bits + 1));
	return false;
}

static unsigned
value(const struct inflate_stream *s, const struct symbol *y)
{
	return inflate_entry_value(y->e, s->bits >> y->before);
}

static unsigned
bits_of(const struct symbol *y)
{
	return y->before + inflate_entry_drop(y->e);
}

/* One literal, match or end of block, once all its bits are there. */
static enum inflate_status
one_symbol(struct inflate_stream *s, struct inflate_input *in)
{
	struct symbol first, second;
	size_t len, dist;

	if (!find(s, in, &s->litlen, 0, &first))
		return INFLATE_MORE;
	if ((first.e & INFLATE_NO_CODE) != 0)
		return INFLATE_BAD;
	if ((first.e & INFLATE_STOP) != 0) {
		inflate_take(s, bits_of(&first));
		s->step = STEP_BLOCK;
		return GO_ON;
	}
	if ((first.e & INFLATE_LITERAL) != 0) {
		inflate_take(s, bits_of(&first));
		s->buf[s->pos++] = (uint8_t)inflate_entry_base(first.e);
		return GO_ON;
	}
	if (!find(s, in, &s->dist, bits_of(&first), &second))
		return INFLATE_MORE;
	len = value(s, &first);
	dist = value(s, &second);
	if ((second.e & INFLATE_NO_CODE) != 0 || dist > s->pos)
		return INFLATE_BAD;
	inflate_take(s, bits_of(&second));
	copy_match(s->buf + s->pos, dist, len);
	s->pos += len;
	return GO_ON;
}

enum inflate_status
inflate_symbols(struct inflate_stream *s, struct inflate_input *in)
{
	uint32_t stop = fast_symbols(s, in);
	enum inflate_status status = GO_ON;

	if (stop == INFLATE_STOP)
		s->step = STEP_BLOCK;
	else if (stop != 0)
		return INFLATE_BAD;
	while (status == GO_ON && s->step == STEP_SYMBOLS)
		status =
		    s->pos < INFLATE_FULL_AT ? one_symbol(s, in) : INFLATE_FULL;
	return status;
}
