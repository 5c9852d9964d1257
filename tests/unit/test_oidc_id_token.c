/* ID tokens: what is taken and what is refused, with keys made here. */
#include <jose/b64.h>
#include <jose/jwk.h>
#include <jose/jws.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/err.h"
#include "console/oidc/id_token.h"
#include "console/oidc/keys.h"

#define NOW 1790000000u

static json_t *rsa, *rsa2, *ec, *hmac; /* private; with kid and alg */
static json_t *keys;                   /* oidc_keys_read of the public ones */

static const struct id_token_want want = { .issuer = "https://op.example",
	.client_id = "relaycam",
	.nonce = "n-1",
	.algorithm = "RS256",
	.now_s = NOW };

static json_t *
key_new(const char *alg, const char *kid)
{
	json_t *k = json_pack("{s:s,s:s}", "alg", alg, "kid", kid);

	assert_true(jose_jwk_gen(NULL, k));
	return k;
}

static json_t *
public_set(json_t *const *list, size_t n)
{
	json_t *set = json_array(), *root;
	json_t *read;
	char *text;

	for (size_t i = 0; i < n; i++) {
		json_t *k = json_deep_copy(list[i]);

		json_object_del(k, "key_ops"); /* of the private one */
		if (json_object_get(k, "k") == NULL)
			jose_jwk_pub(NULL, k);
		json_array_append_new(set, k);
	}
	root = json_pack("{s:o}", "keys", set);
	text = json_dumps(root, 0);
	read = oidc_keys_read(text, strlen(text));
	free(text);
	json_decref(root);
	return read;
}

static int
make_keys(void **state)
{
	json_t *list[4];

	list[0] = rsa = key_new("RS256", "one");
	list[1] = rsa2 = key_new("RS256", "two");
	list[2] = ec = key_new("ES256", "three");
	list[3] = hmac = key_new("HS256", "four");
	keys = public_set(list, 4);
	assert_int_equal(json_array_size(keys), 3); /* without HMAC's */
	return 0;
}

static int
free_keys(void **state)
{
	json_decref(rsa);
	json_decref(rsa2);
	json_decref(ec);
	json_decref(hmac);
	json_decref(keys);
	return 0;
}

static json_t *
good_claims(void)
{
	return json_pack("{s:s,s:s,s:s,s:s,s:i,s:i}", "iss",
	    "https://op.example", "sub", "u1", "aud", "relaycam", "nonce",
	    "n-1", "iat", (int)NOW - 5, "exp", (int)NOW + 300);
}

static const char *
part(const json_t *jws, const char *name)
{
	return json_string_value(json_object_get(jws, name));
}

/* header, claims: taken. Heap. */
static char *
sign(json_t *header, json_t *claims, const json_t *key)
{
	char *text = json_dumps(claims, JSON_COMPACT), *token;
	json_t *jws =
	    json_pack("{s:o}", "payload", jose_b64_enc(text, strlen(text)));
	json_t *sig = json_pack("{s:o}", "protected", header);

	assert_true(jose_jws_sig(NULL, jws, sig, key));
	assert_true(asprintf(&token, "%s.%s.%s", part(jws, "protected"),
			part(jws, "payload"), part(jws, "signature")) > 0);
	json_decref(sig);
	json_decref(jws);
	json_decref(claims);
	free(text);
	return token;
}

static json_t *
header(const char *alg, const char *kid)
{
	json_t *h = json_pack("{s:s}", "alg", alg);

	if (kid != NULL)
		json_object_set_new(h, "kid", json_string(kid));
	return h;
}

static char said[OIDC_WHY_MAX];

/* token: taken. */
static int
check_with(char *token, const json_t *set, const struct id_token_want *w)
{
	json_t *claims;
	int rc;

	said[0] = '\0';
	rc = id_token_check(token, set, w, &claims, said);
	assert_true((rc == 0) == (claims != NULL));
	if (rc == 0)
		assert_string_equal(
		    json_string_value(json_object_get(claims, "sub")), "u1");
	else
		assert_true(strlen(said) > 0);
	json_decref(claims);
	free(token);
	return rc;
}

static int
check(char *token)
{
	return check_with(token, keys, &want);
}

static int
check_claims(json_t *claims)
{
	return check(sign(header("RS256", "one"), claims, rsa));
}

static int
check_claim(const char *name, json_t *value)
{
	json_t *claims = good_claims();

	json_object_set_new(claims, name, value);
	return check_claims(claims);
}

static int
check_without(const char *name)
{
	json_t *claims = good_claims();

	json_object_del(claims, name);
	return check_claims(claims);
}

/* ---- signatures ---- */

static void
test_good_ones(void **state)
{
	struct id_token_want w = want;

	assert_int_equal(check_claims(good_claims()), 0);
	/* without a kid, each key is tried */
	assert_int_equal(
	    check(sign(header("RS256", NULL), good_claims(), rsa2)), 0);
	w.algorithm = "ES256";
	assert_int_equal(
	    check_with(
		sign(header("ES256", "three"), good_claims(), ec), keys, &w),
	    0);
}

static void
test_the_algorithm_is_the_teams(void **state)
{
	struct id_token_want w = want;
	char *token;
	json_t *k;

	/* another one that is good, of a key that is there */
	assert_int_equal(
	    check(sign(header("ES256", "three"), good_claims(), ec)),
	    ERR_DENIED);
	assert_non_null(strstr(said, "ES256"));
	/* HMAC, also with the public key as its secret (RFC 8725 section 2.1)
	 */
	assert_int_equal(
	    check(sign(header("HS256", "four"), good_claims(), hmac)),
	    ERR_DENIED);
	k = json_pack("{s:s,s:s,s:O}", "kty", "oct", "alg", "HS256", "k",
	    json_object_get(rsa, "n"));
	assert_int_equal(
	    check(sign(header("HS256", "one"), good_claims(), k)), ERR_DENIED);
	/* nor may a team choose one of these */
	w.algorithm = "HS256";
	assert_int_equal(
	    check_with(
		sign(header("HS256", "four"), good_claims(), hmac), keys, &w),
	    ERR_DENIED);
	json_decref(k);
	/* none: {"alg":"none"} */
	assert_true(
	    asprintf(&token, "%s.%s.AA", "eyJhbGciOiJub25lIn0", "e30") > 0);
	assert_int_equal(check(token), ERR_DENIED);
	assert_true(
	    asprintf(&token, "%s.%s.", "eyJhbGciOiJub25lIn0", "e30") > 0);
	assert_int_equal(check(token), ERR_PROTOCOL);
	w.algorithm = "none";
	assert_true(
	    asprintf(&token, "%s.%s.AA", "eyJhbGciOiJub25lIn0", "e30") > 0);
	assert_int_equal(check_with(token, keys, &w), ERR_DENIED);
}

static void
test_wrong_signatures(void **state)
{
	char *token = sign(header("RS256", "one"), good_claims(), rsa);
	size_t n = strlen(token);

	/* one bit of it; the last character has spare bits */
	token[n - 10] = token[n - 10] == 'A' ? 'B' : 'A';
	assert_int_equal(check(token), ERR_DENIED);
	/* another key of the same provider under this kid */
	assert_int_equal(
	    check(sign(header("RS256", "one"), good_claims(), rsa2)),
	    ERR_DENIED);
	/* a kid that is not there: there may be new keys */
	assert_int_equal(
	    check(sign(header("RS256", "nine"), good_claims(), rsa)),
	    ERR_NOTFOUND);
	/* the kid of a key of another kind */
	assert_int_equal(
	    check(sign(header("RS256", "three"), good_claims(), rsa)),
	    ERR_NOTFOUND);
}

static void
test_header_cannot_bring_its_key(void **state)
{
	json_t *stranger = key_new("RS256", "nine"), *h, *jwk;

	jwk = json_deep_copy(stranger);
	jose_jwk_pub(NULL, jwk);
	h = header("RS256", "nine");
	json_object_set(h, "jwk", jwk);
	assert_int_equal(check(sign(h, good_claims(), stranger)), ERR_NOTFOUND);
	h = header("RS256", NULL);
	json_object_set(h, "jwk", jwk);
	assert_int_equal(check(sign(h, good_claims(), stranger)), ERR_NOTFOUND);
	json_decref(jwk);
	json_decref(stranger);
}

static void
test_critical_extensions(void **state)
{
	json_t *h = header("RS256", "one");

	json_object_set_new(h, "crit", json_pack("[s]", "exp"));
	assert_int_equal(check(sign(h, good_claims(), rsa)), ERR_DENIED);
}

static void
test_what_is_no_jwt(void **state)
{
	static const char *const texts[] = { "", ".", "..", "a.b", "a.b.c",
		"e30.e30.e30.e30", "e30.e30.e3$", "e30.e30.e30 ",
		"e30.e30.e30.", "WzFd.e30.e30", "e30=.e30.e30" };
	char *token;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_true(check(strdup(texts[i])) < 0);
	token = malloc(ID_TOKEN_MAX + 2);
	memset(token, 'a', ID_TOKEN_MAX + 1);
	token[ID_TOKEN_MAX + 1] = '\0';
	assert_int_equal(check(token), ERR_PROTOCOL);
	/* every prefix of a good one */
	token = sign(header("RS256", "one"), good_claims(), rsa);
	for (size_t n = 0; n < strlen(token); n++)
		assert_true(check(strndup(token, n)) < 0);
	free(token);
}

/* ---- claims ---- */

static void
test_issuer_audience_nonce(void **state)
{
	assert_int_equal(
	    check_claim("iss", json_string("https://op.example/")), ERR_DENIED);
	assert_int_equal(check_without("iss"), ERR_DENIED);
	assert_int_equal(check_claim("aud", json_string("other")), ERR_DENIED);
	assert_int_equal(check_claim("aud", json_integer(1)), ERR_DENIED);
	assert_int_equal(check_without("aud"), ERR_DENIED);
	assert_int_equal(check_claim("nonce", json_string("n-2")), ERR_DENIED);
	assert_int_equal(check_without("nonce"), ERR_DENIED);
}

static void
test_several_audiences(void **state)
{
	json_t *claims;

	assert_int_equal(check_claim("aud", json_pack("[s]", "relaycam")), 0);
	assert_int_equal(check_claim("aud", json_array()), ERR_DENIED);
	assert_int_equal(
	    check_claim("aud", json_pack("[s,s]", "other", "relaycam")),
	    ERR_DENIED);
	assert_int_equal(check_claim("azp", json_string("other")), ERR_DENIED);
	assert_int_equal(check_claim("azp", json_string("relaycam")), 0);
	claims = good_claims();
	json_object_set_new(
	    claims, "aud", json_pack("[s,s]", "other", "relaycam"));
	json_object_set_new(claims, "azp", json_string("relaycam"));
	assert_int_equal(check_claims(claims), 0);
	claims = good_claims();
	json_object_set_new(
	    claims, "aud", json_pack("[s,s]", "other", "third"));
	json_object_set_new(claims, "azp", json_string("relaycam"));
	assert_int_equal(check_claims(claims), ERR_DENIED);
}

static void
test_clocks(void **state)
{
	const int skew = ID_TOKEN_SKEW_S;

	assert_int_equal(check_claim("exp", json_integer(NOW - skew + 1)), 0);
	assert_int_equal(
	    check_claim("exp", json_integer(NOW - skew)), ERR_DENIED);
	assert_non_null(strstr(said, "clocks"));
	assert_int_equal(check_claim("iat", json_integer(NOW + skew)), 0);
	assert_int_equal(
	    check_claim("iat", json_integer(NOW + skew + 1)), ERR_DENIED);
	assert_non_null(strstr(said, "clocks"));
	assert_int_equal(check_claim("nbf", json_integer(NOW + skew)), 0);
	assert_int_equal(
	    check_claim("nbf", json_integer(NOW + skew + 1)), ERR_DENIED);
	assert_int_equal(check_claim("exp", json_real(NOW + 60.5)), 0);
	assert_int_equal(
	    check_claim("exp", json_string("1790000300")), ERR_DENIED);
	assert_int_equal(check_claim("exp", json_real(1e300)), ERR_DENIED);
	assert_int_equal(check_claim("exp", json_integer(-1)), ERR_DENIED);
	assert_int_equal(check_claim("nbf", json_null()), ERR_DENIED);
	assert_int_equal(check_without("exp"), ERR_DENIED);
	assert_int_equal(check_without("iat"), ERR_DENIED);
}

static void
test_subjects(void **state)
{
	char text[ID_TOKEN_SUBJECT_MAX + 2];

	assert_int_equal(check_without("sub"), ERR_DENIED);
	assert_int_equal(check_claim("sub", json_string("")), ERR_DENIED);
	assert_int_equal(check_claim("sub", json_integer(1)), ERR_DENIED);
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(check_claim("sub", json_string(text)), ERR_DENIED);
}

/* OpenID Connect Core 1.0, appendix A.3: at_hash of this access token. */
static void
test_access_token(void **state)
{
	struct id_token_want w = want;
	json_t *claims = good_claims();

	w.access_token = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y";
	json_object_set_new(
	    claims, "at_hash", json_string("77QmUPtjPfzWtF2AnpK9RQ"));
	assert_int_equal(
	    check_with(sign(header("RS256", "one"), claims, rsa), keys, &w), 0);
	claims = good_claims();
	json_object_set_new(
	    claims, "at_hash", json_string("77QmUPtjPfzWtF2AnpK9RR"));
	assert_int_equal(
	    check_with(sign(header("RS256", "one"), claims, rsa), keys, &w),
	    ERR_DENIED);
	assert_int_equal(
	    check_with(
		sign(header("RS256", "one"), good_claims(), rsa), keys, &w),
	    0);
}

static void
test_claims_that_are_none(void **state)
{
	assert_int_equal(check_claims(json_pack("[i]", 1)), ERR_PROTOCOL);
	assert_int_equal(check_claims(json_object()), ERR_DENIED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_ones),
		cmocka_unit_test(test_the_algorithm_is_the_teams),
		cmocka_unit_test(test_wrong_signatures),
		cmocka_unit_test(test_header_cannot_bring_its_key),
		cmocka_unit_test(test_critical_extensions),
		cmocka_unit_test(test_what_is_no_jwt),
		cmocka_unit_test(test_issuer_audience_nonce),
		cmocka_unit_test(test_several_audiences),
		cmocka_unit_test(test_clocks),
		cmocka_unit_test(test_subjects),
		cmocka_unit_test(test_access_token),
		cmocka_unit_test(test_claims_that_are_none),
	};

	return cmocka_run_group_tests(tests, make_keys, free_keys);
}
