/*
 * Looks at CBOR (RFC 8949) without making anything of it: definite lengths
 * only, as CTAP2 has it, each within the bytes that are there, CBOR_DEPTH_MAX
 * deep. What passes is safe for libfido2, whose own decoder takes memory by
 * the lengths that it reads. No I/O.
 */
#ifndef CONSOLE_LOGIN_CBOR_H
#define CONSOLE_LOGIN_CBOR_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CBOR_DEPTH_MAX 8

enum cbor_major {
	CBOR_UNSIGNED,
	CBOR_NEGATIVE,
	CBOR_BYTES,
	CBOR_TEXT,
	CBOR_ARRAY,
	CBOR_MAP,
	CBOR_TAG,
	CBOR_SIMPLE
};

/*
 * The head of the item at data: its kind and argument (a number, or how many
 * bytes, items or pairs follow). Returns its bytes, or ERR_PROTOCOL.
 */
ssize_t cbor_head(
    const uint8_t *data, size_t len, enum cbor_major *major, uint64_t *value);

/* Bytes of the whole item at data, or ERR_PROTOCOL, ERR_LIMIT (too deep). */
ssize_t cbor_item(const uint8_t *data, size_t len);

#endif
