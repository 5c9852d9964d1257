#include "common/buf.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"

void
buf_init(struct buf *b, size_t limit)
{
	*b = (struct buf){ .limit = limit };
}

void
buf_release(struct buf *b)
{
	size_t limit = b->limit;

	wipe(b->data, b->cap);
	free(b->data);
	buf_init(b, limit);
}

static int
grow(struct buf *b, size_t need)
{
	size_t cap = b->cap != 0 ? b->cap : 256;
	uint8_t *data;

	while (cap < need)
		cap *= 2;
	/* a new block and a wipe of the old one: realloc would leave copies */
	data = malloc(cap);
	if (data == NULL)
		return ERR_NOMEM;
	if (b->len != 0)
		memcpy(data, b->data, b->len);
	wipe(b->data, b->cap);
	free(b->data);
	b->data = data;
	b->cap = cap;
	return 0;
}

uint8_t *
buf_reserve(struct buf *b, size_t n)
{
	if (n > b->limit || buf_len(b) > b->limit - n)
		return NULL;
	if (b->len + n > b->cap && b->off != 0) {
		memmove(b->data, b->data + b->off, buf_len(b));
		b->len -= b->off;
		b->off = 0;
	}
	if (b->len + n > b->cap && grow(b, b->len + n) != 0)
		return NULL;
	return b->data + b->len;
}

void
buf_commit(struct buf *b, size_t n)
{
	assert(b->len + n <= b->cap);
	b->len += n;
}

int
buf_append(struct buf *b, const void *data, size_t n)
{
	uint8_t *p;

	if (n == 0)
		return 0;
	p = buf_reserve(b, n);
	if (p == NULL)
		return n > b->limit || buf_len(b) > b->limit - n ? ERR_LIMIT
								 : ERR_NOMEM;
	memcpy(p, data, n);
	b->len += n;
	return 0;
}

void
buf_consume(struct buf *b, size_t n)
{
	assert(n <= buf_len(b));
	b->off += n;
	if (b->off == b->len)
		b->off = b->len = 0;
}
