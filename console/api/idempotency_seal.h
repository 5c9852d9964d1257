/*
 * What is kept of an Idempotency-Key: a keyed hash of it, one of the request,
 * and the answer, encrypted (secretbox) with a key that is not kept at all.
 * Without the Idempotency-Key itself nobody opens the answer, and without the
 * seal key nobody can try one. No I/O.
 */
#ifndef CONSOLE_API_IDEMPOTENCY_SEAL_H
#define CONSOLE_API_IDEMPOTENCY_SEAL_H

#include <stddef.h>
#include <stdint.h>

#include "common/password.h"

#define IDEMPOTENCY_HASH_LEN 32

struct idempotency_keys {
	uint8_t id[IDEMPOTENCY_HASH_LEN];          /* of person and key */
	uint8_t fingerprint[IDEMPOTENCY_HASH_LEN]; /* of the request */
	uint8_t answer[SEAL_KEY_LEN];              /* to wipe */
};

/* uri: with its query; body: len bytes, NULL only when len is 0. */
void idempotency_keys_make(struct idempotency_keys *k,
    const uint8_t seal_key[SEAL_KEY_LEN], int64_t person, const char *key,
    const char *uri, const void *body, size_t len);

/* As hex, heap; NULL: no memory. */
char *idempotency_seal(
    const struct idempotency_keys *k, const char *text, size_t len);

/* The text, len bytes and a NUL, heap; NULL: it was sealed otherwise, or no
 * memory. */
char *idempotency_open(
    const struct idempotency_keys *k, const char *hex, size_t *len);

#endif
