#include "common/password.h"

#include <assert.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"

#define HASH_PASSES 3

_Static_assert(PASSWORD_HASH_MAX >= crypto_pwhash_STRBYTES, "hash text");
_Static_assert(SEAL_KEY_LEN == crypto_secretbox_KEYBYTES, "seal key");
_Static_assert(
    SEAL_OVERHEAD == crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES,
    "seal overhead");

/*
 * What is checked when there is no hash: same algorithm and cost, the
 * password is not known to anybody (made from random bytes, thrown away).
 */
static const char decoy[] = "$argon2id$v=19$m=65536,t=3,p=1$"
			    "dMPtW1kXQOiO3CR6FP4H3Q"
			    "$gr+PiW1/Egwu0n11vuPpqPR7O7f1D+uYA6Ae1uhy+1Q";

int
password_hash(const char *password, size_t len, char out[PASSWORD_HASH_MAX])
{
	if (sodium_init() < 0)
		return ERR_NOMEM;
	memset(out, 0, PASSWORD_HASH_MAX);
	return crypto_pwhash_str_alg(out, password, len, HASH_PASSES,
		   PASSWORD_CHECK_BYTES, crypto_pwhash_ALG_ARGON2ID13) == 0
	    ? 0
	    : ERR_NOMEM;
}

/*
 * Whether a hash's memory can be had. libsodium reports "wrong password" when
 * it cannot, so a refusal is looked at again; nothing is touched, so a probe
 * costs two system calls.
 */
static bool
has_hash_memory(void)
{
	void *volatile probe = malloc(PASSWORD_CHECK_BYTES + (1u << 20));

	free(probe);
	return probe != NULL;
}

int
password_check(const char *hash, const char *password, size_t len)
{
	const char *against = hash != NULL ? hash : decoy;
	int rc;

	if (sodium_init() < 0)
		return ERR_NOMEM;
	rc = crypto_pwhash_str_verify(against, password, len);
	if (rc != 0 && !has_hash_memory())
		return ERR_NOMEM;
	return rc == 0 && hash != NULL ? 0 : ERR_DENIED;
}

void
seal(const uint8_t key[SEAL_KEY_LEN], const void *secret, size_t len,
    uint8_t *out)
{
	int rc = sodium_init();

	assert(rc >= 0); /* fails only without a random source */
	randombytes_buf(out, crypto_secretbox_NONCEBYTES);
	crypto_secretbox_easy(
	    out + crypto_secretbox_NONCEBYTES, secret, len, out, key);
}

int
seal_open(const uint8_t key[SEAL_KEY_LEN], const uint8_t *sealed, size_t len,
    uint8_t *out)
{
	if (len < SEAL_OVERHEAD || len > SEAL_OVERHEAD + (1u << 20))
		return ERR_CORRUPT;
	if (crypto_secretbox_open_easy(out,
		sealed + crypto_secretbox_NONCEBYTES,
		len - crypto_secretbox_NONCEBYTES, sealed, key) != 0)
		return ERR_CORRUPT;
	return (int)(len - SEAL_OVERHEAD);
}
