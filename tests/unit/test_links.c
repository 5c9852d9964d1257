#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/err.h"
#include "common/http.h"
#include "common/links.h"

#define KEY "t/pc 7/s/monitor-1/2026-11-21T09-15-02+0100.webm"
#define NOW 1800000000u

static char key_path[64];
static uint8_t key[LINK_KEY_LEN];
static struct conf_store conf = { .kind = "folder",
	.public_url = "https://files.example:8444/",
	.link_key_file = key_path,
	.link_seconds = 600 };

static int
set_up(void **state)
{
	int fd;

	strcpy(key_path, "/tmp/relaycam-links-XXXXXX");
	fd = mkstemp(key_path);
	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)(i * 7);
	if (fd < 0 || write(fd, key, sizeof(key)) != sizeof(key))
		return -1;
	return close(fd);
}

static int
tear_down(void **state)
{
	return unlink(key_path);
}

static void
make(char *url, size_t len, uint64_t *expires)
{
	struct link_signer *s;
	char err[256] = "";

	assert_int_equal(link_signer_new(&s, &conf, err, sizeof(err)), 0);
	assert_int_equal(link_make(s, KEY, NOW, url, len, expires), 0);
	link_signer_free(s);
}

/* A recording in S3 is read by the storage daemon. */
static void
test_links_lead_to_storage_with_s3(void **state)
{
	struct conf_store c = conf;
	char url[LINK_URL_MAX], same[LINK_URL_MAX], err[256];
	struct link_signer *s;

	assert_int_equal(link_signer_new(&s, &c, err, sizeof(err)), 0);
	assert_int_equal(link_make(s, KEY, NOW, same, sizeof(same), NULL), 0);
	link_signer_free(s);
	c.kind = "s3";
	c.s3_links = "storage";
	assert_false(link_is_direct(&c));
	assert_int_equal(link_signer_new(&s, &c, err, sizeof(err)), 0);
	assert_int_equal(link_make(s, KEY, NOW, url, sizeof(url), NULL), 0);
	link_signer_free(s);
	assert_string_equal(url, same);
	c.s3_links = "direct";
	assert_true(link_is_direct(&c));
	c.kind = "folder";
	assert_false(link_is_direct(&c));
}

static void
test_person_is_signed(void **state)
{
	char url[LINK_URL_MAX], expires[24] = "1800000600", *sig, err[256];
	struct link_signer *s;
	uint64_t end;

	assert_int_equal(link_signer_new(&s, &conf, err, sizeof(err)), 0);
	link_signer_set_person(s, 42);
	assert_int_equal(link_make(s, KEY, NOW, url, sizeof(url), NULL), 0);
	link_signer_free(s);
	assert_non_null(strstr(url, "?expires=1800000600&person=42&sig"));
	sig = strstr(url, "signature=") + 10;
	assert_int_equal(
	    link_verify(key, KEY, expires, "42", sig, NOW, &end), 0);
	for (size_t i = 0; i < 7; i++) {
		static const char *const other[] = { NULL, "", "4", "43", "042",
			"42\n", "4200000000000000000000" };

		assert_int_equal(
		    link_verify(key, KEY, expires, other[i], sig, NOW, &end),
		    ERR_DENIED);
	}
	/* nothing moves from one field to the next */
	assert_int_equal(
	    link_verify(key, KEY "\n1800000600", "42", NULL, sig, NOW, &end),
	    ERR_DENIED);
}

static void
test_folder_link(void **state)
{
	char url[LINK_URL_MAX], expires[32], sig[80], *query;
	uint64_t end;

	make(url, sizeof(url), &end);
	assert_int_equal(end, NOW + 600);
	assert_memory_equal(url,
	    "https://files.example:8444/files/t/pc%207/s/monitor-1/"
	    "2026-11-21T09-15-02%2B0100.webm?expires=1800000600&signature=",
	    strlen("https://files.example:8444/files/t/pc%207/s/monitor-1/"
		   "2026-11-21T09-15-02%2B0100.webm?expires=1800000600&"
		   "signature="));
	query = strchr(url, '?') + 1;
	assert_true(http_query_value(query, "expires", expires, 32) > 0);
	assert_int_equal(http_query_value(query, "signature", sig, 80), 64);
	end = 0;
	assert_int_equal(
	    link_verify(key, KEY, expires, NULL, sig, NOW, &end), 0);
	assert_int_equal(end, NOW + 600);
	assert_int_equal(
	    link_verify(key, KEY, expires, NULL, sig, NOW + 599, &end), 0);
	assert_int_equal(
	    link_verify(key, KEY, expires, NULL, sig, NOW + 600, &end),
	    ERR_TIMEOUT);
	assert_int_equal(
	    link_verify(key, KEY, "1800000601", NULL, sig, NOW, &end),
	    ERR_DENIED);
	assert_int_equal(
	    link_verify(key, "t/other", expires, NULL, sig, NOW, &end),
	    ERR_DENIED);
	assert_int_equal(
	    link_verify(key, KEY, "+1800000600", NULL, sig, NOW, &end),
	    ERR_DENIED);
	assert_int_equal(
	    link_verify(key, KEY, "", NULL, sig, NOW, &end), ERR_DENIED);
	assert_int_equal(
	    link_verify(key, KEY, expires, NULL, "", NOW, &end), ERR_DENIED);
	sig[63] = sig[63] == '0' ? '1' : '0';
	assert_int_equal(
	    link_verify(key, KEY, expires, NULL, sig, NOW, &end), ERR_DENIED);
}

static void
test_link_does_not_fit(void **state)
{
	struct link_signer *s;
	char err[256], url[40], huge[LINK_OBJECT_MAX + 2];

	assert_int_equal(link_signer_new(&s, &conf, err, sizeof(err)), 0);
	assert_int_equal(
	    link_make(s, KEY, NOW, url, sizeof(url), NULL), ERR_LIMIT);
	memset(huge, 'a', sizeof(huge));
	huge[sizeof(huge) - 1] = '\0';
	assert_int_equal(
	    link_make(s, huge, NOW, url, sizeof(url), NULL), ERR_LIMIT);
	link_signer_free(s);
}

/* A link made from another one dies with it, and not later than its kind. */
static void
test_until(void **state)
{
	static const struct {
		uint64_t until;
		const char *seconds; /* NULL: refused */
	} rows[] = {
		{ NOW, NULL },
		{ NOW - 1, NULL },
		{ 0, NULL },
		{ NOW + 1, "1" },
		{ NOW + 599, "599" },
		{ NOW + 600, "600" },
		{ NOW + 601, "600" },
		{ UINT64_MAX, "600" },
	};
	char s3_file[] = "/tmp/relaycam-s3-XXXXXX", err[256], url[LINK_URL_MAX];
	int fd = mkstemp(s3_file);
	struct conf_store s3 = { .kind = "s3",
		.s3_links = "direct",
		.s3_endpoint = "https://S3.example:443/",
		.s3_region = "us-east-1",
		.s3_bucket = "b",
		.s3_access_key_file = s3_file,
		.link_seconds = 600 };
	struct link_signer *folder, *bucket;

	assert_int_equal(write(fd, "A\nS\n", 4), 4);
	close(fd);
	assert_int_equal(link_signer_new(&folder, &conf, err, 256), 0);
	assert_int_equal(link_signer_new(&bucket, &s3, err, 256), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int rc = link_make_until(
		    bucket, KEY, NOW, rows[i].until, url, sizeof(url));
		char want[64];

		if (rows[i].seconds == NULL) {
			assert_int_equal(rc, ERR_TIMEOUT);
			continue;
		}
		assert_int_equal(rc, 0);
		snprintf(
		    want, sizeof(want), "X-Amz-Expires=%s&", rows[i].seconds);
		assert_non_null(strstr(url, want));
		/* what browsers make of it, and sign */
		assert_memory_equal(url, "https://b.s3.example/", 21);
		assert_int_equal(link_make_until(folder, KEY, NOW,
				     rows[i].until, url, sizeof(url)),
		    0);
		snprintf(want, sizeof(want), "expires=%llu&",
		    (unsigned long long)NOW +
			strtoull(rows[i].seconds, NULL, 10));
		assert_non_null(strstr(url, want));
	}
	link_signer_free(folder);
	link_signer_free(bucket);
	unlink(s3_file);
}

static void
test_bad_keys(void **state)
{
	struct conf_store c = conf;
	struct link_signer *s;
	char err[256] = "";

	c.link_key_file = "/nonexistent/key";
	assert_int_equal(link_signer_new(&s, &c, err, sizeof(err)), ERR_CONFIG);
	assert_non_null(strstr(err, "/nonexistent/key"));
	assert_null(s);
	assert_int_equal(truncate(key_path, 31), 0);
	c.link_key_file = key_path;
	assert_int_equal(link_signer_new(&s, &c, err, sizeof(err)), ERR_CONFIG);
	assert_non_null(strstr(err, "32 bytes"));
	assert_int_equal(chmod(key_path, 0644), 0);
	assert_int_equal(link_signer_new(&s, &c, err, sizeof(err)), ERR_CONFIG);
	assert_non_null(strstr(err, "mode 0644"));
	assert_non_null(strstr(err, "chmod 0600"));
	c.kind = "s3";
	c.s3_links = "direct";
	assert_int_equal(link_signer_new(&s, &c, err, sizeof(err)), ERR_CONFIG);
	assert_non_null(strstr(err, "s3_endpoint"));
}

static void
test_file_name(void **state)
{
	char out[64];

	assert_string_equal(link_filename(KEY, out, sizeof(out)),
	    "pc 7_monitor-1_2026-11-21T09-15-02+0100_s.webm");
	assert_string_equal(
	    link_filename("a/b\"\\\n\x80.webm", out, sizeof(out)),
	    "b____.webm");
	assert_string_equal(link_filename("", out, sizeof(out)), "file");
	assert_string_equal(link_filename("///", out, 3), "fi");
}

static void
test_ranges(void **state)
{
	static const struct {
		const char *field;
		uint64_t size;
		int rc;
		uint64_t first, last;
	} rows[] = {
		{ NULL, 10, 0, 0, 0 },
		{ "bytes=0-0", 10, 1, 0, 0 },
		{ "bytes=2-5", 10, 1, 2, 5 },
		{ "Bytes=2-", 10, 1, 2, 9 },
		{ "bytes= 2-99 ", 10, 1, 2, 9 },
		{ "bytes=-3", 10, 1, 7, 9 },
		{ "bytes=-99", 10, 1, 0, 9 },
		{ "bytes=9-9", 10, 1, 9, 9 },
		{ "bytes=10-", 10, ERR_LIMIT, 0, 0 },
		{ "bytes=-0", 10, ERR_LIMIT, 0, 0 },
		{ "bytes=0-", 0, ERR_LIMIT, 0, 0 },
		{ "bytes=-1", 0, ERR_LIMIT, 0, 0 },
		{ "bytes=5-2", 10, 0, 0, 0 },
		{ "bytes=0-1,3-4", 10, 0, 0, 0 },
		{ "bytes=", 10, 0, 0, 0 },
		{ "bytes=-", 10, 0, 0, 0 },
		{ "bytes=a-b", 10, 0, 0, 0 },
		{ "items=0-1", 10, 0, 0, 0 },
		{ "bytes=0-99999999999999999999999", 10, 1, 0, 9 },
		{ "bytes=99999999999999999999999-", 10, ERR_LIMIT, 0, 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct http_range r = { 0 };
		int rc = http_range_parse(rows[i].field, rows[i].size, &r);

		if (rc != rows[i].rc ||
		    (rc == 1 &&
			(r.first != rows[i].first || r.last != rows[i].last)))
			fail_msg("%s: %d", rows[i].field, rc);
	}
}

static void
test_encoding(void **state)
{
	char out[64], form[HTTP_FORM_MAX + 4];
	uint8_t raw[2];

	assert_int_equal(http_encode("a/b c+\xff", 1, out, 64), 13);
	assert_string_equal(out, "a/b%20c%2B%FF");
	assert_int_equal(http_encode("a/", 0, out, 5), 4);
	assert_int_equal(http_encode("a/", 0, out, 4), ERR_LIMIT);
	assert_int_equal(http_decode("a%2Fb+%e1", 9, out, 64), 5);
	assert_string_equal(out, "a/b+\xe1");
	assert_int_equal(http_decode("%2", 2, out, 64), ERR_PROTOCOL);
	assert_int_equal(http_decode("%", 1, out, 64), ERR_PROTOCOL);
	assert_int_equal(http_decode("%2F", 2, out, 64), ERR_PROTOCOL);
	assert_int_equal(http_decode("%gg", 3, out, 64), ERR_PROTOCOL);
	assert_int_equal(http_decode("%00", 3, out, 64), ERR_PROTOCOL);
	assert_int_equal(http_decode("abc", 3, out, 3), ERR_LIMIT);
	assert_int_equal(http_query_value("aa=1&a=%32&a=3", "a", out, 64), 1);
	assert_string_equal(out, "2");
	assert_int_equal(http_query_value("a&b", "a", out, 64), ERR_NOTFOUND);
	assert_int_equal(http_query_value(NULL, "a", out, 64), ERR_NOTFOUND);
	assert_int_equal(http_query_value("a=b+c", "a", out, 64), 3);
	assert_string_equal(out, "b+c");
	assert_int_equal(http_form_value("x=&a=b+%2B+c", "a", out, 64), 5);
	assert_string_equal(out, "b + c");
	assert_int_equal(http_form_value("a=b+c", "a", out, 3), ERR_LIMIT);
	assert_int_equal(http_form_value("a=%2", "a", out, 64), ERR_PROTOCOL);
	assert_int_equal(http_form_value("ab=1", "a", out, 64), ERR_NOTFOUND);
	memset(form, 'x', sizeof(form));
	memcpy(form, "a=", 2);
	form[sizeof(form) - 1] = '\0';
	assert_int_equal(
	    http_form_value(form, "a", out, sizeof(out)), ERR_LIMIT);
	assert_int_equal(http_unhex("0aFf", raw, 2), 0);
	assert_int_equal(raw[1], 255);
	assert_int_equal(http_unhex("0aF", raw, 2), ERR_PROTOCOL);
	assert_int_equal(http_unhex("0aFx", raw, 2), ERR_PROTOCOL);
}

static void
test_trace_ids(void **state)
{
	static const struct {
		const char *field;
		int rc;
	} cases[] = {
		{ "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", 0 },
		{ "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
		    0 },
		{ NULL, ERR_NOTFOUND },
		{ "", ERR_PROTOCOL },
		{ "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
		    ERR_PROTOCOL },
		{ "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
		    ERR_PROTOCOL },
		{ "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01x",
		    ERR_PROTOCOL },
		{ "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
		    ERR_PROTOCOL },
		{ "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
		    ERR_PROTOCOL },
		{ "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
		    ERR_PROTOCOL },
		{ "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
		    ERR_PROTOCOL },
		{ "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
		    ERR_PROTOCOL },
	};
	char id[HTTP_TRACE_ID_MAX];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(
		    http_trace_id(cases[i].field, id), cases[i].rc);
		if (cases[i].rc == 0)
			assert_string_equal(
			    id, "4bf92f3577b34da6a3ce929d0e0e4736");
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trace_ids),
		cmocka_unit_test(test_person_is_signed),
		cmocka_unit_test(test_links_lead_to_storage_with_s3),
		cmocka_unit_test(test_folder_link),
		cmocka_unit_test(test_link_does_not_fit),
		cmocka_unit_test(test_until),
		cmocka_unit_test(test_bad_keys),
		cmocka_unit_test(test_file_name),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_encoding),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
