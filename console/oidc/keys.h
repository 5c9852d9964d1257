/*
 * The keys of an OpenID provider: a JWK Set (RFC 7517) of which only what can
 * verify an ID token is kept. Keys of a type, curve or use that is not known
 * are left out, as section 5 of the RFC wants it; so are weak ones, and ones
 * so large that they would be work. No I/O, thread-safe; the set is hostile.
 */
#ifndef CONSOLE_OIDC_KEYS_H
#define CONSOLE_OIDC_KEYS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define OIDC_KEYS_BYTES_MAX 262144 /* of the document */
#define OIDC_KEYS_MAX       64     /* that are kept; the first ones */

/* Is it an algorithm that ID tokens may be signed with here? RSA and ECDSA
 * (RFC 7518 section 3.1); never `none`, never HMAC. NULL is none. */
bool oidc_algorithm_is_right(const char *algorithm);

/*
 * An array of the keys that can be used, each with the members that are
 * needed and no other; it may be empty. NULL: it is no JWK Set, or memory.
 */
json_t *oidc_keys_read(const char *text, size_t len);

/* Can this key verify this algorithm? */
bool oidc_key_fits(const json_t *key, const char *algorithm);

#endif
