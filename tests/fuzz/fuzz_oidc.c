/*
 * What an OpenID provider sends. The first byte says what the rest is taken
 * for; 'p' are claims that are signed here with a good key, so that the checks
 * behind the signature see them.
 */
#include <assert.h>
#include <jose/b64.h>
#include <jose/jwk.h>
#include <jose/jws.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "console/oidc/claims.h"
#include "console/oidc/discovery.h"
#include "console/oidc/id_token.h"
#include "console/oidc/keys.h"
#include "console/oidc/login_state.h"
#include "console/oidc/url.h"

#define ISSUER "https://op.example"
#define NOW    1790000000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct claim_names names = { "preferred_username", "groups", true,
	true };
static const struct id_token_want want = { .issuer = ISSUER,
	.client_id = "relaycam",
	.nonce = "n",
	.algorithm = "ES256",
	.access_token = "at",
	.now_s = NOW };
static json_t *key, *keys;

static void
make_keys(void)
{
	json_t *public;

	if (key != NULL)
		return;
	key = json_pack("{s:s,s:s}", "alg", "ES256", "kid", "1");
	assert(jose_jwk_gen(NULL, key));
	public = json_deep_copy(key);
	jose_jwk_pub(NULL, public);
	json_object_del(public, "key_ops");
	keys = json_pack("[o]", public);
}

static void
fuzz_discovery(const char *text, size_t len)
{
	struct discovery d;
	char why[OIDC_WHY_MAX] = "";

	if (discovery_read(&d, text, len, ISSUER, "ES256", why) == 0) {
		assert(oidc_url_is_right(d.authorization_endpoint));
		assert(oidc_url_is_right(d.token_endpoint));
		assert(oidc_url_is_right(d.jwks_uri));
		assert(d.userinfo_endpoint == NULL ||
		    oidc_url_is_right(d.userinfo_endpoint));
		assert(strcmp(d.issuer, ISSUER) == 0);
	} else {
		assert(why[0] != '\0');
	}
	discovery_release(&d);
}

static void
fuzz_keys(const char *text, size_t len)
{
	json_t *set = oidc_keys_read(text, len), *claims = NULL;
	/* {"alg":"ES256"}, {}, 64 zeros */
	char token[200] = "eyJhbGciOiJFUzI1NiJ9.e30.", why[OIDC_WHY_MAX];

	assert(json_array_size(set) <= OIDC_KEYS_MAX);
	memset(token + strlen(token), 'A', 86);
	/* each key is tried, and none has signed that */
	if (set != NULL)
		assert(id_token_check(token, set, &want, &claims, why) ==
		    ERR_NOTFOUND);
	json_decref(set);
}

static void
expect_person(const json_t *claims)
{
	json_t *p = oidc_claims_person(claims, &names);
	char *text = json_dumps(p, JSON_COMPACT);

	assert(text != NULL);
	assert(
	    json_array_size(json_object_get(p, "groups")) <= OIDC_GROUPS_MAX);
	free(text);
	json_decref(p);
}

static void
fuzz_userinfo(const char *text, size_t len)
{
	json_t *claims = json_pack("{s:s}", "sub", "u1");
	char why[OIDC_WHY_MAX];

	if (oidc_claims_add(claims, text, len, why) == 0)
		expect_person(claims);
	assert(strcmp(json_string_value(json_object_get(claims, "sub")),
		   "u1") == 0);
	json_decref(claims);
}

static void
fuzz_tokens(const char *text, size_t len)
{
	struct oidc_tokens t;
	char why[OIDC_WHY_MAX], error[64];

	if (oidc_tokens_read(&t, text, len, why) == 0)
		assert(strpbrk(t.access_token, "\r\n") == NULL);
	oidc_tokens_release(&t);
	oidc_error_read(text, len, error, sizeof(error));
	assert(strpbrk(error, "<>\"&\r\n") == NULL);
}

/* Nobody but the key's owner makes one that is right. */
static void
fuzz_token(const char *text)
{
	json_t *claims;
	char why[OIDC_WHY_MAX];

	assert(id_token_check(text, keys, &want, &claims, why) != 0);
	assert(claims == NULL);
}

static void
fuzz_claims(const char *text, size_t len)
{
	json_t *jws, *sig, *claims = NULL;
	char *token = NULL, why[OIDC_WHY_MAX];

	if (len == 0 || len > 4096)
		return;
	jws = json_pack("{s:o}", "payload", jose_b64_enc(text, len));
	sig =
	    json_pack("{s:{s:s,s:s}}", "protected", "alg", "ES256", "kid", "1");
	assert(jose_jws_sig(NULL, jws, sig, key));
	assert(asprintf(&token, "%s.%s.%s",
		   json_string_value(json_object_get(jws, "protected")),
		   json_string_value(json_object_get(jws, "payload")),
		   json_string_value(json_object_get(jws, "signature"))) > 0);
	if (id_token_check(token, keys, &want, &claims, why) == 0) {
		const char *sub =
		    json_string_value(json_object_get(claims, "sub"));

		assert(strlen(sub) > 0 && strlen(sub) <= ID_TOKEN_SUBJECT_MAX);
		assert(
		    strcmp(json_string_value(json_object_get(claims, "nonce")),
			"n") == 0);
		expect_person(claims);
		json_decref(claims);
	}
	free(token);
	json_decref(jws);
	json_decref(sig);
}

static void
fuzz_cookie(const char *text, size_t len)
{
	static const uint8_t seal_key[SEAL_KEY_LEN] = { 7 };
	struct login_state s;

	assert(login_state_open(&s, seal_key, text, len, NOW) == ERR_CORRUPT);
	if (oidc_return_is_right(text))
		assert(text[0] == '/' && text[1] != '/' && text[1] != '\\');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;
	size_t len = size > 0 ? size - 1 : 0;

	if (size == 0)
		return 0;
	make_keys();
	text = malloc(len + 1);
	memcpy(text, data + 1, len);
	text[len] = '\0';
	switch (data[0]) {
	case 'd':
		fuzz_discovery(text, len);
		break;
	case 'k':
		fuzz_keys(text, len);
		break;
	case 'u':
		fuzz_userinfo(text, len);
		break;
	case 't':
		fuzz_tokens(text, len);
		break;
	case 'j':
		fuzz_token(text);
		break;
	case 'p':
		fuzz_claims(text, len);
		break;
	default:
		fuzz_cookie(text, len);
	}
	free(text);
	return 0;
}
