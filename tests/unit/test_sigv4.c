/*
 * Vectors: "general" rows from the AWS Signature Version 4 test suite as
 * published in awslabs/aws-c-auth, tests/aws-signing-test-suite/v4; "s3"
 * rows from the Amazon S3 API Reference, "Signature Calculations for the
 * Authorization Header" and "Authenticating Requests: Using Query
 * Parameters".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/sigv4.h"

#define GENERAL_TIME 1440938160 /* 2015-08-30T12:36:00Z */
#define S3_TIME      1369353600 /* 2013-05-24T00:00:00Z */
#define PUT_HASH                                                               \
	"44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"
#define FORM_HASH                                                              \
	"9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e"

static const struct sigv4_key general_key = { "AKIDEXAMPLE",
	"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "", "us-east-1",
	"service" };
static const struct sigv4_key s3_key = { "AKIAIOSFODNN7EXAMPLE",
	"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "", "us-east-1", "s3" };

#define UNRESERVED                                                             \
	"-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

static const struct vector {
	const char *name, *method, *path;
	struct sigv4_pair query[3], headers[5];
	const char *payload, *signature;
} general[] = {
	{ "get-vanilla", "GET", "/", { { 0 } }, { { 0 } }, SIGV4_EMPTY,
	    "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf"
	    "31" },
	{ "get-vanilla-query-order-key-case", "GET", "/",
	    { { "Param2", "value2" }, { "Param1", "value1" } }, { { 0 } },
	    SIGV4_EMPTY,
	    "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf25"
	    "00" },
	{ "get-header-value-trim", "GET", "/", { { 0 } },
	    { { "My-Header1", " value1" }, { "My-Header2", " \"a   b   c\"" } },
	    SIGV4_EMPTY,
	    "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c7"
	    "36" },
	{ "get-header-value-order", "GET", "/", { { 0 } },
	    { { "My-Header1", "value4" }, { "My-Header1", "value1" },
		{ "My-Header1", "value3" }, { "My-Header1", "value2" } },
	    SIGV4_EMPTY,
	    "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c"
	    "01" },
	{ "get-header-key-duplicate", "GET", "/", { { 0 } },
	    { { "My-Header1", "value2" }, { "My-Header1", "value2" },
		{ "My-Header1", "value1" } },
	    SIGV4_EMPTY,
	    "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138"
	    "ea" },
	{ "get-utf8", "GET", "/\xe1\x88\xb4", { { 0 } }, { { 0 } }, SIGV4_EMPTY,
	    "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d"
	    "85" },
	{ "get-vanilla-utf8-query", "GET", "/", { { "\xe1\x88\xb4", "bar" } },
	    { { 0 } }, SIGV4_EMPTY,
	    "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd"
	    "04" },
	{ "post-header-key-sort", "POST", "/", { { 0 } },
	    { { "My-Header1", "value1" } }, SIGV4_EMPTY,
	    "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf1885"
	    "2c" },
	{ "get-vanilla-query-unreserved", "GET", "/",
	    { { UNRESERVED, UNRESERVED } }, { { 0 } }, SIGV4_EMPTY,
	    "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a401"
	    "97" },
	{ "post-x-www-form-urlencoded", "POST", "/", { { 0 } },
	    { { "Content-Type", "application/x-www-form-urlencoded" },
		{ "Content-Length", "13" },
		{ "x-amz-content-sha256", FORM_HASH } },
	    FORM_HASH,
	    "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e"
	    "0b" },
};

static const struct vector s3[] = {
	{ "GET with a range", "GET", "/test.txt", { { 0 } },
	    { { "Range", "bytes=0-9" },
		{ "x-amz-content-sha256", SIGV4_EMPTY } },
	    SIGV4_EMPTY,
	    "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb"
	    "41" },
	{ "PUT object", "PUT", "/test$file.text", { { 0 } },
	    { { "Date", "Fri, 24 May 2013 00:00:00 GMT" },
		{ "x-amz-storage-class", "REDUCED_REDUNDANCY" },
		{ "x-amz-content-sha256", PUT_HASH } },
	    PUT_HASH,
	    "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108"
	    "bd" },
	{ "GET lifecycle", "GET", "/", { { "lifecycle", NULL } },
	    { { "x-amz-content-sha256", SIGV4_EMPTY } }, SIGV4_EMPTY,
	    "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a01367835"
	    "43" },
	{ "list objects", "GET", "/",
	    { { "max-keys", "2" }, { "prefix", "J" } },
	    { { "x-amz-content-sha256", SIGV4_EMPTY } }, SIGV4_EMPTY,
	    "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6"
	    "f7" },
};

static size_t
count(const struct sigv4_pair *p, size_t max)
{
	size_t n = 0;

	while (n < max && p[n].name != NULL)
		n++;
	return n;
}

static void
check(const struct vector *v, const struct sigv4_key *key, const char *host,
    uint64_t time_s)
{
	struct sigv4_request rq = { .method = v->method,
		.host = host,
		.path = v->path,
		.query = v->query,
		.n_query = count(v->query, N_ELEMENTS(v->query)),
		.headers = v->headers,
		.n_headers = count(v->headers, N_ELEMENTS(v->headers)),
		.payload = v->payload,
		.time_s = time_s };
	char out[1024], *found;

	assert_int_equal(sigv4_authorization(key, &rq, out, sizeof(out)), 0);
	found = strstr(out, "Signature=");
	assert_non_null(found);
	if (strcmp(found + 10, v->signature) != 0)
		fail_msg("%s: %s", v->name, out);
}

static void
test_suite(void **state)
{
	for (size_t i = 0; i < N_ELEMENTS(general); i++)
		check(&general[i], &general_key, "example.amazonaws.com",
		    GENERAL_TIME);
}

static void
test_s3(void **state)
{
	for (size_t i = 0; i < N_ELEMENTS(s3); i++)
		check(
		    &s3[i], &s3_key, "examplebucket.s3.amazonaws.com", S3_TIME);
}

static void
test_presign(void **state)
{
	struct sigv4_request rq = { .method = "GET",
		.host = "examplebucket.s3.amazonaws.com",
		.path = "/test.txt",
		.payload = SIGV4_UNSIGNED,
		.time_s = S3_TIME };
	char out[1024];

	assert_int_equal(
	    sigv4_presign(&s3_key, &rq, 86400, out, sizeof(out)), 0);
	assert_string_equal(out,
	    "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential="
	    "AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2F"
	    "aws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&"
	    "X-Amz-SignedHeaders=host&X-Amz-Signature=aeeed9bbccd4d02ee5c01"
	    "09b86d86835f995330da4c265957d157751f604d404");
}

/* Names with a common prefix: "a" sorts before "a-b", "a=" has no say. */
static void
test_target(void **state)
{
	struct sigv4_pair q[] = { { "uploads", NULL }, { "b", "1/2 3" },
		{ "a-b", "+" }, { "a", "=" } };
	struct sigv4_request rq = {
		.path = "/bucket/k y", .query = q, .n_query = 4
	};
	char out[128];

	assert_int_equal(sigv4_target(&rq, out, sizeof(out)), 0);
	assert_string_equal(
	    out, "/bucket/k%20y?a=%3D&a-b=%2B&b=1%2F2%203&uploads=");
}

static void
test_limits(void **state)
{
	struct sigv4_pair many[SIGV4_PAIRS_MAX + 1];
	struct sigv4_request rq = { .method = "GET",
		.host = "h",
		.path = "/",
		.payload = SIGV4_EMPTY };
	char out[1024], huge[SIGV4_TEXT_MAX];

	for (size_t i = 0; i < N_ELEMENTS(many); i++)
		many[i] = (struct sigv4_pair){ "n", "v" };
	assert_int_equal(sigv4_authorization(&s3_key, &rq, out, 40), ERR_LIMIT);
	assert_int_equal(sigv4_presign(&s3_key, &rq, 1, out, 40), ERR_LIMIT);
	rq.headers = many;
	rq.n_headers = N_ELEMENTS(many);
	assert_int_equal(
	    sigv4_authorization(&s3_key, &rq, out, sizeof(out)), ERR_LIMIT);
	rq.n_headers = 0;
	rq.query = many;
	rq.n_query = N_ELEMENTS(many);
	assert_int_equal(
	    sigv4_presign(&s3_key, &rq, 1, out, sizeof(out)), ERR_LIMIT);
	rq.n_query = 0;
	memset(huge, 'a', sizeof(huge) - 1);
	huge[sizeof(huge) - 1] = '\0';
	rq.path = huge;
	assert_int_equal(
	    sigv4_authorization(&s3_key, &rq, out, sizeof(out)), ERR_LIMIT);
}

static int
read_key_text(const char *text, struct sigv4_key *key)
{
	char path[] = "/tmp/relaycam-sigv4-XXXXXX";
	char why[256];
	int fd = mkstemp(path), rc;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	rc = sigv4_key_read(key, path, why, sizeof(why));
	unlink(path);
	return rc;
}

/* A session token is part of what a link signs. */
static void
test_presign_with_token(void **state)
{
	static const char *const parts[] = { "&X-Amz-Security-Token=t%2Bo%2Fk"
					     "%3D&X-Amz-SignedHeaders=host",
		"X-Amz-Expires=60" };
	struct sigv4_request rq = { .method = "GET",
		.host = "h",
		.path = "/b/k",
		.time_s = 1440938160 };
	struct sigv4_key key = s3_key;
	char with[2048], without[2048];

	assert_int_equal(sigv4_presign(&key, &rq, 60, without, 2048), 0);
	strcpy(key.token, "t+o/k=");
	assert_int_equal(sigv4_presign(&key, &rq, 60, with, 2048), 0);
	assert_null(strstr(without, "Token"));
	for (size_t i = 0; i < 2; i++)
		assert_non_null(strstr(with, parts[i]));
	assert_string_not_equal(
	    strstr(with, "Signature="), strstr(without, "Signature="));
	memset(key.token, '/', SIGV4_TOKEN_MAX);
	key.token[SIGV4_TOKEN_MAX] = '\0';
	assert_int_equal(sigv4_presign(&key, &rq, 60, with, 2048), ERR_LIMIT);
}

static void
test_key_file(void **state)
{
	struct sigv4_key key = { 0 };
	char longer[200], why[256];

	assert_int_equal(read_key_text("AKID\r\nsecret/+\n", &key), 0);
	assert_string_equal(key.access_key, "AKID");
	assert_string_equal(key.secret, "secret/+");
	assert_string_equal(key.token, "");
	assert_int_equal(read_key_text("AKID\nsecret/+\nto/ken\n", &key), 0);
	assert_string_equal(key.token, "to/ken");
	assert_int_equal(read_key_text("AKID", &key), ERR_CONFIG);
	assert_int_equal(read_key_text("AKID\n\n", &key), ERR_CONFIG);
	assert_int_equal(read_key_text("", &key), ERR_CONFIG);
	memset(longer, 'k', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(read_key_text(longer, &key), ERR_CONFIG);
	assert_string_equal(key.secret, "secret/+");
	assert_int_equal(
	    sigv4_key_read(&key, "/nonexistent/x", why, sizeof(why)),
	    ERR_NOTFOUND);
	assert_non_null(strstr(why, "/nonexistent/x"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_suite),
		cmocka_unit_test(test_s3),
		cmocka_unit_test(test_presign),
		cmocka_unit_test(test_presign_with_token),
		cmocka_unit_test(test_target),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_key_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
