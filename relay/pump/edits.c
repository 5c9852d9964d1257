#include "relay/pump/edits.h"

#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"

/* Kept when all is sent; what is larger goes back. */
#define KEEP_EDITS 64
#define KEEP_BYTES 4096

void
edits_init(struct edits *e)
{
	memset(e, 0, sizeof(*e));
	buf_init(&e->bytes, EDITS_BYTES_MAX);
}

void
edits_release(struct edits *e)
{
	free(e->list);
	buf_release(&e->bytes);
	edits_init(e);
}

/* Makes room for one more at the end. */
static int
reserve(struct edits *e)
{
	struct edit *list;
	unsigned cap;

	if (e->n >= EDITS_MAX)
		return ERR_LIMIT;
	if (e->head + e->n < e->cap)
		return 0;
	if (e->head > e->cap / 2) {
		memmove(e->list, e->list + e->head, e->n * sizeof(*e->list));
		e->head = 0;
		return 0;
	}
	cap = e->cap != 0 ? 2 * e->cap : 16;
	list = realloc(e->list, cap * sizeof(*list));
	if (list == NULL)
		return ERR_NOMEM;
	e->list = list;
	e->cap = cap;
	return 0;
}

int
edits_add(struct edits *e, uint64_t at, uint64_t from, uint64_t to,
    const void *bytes, size_t len)
{
	struct edit *last = e->n > 0 ? &e->list[e->head + e->n - 1] : NULL;
	int rc;

	if (from < at || to < from || (last != NULL && from < last->to))
		return ERR_PROTOCOL;
	if (len == 0 && last != NULL && last->to == from) {
		last->to = to;
		return 0;
	}
	if (len > EDITS_BYTES_MAX)
		return ERR_LIMIT;
	rc = reserve(e);
	if (rc == 0)
		rc = buf_append(&e->bytes, bytes, len);
	if (rc != 0)
		return rc;
	e->list[e->head + e->n++] = (struct edit){ from, to, (uint32_t)len };
	return 0;
}

/* The first edit is done. */
static void
pop(struct edits *e)
{
	e->head++;
	if (--e->n > 0)
		return;
	e->head = 0;
	if (e->cap > KEEP_EDITS) {
		free(e->list);
		e->list = NULL;
		e->cap = 0;
	}
	if (e->bytes.cap > KEEP_BYTES)
		buf_release(&e->bytes);
}

struct edits_span
edits_next(struct edits *e, uint64_t at, uint64_t end)
{
	const struct edit *f = &e->list[e->head];

	while (e->n > 0 && f->len == 0 && f->to <= at) {
		pop(e);
		f = &e->list[e->head];
	}
	if (e->n == 0 || at < f->from) {
		size_t len = (size_t)(end - at);

		if (e->n > 0 && f->from < end)
			len = (size_t)(f->from - at);
		return (struct edits_span){ len > 0 ? EDITS_RING : EDITS_WAIT,
			NULL, len };
	}
	/* an insertion waits for nothing but what is before it */
	if (f->len > 0)
		return (struct edits_span){ EDITS_BYTES, buf_head(&e->bytes),
			f->len };
	if (at == end)
		return (struct edits_span){ EDITS_WAIT, NULL, 0 };
	return (struct edits_span){ EDITS_SKIP, NULL,
		(size_t)(min_u64(f->to, end) - at) };
}

void
edits_sent(struct edits *e, size_t n)
{
	struct edit *f = &e->list[e->head];

	f->len -= (uint32_t)n;
	buf_consume(&e->bytes, n);
	if (f->len == 0 && f->from == f->to)
		pop(e);
}
