/* What goes over the wire for one try of an S3 request. */
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/curl_options.h"
#include "common/err.h"
#include "common/trace_context.h"
#include "manifest/object_key.h"
#include "storage/store/s3_call.h"

#define CONNECT_TIMEOUT_S 10L
#define STALL_TIMEOUT_S   30L
#define PACE_MS           20
#define SLICE_BYTES       262144 /* that libcurl asks for at a time */
#define HEADERS_MAX       (S3_QUERY_MAX + 2) /* that are signed */

/* ---- libcurl's callbacks ---- */

static size_t
on_body(char *data, size_t one, size_t n, void *arg)
{
	struct s3_call *c = arg;

	/* what is over the limit is dropped: nothing we ask for is */
	buf_append(&c->body, data,
	    min_size(n,
		S3_BODY_MAX - 1 -
		    min_size(buf_len(&c->body), S3_BODY_MAX - 1)));
	return n;
}

static size_t
on_header(char *line, size_t one, size_t n, void *arg)
{
	s3_answer_header(arg, line, n);
	return n;
}

static void
pace_later(struct s3_client *s)
{
	struct timeval tv = { 0, PACE_MS * 1000 };

	if (!evtimer_pending(s->pace_timer, NULL))
		evtimer_add(s->pace_timer, &tv);
}

/* Nothing may be sent for a moment; s3_call_pace ends it. */
static size_t
pause_sending(struct s3_call *c)
{
	c->is_paused = true;
	pace_later(c->client);
	return CURL_READFUNC_PAUSE;
}

/* Behind the others, which are let go on before it. */
static void
end_turn(struct s3_call *c)
{
	struct s3_call_list *calls = &c->client->calls;

	TAILQ_REMOVE(calls, c, link);
	TAILQ_INSERT_TAIL(calls, c, link);
}

void
s3_call_pace(struct s3_client *s)
{
	uint64_t room =
	    1 + s->pace.bytes_per_second * PACE_MS / 1000 / SLICE_BYTES;
	struct s3_call *c, *next;

	for (c = TAILQ_FIRST(&s->calls); c != NULL; c = next) {
		next = TAILQ_NEXT(c, link);
		if (!c->is_paused || c->easy == NULL)
			continue;
		if (room-- == 0) {
			pace_later(s);
			return;
		}
		c->is_paused = false;
		curl_easy_pause(c->easy, CURLPAUSE_CONT);
	}
}

/* Bounded slices of the body, straight from the page cache. */
static size_t
on_read(char *out, size_t one, size_t n, void *arg)
{
	struct s3_call *c = arg;
	ssize_t got;

	n = (size_t)min_u64(n, c->rq.len - c->sent);
	if (n == 0)
		return 0;
	n = (size_t)s3_pace_take(&c->client->pace, n, clock_mono_ns());
	if (n == 0)
		return pause_sending(c);
	end_turn(c);
	if (c->rq.mem != NULL) {
		memcpy(out, c->rq.mem + c->sent, n);
		got = (ssize_t)n;
	} else
		got = pread(c->rq.fd, out, n, (off_t)(c->rq.offset + c->sent));
	if (got <= 0)
		return CURL_READFUNC_ABORT;
	c->sent += (uint64_t)got;
	return (size_t)got;
}

static int
on_seek(void *arg, curl_off_t offset, int origin)
{
	struct s3_call *c = arg;

	if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > c->rq.len)
		return CURL_SEEKFUNC_FAIL;
	c->sent = (uint64_t)offset;
	return CURL_SEEKFUNC_OK;
}

/* ---- one try ---- */

void
s3_call_free_headers(struct s3_call *c)
{
	for (struct curl_slist *h = c->headers; h != NULL; h = h->next)
		wipe(h->data, strlen(h->data));
	curl_slist_free_all(c->headers);
	c->headers = NULL;
}

static int
add_line(struct s3_call *c, const char *line)
{
	struct curl_slist *more = curl_slist_append(c->headers, line);

	if (more == NULL)
		return ERR_NOMEM;
	c->headers = more;
	return 0;
}

static int
add_header(struct s3_call *c, const char *name, const char *value)
{
	char line[SIGV4_TOKEN_MAX + 64];
	int n = snprintf(line, sizeof(line), "%s: %s", name, value);
	int rc = (size_t)n < sizeof(line) ? add_line(c, line) : ERR_LIMIT;

	wipe(line, min_size((size_t)n, sizeof(line)));
	return rc;
}

/* What is signed: the request's own headers and those of every request. */
static size_t
fill_headers(const struct s3_call *c, const char *payload,
    struct sigv4_pair headers[HEADERS_MAX])
{
	const struct sigv4_key *key = &c->client->credentials.key;
	size_t n = c->rq.n_headers;

	memcpy(headers, c->rq.headers, n * sizeof(headers[0]));
	headers[n++] = (struct sigv4_pair){ "x-amz-content-sha256", payload };
	if (key->token[0] != '\0')
		headers[n++] =
		    (struct sigv4_pair){ "x-amz-security-token", key->token };
	return n;
}

/* In the trace of the session that the object is of. It is not signed: a proxy
 * may put its own parent into it. */
static int
add_trace(struct s3_call *c)
{
	char session[UUID_TEXT_MAX], trace[HTTP_TRACE_ID_MAX];
	char field[TRACE_PARENT_MAX];

	trace_of_session(
	    c->client->traces, object_key_session(c->rq.key, session), trace);
	return trace_parent(trace, field) != 0
	    ? 0
	    : add_header(c, "traceparent", field);
}

/* Signs the request as of now: headers into the call, URL into url. */
static int
sign(struct s3_call *c, char *url, size_t url_len)
{
	struct s3_client *s = c->client;
	const struct sigv4_key *key = &s->credentials.key;
	char path[OBJECT_KEY_MAX + 128], target[4096], text[1200];
	char date[SIGV4_DATE_MAX];
	struct sigv4_pair headers[HEADERS_MAX];
	struct sigv4_request rq = { .method = c->rq.method,
		.host = s->endpoint.host,
		.path = path,
		.query = c->rq.query,
		.n_query = c->rq.n_query,
		.headers = headers,
		.payload = c->rq.sha256 != NULL ? c->rq.sha256 : SIGV4_EMPTY,
		.time_s = (uint64_t)((int64_t)(clock_wall_ns() / NS_PER_S) +
		    s->skew_s) };
	int rc = s3_endpoint_path(&s->endpoint, c->rq.key, path, sizeof(path));

	rq.n_headers = fill_headers(c, rq.payload, headers);
	if (rc == 0)
		rc = sigv4_target(&rq, target, sizeof(target));
	if (rc == 0)
		rc = sigv4_authorization(key, &rq, text, sizeof(text));
	if (rc == 0)
		rc = add_header(c, "Authorization", text);
	if (rc == 0)
		rc = add_header(c, "x-amz-date", sigv4_date(rq.time_s, date));
	for (size_t i = 0; rc == 0 && i < rq.n_headers; i++)
		rc = add_header(c, headers[i].name, headers[i].value);
	if (rc == 0)
		rc = add_trace(c);
	/* libcurl's own guess is not signed and not true */
	if (rc == 0)
		rc = add_line(c, "Content-Type:");
	if (rc == 0)
		snprintf(url, url_len, "%s://%s%s", s->endpoint.scheme,
		    s->endpoint.host, target);
	return rc;
}

static void
set_options(struct s3_call *c, const char *url)
{
	const struct conf_store *conf = c->client->conf;
	CURL *e = c->easy;

	curl_options_set(e, "http,https", conf->s3_ca_file, c->curl_error);
	curl_easy_setopt(e, CURLOPT_URL, url);
	curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(e, CURLOPT_PRIVATE, (char *)c);
	curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, c->rq.method);
	curl_easy_setopt(e, CURLOPT_HTTPHEADER, c->headers);
	curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_S);
	curl_easy_setopt(e, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(e, CURLOPT_LOW_SPEED_TIME, STALL_TIMEOUT_S);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, c);
	curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(e, CURLOPT_HEADERDATA, c);
	if (strcmp(c->rq.method, "HEAD") == 0)
		curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
	if (strcmp(c->rq.method, "PUT") != 0 &&
	    strcmp(c->rq.method, "POST") != 0)
		return;
	/* on a connection that was used before, libcurl would send it again by
	 * itself, and an upload that nobody knows would stay behind */
	if (strcmp(c->rq.method, "POST") == 0)
		curl_easy_setopt(e, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(e, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(e, CURLOPT_UPLOAD_BUFFERSIZE, (long)SLICE_BYTES);
	curl_easy_setopt(e, CURLOPT_READFUNCTION, on_read);
	curl_easy_setopt(e, CURLOPT_READDATA, c);
	curl_easy_setopt(e, CURLOPT_SEEKFUNCTION, on_seek);
	curl_easy_setopt(e, CURLOPT_SEEKDATA, c);
	curl_easy_setopt(e, CURLOPT_INFILESIZE_LARGE, (curl_off_t)c->rq.len);
}

int
s3_call_prepare(struct s3_call *c)
{
	char url[4600];
	int rc;

	s3_call_free_headers(c);
	rc = sign(c, url, sizeof(url));
	if (rc != 0)
		return rc;
	c->easy = curl_easy_init();
	if (c->easy == NULL)
		return ERR_NOMEM;
	set_options(c, url);
	return 0;
}
