#include "rfb/enc/inflate_table.h"

#include <string.h>

/* Base and number of extra bits. */
#define VALUE(base, extra) ((uint32_t)(base) << 16 | (extra))

/* RFC 1951, 3.2.5: from symbol 256 on. */
static const uint32_t lengths[INFLATE_N_LITLEN - 256] = {
	INFLATE_STOP,
	VALUE(3, 0),
	VALUE(4, 0),
	VALUE(5, 0),
	VALUE(6, 0),
	VALUE(7, 0),
	VALUE(8, 0),
	VALUE(9, 0),
	VALUE(10, 0),
	VALUE(11, 1),
	VALUE(13, 1),
	VALUE(15, 1),
	VALUE(17, 1),
	VALUE(19, 2),
	VALUE(23, 2),
	VALUE(27, 2),
	VALUE(31, 2),
	VALUE(35, 3),
	VALUE(43, 3),
	VALUE(51, 3),
	VALUE(59, 3),
	VALUE(67, 4),
	VALUE(83, 4),
	VALUE(99, 4),
	VALUE(115, 4),
	VALUE(131, 5),
	VALUE(163, 5),
	VALUE(195, 5),
	VALUE(227, 5),
	VALUE(258, 0),
	INFLATE_NO_CODE,
	INFLATE_NO_CODE,
};

static const uint32_t distances[INFLATE_N_DIST] = {
	VALUE(1, 0),
	VALUE(2, 0),
	VALUE(3, 0),
	VALUE(4, 0),
	VALUE(5, 1),
	VALUE(7, 1),
	VALUE(9, 2),
	VALUE(13, 2),
	VALUE(17, 3),
	VALUE(25, 3),
	VALUE(33, 4),
	VALUE(49, 4),
	VALUE(65, 5),
	VALUE(97, 5),
	VALUE(129, 6),
	VALUE(193, 6),
	VALUE(257, 7),
	VALUE(385, 7),
	VALUE(513, 8),
	VALUE(769, 8),
	VALUE(1025, 9),
	VALUE(1537, 9),
	VALUE(2049, 10),
	VALUE(3073, 10),
	VALUE(4097, 11),
	VALUE(6145, 11),
	VALUE(8193, 12),
	VALUE(12289, 12),
	VALUE(16385, 13),
	VALUE(24577, 13),
	INFLATE_NO_CODE,
	INFLATE_NO_CODE,
};

/* values: of the symbols from n_literals on, which stand for themselves. */
static const struct kind {
	unsigned bits, cap, n_literals;
	const uint32_t *values;
} kinds[] = {
	[INFLATE_LITLENS] = { INFLATE_LITLEN_BITS, INFLATE_LITLEN_CAP, 256,
	    lengths },
	[INFLATE_DISTS] = { INFLATE_DIST_BITS, INFLATE_DIST_CAP, 0, distances },
	[INFLATE_CODES] = { INFLATE_CODES_BITS, INFLATE_CODES_CAP,
	    INFLATE_N_CODES, NULL },
};

/* A set of codes while its table is built. */
struct code_set {
	const struct kind *kind;
	uint16_t n_left[INFLATE_CODE_MAX + 1]; /* by length, not yet placed */
	uint16_t sorted[INFLATE_N_LITLEN];     /* symbols, short codes first */
	unsigned longest;
	size_t used; /* entries of the table */
};

static uint32_t
entry_of(const struct kind *kind, unsigned symbol, unsigned code_bits)
{
	uint32_t e = symbol < kind->n_literals
	    ? INFLATE_LITERAL | VALUE(symbol, 0)
	    : kind->values[symbol - kind->n_literals];

	return e + (code_bits << 8) + code_bits;
}

/* Codes that no symbol has: below 0 if there are too few for the symbols. */
static int
unused_codes(const struct code_set *set)
{
	int left = 1;

	for (unsigned len = 1; len <= INFLATE_CODE_MAX && left >= 0; len++)
		left = 2 * left - set->n_left[len];
	return left;
}

static void
sort_symbols(struct code_set *set, const uint8_t *lens, unsigned n)
{
	uint16_t at[INFLATE_CODE_MAX + 2] = { 0 };

	for (unsigned len = 1; len <= INFLATE_CODE_MAX; len++) {
		at[len + 1] = at[len] + set->n_left[len];
		if (set->n_left[len] > 0)
			set->longest = len;
	}
	for (unsigned i = 0; i < n; i++)
		if (lens[i] > 0)
			set->sorted[at[lens[i]]++] = (uint16_t)i;
}

/* Codes count up from their first bit, which is the lowest here. */
static unsigned
next_code(unsigned code, unsigned len)
{
	unsigned bit = 1u << (len - 1);

	while ((code & bit) != 0)
		bit >>= 1;
	return bit != 0 ? (code & (bit - 1)) | bit : 0;
}

/* Bits of a table that begins with a code of len bits, the rest of which
 * this many of the codes to come fill. */
static unsigned
deeper_bits(const struct code_set *set, unsigned len, unsigned first_bits)
{
	int left = 1 << (len - first_bits);

	for (; len < set->longest; len++, left <<= 1) {
		left -= set->n_left[len];
		if (left <= 0)
			break;
	}
	return len - first_bits;
}

static void
place(uint32_t *entries, size_t n, unsigned code, unsigned len, uint32_t e)
{
	for (size_t i = code; i < n; i += (size_t)1 << len)
		entries[i] = e;
}

/* A code longer than the first table's bits. */
static bool
place_deeper(struct inflate_table *t, struct code_set *set, unsigned symbol,
    unsigned code, unsigned len)
{
	uint32_t *first = &t->entries[code & ((1u << t->bits) - 1)];
	unsigned rest = code >> t->bits, bits;

	if (rest == 0) { /* the first one with these bits */
		bits = deeper_bits(set, len, t->bits);
		if (set->used + ((size_t)1 << bits) > set->kind->cap)
			return false;
		*first = VALUE(set->used, t->bits) | bits << 8 | INFLATE_DEEPER;
		set->used += (size_t)1 << bits;
	}
	bits = inflate_entry_code_bits(*first);
	place(t->entries + inflate_entry_base(*first), (size_t)1 << bits, rest,
	    len - t->bits, entry_of(set->kind, symbol, len - t->bits));
	return true;
}

static bool
place_all(struct inflate_table *t, struct code_set *set)
{
	unsigned code = 0, i = 0;

	for (unsigned len = 1; len <= set->longest; len++) {
		for (; set->n_left[len] > 0; set->n_left[len]--, i++) {
			if (len <= t->bits)
				place(t->entries, (size_t)1 << t->bits, code,
				    len,
				    entry_of(set->kind, set->sorted[i], len));
			else if (!place_deeper(
				     t, set, set->sorted[i], code, len))
				return false;
			code = next_code(code, len);
		}
	}
	return true;
}

bool
inflate_table_build(struct inflate_table *t, enum inflate_kind kind,
    const uint8_t *lens, unsigned n)
{
	struct code_set set = { .kind = &kinds[kind] };
	int unused;

	for (unsigned i = 0; i < n; i++)
		set.n_left[lens[i]]++;
	set.n_left[0] = 0;
	sort_symbols(&set, lens, n);
	unused = unused_codes(&set);
	if (unused < 0 ||
	    (unused > 0 && (kind == INFLATE_CODES || set.longest > 1)))
		return false;
	t->bits = set.longest < set.kind->bits ? set.longest : set.kind->bits;
	if (unused > 0) {
		t->bits = 1;
		t->entries[0] = t->entries[1] = INFLATE_NO_CODE | 1u << 8 | 1;
	}
	set.used = (size_t)1 << t->bits;
	return place_all(t, &set);
}
