/* Heads of requests, good and hostile, and the answers to them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/bytes.h"
#include "common/err.h"
#include "relay/http/http_request.h"

#define HOST "Host: relay.example\r\n"
/* key and answer of RFC 6455 section 1.3 */
#define UPGRADE                                                                \
	"GET /session HTTP/1.1\r\n" HOST                                       \
	"Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"            \
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"                      \
	"Sec-WebSocket-Version: 13\r\n"

static struct http_request req;

static ssize_t
parse(const char *text)
{
	return http_request_parse(&req, (const uint8_t *)text, strlen(text));
}

static void
test_get(void **state)
{
	static const char text[] =
	    "GET /a/b.js?x=1&y HTTP/1.1\r\n" HOST
	    "cookie: one=1; session=abc\r\nOrigin:  https://relay.example \r\n"
	    "If-None-Match: \"11\"\r\nX-Other: \xc3\xa4\t\r\nEmpty:\r\n\r\n";

	assert_int_equal(parse(text), strlen(text));
	assert_string_equal(req.path, "/a/b.js");
	assert_string_equal(req.query, "x=1&y");
	assert_string_equal(req.host, "relay.example");
	assert_string_equal(req.origin, "https://relay.example");
	assert_string_equal(req.if_none_match, "\"11\"");
	assert_false(req.is_head);
	assert_true(req.is_keep_alive);
	assert_false(req.wants_upgrade);
	assert_int_equal(http_request_websocket_status(&req), 426);

	http_request_wipe(&req);
	assert_null(req.path);
	for (size_t i = 0; i < sizeof(req.text); i++)
		assert_int_equal(req.text[i], 0);
}

static void
test_head_and_close(void **state)
{
	assert_true(parse("HEAD / HTTP/1.1\r\n" HOST "Connection: close\r\n"
			  "Content-Length: 0\r\n\r\n") > 0);
	assert_true(req.is_head);
	assert_null(req.query);
	assert_false(req.is_keep_alive);
}

/* Every shorter piece asks for more; what follows is left. */
static void
test_byte_by_byte(void **state)
{
	static const char text[] = UPGRADE "\r\n";
	char longer[sizeof(text) + 10];
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i++)
		assert_int_equal(
		    http_request_parse(&req, (const uint8_t *)text, i), 0);
	snprintf(longer, sizeof(longer), "%sGET / HTT", text);
	assert_int_equal(parse(longer), len);
	assert_int_equal(http_request_websocket_status(&req), 101);
}

static void
test_hostile(void **state)
{
	static const char *const heads[] = {
		"GET / HTTP/1.1\n" HOST "\r\n",
		"GET / HTTP/1.1\r\nHost: a\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\n folded: b\r\n\r\n",
		"GET / HTTP/1.1\r\n" HOST "\tfolded\r\n\r\n",
		"GET / HTTP/1.1\r\n" HOST "Name : b\r\n\r\n",
		"GET / HTTP/1.1\r\n" HOST ": b\r\n\r\n",
		"GET / HTTP/1.1\r\n" HOST "no colon\r\n\r\n",
		"GET / HTTP/1.1\r\n" HOST "X: \x01\r\n\r\n",
		"GET / HTTP/1.1\r\n" HOST "X: \x7f\r\n\r\n",
		"GET / HTTP/1.1\r\n" HOST HOST "\r\n",
		"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a;script-src\r\n\r\n",
		"GET / HTTP/1.1\r\nHost:\r\n\r\n",
		"GET / HTTP/1.1\r\nX: y\r\n\r\n",
		"GET / HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1\r\n" HOST "Origin: a\r\norigin: b\r\n\r\n",
		"GET / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\n",
		"GET / HTTP/1.1\r\n" HOST "Content-Length: 0, 5\r\n\r\n",
		"GET / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n",
		"GET / HTTP/1.0\r\n" HOST "\r\n",
		"GET / HTTP/1.1 \r\n" HOST "\r\n",
		"GET  / HTTP/1.1\r\n" HOST "\r\n",
		"GET /a b HTTP/1.1\r\n" HOST "\r\n",
		"GET /\xc3\xa4 HTTP/1.1\r\n" HOST "\r\n",
		"GET /#part HTTP/1.1\r\n" HOST "\r\n",
		"GET http://relay.example/ HTTP/1.1\r\n" HOST "\r\n",
		"GET * HTTP/1.1\r\n" HOST "\r\n",
		"GET /\r\n" HOST "\r\n",
		"GET\r\n" HOST "\r\n",
		"(GET) / HTTP/1.1\r\n" HOST "\r\n",
		"\r\nGET / HTTP/1.1\r\n" HOST "\r\n",
		"\r\n\r\n",
		"RFB 003.008\n",
		"\x16\x03\x01",
	};

	for (size_t i = 0; i < N_ELEMENTS(heads); i++)
		if (parse(heads[i]) != ERR_PROTOCOL)
			fail_msg("accepted: %s", heads[i]);
	assert_int_equal(http_request_error_status(ERR_PROTOCOL), 400);
	/* a NUL, which a string cannot say */
	assert_int_equal(
	    http_request_parse(
		&req, (const uint8_t *)"GET / HTTP/1.1\r\nHost: a\0b", 25),
	    ERR_PROTOCOL);
}

static void
test_other_methods(void **state)
{
	assert_int_equal(
	    parse("POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\nx"),
	    ERR_UNSUPPORTED);
	assert_int_equal(
	    parse("get / HTTP/1.1\r\n" HOST "\r\n"), ERR_UNSUPPORTED);
	assert_int_equal(http_request_error_status(ERR_UNSUPPORTED), 405);
}

/* The longest head is taken, one byte more is not, and neither is a head
 * that does not end. */
static void
test_limits(void **state)
{
	static const char first[] = "GET / HTTP/1.1\r\n" HOST "X: ";
	char text[HTTP_HEAD_MAX + 100], *s;
	size_t start = strlen(first);

	memset(text, 'a', sizeof(text));
	memcpy(text, first, start);
	assert_int_equal(
	    http_request_parse(&req, (uint8_t *)text, HTTP_HEAD_MAX - 1), 0);
	assert_int_equal(
	    http_request_parse(&req, (uint8_t *)text, HTTP_HEAD_MAX),
	    ERR_LIMIT);
	memcpy(text + HTTP_HEAD_MAX - 4, "\r\n\r\n", 4);
	assert_int_equal(
	    http_request_parse(&req, (uint8_t *)text, sizeof(text)),
	    HTTP_HEAD_MAX);
	memcpy(text + HTTP_HEAD_MAX - 4, "a\r\n\r\n", 5);
	assert_int_equal(
	    http_request_parse(&req, (uint8_t *)text, sizeof(text)), ERR_LIMIT);

	for (int n = HTTP_FIELDS_MAX; n <= HTTP_FIELDS_MAX + 1; n++) {
		s = text + sprintf(text, "GET / HTTP/1.1\r\n" HOST);
		for (int i = 1; i < n; i++)
			s += sprintf(s, "X-%d: y\r\n", i);
		strcpy(s, "\r\n");
		if (n == HTTP_FIELDS_MAX)
			assert_true(parse(text) > 0);
		else
			assert_int_equal(parse(text), ERR_LIMIT);
	}
	assert_int_equal(http_request_error_status(ERR_LIMIT), 431);
}

static void
test_websocket_status(void **state)
{
	static const struct {
		unsigned status;
		const char *text;
	} cases[] = {
		{ 101, UPGRADE "\r\n" },
		{ 426,
		    "GET /session HTTP/1.1\r\n" HOST
		    "Upgrade: websocket\r\nConnection: close\r\n"
		    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
		    "Sec-WebSocket-Version: 13\r\n\r\n" },
		{ 426,
		    "GET /session HTTP/1.1\r\n" HOST
		    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
		    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
		    "Sec-WebSocket-Version: 8\r\n\r\n" },
		{ 426,
		    "GET /session HTTP/1.1\r\n" HOST
		    "Upgrade: h2c\r\nConnection: Upgrade\r\n\r\n" },
		{ 400,
		    "GET /session HTTP/1.1\r\n" HOST
		    "Upgrade: h2c, WebSocket\r\nConnection: upgrade\r\n"
		    "Sec-WebSocket-Key: c2hvcnQ=\r\n"
		    "Sec-WebSocket-Version: 13\r\n\r\n" },
		{ 400,
		    "GET /session HTTP/1.1\r\n" HOST
		    "Upgrade: websocket\r\nConnection: upgrade\r\n"
		    "Sec-WebSocket-Version: 13\r\n\r\n" },
	};

	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		assert_true(parse(cases[i].text) > 0);
		assert_int_equal(
		    http_request_websocket_status(&req), cases[i].status);
	}
	assert_int_equal(
	    parse(UPGRADE "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
			  "\r\n"),
	    ERR_PROTOCOL);
}

/* One Origin against a setting. */
static bool
origin_ok(const char *origin, const char *allowed)
{
	char text[512];

	snprintf(text, sizeof(text),
	    "GET / HTTP/1.1\r\nHost: Relay.example:444\r\n%s%s\r\n\r\n",
	    origin != NULL ? "Origin: " : "X: y", origin != NULL ? origin : "");
	assert_true(parse(text) > 0);
	return http_request_origin_ok(&req, allowed);
}

static void
test_origin(void **state)
{
	static const char list[] =
	    "https://console.example, https://b.example:8443,none";

	assert_true(origin_ok("https://relay.example:444", NULL));
	assert_false(origin_ok("https://relay.example", NULL));
	assert_false(origin_ok("http://relay.example:444", NULL));
	assert_false(origin_ok("https://evil.example", NULL));
	assert_false(origin_ok("https://relay.example:444.evil.example", ""));
	assert_false(origin_ok("null", "none"));
	assert_false(origin_ok("none", "none"));
	assert_false(origin_ok("", list));
	assert_true(origin_ok("https://console.example", list));
	assert_true(origin_ok("https://b.example:8443", list));
	assert_false(origin_ok("https://b.example", list));
	assert_false(
	    origin_ok("https://console.example, https://b.example:8443", list));
	assert_false(origin_ok(NULL, NULL));
	assert_false(origin_ok(NULL, "https://console.example"));
	assert_true(origin_ok(NULL, list));
}

/* Ends the text in out so that it can be searched. */
static const char *
text_of(struct buf *out)
{
	assert_int_equal(buf_append(out, "", 1), 0);
	return (const char *)buf_head(out);
}

static void
test_answer_upgrade(void **state)
{
	struct buf out;
	const char *s;

	buf_init(&out, HTTP_ANSWER_MAX);
	assert_true(parse(UPGRADE "Sec-WebSocket-Extensions: "
				  "permessage-deflate\r\n\r\n") > 0);
	assert_int_equal(http_answer_upgrade(&out, &req), 0);
	s = text_of(&out);
	assert_ptr_equal(strstr(s, "HTTP/1.1 101 "), s);
	assert_non_null(strstr(
	    s, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
	assert_null(strstr(s, "Protocol:"));
	assert_null(strstr(s, "Extensions"));
	assert_string_equal(s + strlen(s) - 4, "\r\n\r\n");
	buf_release(&out);

	assert_true(parse(UPGRADE
			"Sec-WebSocket-Protocol: base64, binary\r\n\r\n") > 0);
	assert_int_equal(http_answer_upgrade(&out, &req), 0);
	assert_non_null(
	    strstr(text_of(&out), "Sec-WebSocket-Protocol: binary\r\n"));
	buf_release(&out);

	out.limit = 20;
	assert_int_equal(http_answer_upgrade(&out, &req), ERR_LIMIT);
	assert_int_equal(buf_len(&out), 0);
}

static void
test_answer_error(void **state)
{
	static const unsigned statuses[] = { 400, 403, 404, 405, 426, 431, 503,
		500 };
	struct buf out;

	buf_init(&out, HTTP_ANSWER_MAX);
	assert_true(parse("GET / HTTP/1.1\r\n" HOST "\r\n") > 0);
	for (size_t i = 0; i < N_ELEMENTS(statuses); i++) {
		const char *s, *body;
		char line[32];
		unsigned len;

		assert_int_equal(
		    http_answer_error(&out, statuses[i], NULL, &req), 0);
		s = text_of(&out);
		snprintf(line, sizeof(line), "HTTP/1.1 %u ", statuses[i]);
		assert_ptr_equal(strstr(s, line), s);
		body = strstr(s, "\r\n\r\n") + 4;
		assert_int_equal(sscanf(strstr(s, "Content-Length: "),
				     "Content-Length: %u", &len),
		    1);
		assert_int_equal(strlen(body), len);
		assert_non_null(strstr(s, "X-Content-Type-Options: nosniff"));
		assert_non_null(strstr(s, "default-src 'self'"));
		assert_non_null(strstr(s, "wss://relay.example;"));
		assert_null(strstr(s, "Connection: close"));
		buf_release(&out);
	}
	assert_int_equal(http_answer_error(&out, 418, NULL, NULL), 0);
	assert_non_null(strstr(text_of(&out), "HTTP/1.1 500 "));
	assert_non_null(strstr(text_of(&out), "Connection: close"));
	buf_release(&out);
	out.limit = 1000;
	assert_int_equal(http_answer_error(&out, 400, NULL, NULL), ERR_LIMIT);
	assert_int_equal(buf_len(&out), 0);
}

static const char *
ancestors(const char *origins)
{
	static char text[HTTP_ANSWER_MAX];
	struct buf out;

	buf_init(&out, HTTP_ANSWER_MAX);
	assert_true(parse("GET / HTTP/1.1\r\n" HOST "\r\n") > 0);
	req.frame_origins = origins;
	assert_int_equal(http_answer_error(&out, 404, NULL, &req), 0);
	snprintf(text, sizeof(text), "%s", text_of(&out));
	buf_release(&out);
	assert_non_null(strstr(text, "X-Content-Type-Options"));
	return strstr(text, "frame-ancestors ") + 16;
}

static void
test_frames(void **state)
{
	static const char *const none[] = { NULL, "", " ", ",", "*",
		"https://a; script-src *", "https://a\r\nX: y", "'self'" };
	char list[HTTP_FRAME_ORIGINS_MAX + 2];

	for (size_t i = 0; i < N_ELEMENTS(none); i++)
		assert_memory_equal(ancestors(none[i]), "'none'\r\n", 8);
	assert_memory_equal(ancestors("https://a.example:8443,https://b"),
	    "https://a.example:8443 https://b\r\n", 34);
	memset(list, 'a', sizeof(list));
	list[sizeof(list) - 2] = '\0';
	assert_memory_equal(ancestors(list), "aaaa", 4);
	list[sizeof(list) - 2] = 'a';
	list[sizeof(list) - 1] = '\0';
	assert_memory_equal(ancestors(list), "'none'\r\n", 8);
}

static void
test_answer_head_and_detail(void **state)
{
	char detail[1000];
	struct buf out;

	buf_init(&out, HTTP_ANSWER_MAX);
	memset(detail, 'd', sizeof(detail) - 1);
	detail[sizeof(detail) - 1] = '\0';
	assert_true(parse("HEAD / HTTP/1.1\r\n" HOST "\r\n") > 0);
	assert_int_equal(http_answer_error(&out, 503, detail, &req), 0);
	assert_non_null(strstr(text_of(&out), "Content-Length: 501\r\n"));
	assert_null(strstr(text_of(&out), "ddd"));
	buf_release(&out);
	assert_int_equal(http_answer_error(&out, 503, "why", NULL), 0);
	assert_non_null(strstr(text_of(&out), "\r\n\r\nwhy\n"));
	buf_release(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_get),
		cmocka_unit_test(test_head_and_close),
		cmocka_unit_test(test_byte_by_byte),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_other_methods),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_websocket_status),
		cmocka_unit_test(test_origin),
		cmocka_unit_test(test_answer_upgrade),
		cmocka_unit_test(test_answer_error),
		cmocka_unit_test(test_answer_head_and_detail),
		cmocka_unit_test(test_frames),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
