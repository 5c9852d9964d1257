/*
 * SHA-256 (FIPS 180-4) of bulk data. There are two implementations, chosen by
 * what a program links: sha256.c by OpenSSL, which uses the processor's
 * instructions for it, and sha256_plain.c by libsodium for the recorder, whose
 * sandboxed process has no libcrypto: it would add 0.45 MB of private memory
 * to each recorder and save 6 ms of processor time per recorded minute.
 * No I/O; one owner, not thread-safe.
 */
#ifndef COMMON_SHA256_H
#define COMMON_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_LEN 32

struct sha256;

/* A hash of nothing so far; NULL: out of memory. */
struct sha256 *sha256_new(void);
/* NULL is allowed. */
void sha256_free(struct sha256 *s);
/* Starts over. */
void sha256_begin(struct sha256 *s);
/* Adds len bytes; an error is reported by sha256_end and sha256_peek. */
void sha256_add(struct sha256 *s, const void *data, size_t len);
/* The hash of all that was added, which starts over. Returns 0 or
 * ERR_NOMEM. */
int sha256_end(struct sha256 *s, uint8_t out[SHA256_LEN]);
/* The same, and more may be added. */
int sha256_peek(const struct sha256 *s, uint8_t out[SHA256_LEN]);

#endif
