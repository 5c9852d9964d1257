/*
 * One Diffie-Hellman answer to parameters that an endpoint made up. It is as
 * good as they are: nobody vouches for the prime or for who sent it. Numbers
 * are big-endian. Thread-safe; random bytes come from libcrypto.
 */
#ifndef RFB_DH_H
#define RFB_DH_H

#include <stddef.h>
#include <stdint.h>

#define RFB_DH_MAX_LEN 1024 /* bytes of a number */

/* Borrowed. */
struct rfb_dh_params {
	const uint8_t *generator;
	size_t generator_len;
	const uint8_t *prime;
	const uint8_t *peer; /* the endpoint's public key */
	size_t len;          /* bytes of prime, peer and both results, 1 to
			      * RFB_DH_MAX_LEN */
};

/*
 * Draws a private key (at most 512 bits, so that an endpoint cannot make the
 * relay compute for long) and writes the public key and the shared secret,
 * len bytes each with leading zeros. Returns 0, ERR_PROTOCOL: the prime is
 * even or below 5, or generator or peer are not within 2 to prime - 2;
 * ERR_NOMEM when libcrypto fails.
 */
int rfb_dh_agree(
    const struct rfb_dh_params *p, uint8_t *public_key, uint8_t *secret);

#endif
