#include "console/api/answer.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <zlib.h>

#include "common/bytes.h"
#include "common/http.h"
#include "common/log.h"
#include "console/api/idempotency.h"
#include "console/api/request.h"
#include "console/conf.h"
#include "console/http/accept_encoding.h"
#include "console/http/deprecation.h"
#include "console/http/fields.h"
#include "console/routes.h"
#include "console/worker.h"

#define COMPRESS_MIN   1024
#define COMPRESS_LEVEL 4
#define ETAG_BYTES     16
#define UNSENT_MAX     65536

static const char *
reason(unsigned status)
{
	switch (status) {
	case 200:
		return "OK";
	case 201:
		return "Created";
	case 202:
		return "Accepted";
	case 204:
		return "No Content";
	case 303:
		return "See Other";
	case 304:
		return "Not Modified";
	case 400:
		return "Bad Request";
	case 401:
		return "Unauthorized";
	case 403:
		return "Forbidden";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 409:
		return "Conflict";
	case 415:
		return "Unsupported Media Type";
	case 422:
		return "Unprocessable Content";
	case 429:
		return "Too Many Requests";
	case 502:
		return "Bad Gateway";
	case 503:
		return "Service Unavailable";
	default:
		return "Internal Server Error";
	}
}

void
request_field(struct request *r, const char *name, const char *value)
{
	if (r->http != NULL)
		evhttp_add_header(
		    evhttp_request_get_output_headers(r->http), name, value);
}

static const char *
asked(const struct request *r, const char *name)
{
	return evhttp_find_header(
	    evhttp_request_get_input_headers(r->http), name);
}

/* A request that is part of a trace is found in the log by that. */
static void
log_traced(const struct request *r, unsigned status)
{
	char id[HTTP_TRACE_ID_MAX];

	if (r->http != NULL && http_trace_id(asked(r, "traceparent"), id) == 0)
		log_info("request", LOG_S("trace_id", id),
		    LOG_S("route", r->route != NULL ? r->route->path : ""),
		    LOG_S("object", r->id), LOG_S("person", r->person.name),
		    LOG_S("client", r->client), LOG_U("status", status));
}

/* Counts the answer and adds what every answer has. */
static void
add_fields(struct request *r, unsigned status)
{
	struct worker_counters *n = &r->worker->place->counters;

	atomic_fetch_add(&n->answers[status / 100], 1);
	log_traced(r, status);
	if (status == 403)
		atomic_fetch_add(&n->refused, 1);
	for (size_t i = 0; r->http != NULL && i < N_HTTP_FIELDS; i++)
		if (evhttp_find_header(
			evhttp_request_get_output_headers(r->http),
			http_fields[i].name) == NULL)
			request_field(
			    r, http_fields[i].name, http_fields[i].value);
	if (r->http != NULL && r->route != NULL)
		deprecation_add(r->route->deprecated,
		    evhttp_request_get_output_headers(r->http));
	/* of HTTP/1.0, the end of the connection is the end of a stream */
	if (r->worker->is_stopping || r->is_begun)
		request_field(r, "Connection", "close");
}

/*
 * It may last: the time limit of requests is on a client that takes nothing, no
 * more on one that sends nothing. The kernel says that there is room again when
 * UNSENT_MAX bytes wait at most, not when a third of some megabytes is gone, so
 * that a slow client is not taken for one that takes nothing.
 */
static void
limit_output_alone(struct request *r)
{
	struct bufferevent *bev = evhttp_connection_get_bufferevent(
	    evhttp_request_get_connection(r->http));
	const struct timeval limit = { r->worker->conf->console.request_seconds,
		0 };
	int unsent = UNSENT_MAX;

	bufferevent_set_timeouts(bev, NULL, &limit);
	setsockopt(bufferevent_getfd(bev), IPPROTO_TCP, TCP_NOTSENT_LOWAT,
	    &unsent, sizeof(unsent));
}

void
request_begin(struct request *r, unsigned status)
{
	r->is_begun = true;
	add_fields(r, status);
	limit_output_alone(r);
	evhttp_send_reply_start(r->http, (int)status, reason(status));
}

void
request_end(struct request *r)
{
	struct evhttp_request *http = r->http;

	request_free(r);
	evhttp_send_reply_end(http);
}

void
request_break(struct request *r)
{
	struct evhttp_connection *conn =
	    r->http != NULL ? evhttp_request_get_connection(r->http) : NULL;

	request_free(r);
	if (conn != NULL)
		evhttp_connection_free(conn);
}

void
request_send_held(struct request *r, unsigned status, struct evbuffer *body)
{
	struct evhttp_request *http = r->http;

	add_fields(r, status);
	request_free(r);
	if (http != NULL)
		evhttp_send_reply(http, (int)status, reason(status), body);
	if (body != NULL)
		evbuffer_free(body);
}

static void
send_answer(struct request *r, unsigned status, struct evbuffer *body)
{
	if (!writes_hold(r, status, body))
		request_send_held(r, status, body);
}

/* One for all answers: making it takes as long as compressing a short one.
 * NULL: out of memory. */
static z_stream *
compressor(void)
{
	static z_stream z;
	static bool is_made;

	if (is_made)
		return deflateReset(&z) == Z_OK ? &z : NULL;
	is_made = deflateInit2(&z, COMPRESS_LEVEL, Z_DEFLATED, 15 + 16, 8,
		      Z_DEFAULT_STRATEGY) == Z_OK;
	return is_made ? &z : NULL;
}

/* The text as gzip (RFC 1952); NULL when that cannot be. */
static struct evbuffer *
compress_text(const char *text, size_t len)
{
	struct evbuffer *out = evbuffer_new();
	struct evbuffer_iovec v;
	z_stream *z = compressor();
	bool ok = false;

	if (out != NULL && z != NULL &&
	    evbuffer_reserve_space(
		out, (ev_ssize_t)deflateBound(z, (uLong)len), &v, 1) == 1) {
		z->next_in = (Bytef *)(uintptr_t)text;
		z->avail_in = (uInt)len;
		z->next_out = v.iov_base;
		z->avail_out = (uInt)v.iov_len;
		ok = deflate(z, Z_FINISH) == Z_STREAM_END;
		v.iov_len = z->total_out;
		ok = ok && evbuffer_commit_space(out, &v, 1) == 0;
	}
	if (ok || out == NULL)
		return out;
	evbuffer_free(out);
	return NULL;
}

static void
send_text(struct request *r, unsigned status, const char *type,
    const char *text, size_t len)
{
	struct evbuffer *body = NULL;

	if (r->http == NULL) {
		request_free(r);
		return;
	}
	if (idempotency_answer(r, status, text, len))
		return;
	request_field(r, "Content-Type", type);
	if (len >= COMPRESS_MIN) {
		request_field(r, "Vary", "Accept-Encoding");
		if (accepts_gzip(asked(r, "Accept-Encoding")) &&
		    (body = compress_text(text, len)) != NULL)
			request_field(r, "Content-Encoding", "gzip");
	}
	if (body == NULL && (body = evbuffer_new()) != NULL)
		evbuffer_add(body, text, len);
	send_answer(r, status, body);
}

void
request_bytes(
    struct request *r, unsigned status, const char *type, struct request_body b)
{
	struct evbuffer *body;

	if (r->http == NULL) {
		request_free(r);
		return;
	}
	request_field(r, "Content-Type", type);
	if (b.gzip != NULL) {
		request_field(r, "Vary", "Accept-Encoding");
		if (accepts_gzip(asked(r, "Accept-Encoding")))
			request_field(r, "Content-Encoding", "gzip");
		else
			b.gzip = NULL;
	}
	body = evbuffer_new();
	if (body != NULL)
		evbuffer_add(body, b.gzip != NULL ? b.gzip : b.data,
		    b.gzip != NULL ? b.gzip_len : b.len);
	send_answer(r, status, body);
}

/* Is it the answer that the client has already? RFC 9110 section 13.1.2. */
static bool
is_same(struct request *r, const char *text, size_t len)
{
	uint8_t hash[SHA256_DIGEST_LENGTH];
	char etag[2 * ETAG_BYTES + 3] = "\"", *end;
	const char *have = asked(r, "If-None-Match");

	SHA256((const uint8_t *)text, len, hash);
	http_hex(hash, ETAG_BYTES, etag + 1);
	end = etag + strlen(etag);
	end[0] = '"';
	end[1] = '\0';
	request_field(r, "ETag", etag);
	return have != NULL &&
	    (strcmp(have, "*") == 0 || strstr(have, etag) != NULL);
}

void
request_json_text(struct request *r, unsigned status, const char *text)
{
	size_t len = strlen(text);

	if (r->http != NULL && status == 200 &&
	    r->route->method == EVHTTP_REQ_GET && is_same(r, text, len))
		send_answer(r, 304, NULL);
	else
		send_text(r, status, "application/json", text, len);
}

void
request_json(struct request *r, unsigned status, json_t *root)
{
	char *text = root != NULL ? json_dumps(root, JSON_COMPACT) : NULL;

	json_decref(root);
	if (text == NULL) {
		request_problem(r, 503, "unavailable", "Out of memory.");
		return;
	}
	request_json_text(r, status, text);
	free(text);
}

void
request_html(struct request *r, unsigned status, const char *html)
{
	send_text(r, status, "text/html; charset=utf-8", html, strlen(html));
}

void
request_send(struct request *r, unsigned status, const char *text, size_t len)
{
	if (len == 0)
		send_answer(r, status, NULL);
	else
		send_text(r, status,
		    status < 400 ? "application/json"
				 : "application/problem+json",
		    text, len);
}

void
request_empty(struct request *r, unsigned status)
{
	if (!idempotency_answer(r, status, "", 0))
		send_answer(r, status, NULL);
}

static void
send_problem(struct request *r, unsigned status, const char *type, json_t *root)
{
	char name[80];
	char *text;

	if (r->is_begun) {
		json_decref(root);
		request_break(r);
		return;
	}
	snprintf(name, sizeof(name), "/problems/%s", type);
	json_object_set_new(root, "type", json_string(name));
	json_object_set_new(root, "title", json_string(reason(status)));
	json_object_set_new(root, "status", json_integer(status));
	text = json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(root);
	if (r->http != NULL && status == 401)
		request_field(r, "WWW-Authenticate", "Bearer");
	send_text(r, status, "application/problem+json",
	    text != NULL ? text : "{}", text != NULL ? strlen(text) : 2);
	free(text);
}

void
request_problem(
    struct request *r, unsigned status, const char *type, const char *detail)
{
	json_t *root = json_object();

	if (detail != NULL)
		json_object_set_new(root, "detail", json_string(detail));
	send_problem(r, status, type, root);
}

void
request_invalid(struct request *r, const char *pointer, const char *detail)
{
	request_invalid_all(
	    r, json_pack("[{s:s,s:s}]", "pointer", pointer, "detail", detail));
}

void
request_invalid_all(struct request *r, json_t *errors)
{
	send_problem(r, 422, "invalid",
	    json_pack("{s:s,s:o}", "detail", "A value is not as it should be.",
		"errors", errors));
}

void
request_not_found(struct request *r)
{
	request_problem(r, 404, "not-found", "There is no such resource.");
}
