#include <zlib.h>

#include "capture/capture_format.h"
#include "common/bytes.h"

uint32_t
capture_sum(const uint8_t *data, size_t len)
{
	return (uint32_t)crc32_z(0, data, len);
}

void
capture_header_pack(
    const struct capture_header *h, uint8_t out[CAPTURE_HEADER_LEN])
{
	store_be32(out, CAPTURE_MAGIC);
	store_be32(out + 4, h->kind);
	store_be64(out + 8, h->number);
	store_be32(out + 16, h->stored);
	store_be32(out + 20, h->raw);
	store_be64(out + 24, h->offset);
	store_be64(out + 32, h->first_ns);
	store_be64(out + 40, h->last_ns);
	store_be64(out + 48, 0);
	store_be32(out + 56, h->sum);
	store_be32(out + 60, capture_sum(out, 60));
}

bool
capture_header_parse(
    struct capture_header *h, const uint8_t p[CAPTURE_HEADER_LEN])
{
	uint32_t kind = load_be32(p + 4);

	if (load_be32(p) != CAPTURE_MAGIC || kind < BLOCK_META ||
	    kind > BLOCK_LAST || load_be64(p + 48) != 0 ||
	    load_be32(p + 60) != capture_sum(p, 60))
		return false;
	h->kind = (enum capture_block)kind;
	h->number = load_be64(p + 8);
	h->stored = load_be32(p + 16);
	h->raw = load_be32(p + 20);
	h->offset = load_be64(p + 24);
	h->first_ns = load_be64(p + 32);
	h->last_ns = load_be64(p + 40);
	h->sum = load_be32(p + 56);
	return h->first_ns <= h->last_ns && h->last_ns <= INT64_MAX;
}
