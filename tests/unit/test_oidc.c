/* OpenID Connect without its I/O: URLs, discovery, keys, claims, requests, and
 * the cookie of a login that is under way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/bytes.h"
#include "common/err.h"
#include "console/oidc/authorize.h"
#include "console/oidc/claims.h"
#include "console/oidc/discovery.h"
#include "console/oidc/keys.h"
#include "console/oidc/login_state.h"
#include "console/oidc/url.h"

/* ---- URLs ---- */

static void
test_urls(void **state)
{
	static const char *const right[] = { "https://op.example",
		"https://op.example/", "https://op.example:8443/a/b?c=d",
		"https://[::1]:3000/x", "https://127.0.0.1/" };
	static const char *const wrong[] = { "", "https://", "https:///x",
		"http://op.example", "HTTPS://op.example", "https://a@b/",
		"https://op.example#x", "https://op.example/ x",
		"https://op.example/\n", "https://op.example/\xc3\xa4",
		"https://op.example:/", "https://op.example:123456/",
		"https://op.example:8a/", "https://[::1", "https://[::1]x",
		"https://op\\example/", "file:///etc/passwd",
		"https://op.example\"" };
	char long_url[OIDC_URL_MAX + 1] = "https://op.example/";

	for (size_t i = 0; i < N_ELEMENTS(right); i++)
		assert_true(oidc_url_is_right(right[i]));
	for (size_t i = 0; i < N_ELEMENTS(wrong); i++)
		assert_false(oidc_url_is_right(wrong[i]));
	assert_false(oidc_url_is_right(NULL));
	memset(long_url + strlen(long_url), 'x',
	    sizeof(long_url) - 1 - strlen(long_url));
	assert_false(oidc_url_is_right(long_url));
	long_url[OIDC_URL_MAX - 1] = '\0';
	assert_true(oidc_url_is_right(long_url));
	assert_true(oidc_issuer_is_right("https://op.example/realms/x"));
	assert_false(oidc_issuer_is_right("https://op.example/?realm=x"));
	assert_true(oidc_origin_is_right("https://op.example:8443"));
	assert_false(oidc_origin_is_right("https://op.example:8443/"));
	assert_false(oidc_origin_is_right("https://op.example?x"));
}

static void
test_returns_stay_on_this_server(void **state)
{
	static const char *const right[] = { "/", "/recordings/5#t=3",
		"/sessions?state=active&user=a", "/a//b", "/x?q={a|b}^`" };
	static const char *const wrong[] = { "", "x", "//evil.example",
		"/\\evil.example", "\\/evil.example", "https://evil.example",
		"/a b", "/\tevil.example", "/\n", "/\"><script>", "/a\\b",
		"/\xc3\xa4", "javascript:alert(1)" };

	for (size_t i = 0; i < N_ELEMENTS(right); i++)
		assert_true(oidc_return_is_right(right[i]));
	for (size_t i = 0; i < N_ELEMENTS(wrong); i++)
		assert_false(oidc_return_is_right(wrong[i]));
}

/* ---- discovery ---- */

#define ISSUER "https://op.example"
#define ENDPOINTS                                                              \
	"\"authorization_endpoint\":\"" ISSUER "/auth\","                      \
	"\"token_endpoint\":\"" ISSUER "/token\","                             \
	"\"jwks_uri\":\"" ISSUER "/jwks\""
#define DOCUMENT(more) "{\"issuer\":\"" ISSUER "\"," ENDPOINTS more "}"

static char why[OIDC_WHY_MAX];

static int
read_document(struct discovery *d, const char *text)
{
	why[0] = '\0';
	return discovery_read(d, text, strlen(text), ISSUER, "RS256", why);
}

static void
test_discovery_url(void **state)
{
	char url[OIDC_URL_MAX], issuer[OIDC_URL_MAX];

	assert_int_equal(discovery_url("https://op.example/x/", url), 0);
	assert_string_equal(
	    url, "https://op.example/x/.well-known/openid-configuration");
	memset(issuer, 'x', sizeof(issuer) - 1);
	issuer[sizeof(issuer) - 1] = '\0';
	assert_int_equal(discovery_url(issuer, url), ERR_LIMIT);
}

static void
test_discovery(void **state)
{
	struct discovery d;

	assert_int_equal(read_document(&d, DOCUMENT("")), 0);
	assert_string_equal(d.token_endpoint, ISSUER "/token");
	assert_null(d.userinfo_endpoint);
	assert_int_equal(d.auth, CLIENT_AUTH_BASIC);
	assert_false(d.sends_iss);
	discovery_release(&d);
	assert_int_equal(
	    read_document(&d,
		DOCUMENT(",\"userinfo_endpoint\":\"" ISSUER "/me\","
			 "\"authorization_response_iss_parameter_supported\":"
			 "true,\"token_endpoint_auth_methods_supported\":"
			 "[\"private_key_jwt\",\"client_secret_post\"]")),
	    0);
	assert_string_equal(d.userinfo_endpoint, ISSUER "/me");
	assert_int_equal(d.auth, CLIENT_AUTH_POST);
	assert_true(d.sends_iss);
	discovery_release(&d);
}

static void
test_discovery_refused(void **state)
{
	static const char *const texts[] = { "", "[]", "{", "{}", "null",
		"{\"issuer\":\"" ISSUER "/\"," ENDPOINTS "}",
		"{\"issuer\":\"https://evil.example\"," ENDPOINTS "}",
		"{\"issuer\":5," ENDPOINTS "}", "{" ENDPOINTS "}",
		"{\"issuer\":\"" ISSUER "\"}",
		DOCUMENT(",\"userinfo_endpoint\":\"http://op.example/me\""),
		DOCUMENT(",\"userinfo_endpoint\":5"),
		DOCUMENT(",\"jwks_uri\":\"" ISSUER "/2\""), /* twice */
		DOCUMENT(",\"id_token_signing_alg_values_supported\":"
			 "[\"ES256\"]"),
		DOCUMENT(",\"response_types_supported\":[\"id_token\"]"),
		DOCUMENT(",\"token_endpoint_auth_methods_supported\":"
			 "[\"private_key_jwt\"]"),
		"{\"issuer\":\"" ISSUER "\",\"authorization_endpoint\":"
		"\"javascript:alert(1)\",\"token_endpoint\":\"" ISSUER "/t\","
		"\"jwks_uri\":\"" ISSUER "/j\"}" };
	char *big = calloc(1, OIDC_DISCOVERY_MAX + 2);
	struct discovery d;

	for (size_t i = 0; i < N_ELEMENTS(texts); i++) {
		assert_int_equal(read_document(&d, texts[i]), ERR_PROTOCOL);
		assert_true(strlen(why) > 0);
		discovery_release(&d);
	}
	memset(big, ' ', OIDC_DISCOVERY_MAX + 1);
	memcpy(big, DOCUMENT(""), strlen(DOCUMENT("")));
	assert_int_equal(read_document(&d, big), ERR_PROTOCOL);
	discovery_release(&d);
	big[OIDC_DISCOVERY_MAX] = '\0';
	assert_int_equal(read_document(&d, big), 0);
	discovery_release(&d);
	free(big);
}

/* ---- keys ---- */

static json_t *
read_keys(const char *text)
{
	return oidc_keys_read(text, strlen(text));
}

/* A number of n bytes in base64url; first: its highest byte, as "_" (0xfc and
 * more) or "A" (zero). */
static const char *
number(size_t n, char first)
{
	static char text[4][2048];
	static unsigned at;
	char *out = text[at++ % 4];
	size_t len = (n * 4 + 2) / 3;

	memset(out, 'A', len);
	out[0] = first;
	out[len] = '\0';
	return out;
}

static size_t
count_rsa(size_t n_bytes, char first, const char *e)
{
	char text[4096];
	json_t *keys;
	size_t n;

	snprintf(text, sizeof(text),
	    "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"%s\"}]}",
	    number(n_bytes, first), e);
	keys = read_keys(text);
	n = json_array_size(keys);
	json_decref(keys);
	return n;
}

static void
test_sizes_of_keys(void **state)
{
	assert_int_equal(count_rsa(256, '_', "AQAB"), 1);
	assert_int_equal(count_rsa(1024, '_', "AQAB"), 1);
	assert_int_equal(count_rsa(128, '_', "AQAB"), 0);
	assert_int_equal(count_rsa(256, 'A', "AQAB"), 0); /* leading zeros */
	assert_int_equal(count_rsa(1027, '_', "AQAB"), 0);
	assert_int_equal(count_rsa(256, '_', number(9, '_')), 0);
	assert_int_equal(count_rsa(256, '_', ""), 0);
	assert_int_equal(count_rsa(256, '_', "A"), 0);
	assert_int_equal(count_rsa(256, '_', "*"), 0);
}

#define POINT                                                                  \
	"\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","               \
	"\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\""

static void
test_unknown_keys_are_left_out(void **state)
{
	json_t *keys = read_keys(
	    "{\"keys\":[5,{},{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AA\"}"
	    ",{\"kty\":\"AKP\",\"alg\":\"ML-DSA-44\",\"pub\":\"AA\"},"
	    "{\"kty\":\"oct\",\"k\":\"AAAA\"},"
	    "{\"kty\":\"EC\",\"crv\":\"P-256K\"," POINT "},"
	    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\"},"
	    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"use\":\"enc\"," POINT "},"
	    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"key_ops\":[\"sign\"]," POINT
	    "},"
	    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"1\",\"d\":\"AAAA\","
	    "\"x5c\":[\"AAAA\"],\"use\":\"sig\"," POINT "}]}");
	json_t *key = json_array_get(keys, 0);

	assert_int_equal(json_array_size(keys), 1);
	assert_null(json_object_get(key, "d"));
	assert_null(json_object_get(key, "x5c"));
	assert_true(oidc_key_fits(key, "ES256"));
	assert_false(oidc_key_fits(key, "ES384"));
	assert_false(oidc_key_fits(key, "RS256"));
	assert_false(oidc_key_fits(key, "HS256"));
	json_decref(keys);
	keys = read_keys("{\"keys\":[]}");
	assert_int_equal(json_array_size(keys), 0);
	assert_non_null(keys);
	json_decref(keys);
}

static void
test_what_is_no_set_of_keys(void **state)
{
	static const char *const texts[] = { "", "[]", "{}", "{\"keys\":{}}",
		"{\"keys\":[]", "{\"keys\":[],\"keys\":[]}" };
	char *big = malloc(OIDC_KEYS_BYTES_MAX + 2);

	for (size_t i = 0; i < N_ELEMENTS(texts); i++)
		assert_null(read_keys(texts[i]));
	memset(big, ' ', OIDC_KEYS_BYTES_MAX + 1);
	memcpy(big, "{\"keys\":[]}", 11);
	big[OIDC_KEYS_BYTES_MAX + 1] = '\0';
	assert_null(read_keys(big));
	free(big);
}

static void
test_the_number_of_keys_is_bounded(void **state)
{
	const char *one = "{\"kty\":\"EC\",\"crv\":\"P-256\"," POINT "}";
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	json_t *keys;

	fputs("{\"keys\":[", f);
	for (int i = 0; i < OIDC_KEYS_MAX + 10; i++)
		fprintf(f, "%s%s", i > 0 ? "," : "", one);
	fputs("]}", f);
	fclose(f);
	keys = read_keys(text);
	assert_int_equal(json_array_size(keys), OIDC_KEYS_MAX);
	json_decref(keys);
	free(text);
}

static void
test_algorithms(void **state)
{
	assert_true(oidc_algorithm_is_right("RS256"));
	assert_true(oidc_algorithm_is_right("ES512"));
	assert_false(oidc_algorithm_is_right("none"));
	assert_false(oidc_algorithm_is_right("HS256"));
	assert_false(oidc_algorithm_is_right("rs256"));
	assert_false(oidc_algorithm_is_right(""));
	assert_false(oidc_algorithm_is_right(NULL));
}

/* ---- tokens and claims ---- */

static int
read_tokens(const char *text)
{
	struct oidc_tokens t;
	int rc = oidc_tokens_read(&t, text, strlen(text), why);

	oidc_tokens_release(&t);
	return rc;
}

static void
test_tokens(void **state)
{
	assert_int_equal(
	    read_tokens("{\"access_token\":\"a\",\"token_type\":\"bearer\","
			"\"id_token\":\"b\",\"x\":1}"),
	    0);
	assert_int_equal(
	    read_tokens("{\"access_token\":\"a\",\"token_type\":\"Bearer\"}"),
	    ERR_PROTOCOL);
	assert_int_equal(
	    read_tokens("{\"access_token\":\"a\",\"token_type\":\"DPoP\","
			"\"id_token\":\"b\"}"),
	    ERR_PROTOCOL);
	/* it becomes a field of HTTP */
	assert_int_equal(read_tokens("{\"access_token\":\"a\\r\\nX: y\","
				     "\"token_type\":\"Bearer\","
				     "\"id_token\":\"b\"}"),
	    ERR_PROTOCOL);
	assert_int_equal(read_tokens("[]"), ERR_PROTOCOL);
	assert_int_equal(read_tokens(""), ERR_PROTOCOL);
}

static void
test_errors(void **state)
{
	char out[64];

	oidc_error_read("{\"error\":\"invalid_grant\"}", 25, out, sizeof(out));
	assert_string_equal(out, "invalid_grant");
	oidc_error_read("{\"error\":\"<b>\"}", 15, out, sizeof(out));
	assert_string_equal(out, "");
	oidc_error_read("<html>", 6, out, sizeof(out));
	assert_string_equal(out, "");
}

static json_t *
load(const char *text)
{
	json_t *o = json_loads(text, 0, NULL);

	assert_non_null(o);
	return o;
}

static int
add_userinfo(json_t *claims, const char *text)
{
	return oidc_claims_add(claims, text, strlen(text), why);
}

static void
test_userinfo(void **state)
{
	const struct claim_names names = { "preferred_username", "groups", true,
		false };
	json_t *claims = load("{\"sub\":\"u1\",\"email\":\"signed@a\"}");

	assert_true(oidc_claims_lack(claims, &names));
	assert_int_equal(add_userinfo(claims,
			     "{\"sub\":\"u2\",\"preferred_username\":\"x\"}"),
	    ERR_DENIED);
	assert_int_equal(
	    add_userinfo(claims, "{\"preferred_username\":\"x\"}"), ERR_DENIED);
	assert_int_equal(add_userinfo(claims, "eyJ.e30.AA"), ERR_PROTOCOL);
	assert_null(json_object_get(claims, "preferred_username"));
	assert_int_equal(
	    add_userinfo(claims,
		"{\"sub\":\"u1\",\"preferred_username\":\"x\",\"email\":"
		"\"other@a\",\"email_verified\":true}"),
	    0);
	/* what is signed stays */
	assert_string_equal(
	    json_string_value(json_object_get(claims, "email")), "signed@a");
	assert_false(oidc_claims_lack(claims, &names));
	json_decref(claims);
}

static void
expect_person(const char *claims_text, const char *name_claim, const char *want)
{
	const struct claim_names names = { name_claim, "groups", false, false };
	json_t *claims = load(claims_text);
	json_t *p = oidc_claims_person(claims, &names);
	char *text = json_dumps(p, JSON_COMPACT | JSON_SORT_KEYS);

	assert_string_equal(text, want);
	free(text);
	json_decref(p);
	json_decref(claims);
}

static void
test_person(void **state)
{
	expect_person("{\"sub\":\"u\",\"preferred_username\":\"Al\",\"name\":"
		      "\"A L\",\"groups\":[\"x\",5,\"y\"],\"email\":\"a@b\","
		      "\"email_verified\":true}",
	    "preferred_username",
	    "{\"email\":\"a@b\",\"email_verified\":true,\"groups\":[\"x\","
	    "\"y\"],\"name\":\"Al\",\"subject\":\"u\",\"title\":\"A L\"}");
	/* an address that nobody checked is no name */
	expect_person("{\"sub\":\"u\",\"email\":\"a@b\"}", "email",
	    "{\"email\":\"a@b\",\"email_verified\":false,\"groups\":[],"
	    "\"subject\":\"u\"}");
	expect_person("{\"sub\":\"u\",\"email\":\"a@b\",\"email_verified\":"
		      "\"true\",\"groups\":\"one\"}",
	    "email",
	    "{\"email\":\"a@b\",\"email_verified\":true,\"groups\":[\"one\"],"
	    "\"name\":\"a@b\",\"subject\":\"u\"}");
	expect_person("{\"sub\":\"u\",\"preferred_username\":[],\"groups\":{}}",
	    "preferred_username",
	    "{\"email_verified\":false,\"groups\":[],\"subject\":\"u\"}");
}

/* ---- requests ---- */

/* RFC 7636, appendix B. */
static void
test_challenge(void **state)
{
	char out[OIDC_BASE64_32];

	assert_string_equal(
	    oidc_challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", out),
	    "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
}

static const struct oidc_client client = { .id = "a+b c",
	.secret = "p+/=&%\xc3\xa4~",
	.redirect_uri = "https://c/cb",
	.scopes = "openid x" };

static void
test_authorize_url(void **state)
{
	struct discovery d = { .authorization_endpoint = "https://op/a?r=1" };
	char out[600];

	assert_int_equal(oidc_authorize_url(&d, &client, "st", "no",
			     "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
			     false, out, sizeof(out)),
	    0);
	assert_string_equal(out,
	    "https://op/a?r=1&response_type=code&client_id=a%2Bb%20c"
	    "&redirect_uri=https%3A%2F%2Fc%2Fcb&scope=openid%20x&state=st"
	    "&nonce=no&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw"
	    "-cM&code_challenge_method=S256");
	for (size_t n = 1; n < strlen(out) + 1; n++) {
		char *small = malloc(n);

		assert_int_equal(oidc_authorize_url(&d, &client, "st", "no",
				     "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEj"
				     "Xk",
				     false, small, n),
		    ERR_LIMIT);
		free(small);
	}
	assert_int_equal(oidc_authorize_url(&d, &client, "st", "no",
			     "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
			     true, out, sizeof(out)),
	    0);
	assert_non_null(strstr(out, "=S256&prompt=login&max_age=0"));
}

static void
test_token_request(void **state)
{
	struct discovery d = { .auth = CLIENT_AUTH_BASIC };
	char form[400], auth[400];
	struct oidc_client public = client;

	assert_int_equal(oidc_token_request(&d, &client, "c/d", "v", form,
			     sizeof(form), auth, sizeof(auth)),
	    0);
	assert_string_equal(form,
	    "grant_type=authorization_code&code=c%2Fd&redirect_uri="
	    "https%3A%2F%2Fc%2Fcb&code_verifier=v");
	/* base64 of a%2Bb%20c:p%2B%2F%3D%26%25%C3%A4~ */
	assert_string_equal(
	    auth, "Basic YSUyQmIlMjBjOnAlMkIlMkYlM0QlMjYlMjUlQzMlQTR+");
	d.auth = CLIENT_AUTH_POST;
	assert_int_equal(oidc_token_request(&d, &client, "c", "v", form,
			     sizeof(form), auth, sizeof(auth)),
	    0);
	assert_non_null(strstr(form,
	    "&client_id=a%2Bb%20c&client_secret=p%2B%2F%3D%26%25%C3%A4~"));
	assert_string_equal(auth, "");
	public.secret = NULL;
	d.auth = CLIENT_AUTH_BASIC;
	assert_int_equal(oidc_token_request(&d, &public, "c", "v", form,
			     sizeof(form), auth, sizeof(auth)),
	    0);
	assert_non_null(strstr(form, "&client_id=a%2Bb%20c"));
	assert_null(strstr(form, "client_secret"));
	assert_string_equal(auth, "");
	assert_int_equal(oidc_token_request(&d, &client, "c", "v", form,
			     sizeof(form), auth, 20),
	    ERR_LIMIT);
	assert_int_equal(
	    oidc_token_request(&d, &client, "c", "v", form, 20, auth, 400),
	    ERR_LIMIT);
}

/* ---- the cookie ---- */

static void
test_login_state(void **state)
{
	static const uint8_t key[SEAL_KEY_LEN] = { 1 },
			     other[SEAL_KEY_LEN] = { 2 };
	struct login_state s, t;
	char text[LOGIN_STATE_TEXT_MAX], broken[LOGIN_STATE_TEXT_MAX];
	uint8_t plain[sizeof(s) + SEAL_OVERHEAD];
	size_t n;

	login_state_new(&s, 7, "/x", 1000);
	assert_int_equal(strlen(s.state), OIDC_BASE64_32 - 1);
	assert_string_not_equal(s.state, s.nonce);
	login_state_seal(&s, key, text);
	n = strlen(text);
	assert_int_equal(login_state_open(&t, key, text, n, 1599), 0);
	assert_memory_equal(&s, &t, sizeof(s));
	assert_int_equal(login_state_open(&t, key, text, n, 1600), ERR_TIMEOUT);
	assert_int_equal(
	    login_state_open(&t, other, text, n, 1000), ERR_CORRUPT);
	assert_int_equal(
	    login_state_open(&t, key, text, n - 2, 1000), ERR_CORRUPT);
	assert_int_equal(login_state_open(&t, key, "", 0, 1000), ERR_CORRUPT);
	for (size_t i = 0; i < n; i += 7) {
		memcpy(broken, text, n + 1);
		broken[i] = broken[i] == '0' ? '1' : '0';
		assert_int_equal(
		    login_state_open(&t, key, broken, n, 1000), ERR_CORRUPT);
	}
	/* what the seal key itself sealed is no login */
	seal(key, &s, sizeof(s), plain);
	for (size_t i = 0; i < sizeof(plain); i++)
		snprintf(broken + 2 * i, 3, "%02x", plain[i]);
	assert_int_equal(
	    login_state_open(&t, key, broken, strlen(broken), 1000),
	    ERR_CORRUPT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_urls),
		cmocka_unit_test(test_returns_stay_on_this_server),
		cmocka_unit_test(test_discovery_url),
		cmocka_unit_test(test_discovery),
		cmocka_unit_test(test_discovery_refused),
		cmocka_unit_test(test_sizes_of_keys),
		cmocka_unit_test(test_unknown_keys_are_left_out),
		cmocka_unit_test(test_what_is_no_set_of_keys),
		cmocka_unit_test(test_the_number_of_keys_is_bounded),
		cmocka_unit_test(test_algorithms),
		cmocka_unit_test(test_tokens),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_userinfo),
		cmocka_unit_test(test_person),
		cmocka_unit_test(test_challenge),
		cmocka_unit_test(test_authorize_url),
		cmocka_unit_test(test_token_request),
		cmocka_unit_test(test_login_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
