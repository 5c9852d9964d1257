/*
 * What the provider says about a person, from the ID token and from its
 * userinfo endpoint (OpenID Connect Core 1.0, section 5), and what the token
 * endpoint answers. No I/O, thread-safe; all input is hostile.
 */
#ifndef CONSOLE_OIDC_CLAIMS_H
#define CONSOLE_OIDC_CLAIMS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "console/oidc/discovery.h"

#define OIDC_TOKENS_MAX   262144 /* bytes of the token endpoint's answer */
#define OIDC_USERINFO_MAX 262144 /* bytes of userinfo */
#define OIDC_GROUPS_MAX   1000   /* that are looked at */
#define OIDC_ACCESS_MAX   16384  /* bytes of an access token */

/* Which claims a team looks at. */
struct claim_names {
	const char *name, *groups;
	bool needs_email, needs_groups;
};

/* What the token endpoint answers (Core section 3.1.3.3). */
struct oidc_tokens {
	json_t *root; /* owns the texts */
	const char *id_token, *access_token;
};

/* Returns 0, or ERR_PROTOCOL with a sentence. t: to be released in all
 * cases. */
int oidc_tokens_read(struct oidc_tokens *t, const char *text, size_t len,
    char why[OIDC_WHY_MAX]);
/* Wipes the tokens. */
void oidc_tokens_release(struct oidc_tokens *t);

/* The `error` of an answer that is one (RFC 6749 section 5.2) in out; "" when
 * it has none of the form that it should have. */
void oidc_error_read(const char *text, size_t len, char *out, size_t out_len);

/* Is something missing in these claims that userinfo may have? The ID token of
 * a code flow has no e-mail by default (Core section 5.4). */
bool oidc_claims_lack(const json_t *claims, const struct claim_names *names);

/*
 * Adds to claims what userinfo has besides. Returns 0, or ERR_PROTOCOL or
 * ERR_DENIED with a sentence: it is no JSON object, or of another subject.
 */
int oidc_claims_add(
    json_t *claims, const char *text, size_t len, char why[OIDC_WHY_MAX]);

/*
 * The claims as the schema's console_single_sign_on takes them: subject, name,
 * title, email, email_verified, groups. NULL: memory.
 */
json_t *oidc_claims_person(
    const json_t *claims, const struct claim_names *names);

#endif
