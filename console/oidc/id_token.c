#include "console/oidc/id_token.h"

#include <jose/b64.h>
#include <jose/jws.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "console/oidc/json_text.h"
#include "console/oidc/keys.h"

#define BASE64URL                                                              \
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

static int __attribute__((format(printf, 3, 4)))
refuse(char why[OIDC_WHY_MAX], int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, OIDC_WHY_MAX, fmt, ap);
	va_end(ap);
	return rc;
}

/* ---- its form: RFC 7515 section 3.1 ---- */

/* The parts between the dots as members of a flattened JWS; NULL: it is not
 * exactly three of base64url. */
static json_t *
split(const char *token)
{
	static const char *const names[] = { "protected", "payload",
		"signature" };
	json_t *jws = json_object();

	for (size_t i = 0; jws != NULL && i < N_ELEMENTS(names); i++) {
		size_t n = strspn(token, BASE64URL);
		char end = i < 2 ? '.' : '\0';

		if (n == 0 || token[n] != end) {
			json_decref(jws);
			return NULL;
		}
		json_object_set_new(jws, names[i], json_stringn(token, n));
		token += n + 1;
	}
	return jws;
}

/* A part that is a JSON object. */
static json_t *
decode(const json_t *jws, const char *name)
{
	const json_t *part = json_object_get(jws, name);
	size_t n = jose_b64_dec(part, NULL, 0);
	char *bytes = n <= ID_TOKEN_MAX ? malloc(n + 1) : NULL;
	json_t *o = NULL;
	json_error_t error;

	if (bytes != NULL && jose_b64_dec(part, bytes, n) == n)
		o = json_loadb(bytes, n, JSON_REJECT_DUPLICATES, &error);
	free(bytes);
	if (json_is_object(o))
		return o;
	json_decref(o);
	return NULL;
}

/* ---- its signature ---- */

/* libjose would write to standard error. */
static void
be_silent(void *misc, const char *file, int line, uint64_t err, const char *fmt,
    va_list ap)
{
}

static bool
is_signed_by(const json_t *jws, const json_t *key)
{
	jose_cfg_t *cfg = jose_cfg();
	bool is_true;

	if (cfg == NULL)
		return false;
	jose_cfg_set_err_func(cfg, be_silent, NULL);
	is_true = jose_jws_ver(cfg, jws, NULL, key, false);
	jose_cfg_decref(cfg);
	return is_true;
}

/* A name for a sentence: nothing that a log or page would stumble over. */
static const char *
shown(const char *alg)
{
	size_t n = alg != NULL ? strspn(alg, BASE64URL) : 0;

	return n > 0 && n <= 20 && alg[n] == '\0' ? alg : "something unknown";
}

/* The header's algorithm is compared, never obeyed: "none" and HMAC with a
 * public key as its secret end here (RFC 8725 section 3.1). */
static int
check_header(
    const json_t *header, const char *algorithm, char why[OIDC_WHY_MAX])
{
	if (!oidc_algorithm_is_right(algorithm) ||
	    !text_is(json_text(header, "alg"), algorithm))
		return refuse(why, ERR_DENIED,
		    "its ID token is signed with %s, not with %s",
		    shown(json_text(header, "alg")), shown(algorithm));
	if (json_object_get(header, "crit") != NULL)
		return refuse(why, ERR_DENIED,
		    "its ID token has critical extensions, none of which is "
		    "known");
	return 0;
}

static int
check_signature(const json_t *jws, const json_t *header, const json_t *keys,
    const char *algorithm, char why[OIDC_WHY_MAX])
{
	const json_t *kid = json_object_get(header, "kid");
	const json_t *key;
	bool has_kid = false;
	size_t i;

	json_array_foreach(keys, i, key) {
		bool is_named =
		    kid != NULL && json_equal(kid, json_object_get(key, "kid"));

		if ((kid != NULL && !is_named) ||
		    !oidc_key_fits(key, algorithm))
			continue;
		has_kid |= is_named;
		if (is_signed_by(jws, key))
			return 0;
	}
	if (has_kid)
		return refuse(
		    why, ERR_DENIED, "the signature of its ID token is wrong");
	return refuse(
	    why, ERR_NOTFOUND, "none of its keys has signed the ID token");
}

/* ---- what it says ---- */

static bool
has_audience(const json_t *aud, const char *client_id, size_t *n)
{
	const json_t *v;
	bool has = text_is(json_string_value(aud), client_id);
	size_t i;

	*n = json_is_array(aud) ? json_array_size(aud) : 1;
	json_array_foreach(aud, i, v)
		has |= text_is(json_string_value(v), client_id);
	return has;
}

static int
check_party(const json_t *claims, const struct id_token_want *want,
    char why[OIDC_WHY_MAX])
{
	const json_t *azp = json_object_get(claims, "azp");
	size_t n;

	if (!text_is(json_text(claims, "iss"), want->issuer))
		return refuse(
		    why, ERR_DENIED, "its ID token is of another issuer");
	if (!has_audience(json_object_get(claims, "aud"), want->client_id, &n))
		return refuse(
		    why, ERR_DENIED, "its ID token is for another client");
	if ((n > 1 || azp != NULL) &&
	    !text_is(json_string_value(azp), want->client_id))
		return refuse(why, ERR_DENIED,
		    "its ID token was issued to another party");
	if (!text_is(json_text(claims, "nonce"), want->nonce))
		return refuse(
		    why, ERR_DENIED, "its ID token is of another login");
	return 0;
}

/* A time (RFC 7519 section 2: it may have a fraction); false: there is none
 * within what is a time at all. */
static bool
take_time(const json_t *claims, const char *name, double *out)
{
	const json_t *v = json_object_get(claims, name);

	*out = json_number_value(v);
	return json_is_number(v) && *out > 0 && *out < 1e12;
}

static int
check_times(const json_t *claims, uint64_t now_s, char why[OIDC_WHY_MAX])
{
	double exp, iat, nbf, now = (double)now_s, skew = ID_TOKEN_SKEW_S;

	if (!take_time(claims, "exp", &exp) || !take_time(claims, "iat", &iat))
		return refuse(why, ERR_DENIED,
		    "its ID token does not say until when it is good");
	if (exp <= now - skew)
		return refuse(why, ERR_DENIED,
		    "its ID token ended %.0f s ago; compare the clocks of both "
		    "servers",
		    now - exp);
	if (json_object_get(claims, "nbf") == NULL)
		nbf = iat;
	else if (!take_time(claims, "nbf", &nbf))
		return refuse(
		    why, ERR_DENIED, "its ID token begins at no time");
	if (iat > now + skew || nbf > now + skew)
		return refuse(why, ERR_DENIED,
		    "its ID token is of a time %.0f s ahead; compare the "
		    "clocks of both servers",
		    (iat > nbf ? iat : nbf) - now);
	return 0;
}

/* Core section 2: auth_time is there when max_age was asked for. */
static int
check_asked(const json_t *claims, uint64_t asked_s, char why[OIDC_WHY_MAX])
{
	double at;

	if (asked_s == 0)
		return 0;
	if (!take_time(claims, "auth_time", &at) ||
	    at < (double)asked_s - ID_TOKEN_SKEW_S)
		return refuse(why, ERR_DENIED,
		    "it did not ask the person again, or its ID token does not "
		    "say when (auth_time)");
	return 0;
}

static int
check_subject(const json_t *claims, char why[OIDC_WHY_MAX])
{
	const char *sub = json_text(claims, "sub");

	if (sub == NULL || *sub == '\0' || strlen(sub) > ID_TOKEN_SUBJECT_MAX)
		return refuse(why, ERR_DENIED,
		    "its ID token has no subject of 1 to %d bytes",
		    ID_TOKEN_SUBJECT_MAX);
	return 0;
}

/* The left half of the access token's hash (Core section 3.1.3.6); the hash
 * has the size that the algorithm's name ends with. */
static int
check_access_token(const json_t *claims, const struct id_token_want *want,
    char why[OIDC_WHY_MAX])
{
	const json_t *at_hash = json_object_get(claims, "at_hash");
	const char *bits = want->algorithm + 2;
	const EVP_MD *md = strcmp(bits, "512") == 0 ? EVP_sha512()
	    : strcmp(bits, "384") == 0              ? EVP_sha384()
						    : EVP_sha256();
	uint8_t hash[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	json_t *half;
	bool is_same;

	if (at_hash == NULL || want->access_token == NULL)
		return 0;
	if (EVP_Digest(want->access_token, strlen(want->access_token), hash, &n,
		md, NULL) != 1)
		return ERR_NOMEM;
	half = jose_b64_enc(hash, n / 2);
	is_same = half != NULL && json_equal(half, at_hash);
	json_decref(half);
	return is_same ? 0
		       : refuse(why, ERR_DENIED,
			     "its ID token belongs to another access token");
}

int
id_token_check(const char *token, const json_t *keys,
    const struct id_token_want *want, json_t **claims, char why[OIDC_WHY_MAX])
{
	json_t *jws = strlen(token) <= ID_TOKEN_MAX ? split(token) : NULL;
	json_t *header = decode(jws, "protected");
	int rc;

	*claims = NULL;
	if (header == NULL)
		rc = refuse(why, ERR_PROTOCOL, "its ID token is no signed JWT");
	else
		rc = check_header(header, want->algorithm, why);
	if (rc == 0)
		rc = check_signature(jws, header, keys, want->algorithm, why);
	if (rc == 0 && (*claims = decode(jws, "payload")) == NULL)
		rc = refuse(why, ERR_PROTOCOL, "its ID token has no claims");
	if (rc == 0)
		rc = check_party(*claims, want, why);
	if (rc == 0)
		rc = check_times(*claims, want->now_s, why);
	if (rc == 0)
		rc = check_asked(*claims, want->asked_s, why);
	if (rc == 0)
		rc = check_subject(*claims, why);
	if (rc == 0)
		rc = check_access_token(*claims, want, why);
	if (rc != 0) {
		json_decref(*claims);
		*claims = NULL;
	}
	json_decref(header);
	json_decref(jws);
	return rc;
}
