/*
 * People's passwords (Argon2id) and endpoints' sealed secrets (secretbox),
 * both by libsodium. Secrets given in are the caller's to wipe.
 */
#ifndef COMMON_PASSWORD_H
#define COMMON_PASSWORD_H

#include <stddef.h>
#include <stdint.h>

#define PASSWORD_HASH_MAX    128         /* with the NUL */
#define PASSWORD_CHECK_BYTES (64u << 20) /* memory of one, while it runs */
#define SEAL_KEY_LEN         32
#define SEAL_OVERHEAD        40 /* nonce 24, tag 16 */

/* Hashes with Argon2id, 64 MiB, 3 passes. Slow (0.1 s): never on a loop.
 * Returns 0 or ERR_NOMEM. */
int password_hash(
    const char *password, size_t len, char out[PASSWORD_HASH_MAX]);

/*
 * Checks against a stored hash; NULL hash (unknown or disabled person) costs
 * the same time and is always refused. Returns 0, ERR_DENIED or ERR_NOMEM.
 */
int password_check(const char *hash, const char *password, size_t len);

/* out: len + SEAL_OVERHEAD bytes: nonce and box. */
void seal(const uint8_t key[SEAL_KEY_LEN], const void *secret, size_t len,
    uint8_t *out);

/* out: len - SEAL_OVERHEAD bytes. Returns their number or ERR_CORRUPT. */
int seal_open(const uint8_t key[SEAL_KEY_LEN], const uint8_t *sealed,
    size_t len, uint8_t *out);

#endif
