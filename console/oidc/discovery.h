/*
 * The discovery document of an OpenID provider (OpenID Connect Discovery 1.0,
 * section 3; RFC 8414). No I/O, thread-safe; the document is hostile.
 */
#ifndef CONSOLE_OIDC_DISCOVERY_H
#define CONSOLE_OIDC_DISCOVERY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define OIDC_DISCOVERY_MAX 65536 /* bytes of the document */
#define OIDC_WHY_MAX       256

/* How the client proves to the token endpoint who it is. */
enum client_auth { CLIENT_AUTH_BASIC, CLIENT_AUTH_POST };

struct discovery {
	json_t *root; /* owns the texts */
	const char *issuer, *authorization_endpoint, *token_endpoint, *jwks_uri;
	const char *userinfo_endpoint; /* NULL: it has none */
	enum client_auth auth;         /* for a client with a secret */
	bool sends_iss;                /* RFC 9207 */
};

/* Where the document of an issuer is. out: OIDC_URL_MAX bytes. Returns 0 or
 * ERR_LIMIT. */
int discovery_url(const char *issuer, char *out);

/*
 * Reads the document of the issuer; algorithm: what ID tokens are to be signed
 * with. Returns 0, or ERR_PROTOCOL with a sentence in why: it is no JSON
 * object, another issuer's, lacks an endpoint, has one that is no https URL,
 * or says that it does not do what is needed. d: to be released in all cases.
 */
int discovery_read(struct discovery *d, const char *text, size_t len,
    const char *issuer, const char *algorithm, char why[OIDC_WHY_MAX]);

void discovery_release(struct discovery *d);

#endif
