/*
 * Requests to an OpenID provider: where the browser is sent, and what the
 * token endpoint is asked (OpenID Connect Core 1.0 section 3.1, RFC 7636).
 * No I/O, thread-safe.
 */
#ifndef CONSOLE_OIDC_AUTHORIZE_H
#define CONSOLE_OIDC_AUTHORIZE_H

#include <stdbool.h>
#include <stddef.h>

#include "console/oidc/discovery.h"
#include "console/oidc/url.h"

#define OIDC_SECRET_MAX 1024 /* bytes of a client's secret */
#define OIDC_CODE_MAX   4096 /* bytes of a code */
#define OIDC_BASE64_32  44   /* 32 bytes in base64url, with the NUL */
/* The longest request: each byte of it may be encoded as three. */
#define OIDC_REQUEST_MAX 32768

struct oidc_client {
	const char *id, *secret; /* NULL: a public client */
	const char *redirect_uri, *scopes;
};

/* 32 bytes in base64url (RFC 4648 section 5) without padding. Returns out. */
char *oidc_base64_32(const void *bytes, char out[OIDC_BASE64_32]);

/* The code challenge S256 of a verifier (RFC 7636 section 4.2). Returns out. */
char *oidc_challenge(const char *verifier, char out[OIDC_BASE64_32]);

/*
 * The URL of the authorization request in out; the endpoint may have a query
 * already. is_again: the provider is to ask the person, though it knows them
 * (prompt and max_age, section 3.1.2.1). Returns 0 or ERR_LIMIT.
 */
int oidc_authorize_url(const struct discovery *d, const struct oidc_client *c,
    const char *state, const char *nonce, const char *verifier, bool is_again,
    char *out, size_t out_len);

/*
 * The form for the token endpoint in form, and in authorization the value of
 * the field Authorization; "" without one. The secret is in one of both: to be
 * wiped. Id and secret are form-encoded before they are joined for Basic
 * (RFC 6749 section 2.3.1). Returns 0 or ERR_LIMIT.
 */
int oidc_token_request(const struct discovery *d, const struct oidc_client *c,
    const char *code, const char *verifier, char *form, size_t form_len,
    char *authorization, size_t authorization_len);

#endif
