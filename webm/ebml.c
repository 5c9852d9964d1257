#include "webm/ebml.h"

#include <string.h>

#include "common/buf.h"
#include "common/bytes.h"
#include "common/err.h"

#define VOID_MAX 127 /* total bytes whose size fits one byte */

unsigned
ebml_id_len(uint32_t id)
{
	return id > 0xFFFFFF ? 4 : id > 0xFFFF ? 3 : id > 0xFF ? 2 : 1;
}

/* All ones in n bytes means "unknown", so the largest size is one less. */
unsigned
ebml_size_len(uint64_t size)
{
	unsigned n = 1;

	if (size == EBML_SIZE_UNKNOWN)
		return 8;
	while (n < 8 && size >= (UINT64_C(1) << (7 * n)) - 1)
		n++;
	return n;
}

unsigned
ebml_uint_len(uint64_t v)
{
	unsigned n = 1;

	while (n < 8 && v >> (8 * n) != 0)
		n++;
	return n;
}

uint64_t
ebml_element_len(uint32_t id, uint64_t len)
{
	return ebml_id_len(id) + ebml_size_len(len) + len;
}

int
ebml_put_id(struct buf *b, uint32_t id)
{
	unsigned n = ebml_id_len(id);
	uint8_t p[4];

	store_be32(p, id);
	return buf_append(b, p + 4 - n, n);
}

void
ebml_store_size(uint8_t *p, uint64_t size, unsigned n)
{
	uint8_t be[8];
	uint64_t marker = UINT64_C(1) << (7 * n);

	store_be64(be,
	    size == EBML_SIZE_UNKNOWN ? marker | (marker - 1) : marker | size);
	memcpy(p, be + 8 - n, n);
}

int
ebml_put_size_in(struct buf *b, uint64_t size, unsigned n)
{
	uint8_t p[8];

	ebml_store_size(p, size, n);
	return buf_append(b, p, n);
}

int
ebml_put_head(struct buf *b, uint32_t id, uint64_t len)
{
	int rc = ebml_put_id(b, id);

	return rc != 0 ? rc : ebml_put_size_in(b, len, ebml_size_len(len));
}

int
ebml_put_bytes(struct buf *b, uint32_t id, const void *data, size_t len)
{
	int rc = ebml_put_head(b, id, len);

	return rc != 0 ? rc : buf_append(b, data, len);
}

int
ebml_put_string(struct buf *b, uint32_t id, const char *s)
{
	return ebml_put_bytes(b, id, s, strlen(s));
}

int
ebml_put_uint_in(struct buf *b, uint32_t id, uint64_t v, unsigned n)
{
	uint8_t p[8];

	store_be64(p, v);
	return ebml_put_bytes(b, id, p + 8 - n, n);
}

int
ebml_put_uint(struct buf *b, uint32_t id, uint64_t v)
{
	return ebml_put_uint_in(b, id, v, ebml_uint_len(v));
}

int
ebml_put_void(struct buf *b, unsigned total)
{
	static const uint8_t zeros[VOID_MAX] = { 0 };

	if (total < 2 || total > VOID_MAX)
		return ERR_LIMIT;
	return ebml_put_bytes(b, EBML_ID_VOID, zeros, total - 2);
}

/* The length that a first byte announces, 1..8; 0: none. */
static unsigned
announced_len(uint8_t first)
{
	return first == 0 ? 0 : (unsigned)__builtin_clz(first) - 23;
}

static uint64_t
load_be(const uint8_t *p, unsigned n)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < n; i++)
		v = v << 8 | p[i];
	return v;
}

static int
parse_size(const uint8_t *p, size_t len, uint64_t *size)
{
	unsigned n;
	uint64_t mask;

	if (len == 0)
		return 0;
	n = announced_len(p[0]);
	if (n == 0)
		return ERR_CORRUPT;
	if (len < n)
		return 0;
	mask = (UINT64_C(1) << (7 * n)) - 1;
	*size = load_be(p, n) & mask;
	if (*size == mask)
		*size = EBML_SIZE_UNKNOWN;
	return (int)n;
}

int
ebml_parse_head(const uint8_t *p, size_t len, struct ebml_head *h)
{
	unsigned n;
	int rc;

	if (len == 0)
		return 0;
	n = announced_len(p[0]);
	if (n == 0 || n > 4)
		return ERR_CORRUPT;
	if (len < n)
		return 0;
	h->id = (uint32_t)load_be(p, n);
	rc = parse_size(p + n, len - n, &h->size);
	if (rc <= 0)
		return rc;
	h->len = n + (unsigned)rc;
	return (int)h->len;
}

int
ebml_next(struct ebml_cursor *c, struct ebml_head *h, const uint8_t **data)
{
	size_t left = (size_t)(c->end - c->p);
	int n;

	if (left == 0)
		return 0;
	n = ebml_parse_head(c->p, left, h);
	if (n <= 0 || h->size == EBML_SIZE_UNKNOWN ||
	    h->size > left - (size_t)n)
		return ERR_CORRUPT;
	*data = c->p + n;
	c->p += (size_t)n + h->size;
	return 1;
}

int
ebml_load_uint(const uint8_t *p, uint64_t len, uint64_t *v)
{
	if (len > 8)
		return ERR_CORRUPT;
	*v = load_be(p, (unsigned)len);
	return 0;
}

int
ebml_load_double(const uint8_t *p, uint64_t len, double *v)
{
	uint64_t bits;
	uint32_t bits32;
	float f;

	switch (len) {
	case 0:
		*v = 0;
		return 0;
	case 4:
		bits32 = load_be32(p);
		memcpy(&f, &bits32, sizeof(f));
		*v = (double)f;
		return 0;
	case 8:
		bits = load_be64(p);
		memcpy(v, &bits, sizeof(*v));
		return 0;
	default:
		return ERR_CORRUPT;
	}
}
