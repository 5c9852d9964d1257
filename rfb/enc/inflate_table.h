/*
 * Tables that decode the Huffman codes of RFC 1951. One is looked up by the
 * next bits of input, the first bit lowest; codes longer than that continue in
 * a table behind it. No I/O; thread-safe for tables of different owners.
 */
#ifndef RFB_ENC_INFLATE_TABLE_H
#define RFB_ENC_INFLATE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * An entry, from the lowest bit:
 *
 *	0..5	bits to drop: the code, or its part that this table looks at,
 *		and the extra bits behind it
 *	8..11	of these the code alone; INFLATE_DEEPER: bits that the next
 *		table looks at
 *	12..14	the flags below
 *	16..30	literal, length, distance without their extra bits;
 *		INFLATE_DEEPER: where the next table begins
 *	31	INFLATE_LITERAL
 */
#define INFLATE_DEEPER  0x1000u
#define INFLATE_STOP    0x2000u /* end of block */
#define INFLATE_NO_CODE 0x4000u
#define INFLATE_SPECIAL (INFLATE_DEEPER | INFLATE_STOP | INFLATE_NO_CODE)
#define INFLATE_LITERAL 0x80000000u

#define INFLATE_CODE_MAX 15  /* bits of the longest code */
#define INFLATE_N_LITLEN 288 /* literals, lengths, two that are not used */
#define INFLATE_N_DIST   32
#define INFLATE_N_CODES  19 /* of the lengths of the others */

/* Bits that the first table looks at, and entries with all behind it. A code
 * cannot need as many; the builder refuses what would. */
#define INFLATE_LITLEN_BITS 10
#define INFLATE_LITLEN_CAP  2048
#define INFLATE_DIST_BITS   8
#define INFLATE_DIST_CAP    1024
#define INFLATE_CODES_BITS  7
#define INFLATE_CODES_CAP   128

enum inflate_kind { INFLATE_LITLENS, INFLATE_DISTS, INFLATE_CODES };

/* bits: what the first table looks at. entries: room for CAP above. */
struct inflate_table {
	uint32_t *entries;
	unsigned bits;
};

/*
 * Builds the table of the n codes with these lengths (0: not used) of one
 * kind. False for a set of codes that zlib refuses: more than there are, or
 * fewer, unless it is a single one of one bit, or no distance at all.
 */
bool inflate_table_build(struct inflate_table *t, enum inflate_kind kind,
    const uint8_t *lens, unsigned n);

static inline unsigned
inflate_entry_drop(uint32_t e)
{
	return e & 63;
}

static inline unsigned
inflate_entry_code_bits(uint32_t e)
{
	return e >> 8 & 15;
}

static inline unsigned
inflate_entry_base(uint32_t e)
{
	return e >> 16 & 0x7fff;
}

/* A length or distance with the extra bits that follow its code. */
static inline unsigned
inflate_entry_value(uint32_t e, uint64_t bits)
{
	uint64_t mask = (UINT64_C(1) << inflate_entry_drop(e)) - 1;

	return inflate_entry_base(e) +
	    (unsigned)((bits & mask) >> inflate_entry_code_bits(e));
}

/* The entry behind e, for the bits without those that e drops. */
static inline uint32_t
inflate_entry_deeper(const uint32_t *entries, uint32_t e, uint64_t bits)
{
	return entries[inflate_entry_base(e) +
	    (bits & ((1u << inflate_entry_code_bits(e)) - 1))];
}

#endif
