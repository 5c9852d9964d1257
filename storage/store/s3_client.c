#include "storage/store/s3_client.h"

#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/bytes.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/curl_loop.h"
#include "common/curl_options.h"
#include "common/err.h"
#include "common/keyfile.h"
#include "common/log.h"
#include "common/s3_endpoint.h"
#include "storage/counters.h"
#include "storage/object_key.h"
#include "storage/store/s3_xml.h"

#define TRIES_MAX         4
#define BACKOFF_FIRST_MS  400
#define CONNECT_TIMEOUT_S 10L
#define STALL_TIMEOUT_S   30L

struct call {
	TAILQ_ENTRY(call) link;
	struct s3_client *client;
	struct s3_request rq;
	s3_cb *cb;
	void *arg;
	CURL *easy;
	struct curl_slist *headers;
	struct event *timer; /* back-off before the next try */
	struct buf body;
	struct s3_response r;
	uint64_t sent;
	unsigned tries;
	char curl_error[CURL_ERROR_SIZE];
};
TAILQ_HEAD(call_list, call);

struct s3_client {
	struct event_base *base;
	const struct conf_store *conf;
	struct counters *counters;
	struct sigv4_key key;
	struct s3_endpoint endpoint;
	struct curl_loop *loop;
	struct call_list calls;
};

static void call_start(struct call *c);

/* ---- one call ---- */

static void
call_free(struct call *c)
{
	TAILQ_REMOVE(&c->client->calls, c, link);
	if (c->easy != NULL) {
		curl_loop_remove(c->client->loop, c->easy);
		curl_easy_cleanup(c->easy);
	}
	curl_slist_free_all(c->headers);
	if (c->timer != NULL)
		event_free(c->timer);
	buf_release(&c->body);
	free(c);
}

static size_t
on_body(char *data, size_t one, size_t n, void *arg)
{
	struct call *c = arg;

	/* what is over the limit is dropped: nothing we ask for is */
	buf_append(&c->body, data,
	    min_size(n,
		S3_BODY_MAX - 1 -
		    min_size(buf_len(&c->body), S3_BODY_MAX - 1)));
	return n;
}

/* The value of a header line if it has this name; cut at its end. */
static bool
header_is(
    const char *line, size_t len, const char *name, char *out, size_t out_len)
{
	size_t n = strlen(name);

	if (len <= n || strncasecmp(line, name, n) != 0 || line[n] != ':')
		return false;
	for (n++; n < len && (line[n] == ' ' || line[n] == '"'); n++)
		;
	while (len > n &&
	    (isspace((unsigned char)line[len - 1]) || line[len - 1] == '"'))
		len--;
	len = min_size(len - n, out_len - 1);
	memcpy(out, line + n, len);
	out[len] = '\0';
	return true;
}

static size_t
on_header(char *line, size_t one, size_t n, void *arg)
{
	struct call *c = arg;
	struct s3_response *r = &c->r;
	char text[100];

	if (n > 5 && memcmp(line, "HTTP/", 5) == 0) {
		r->size = 0; /* a new answer, after 100 Continue */
		return n;
	}
	if (header_is(line, n, "etag", r->etag, sizeof(r->etag)) ||
	    header_is(
		line, n, "x-amz-meta-sha256", r->sha256, sizeof(r->sha256)) ||
	    header_is(line, n, "x-amz-server-side-encryption", r->encryption,
		sizeof(r->encryption)))
		return n;
	if (header_is(line, n, "content-range", text, sizeof(text)) &&
	    strchr(text, '/') != NULL)
		r->size = strtoull(strchr(text, '/') + 1, NULL, 10);
	else if (r->size == 0 &&
	    header_is(line, n, "content-length", text, sizeof(text)))
		r->size = strtoull(text, NULL, 10);
	return n;
}

/* Bounded slices of the body, straight from the page cache. */
static size_t
on_read(char *out, size_t one, size_t n, void *arg)
{
	struct call *c = arg;
	ssize_t got;

	n = (size_t)min_u64(n, c->rq.len - c->sent);
	if (n == 0)
		return 0;
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
	struct call *c = arg;

	if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > c->rq.len)
		return CURL_SEEKFUNC_FAIL;
	c->sent = (uint64_t)offset;
	return CURL_SEEKFUNC_OK;
}

static void
call_finish(struct call *c, int err)
{
	s3_cb *cb = c->cb;
	void *arg = c->arg;
	struct s3_response r = c->r;
	uint8_t end = '\0';

	r.err = err;
	if (err != 0)
		c->client->counters->s3_errors++;
	buf_append(&c->body, &end, 1);
	r.body_len = buf_len(&c->body) > 0 ? buf_len(&c->body) - 1 : 0;
	r.body = r.body_len > 0 ? (const char *)buf_head(&c->body) : "";
	cb(arg, &r);
	call_free(c);
}

static bool
is_temporary(const struct call *c, CURLcode rc)
{
	if (rc == CURLE_PEER_FAILED_VERIFICATION ||
	    rc == CURLE_SSL_CACERT_BADFILE || rc == CURLE_READ_ERROR ||
	    rc == CURLE_ABORTED_BY_CALLBACK)
		return false;
	return rc != CURLE_OK || c->r.status >= 500 || c->r.status == 429 ||
	    c->r.status == 408;
}

bool
s3_is_denied(const struct s3_response *r)
{
	return r->err != 0 && r->status == 403 &&
	    strcmp(r->code, "AccessDenied") == 0;
}

/* The right that a request needs, as policies name it. */
static const char *
right_of(const struct s3_request *rq)
{
	const char *first = rq->n_query > 0 ? rq->query[0].name : "";

	if (strcmp(rq->method, "GET") == 0) {
		if (strcmp(first, "uploads") == 0)
			return "s3:ListBucketMultipartUploads";
		return strcmp(first, "uploadId") == 0
		    ? "s3:ListMultipartUploadParts"
		    : "s3:GetObject";
	}
	if (strcmp(rq->method, "DELETE") == 0)
		return strcmp(first, "uploadId") == 0
		    ? "s3:AbortMultipartUpload"
		    : "s3:DeleteObject";
	return "s3:PutObject";
}

/* "S3: PUT: HTTP 403 AccessDenied: ..." */
static void
name_error(struct call *c)
{
	struct s3_response *r = &c->r;
	char message[100] = "";
	const char *at;
	uint8_t end = '\0';
	bool denied;

	buf_append(&c->body, &end, 1);
	at = buf_len(&c->body) > 0 ? (const char *)buf_head(&c->body) : "";
	s3_xml_text(&at, "Code", r->code, sizeof(r->code));
	at = buf_len(&c->body) > 0 ? (const char *)buf_head(&c->body) : "";
	s3_xml_text(&at, "Message", message, sizeof(message));
	denied = r->status == 403 && strcmp(r->code, "AccessDenied") == 0;
	snprintf(r->detail, sizeof(r->detail), "S3: %s: HTTP %ld %s%s%s%s%s",
	    c->rq.method, r->status, r->code, message[0] != '\0' ? ": " : "",
	    message, denied ? "; give the key the right " : "",
	    denied ? right_of(&c->rq) : "");
}

static int
error_of(long status)
{
	switch (status) {
	case 401:
	case 403:
		return ERR_DENIED;
	case 404:
		return ERR_NOTFOUND;
	default:
		return status >= 500 ? ERR_UNAVAILABLE : ERR_PROTOCOL;
	}
}

static void
on_backoff(evutil_socket_t fd, short what, void *arg)
{
	call_start(arg);
}

static void
call_retry(struct call *c)
{
	long ms = BACKOFF_FIRST_MS << (c->tries - 1);
	struct timeval tv = { ms / 1000, (ms % 1000) * 1000 };

	c->client->counters->s3_retries++;
	log_warn("s3_retry", LOG_S("key", c->rq.key), LOG_U("try", c->tries),
	    LOG_S("why", c->r.detail));
	evtimer_add(c->timer, &tv);
}

static void
call_done(void *arg, CURLcode rc)
{
	struct call *c = arg;

	curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &c->r.status);
	curl_easy_cleanup(c->easy);
	c->easy = NULL;
	if (rc == CURLE_OK && c->r.status >= 200 && c->r.status < 300) {
		call_finish(c, 0);
		return;
	}
	if (rc != CURLE_OK) {
		c->r.status = 0;
		snprintf(c->r.detail, sizeof(c->r.detail), "S3: %.80s: %.140s",
		    c->client->endpoint.host,
		    c->curl_error[0] != '\0' ? c->curl_error
					     : curl_easy_strerror(rc));
	} else
		name_error(c);
	if (is_temporary(c, rc) && c->tries < TRIES_MAX)
		call_retry(c);
	else
		call_finish(c,
		    rc == CURLE_OK ? error_of(c->r.status) : ERR_UNAVAILABLE);
}

static int
add_header(struct call *c, const char *name, const char *value)
{
	char line[1400];
	struct curl_slist *more;
	int n = snprintf(line, sizeof(line), "%s: %s", name, value);

	if ((size_t)n >= sizeof(line))
		return ERR_LIMIT;
	more = curl_slist_append(c->headers, line);
	if (more == NULL)
		return ERR_NOMEM;
	c->headers = more;
	return 0;
}

/* Signs the request as of now: headers into the call, URL into url. */
static int
call_sign(struct call *c, char *url, size_t url_len)
{
	struct s3_client *s = c->client;
	char path[OBJECT_KEY_MAX + 128], target[4096], text[1200];
	char date[SIGV4_DATE_MAX];
	struct sigv4_pair headers[S3_QUERY_MAX + 1];
	struct sigv4_request rq = { .method = c->rq.method,
		.host = s->endpoint.host,
		.path = path,
		.query = c->rq.query,
		.n_query = c->rq.n_query,
		.headers = headers,
		.n_headers = c->rq.n_headers + 1,
		.payload = c->rq.sha256 != NULL ? c->rq.sha256 : SIGV4_EMPTY,
		.time_s = clock_wall_ns() / NS_PER_S };
	int rc;

	rc = s3_endpoint_path(&s->endpoint, c->rq.key, path, sizeof(path));
	memcpy(headers, c->rq.headers, c->rq.n_headers * sizeof(headers[0]));
	headers[c->rq.n_headers] =
	    (struct sigv4_pair){ "x-amz-content-sha256", rq.payload };
	if (rc == 0)
		rc = sigv4_target(&rq, target, sizeof(target));
	if (rc == 0)
		rc = sigv4_authorization(&s->key, &rq, text, sizeof(text));
	if (rc == 0)
		rc = add_header(c, "Authorization", text);
	if (rc == 0)
		rc = add_header(c, "x-amz-date", sigv4_date(rq.time_s, date));
	for (size_t i = 0; rc == 0 && i < rq.n_headers; i++)
		rc = add_header(c, headers[i].name, headers[i].value);
	/* libcurl's own guess is not signed and not true */
	if (rc == 0 && c->headers != NULL) {
		struct curl_slist *more =
		    curl_slist_append(c->headers, "Content-Type:");
		rc = more != NULL ? 0 : ERR_NOMEM;
	}
	snprintf(url, url_len, "%s://%s%s", s->endpoint.scheme,
	    s->endpoint.host, target);
	return rc;
}

static void
call_options(struct call *c, const char *url)
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
	if (strcmp(c->rq.method, "PUT") != 0 &&
	    strcmp(c->rq.method, "POST") != 0)
		return;
	curl_easy_setopt(e, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(e, CURLOPT_UPLOAD_BUFFERSIZE, 262144L);
	curl_easy_setopt(e, CURLOPT_READFUNCTION, on_read);
	curl_easy_setopt(e, CURLOPT_READDATA, c);
	curl_easy_setopt(e, CURLOPT_SEEKFUNCTION, on_seek);
	curl_easy_setopt(e, CURLOPT_SEEKDATA, c);
	curl_easy_setopt(e, CURLOPT_INFILESIZE_LARGE, (curl_off_t)c->rq.len);
}

/* One try. */
static void
call_start(struct call *c)
{
	char url[4600];
	int rc;

	curl_slist_free_all(c->headers);
	c->headers = NULL;
	buf_release(&c->body);
	memset(&c->r, 0, sizeof(c->r));
	c->curl_error[0] = '\0';
	c->sent = 0;
	c->tries++;
	c->client->counters->s3_requests++;
	rc = call_sign(c, url, sizeof(url));
	c->easy = rc == 0 ? curl_easy_init() : NULL;
	if (c->easy == NULL) {
		snprintf(c->r.detail, sizeof(c->r.detail), "S3: %s",
		    err_text(rc != 0 ? rc : ERR_NOMEM));
		call_finish(c, rc != 0 ? rc : ERR_NOMEM);
		return;
	}
	call_options(c, url);
	curl_loop_add(c->client->loop, c->easy);
}

int
s3_send(struct s3_client *s, const struct s3_request *rq, s3_cb *cb, void *arg)
{
	struct call *c = calloc(1, sizeof(*c));
	struct timeval now = { 0, 0 };
	char why[KEYFILE_WHY_MAX];

	if (c == NULL)
		return ERR_NOMEM;
	c->client = s;
	c->rq = *rq;
	c->cb = cb;
	c->arg = arg;
	buf_init(&c->body, S3_BODY_MAX + 2);
	c->timer = evtimer_new(s->base, on_backoff, c);
	if (c->timer == NULL) {
		free(c);
		return ERR_NOMEM;
	}
	TAILQ_INSERT_TAIL(&s->calls, c, link);
	/* a key that cannot be read any more leaves the old one in force */
	if (s->conf->s3_access_key_file != NULL)
		sigv4_key_read(
		    &s->key, s->conf->s3_access_key_file, why, sizeof(why));
	evtimer_add(c->timer, &now);
	return 0;
}

/* ---- the client ---- */

int
s3_client_new(struct s3_client **out, const struct store_env *env, char *err,
    size_t err_len)
{
	struct s3_client *c = calloc(1, sizeof(*c));
	int rc;

	if (c == NULL)
		return ERR_NOMEM;
	TAILQ_INIT(&c->calls);
	c->base = env->base;
	c->conf = env->conf;
	c->counters = env->counters;
	c->key.region = env->conf->s3_region;
	c->key.service = "s3";
	rc = s3_endpoint_read(&c->endpoint, env->conf, err, err_len);
	if (rc == 0 &&
	    sigv4_key_read(
		&c->key, env->conf->s3_access_key_file, err, err_len) != 0)
		rc = ERR_CONFIG;
	if (rc == 0 && (c->loop = curl_loop_new(env->base, call_done)) == NULL)
		rc = ERR_NOMEM;
	if (rc != 0) {
		s3_client_free(c);
		return rc;
	}
	*out = c;
	return 0;
}

void
s3_client_free(struct s3_client *c)
{
	struct call *call;

	if (c == NULL)
		return;
	while ((call = TAILQ_FIRST(&c->calls)) != NULL)
		call_free(call);
	curl_loop_free(c->loop);
	sigv4_key_wipe(&c->key);
	free(c);
}
