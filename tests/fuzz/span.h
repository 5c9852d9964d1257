/* Bytes in memory as an evidence_read or webm_read callback sees a file. */
#ifndef TESTS_FUZZ_SPAN_H
#define TESTS_FUZZ_SPAN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/bytes.h"

struct span {
	const uint8_t *data;
	size_t len;
};

/* arg: a struct span. Returns the bytes that it has there, at most len. */
static inline int64_t
read_span(void *arg, uint64_t offset, uint8_t *buf, size_t len)
{
	const struct span *s = arg;
	size_t n = offset < s->len ? s->len - (size_t)offset : 0;

	n = min_size(n, len);
	if (n > 0)
		memcpy(buf, s->data + offset, n);
	return (int64_t)n;
}

#endif
