/* Keys for S3 requests from a role, a container and a machine, by a scripted
 * server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/s3_credentials.h"

#define NOW UINT64_C(1795000000) /* 2026-11-18T11:06:40Z */
#define END "2026-11-18T12:06:40Z"

static const char json[] =
    "{\"Code\":\"Success\",\"AccessKeyId\":\"ASIA1\",\"SecretAccessKey\":"
    "\"topsecret\",\"Token\":\"tok/en+1==\",\"Expiration\":\"" END "\"}";

static char *
text(const char *s)
{
	return (char *)(uintptr_t)s;
}

static struct conf_store
conf(const char *source)
{
	return (struct conf_store){ .s3_credentials = text(source),
		.s3_region = text("eu-1") };
}

static char *
token_file(const char *content)
{
	static char path[64];
	int fd;

	strcpy(path, "/tmp/relaycam_tokenXXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, strlen(content)), strlen(content));
	close(fd);
	return path;
}

static void
check_key(const struct s3_credentials *c)
{
	assert_string_equal(c->key.access_key, "ASIA1");
	assert_string_equal(c->key.secret, "topsecret");
	assert_string_equal(c->key.token, "tok/en+1==");
	assert_int_equal(c->expires_s, NOW + 3600);
	assert_true(s3_credentials_are_valid(c, NOW + 3599));
	assert_false(s3_credentials_are_valid(c, NOW + 3600));
	assert_false(s3_credentials_are_due(c, NOW + 3299));
	assert_true(s3_credentials_are_due(c, NOW + 3300));
}

static void
test_machine(void **state)
{
	struct conf_store settings = conf("instance");
	struct s3_credentials_request rq;
	struct s3_credentials c;
	char why[512];

	assert_int_equal(s3_credentials_init(&c, &settings, why, 512), 0);
	for (int round = 0; round < 2; round++) {
		assert_int_equal(s3_credentials_request(&c, &rq, why, 512), 0);
		assert_string_equal(rq.method, "PUT");
		assert_string_equal(
		    rq.url, "http://169.254.169.254/latest/api/token");
		assert_string_equal(
		    rq.headers[0], "X-aws-ec2-metadata-token-ttl-seconds: 300");
		s3_credentials_request_release(&rq);
		assert_int_equal(
		    s3_credentials_answer(&c, 200, "s1", NOW, why, 512), 1);
		assert_int_equal(s3_credentials_request(&c, &rq, why, 512), 0);
		assert_string_equal(rq.method, "GET");
		assert_string_equal(
		    rq.headers[0], "X-aws-ec2-metadata-token: s1");
		s3_credentials_request_release(&rq);
		assert_int_equal(s3_credentials_answer(
				     &c, 200, "role-1\nrole-2", NOW, why, 512),
		    1);
		assert_int_equal(s3_credentials_request(&c, &rq, why, 512), 0);
		assert_string_equal(rq.url,
		    "http://169.254.169.254/latest/meta-data/iam/"
		    "security-credentials/role-1");
		s3_credentials_request_release(&rq);
		assert_int_equal(
		    s3_credentials_answer(&c, 200, json, NOW, why, 512), 0);
		check_key(&c);
	}
	s3_credentials_wipe(&c);
	assert_string_equal(c.key.secret, "");
	assert_string_equal(c.key.token, "");
}

/* What fails begins anew, and leaves what is in force. */
static void
test_failures_begin_anew(void **state)
{
	static const struct {
		long status;
		const char *body;
		int rc;
	} rows[] = {
		{ 403, "", ERR_DENIED },
		{ 503, "<Error><Code>SlowDown</Code></Error>",
		    ERR_UNAVAILABLE },
		{ 200, "", ERR_PROTOCOL },
		{ 200, "{", ERR_PROTOCOL },
		{ 200, "[]", ERR_PROTOCOL },
		{ 200, "{\"AccessKeyId\":\"a\",\"SecretAccessKey\":\"b\"}",
		    ERR_PROTOCOL },
		{ 200,
		    "{\"AccessKeyId\":\"a\",\"SecretAccessKey\":\"b\","
		    "\"Token\":\"c\\nd: e\"}",
		    ERR_PROTOCOL },
		{ 200,
		    "{\"AccessKeyId\":\"a\",\"SecretAccessKey\":\"b\","
		    "\"Token\":\"c\",\"Expiration\":\"tomorrow\"}",
		    ERR_PROTOCOL },
		{ 200,
		    "{\"AccessKeyId\":\"a\",\"SecretAccessKey\":\"b\","
		    "\"Token\":\"c\",\"Expiration\":"
		    "\"2026-11-18T11:06:40Z\"}",
		    ERR_PROTOCOL },
	};
	struct conf_store settings = conf("container");
	struct s3_credentials_request rq;
	struct s3_credentials c;
	char why[512];

	settings.s3_credentials_url = text("http://127.0.0.1:1/creds");
	assert_int_equal(s3_credentials_init(&c, &settings, why, 512), 0);
	assert_true(s3_credentials_are_due(&c, NOW));
	assert_int_equal(
	    s3_credentials_answer(&c, 200, json, NOW, why, 512), 0);
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		assert_int_equal(s3_credentials_request(&c, &rq, why, 512), 0);
		assert_string_equal(rq.url, "http://127.0.0.1:1/creds");
		s3_credentials_request_release(&rq);
		why[0] = '\0';
		assert_int_equal(s3_credentials_answer(&c, rows[i].status,
				     rows[i].body, NOW, why, 512),
		    rows[i].rc);
		assert_string_not_equal(why, "");
		check_key(&c);
	}
	s3_credentials_expire(&c);
	assert_true(s3_credentials_are_due(&c, NOW));
	assert_false(s3_credentials_are_valid(&c, NOW));
	s3_credentials_wipe(&c);
}

static void
test_web_identity(void **state)
{
	static const char answer[] =
	    "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts\"><A>"
	    "<Credentials><SessionToken>tok/en+1==</SessionToken>"
	    "<SecretAccessKey>topsecret</SecretAccessKey><Expiration>"
	    "2026-11-18T12:06:40.123Z</Expiration><AccessKeyId>ASIA1"
	    "</AccessKeyId></Credentials></A></Response>";
	struct conf_store settings = conf("web-identity");
	struct s3_credentials_request rq;
	struct s3_credentials c;
	char why[512], role[2000];

	unsetenv("AWS_ROLE_ARN");
	assert_int_equal(
	    s3_credentials_init(&c, &settings, why, 512), ERR_CONFIG);
	settings.s3_role_arn = text("arn:aws:iam:::role/a b");
	settings.s3_token_file = token_file("ey.J/1\n");
	assert_int_equal(s3_credentials_init(&c, &settings, why, 512), 0);
	assert_int_equal(s3_credentials_request(&c, &rq, why, 512), 0);
	assert_string_equal(rq.url, "https://sts.eu-1.amazonaws.com/");
	assert_string_equal(rq.method, "POST");
	assert_string_equal(rq.body,
	    "Action=AssumeRoleWithWebIdentity&Version=2011-06-15"
	    "&RoleSessionName=relaycam&RoleArn=arn%3Aaws%3Aiam%3A%3A%3A"
	    "role%2Fa%20b&WebIdentityToken=ey.J%2F1");
	s3_credentials_request_release(&rq);
	assert_int_equal(
	    s3_credentials_answer(&c, 200, answer, NOW, why, 512), 0);
	check_key(&c);
	memset(role, 'r', sizeof(role) - 1);
	role[sizeof(role) - 1] = '\0';
	settings.s3_role_arn = role;
	assert_int_equal(s3_credentials_request(&c, &rq, why, 512), ERR_CONFIG);
	assert_string_equal(why, "store.s3_role_arn is too long");
	settings.s3_role_arn = text("arn:aws:iam:::role/a b");
	assert_int_equal(unlink(settings.s3_token_file), 0);
	assert_int_equal(s3_credentials_request(&c, &rq, why, 512), ERR_IO);
	assert_non_null(strstr(why, "cannot be read"));
	assert_null(strstr(why, "ey.J"));
	s3_credentials_wipe(&c);
}

/* A secret never goes over a line in clear. */
static void
test_addresses(void **state)
{
	static const struct {
		const char *url;
		bool is_good;
	} rows[] = {
		{ "https://sts.example/", true },
		{ "http://127.0.0.1:99/x", true },
		{ "http://[::1]:99", true },
		{ "http://169.254.170.23/v1/credentials", true },
		{ "http://[fd00:ec2::254]/", true },
		{ "http://sts.example/", false },
		{ "http://10.0.0.1/", false },
		{ "http://127.evil.example/", false },
		{ "http://169.254.evil.example/", false },
		{ "http://127.0.0.1@evil.example/", false },
		{ "http://127.0.0.1.example/", false },
		{ "http://169.254.170.2.example/", false },
		{ "https://a:b@sts.example/", false },
		{ "ftp://127.0.0.1/", false },
		{ "sts.example", false },
		{ "http://", false },
		{ "https://a b/", false },
	};
	struct s3_credentials c;
	char why[512];

	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		struct conf_store settings = conf("container");

		settings.s3_credentials_url = text(rows[i].url);
		assert_int_equal(s3_credentials_init(&c, &settings, why, 512),
		    rows[i].is_good ? 0 : ERR_CONFIG);
	}
}

/* A third line of the key file is a session token. */
static void
test_file(void **state)
{
	struct conf_store settings = conf("file");
	struct s3_credentials c;
	char why[512], *path;
	FILE *f;

	assert_int_equal(
	    s3_credentials_init(&c, &settings, why, 512), ERR_CONFIG);
	settings.s3_access_key_file = path = token_file("A1\nS1\n");
	assert_int_equal(s3_credentials_init(&c, &settings, why, 512), 0);
	assert_string_equal(c.key.token, "");
	assert_false(s3_credentials_are_due(&c, NOW));
	f = fopen(path, "w");
	fprintf(f, "A2\nS2\nT2\n");
	fclose(f);
	s3_credentials_reload(&c);
	assert_string_equal(c.key.access_key, "A2");
	assert_string_equal(c.key.token, "T2");
	assert_int_equal(unlink(path), 0);
	s3_credentials_reload(&c); /* the old one stays */
	assert_string_equal(c.key.secret, "S2");
	s3_credentials_wipe(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_machine),
		cmocka_unit_test(test_failures_begin_anew),
		cmocka_unit_test(test_web_identity),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
