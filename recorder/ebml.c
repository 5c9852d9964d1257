#include "recorder/ebml.h"

#include <string.h>

#include "common/buf.h"
#include "common/bytes.h"
#include "common/err.h"

#define SIZE1_MAX 126 /* 127 would mean "unknown" in one byte */

int
ebml_put_id(struct buf *b, uint32_t id)
{
	uint8_t p[4];
	size_t n = id > 0xFFFFFF ? 4 : id > 0xFFFF ? 3 : id > 0xFF ? 2 : 1;

	store_be32(p, id);
	return buf_append(b, p + 4 - n, n);
}

void
ebml_store_size8(uint8_t *p, uint64_t v)
{
	store_be64(p, v);
	p[0] = 0x01;
}

int
ebml_put_head8(struct buf *b, uint32_t id, uint64_t size)
{
	uint8_t p[8];
	int rc = ebml_put_id(b, id);

	ebml_store_size8(p, size);
	return rc != 0 ? rc : buf_append(b, p, sizeof(p));
}

int
ebml_put_bytes(struct buf *b, uint32_t id, const void *data, size_t len)
{
	uint8_t size = (uint8_t)(0x80 | len);
	int rc;

	if (len > SIZE1_MAX)
		rc = ebml_put_head8(b, id, len);
	else if ((rc = ebml_put_id(b, id)) == 0)
		rc = buf_append(b, &size, 1);
	return rc != 0 ? rc : buf_append(b, data, len);
}

int
ebml_put_uint(struct buf *b, uint32_t id, uint64_t v, size_t len)
{
	uint8_t p[8];

	store_be64(p, v);
	return ebml_put_bytes(b, id, p + 8 - len, len);
}

int
ebml_put_string(struct buf *b, uint32_t id, const char *s)
{
	return ebml_put_bytes(b, id, s, strlen(s));
}

uint64_t
ebml_read_uint(const uint8_t *p, size_t len)
{
	uint64_t v = 0;

	for (size_t i = 0; i < len && i < 8; i++)
		v = v << 8 | p[i];
	return v;
}

int
ebml_read_head(struct ebml_element *e, const uint8_t *p, size_t len)
{
	size_t id_len, size_len;

	if (len == 0)
		return 0;
	if (p[0] < 0x10)
		return ERR_CORRUPT;
	id_len = (size_t)__builtin_clz(p[0]) - 23; /* of 32 bits */
	if (len < id_len + 1)
		return 0;
	if (p[id_len] == 0)
		return ERR_CORRUPT;
	size_len = (size_t)__builtin_clz(p[id_len]) - 23;
	if (len < id_len + size_len)
		return 0;
	e->id = (uint32_t)ebml_read_uint(p, id_len);
	e->size = ebml_read_uint(p + id_len, size_len) &
	    ((UINT64_C(1) << (7 * size_len)) - 1);
	if (e->size == (UINT64_C(1) << (7 * size_len)) - 1)
		e->size = UINT64_MAX;
	e->head_len = id_len + size_len;
	return (int)e->head_len;
}
