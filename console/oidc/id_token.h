/*
 * ID tokens (OpenID Connect Core 1.0, section 3.1.3.7): signature by libjose,
 * everything else here. No I/O, thread-safe; the token is hostile.
 */
#ifndef CONSOLE_OIDC_ID_TOKEN_H
#define CONSOLE_OIDC_ID_TOKEN_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "console/oidc/discovery.h"

#define ID_TOKEN_MAX         65536 /* bytes */
#define ID_TOKEN_SKEW_S      60    /* that two clocks may differ */
#define ID_TOKEN_SUBJECT_MAX 255   /* Core section 2 */

/* What the token has to say. */
struct id_token_want {
	const char *issuer, *client_id, *nonce;
	const char *algorithm;    /* the one that the team chose */
	const char *access_token; /* that came with it; NULL: none */
	uint64_t now_s;           /* since 1970 */
	uint64_t asked_s; /* the person was to be asked since then; 0: not */
};

/*
 * Checks a token with keys of oidc_keys_read. Returns 0 and its claims in
 * *claims (json_decref), or
 * ERR_NOTFOUND: no key fits its kid, or it names none and no key verifies it:
 *   the provider may have new ones;
 * ERR_DENIED: it is not for us, or not true; why has a sentence;
 * ERR_PROTOCOL: it is no signed JWT; why;
 * ERR_NOMEM.
 */
int id_token_check(const char *token, const json_t *keys,
    const struct id_token_want *want, json_t **claims, char why[OIDC_WHY_MAX]);

#endif
