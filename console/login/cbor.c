#include "console/login/cbor.h"

#include "common/err.h"

ssize_t
cbor_head(
    const uint8_t *data, size_t len, enum cbor_major *major, uint64_t *value)
{
	unsigned info, n;

	if (len == 0)
		return ERR_PROTOCOL;
	*major = data[0] >> 5;
	info = data[0] & 31;
	if (info < 24) {
		*value = info;
		return 1;
	}
	if (info > 27) /* reserved, or of indefinite length */
		return ERR_PROTOCOL;
	n = 1u << (info - 24);
	if (len < 1 + n)
		return ERR_PROTOCOL;
	*value = 0;
	for (unsigned i = 1; i <= n; i++)
		*value = *value << 8 | data[i];
	return 1 + (ssize_t)n;
}

static ssize_t item(const uint8_t *data, size_t len, unsigned depth);

/* n items, one after another. */
static ssize_t
items(const uint8_t *data, size_t len, uint64_t n, unsigned depth)
{
	size_t at = 0;

	if (n > len) /* an item has a byte or more */
		return ERR_PROTOCOL;
	for (; n > 0; n--) {
		ssize_t one = item(data + at, len - at, depth);

		if (one < 0)
			return one;
		at += (size_t)one;
	}
	return (ssize_t)at;
}

static ssize_t
item(const uint8_t *data, size_t len, unsigned depth)
{
	enum cbor_major major;
	uint64_t value;
	ssize_t head = cbor_head(data, len, &major, &value);
	ssize_t rest = 0;

	if (head < 0)
		return head;
	if (depth == 0)
		return ERR_LIMIT;
	data += head;
	len -= (size_t)head;
	if (major == CBOR_BYTES || major == CBOR_TEXT)
		rest = value <= len ? (ssize_t)value : ERR_PROTOCOL;
	else if (major == CBOR_ARRAY)
		rest = items(data, len, value, depth - 1);
	else if (major == CBOR_MAP)
		rest = value > len ? ERR_PROTOCOL
				   : items(data, len, 2 * value, depth - 1);
	else if (major == CBOR_TAG)
		rest = items(data, len, 1, depth - 1);
	return rest < 0 ? rest : head + rest;
}

ssize_t
cbor_item(const uint8_t *data, size_t len)
{
	return item(data, len, CBOR_DEPTH_MAX);
}
