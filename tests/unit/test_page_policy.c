/* The policy of the console's pages: origins out of URLs that others wrote. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

#include "common/err.h"
#include "console/http/gzip.h"
#include "console/http/page_policy.h"

static void
test_origin(void **state)
{
	static const char *const good[][2] = {
		{ "https://a.example", "https://a.example" },
		{ "https://a.example:8444/", "https://a.example:8444" },
		{ "https://a/b?c=https://d", "https://a" },
		{ "http://[::1]:80/x", "http://[::1]:80" },
		{ "https://a?x", "https://a" },
		{ "https://a#x", "https://a" },
	};
	static const char *const bad[] = { "", "https://", "https:///a",
		"ftp://a", "//a", "a", "javascript:x", "https://a b",
		"https://a;script-src *", "https://a'", "https://u@a/",
		"https://a,b", "https://a\nb", "https://*" };
	char out[ORIGIN_MAX], long_url[2 * ORIGIN_MAX] = "https://";

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		assert_int_equal(page_origin(good[i][0], out), 0);
		assert_string_equal(out, good[i][1]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_int_equal(page_origin(bad[i], out), ERR_PROTOCOL);
		assert_string_equal(out, "");
	}
	memset(long_url + 8, 'a', ORIGIN_MAX - 9);
	assert_int_equal(page_origin(long_url, out), 0);
	long_url[ORIGIN_MAX - 1] = 'a';
	assert_int_equal(page_origin(long_url, out), ERR_PROTOCOL);
}

static void
test_list(void **state)
{
	char list[ORIGINS_MAX] = "", url[40];

	page_origins_add(list, NULL);
	page_origins_add(list, "no url");
	assert_string_equal(list, "");
	page_origins_add(list, "https://a.example/x");
	page_origins_add(list, "https://a.example:1");
	page_origins_add(list, "https://a.example");
	page_origins_add(list, "https://a.exampl");
	assert_string_equal(
	    list, "https://a.example https://a.example:1 https://a.exampl");
	for (int i = 0; i < 1000; i++) {
		snprintf(url, sizeof(url), "https://host-%d.example", i);
		page_origins_add(list, url);
	}
	assert_true(strlen(list) < sizeof(list));
	assert_null(strstr(list, "host-999"));
}

static void
test_policy(void **state)
{
	char out[PAGE_POLICY_MAX], list[ORIGINS_MAX];

	page_policy("HASH=", "", "", out);
	assert_non_null(strstr(out, "script-src 'self' 'sha256-HASH=';"));
	assert_non_null(strstr(out, "connect-src 'self';"));
	assert_non_null(strstr(out, "frame-src 'none';"));
	page_policy("H", "https://a https://b", "https://r", out);
	assert_non_null(
	    strstr(out, "media-src 'self' blob: https://a https://b;"));
	assert_non_null(strstr(out, "frame-src https://r;"));
	assert_null(strstr(out, "unsafe"));
	memset(list, 'a', sizeof(list) - 1);
	list[sizeof(list) - 1] = '\0';
	page_policy("H", list, "", out);
	assert_non_null(strstr(out, "object-src 'none'")); /* it is whole */
}

static void
test_gzip(void **state)
{
	char text[20000], back[sizeof(text)];
	size_t lens[] = { 0, 1, 700, sizeof(text) };

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)("a page of text"[i % 14] + (i % 97 == 0));
	for (size_t i = 0; i < sizeof(lens) / sizeof(*lens); i++) {
		size_t len;
		char *gz = gzip_whole(text, lens[i], &len);
		z_stream z = { .next_in = (Bytef *)gz,
			.avail_in = (uInt)len,
			.next_out = (Bytef *)back,
			.avail_out = sizeof(back) };

		assert_non_null(gz);
		assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
		assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
		assert_int_equal(z.total_out, lens[i]);
		assert_memory_equal(back, text, lens[i]);
		assert_true(lens[i] < 700 || len < lens[i] / 2);
		inflateEnd(&z);
		free(gz);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_origin),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_policy),
		cmocka_unit_test(test_gzip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
