/* The check in front of evhttp: good requests whole and byte by byte, and
 * each way of writing one that two readers may understand differently. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/bytes.h"
#include "console/http/head_check.h"

#define GET  "GET /a?b=1 HTTP/1.1\r\nHost: x\r\n"
#define POST "POST /a HTTP/1.1\r\nHost: x\r\n"

/* Whole, byte by byte and in two pieces at each place: the same. */
static unsigned
check(const char *data, size_t len)
{
	struct head_check whole = { 0 }, bytes = { 0 };
	unsigned status = head_check_feed(&whole, (const uint8_t *)data, len);

	for (size_t i = 0; i < len; i++)
		head_check_feed(&bytes, (const uint8_t *)data + i, 1);
	assert_int_equal(bytes.status, status);
	for (size_t i = 0; i <= len; i++) {
		struct head_check two = { 0 };

		head_check_feed(&two, (const uint8_t *)data, i);
		head_check_feed(&two, (const uint8_t *)data + i, len - i);
		assert_int_equal(two.status, status);
	}
	return status;
}

static void
good(const char *text)
{
	char twice[2048];
	struct head_check h = { 0 };

	assert_int_equal(check(text, strlen(text)), 0);
	/* the next request begins where it should */
	snprintf(twice, sizeof(twice), "%s" GET "\r\n", text);
	assert_int_equal(check(twice, strlen(twice)), 0);
	head_check_feed(&h, (const uint8_t *)twice, strlen(twice));
	assert_int_equal(h.state, 0);
	assert_int_equal(h.head_len, 0);
}

static void
test_good(void **state)
{
	(void)state;
	good(GET "\r\n");
	good(GET "X:\r\nY: a\tb \xc3\xa9\r\n\r\n");
	good("OPTIONS * HTTP/1.0\r\n\r\n");
	good(GET "Content-Length: 0\r\n\r\n");
	good(POST "\r\n");
	good(POST "content-length:  5\t\r\n\r\nhe\n\x01o");
	good(POST "Content-Length: 5\r\n\r\nhello");
	good(
	    POST "Transfer-Encoding: chunked\r\n\r\n"
		 "5\r\nhello\r\n1A\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\n\r\n");
	good(POST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
	good("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	good("GET /a//b?c=//{|} HTTP/1.1\r\nHost: x\r\n\r\n");
	good(POST "Expect: 100-Continue \r\nContent-Length: 1\r\n\r\n1");
	/* a name that only begins like one that counts */
	good(GET "Content-Length-And-More-Than-A-Word-Can-Hold: 7\r\n\r\n");
}

static void
test_refused(void **state)
{
	static const char *const bad[] = {
		"\r\n" GET "\r\n",
		"get / HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /\tHTTP/1.1\r\nHost: x\r\n\r\n",
		"GET / HTTP/1.1 \r\nHost: x\r\n\r\n",
		"GET / HTTP/2.0\r\nHost: x\r\n\r\n",
		"GET /\r\nHost: x\r\n\r\n",
		"GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET //x/a HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET // HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /# HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /\x7f HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /\xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET / HTTP/1.1\nHost: x\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\n\r\n",
		"GET / HTTP/1.1\r\r\nHost: x\r\n\r\n",
		"GET / HTTP/1.1\r\n\r\n",
		GET "Host: x\r\n\r\n",
		GET "X: a\r b\r\n\r\n",
		GET "X: a\r\n b\r\n\r\n",
		GET " X: a\r\n\r\n",
		GET "X : a\r\n\r\n",
		GET "X\r\n\r\n",
		GET ": a\r\n\r\n",
		GET "X(: a\r\n\r\n",
		GET "X: a\x01\r\n\r\n",
		GET "X: a\x7f\r\n\r\n",
		GET "\n",
		GET "\rX",
		GET "Content-Length: 1\r\n\r\n",
		GET "Transfer-Encoding: chunked\r\n\r\n",
		"DELETE / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n",
		POST "Content-Length: 1\r\nContent-Length: 1\r\n\r\n",
		POST "Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
		POST "Content-Length:\r\n\r\n",
		POST "Content-Length: +1\r\n\r\n",
		POST "Content-Length: -1\r\n\r\n",
		POST "Content-Length: 0x1\r\n\r\n",
		POST "Content-Length: 1 1\r\n\r\n",
		POST "Content-Length: 1, 1\r\n\r\n",
		POST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
		POST "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n",
		POST "Transfer-Encoding: identity\r\n\r\n",
		POST "Transfer-Encoding: Chunked\r\n\r\n",
		POST "Transfer-Encoding: chunked, chunked\r\n\r\n",
		POST "Transfer-Encoding: chunked ;a\r\n\r\n",
		POST "Transfer-Encoding: gzip\r\n\r\n",
		POST "Transfer-Encoding:\r\n\r\n",
		"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
		POST "Transfer-Encoding: chunked\r\n\r\n\r\n",
		POST "Transfer-Encoding: chunked\r\n\r\n0x1\r\n",
		POST "Transfer-Encoding: chunked\r\n\r\n1;a\r\n",
		POST "Transfer-Encoding: chunked\r\n\r\n1 \r\n",
		POST "Transfer-Encoding: chunked\r\n\r\n1\n",
		POST "Transfer-Encoding: chunked\r\n\r\n1\r\nab",
		POST "Transfer-Encoding: chunked\r\n\r\n1\r\na\n",
		POST "Transfer-Encoding: chunked\r\n\r\n0\r\nX: a\r\n\r\n",
		POST "Transfer-Encoding: chunked\r\n\r\n000000000\r\n",
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(bad); i++)
		if (check(bad[i], strlen(bad[i])) != 400)
			fail_msg("%u for: %s", check(bad[i], strlen(bad[i])),
			    bad[i]);
	assert_int_equal(check(GET "X: a\0b\r\n\r\n", sizeof(GET) + 9), 400);
}

/* What evhttp would answer by itself, with a page. */
static void
test_not_implemented(void **state)
{
	static const char *const methods[] = { "TRACE", "CONNECT", "PURGE", "A",
		"GETX", "GE" };
	static const char *const expected[] = { "tea", "", "100-continue, x",
		"100-continue 1",
		"100-continue-and-more-than-a-word-can-hold" };
	char text[256];

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(methods); i++) {
		snprintf(text, sizeof(text), "%s / HTTP/1.1\r\nHost: x\r\n\r\n",
		    methods[i]);
		assert_int_equal(check(text, strlen(text)), 501);
	}
	for (size_t i = 0; i < N_ELEMENTS(expected); i++) {
		snprintf(
		    text, sizeof(text), GET "Expect: %s\r\n\r\n", expected[i]);
		assert_int_equal(check(text, strlen(text)), 417);
	}
}

static void
test_limits(void **state)
{
	static char head[HEAD_CHECK_HEAD_MAX + 64];
	size_t n = strlen(GET);
	struct head_check h = { 0 };

	(void)state;
	memset(head, 'a', sizeof(head));
	memcpy(head, GET "X:", n + 2);
	/* exactly at the limit, and one byte over it */
	memcpy(head + HEAD_CHECK_HEAD_MAX - 4, "\r\n\r\n", 4);
	assert_int_equal(
	    head_check_feed(&h, (uint8_t *)head, HEAD_CHECK_HEAD_MAX), 0);
	memset(&h, 0, sizeof(h));
	head[HEAD_CHECK_HEAD_MAX - 4] = 'a';
	memcpy(head + HEAD_CHECK_HEAD_MAX - 3, "\r\n\r\n", 4);
	assert_int_equal(
	    head_check_feed(&h, (uint8_t *)head, HEAD_CHECK_HEAD_MAX + 1), 431);
	memset(&h, 0, sizeof(h));
	head_check_feed(&h, (const uint8_t *)GET, n);
	for (int i = 1; i < HEAD_CHECK_FIELDS_MAX; i++)
		assert_int_equal(
		    head_check_feed(&h, (const uint8_t *)"X:\r\n", 4), 0);
	assert_int_equal(
	    head_check_feed(&h, (const uint8_t *)"X:\r\n", 4), 431);
}

static void
test_body_limits(void **state)
{
	static const char *const large[] = {
		POST "Content-Length: 1048577\r\n\r\n",
		POST "Content-Length: 99999999999999999999999999\r\n\r\n",
		POST "Content-Length: "
		     "99999999999999999999999999999999999999999\r\n\r\n",
		POST "Transfer-Encoding: chunked\r\n\r\n100001\r\n",
		POST "Transfer-Encoding: chunked\r\n\r\nffffffff\r\n",
	};
	static char chunk[0x80000 + 2];
	struct head_check h = { 0 };

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(large); i++)
		assert_int_equal(check(large[i], strlen(large[i])), 413);
	assert_int_equal(check(POST "Content-Length: 1048576\r\n\r\n",
			     strlen(POST "Content-Length: 1048576\r\n\r\n")),
	    0);
	/* many chunks count together */
	head_check_feed(&h, (const uint8_t *)POST, strlen(POST));
	head_check_feed(
	    &h, (const uint8_t *)"Transfer-Encoding: chunked\r\n\r\n", 30);
	memcpy(chunk + 0x80000, "\r\n", 2);
	for (int i = 0; i < 2; i++) {
		head_check_feed(&h, (const uint8_t *)"80000\r\n", 7);
		assert_int_equal(
		    head_check_feed(&h, (uint8_t *)chunk, sizeof(chunk)), 0);
	}
	assert_int_equal(head_check_feed(&h, (const uint8_t *)"1\r\n", 3), 413);
}

static void
test_the_first_refusal_stays(void **state)
{
	struct head_check h = { 0 };

	(void)state;
	assert_int_equal(head_check_feed(&h, (const uint8_t *)"\n", 1), 400);
	assert_int_equal(
	    head_check_feed(&h, (const uint8_t *)GET "\r\n", strlen(GET) + 2),
	    400);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_not_implemented),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_body_limits),
		cmocka_unit_test(test_the_first_refusal_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
