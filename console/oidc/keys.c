#include "console/oidc/keys.h"

#include <jose/b64.h>
#include <stdint.h>
#include <string.h>

#include "common/bytes.h"
#include "console/oidc/json_text.h"

/* Bytes of RSA's modulus: 2048 to 8192 bits. A public exponent above 64 bits
 * would make checking a signature as slow as making one. */
#define MODULUS_MIN  256
#define MODULUS_MAX  1024
#define EXPONENT_MAX 8
#define KID_MAX      512

static const struct algorithm {
	const char *name, *kty, *crv;
} algorithms[] = {
	{ "RS256", "RSA", NULL },
	{ "RS384", "RSA", NULL },
	{ "RS512", "RSA", NULL },
	{ "PS256", "RSA", NULL },
	{ "PS384", "RSA", NULL },
	{ "PS512", "RSA", NULL },
	{ "ES256", "EC", "P-256" },
	{ "ES384", "EC", "P-384" },
	{ "ES512", "EC", "P-521" },
};

static const struct algorithm *
find(const char *name)
{
	for (size_t i = 0; name != NULL && i < N_ELEMENTS(algorithms); i++)
		if (strcmp(algorithms[i].name, name) == 0)
			return &algorithms[i];
	return NULL;
}

bool
oidc_algorithm_is_right(const char *algorithm)
{
	return find(algorithm) != NULL;
}

/* The length of a number in base64url without its leading zeros, which lies
 * from lo to hi bytes; out: hi bytes, or NULL. */
static bool
has_length(const json_t *key, const char *name, size_t lo, size_t hi)
{
	uint8_t bytes[MODULUS_MAX + 1];
	const json_t *v = json_object_get(key, name);
	size_t n, zeros = 0;

	if (!json_is_string(v) || json_string_length(v) > 2 * sizeof(bytes))
		return false;
	n = jose_b64_dec(v, NULL, 0);
	if (n == 0 || n > sizeof(bytes) ||
	    jose_b64_dec(v, bytes, sizeof(bytes)) != n)
		return false;
	while (zeros < n && bytes[zeros] == 0)
		zeros++;
	return n - zeros >= lo && n - zeros <= hi;
}

static bool
is_rsa(const json_t *key)
{
	return text_is(json_text(key, "kty"), "RSA") &&
	    has_length(key, "n", MODULUS_MIN, MODULUS_MAX) &&
	    has_length(key, "e", 1, EXPONENT_MAX);
}

/* A coordinate has all its bytes (RFC 7518 section 6.2.1.2). */
static bool
is_point(const json_t *key)
{
	const char *crv = json_text(key, "crv");
	size_t n = text_is(crv, "P-256") ? 32
	    : text_is(crv, "P-384")      ? 48
	    : text_is(crv, "P-521")      ? 66
					 : 0;

	return text_is(json_text(key, "kty"), "EC") && n > 0 &&
	    has_length(key, "x", 1, n) && has_length(key, "y", 1, n);
}

static bool
is_for_signatures(const json_t *key)
{
	const char *use = json_text(key, "use"), *kid = json_text(key, "kid");
	const json_t *ops = json_object_get(key, "key_ops");
	const json_t *v;
	size_t i;
	bool may = ops == NULL;

	json_array_foreach(ops, i, v)
		may |= text_is(json_string_value(v), "verify");
	return may && (use == NULL || text_is(use, "sig")) &&
	    (kid == NULL || strlen(kid) <= KID_MAX);
}

/* The members that are used, and nothing private. */
static json_t *
copy(const json_t *key)
{
	static const char *const names[] = { "kty", "kid", "alg", "n", "e",
		"crv", "x", "y" };
	json_t *o = json_object();

	for (size_t i = 0; o != NULL && i < N_ELEMENTS(names); i++) {
		json_t *v = json_object_get(key, names[i]);

		if (json_is_string(v))
			json_object_set(o, names[i], v);
	}
	return o;
}

json_t *
oidc_keys_read(const char *bytes, size_t len)
{
	json_error_t error;
	json_t *root = len <= OIDC_KEYS_BYTES_MAX
	    ? json_loadb(bytes, len, JSON_REJECT_DUPLICATES, &error)
	    : NULL;
	const json_t *set = json_object_get(root, "keys");
	json_t *keys = json_is_array(set) ? json_array() : NULL;
	const json_t *key;
	size_t i;

	json_array_foreach(set, i, key) {
		if (keys == NULL || json_array_size(keys) >= OIDC_KEYS_MAX)
			break;
		if (json_is_object(key) && is_for_signatures(key) &&
		    (is_rsa(key) || is_point(key)))
			json_array_append_new(keys, copy(key));
	}
	json_decref(root);
	return keys;
}

bool
oidc_key_fits(const json_t *key, const char *algorithm)
{
	const struct algorithm *a = find(algorithm);
	const char *alg = json_text(key, "alg");

	return a != NULL && text_is(json_text(key, "kty"), a->kty) &&
	    (a->crv == NULL || text_is(json_text(key, "crv"), a->crv)) &&
	    (alg == NULL || strcmp(alg, algorithm) == 0);
}
