/* What is decided before and after an S3 request, without any. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/s3_endpoint.h"
#include "storage/store/s3_etag.h"

static struct conf_store
conf(const char *url, bool path_style)
{
	return (struct conf_store){ .s3_endpoint = (char *)(uintptr_t)url,
		.s3_bucket = "b1",
		.s3_access_key_file = "key",
		.s3_path_style = path_style };
}

/* As HTTP clients write their Host header: RFC 3986 section 6.2.3. */
static void
test_endpoint_is_what_clients_send(void **state)
{
	static const struct {
		const char *url, *scheme, *host;
	} rows[] = {
		{ "https://s3.example", "https", "s3.example" },
		{ "https://s3.example/", "https", "s3.example" },
		{ "https://s3.example:443", "https", "s3.example" },
		{ "https://s3.example:443/", "https", "s3.example" },
		{ "https://s3.example:0443", "https", "s3.example" },
		{ "https://s3.example:", "https", "s3.example" },
		{ "https://s3.example:80", "https", "s3.example:80" },
		{ "http://s3.example:80", "http", "s3.example" },
		{ "http://s3.example:443", "http", "s3.example:443" },
		{ "http://s3.example:09000", "http", "s3.example:9000" },
		{ "HTTPS://S3.Example:443", "https", "s3.example" },
		{ "http://127.0.0.1:80", "http", "127.0.0.1" },
		{ "http://[::1]:80", "http", "[::1]" },
		{ "http://[0:0:0:0:0:0:0:1]:7480", "http", "[::1]:7480" },
		{ "https://[2001:DB8::0A]", "https", "[2001:db8::a]" },
		{ "https://s3_a.example-1.", "https", "s3_a.example-1." },
	};
	struct s3_endpoint e;
	char why[512], path[40];

	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		struct conf_store c = conf(rows[i].url, true);

		assert_int_equal(s3_endpoint_read(&e, &c, why, 512), 0);
		assert_string_equal(e.scheme, rows[i].scheme);
		assert_string_equal(e.host, rows[i].host);
		assert_int_equal(s3_endpoint_path(&e, "a/k", path, 40), 0);
		assert_string_equal(path, "/b1/a/k");
		assert_int_equal(s3_endpoint_path(&e, "", path, 40), 0);
		assert_string_equal(path, "/b1");
		assert_int_equal(
		    s3_endpoint_path(&e, "a/k", path, 7), ERR_LIMIT);
	}
}

static void
test_endpoint_with_the_bucket_in_front(void **state)
{
	struct conf_store c = conf("https://s3.example:443", false);
	struct s3_endpoint e;
	char why[512], path[40];

	assert_int_equal(s3_endpoint_read(&e, &c, why, 512), 0);
	assert_string_equal(e.host, "b1.s3.example");
	assert_int_equal(s3_endpoint_path(&e, "a/k", path, 40), 0);
	assert_string_equal(path, "/a/k");
	assert_int_equal(s3_endpoint_path(&e, "", path, 40), 0);
	assert_string_equal(path, "/");
	c.s3_endpoint = "http://s3.example:9000";
	assert_int_equal(s3_endpoint_read(&e, &c, why, 512), 0);
	assert_string_equal(e.host, "b1.s3.example:9000");
	for (size_t i = 0; i < 2; i++) {
		c.s3_endpoint = i == 0 ? "http://127.0.0.1" : "http://[::1]:9";
		assert_int_equal(
		    s3_endpoint_read(&e, &c, why, 512), ERR_CONFIG);
		assert_non_null(strstr(why, "s3_path_style = on"));
	}
}

/* What cannot be meant is refused, and nothing of it is dropped. */
static void
test_endpoint_refusals(void **state)
{
	static const char *const rows[][2] = {
		{ "s3.example", "https://host[:port]" },
		{ "ftp://s3.example", "https://host[:port]" },
		{ "https:/s3.example", "https://host[:port]" },
		{ "", "https://host[:port]" },
		{ "https://", "host name" },
		{ "https:///bucket", "a path is not supported" },
		{ "https://s3.example/bucket", "a path is not supported" },
		{ "https://s3.example/v1/s3/", "a path is not supported" },
		{ "https://s3.example//", "a path is not supported" },
		{ "https://s3.example?x=1", "a path is not supported" },
		{ "https://s3.example#x", "a path is not supported" },
		{ "https://key:secret@s3.example", "s3_access_key_file" },
		{ "https://s3.example:0", "port" },
		{ "https://s3.example:65536", "port" },
		{ "https://s3.example:99999999999", "port" },
		{ "https://s3.example:80a", "port" },
		{ "https://s3.example:-1", "port" },
		{ "https://s3 .example", "host name" },
		{ "https://s3%2eexample", "host name" },
		{ "https://s\xc3\xa4.example", "host name" },
		{ "https://127.1", "IPv4" },
		{ "https://0x7f.0.0.1", "IPv4" },
		{ "https://2130706433", "IPv4" },
		{ "https://[::1", "IPv6" },
		{ "https://[]", "IPv6" },
		{ "https://[::1%25lo]", "IPv6" },
		{ "https://[::1]7480", "port" },
		{ "https://::1", "host name" },
	};
	struct s3_endpoint e;
	char why[512];

	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		struct conf_store c = conf(rows[i][0], true);

		assert_int_equal(
		    s3_endpoint_read(&e, &c, why, 512), ERR_CONFIG);
		if (strstr(why, rows[i][1]) == NULL)
			fail_msg("%s: %s", rows[i][0], why);
	}
}

static void
test_endpoint_limits(void **state)
{
	char url[600] = "https://", bucket[200], why[512];
	struct conf_store c = conf(url, true);
	struct s3_endpoint e;

	memset(url + 8, 'a', 253);
	assert_int_equal(s3_endpoint_read(&e, &c, why, 512), 0);
	url[8 + 253] = 'a';
	assert_int_equal(s3_endpoint_read(&e, &c, why, 512), ERR_CONFIG);
	url[8 + 253] = '\0';
	memset(bucket, 'b', sizeof(bucket));
	bucket[199] = '\0';
	c.s3_bucket = bucket;
	c.s3_path_style = false;
	assert_int_equal(s3_endpoint_read(&e, &c, why, 512), ERR_CONFIG);
	assert_non_null(strstr(why, "too long"));
	c.s3_bucket = "b/c";
	assert_int_equal(s3_endpoint_read(&e, &c, why, 512), ERR_CONFIG);
	assert_non_null(strstr(why, "s3_bucket"));
	c.s3_bucket = "";
	assert_int_equal(s3_endpoint_read(&e, &c, why, 512), ERR_CONFIG);
	c.s3_bucket = NULL;
	assert_int_equal(s3_endpoint_read(&e, &c, why, 512), ERR_CONFIG);
	assert_non_null(strstr(why, "needs s3_endpoint"));
}

static void
test_etag(void **state)
{
	static const char md5[] = "9e107d9d372bb6826bd81d3542a419d6";
	static const struct {
		const char *etag, *encryption;
		enum s3_etag_verdict is;
	} rows[] = {
		{ md5, "", S3_ETAG_SAME },
		{ "9E107D9D372BB6826BD81D3542A419D6", "", S3_ETAG_SAME },
		{ "9E107d9d372bb6826bd81d3542a419D6", "", S3_ETAG_SAME },
		{ md5, "AES256", S3_ETAG_SAME },
		{ "0e107d9d372bb6826bd81d3542a419d6", "", S3_ETAG_DIFFERS },
		{ "0E107D9D372BB6826BD81D3542A419D6", "AES256",
		    S3_ETAG_DIFFERS },
		/* encrypted with a key of the server's: no MD5 of ours */
		{ "0e107d9d372bb6826bd81d3542a419d6", "aws:kms",
		    S3_ETAG_OPAQUE },
		{ "0e107d9d372bb6826bd81d3542a419d6", "aws:kms:dsse",
		    S3_ETAG_OPAQUE },
		/* other forms */
		{ "", "", S3_ETAG_OPAQUE },
		{ "0e107d9d372bb6826bd81d3542a419d6-1", "", S3_ETAG_OPAQUE },
		{ "0E107D9D372BB6826BD81D3542A419D6-12", "", S3_ETAG_OPAQUE },
		{ "0e107d9d372bb6826bd81d3542a419d", "", S3_ETAG_OPAQUE },
		{ "0e107d9d372bb6826bd81d3542a419d60", "", S3_ETAG_OPAQUE },
		{ "ge107d9d372bb6826bd81d3542a419d6", "", S3_ETAG_OPAQUE },
		{ "W/\"9e107d9d372bb6826bd81d3542a419d6", "", S3_ETAG_OPAQUE },
		{ "CJDrr4qLgOcCEAE=", "", S3_ETAG_OPAQUE },
	};

	for (size_t i = 0; i < N_ELEMENTS(rows); i++)
		assert_int_equal(
		    s3_etag_judge(rows[i].etag, md5, rows[i].encryption),
		    rows[i].is);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_endpoint_is_what_clients_send),
		cmocka_unit_test(test_endpoint_with_the_bucket_in_front),
		cmocka_unit_test(test_endpoint_refusals),
		cmocka_unit_test(test_endpoint_limits),
		cmocka_unit_test(test_etag),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
