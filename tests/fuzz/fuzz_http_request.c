/* Heads of HTTP requests, and the answers made from what they said. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "relay/http/http_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct http_request req, again;

/* A string of the request ends inside its text. */
static void
check_string(const char *s, bool must_be)
{
	assert(!must_be || s != NULL);
	if (s == NULL)
		return;
	assert(s >= req.text && s < req.text + sizeof(req.text));
	assert(memchr(s, '\0', (size_t)(req.text + sizeof(req.text) - s)));
	assert(strpbrk(s, "\r\n") == NULL);
}

/* No answer's head ends before its end: the request has no say in it. */
static void
check_answers(void)
{
	static const char body[] = "\r\n\r\nThere is nothing here.\n";
	struct buf out;
	const char *end;

	buf_init(&out, HTTP_ANSWER_MAX);
	assert(http_answer_error(&out, 404, NULL, &req) == 0);
	assert(buf_append(&out, "", 1) == 0);
	end = strstr((const char *)buf_head(&out), "\r\n\r\n");
	assert(
	    end != NULL && strcmp(end, req.is_head ? "\r\n\r\n" : body) == 0);
	buf_release(&out);
	if (http_request_websocket_status(&req) == 101) {
		assert(http_answer_upgrade(&out, &req) == 0);
		assert(buf_len(&out) < 300);
	}
	buf_release(&out);
}

static void
check_request(void)
{
	check_string(req.path, true);
	check_string(req.host, true);
	check_string(req.query, false);
	check_string(req.origin, false);
	check_string(req.if_none_match, false);
	check_string(req.ws_key, false);
	check_string(req.ws_version, false);
	assert(req.path[0] == '/');
	http_request_origin_ok(&req, NULL);
	http_request_origin_ok(&req, "none, https://a.example");
	check_answers();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ssize_t n = http_request_parse(&req, data, size);

	assert(n <= (ssize_t)size);
	if (n > 0) {
		check_request();
		/* the head alone means the same, less of it means nothing */
		assert(http_request_parse(&again, data, (size_t)n) == n);
		assert(strcmp(again.path, req.path) == 0);
		assert(again.wants_upgrade == req.wants_upgrade);
		assert(http_request_parse(&again, data, (size_t)n - 1) == 0);
	} else if (n == 0) {
		assert(size < HTTP_HEAD_MAX);
	} else {
		assert(n == ERR_PROTOCOL || n == ERR_LIMIT ||
		    n == ERR_UNSUPPORTED);
		assert(http_request_error_status((int)n) >= 400);
	}
	http_request_wipe(&req);
	return 0;
}
