/* Answers of the receiver of captures. */
#include <event2/buffer.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/http.h"
#include "storage/upload/receiver_internal.h"

/* RFC 9110 section 5.6.7. */
static void
add_date(struct evbuffer *out, const char *name, uint64_t s)
{
	time_t t = (time_t)s;
	char text[40];
	struct tm tm;

	if (gmtime_r(&t, &tm) != NULL &&
	    strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &tm) > 0)
		evbuffer_add_printf(out, "%s: %s\r\n", name, text);
}

static void
add_common(struct evbuffer *out, int status)
{
	evbuffer_add_printf(out,
	    "HTTP/1.1 %d %s\r\nTus-Resumable: " TUS_VERSION
	    "\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff"
	    "\r\n" HTTP_HSTS_FIELD,
	    status, tus_reason(status));
	add_date(out, "Date", clock_wall_ns() / NS_PER_S);
}

static void
add_upload(struct evbuffer *out, const struct upload_conn *c,
    const struct upload *u, int status)
{
	char sum[64];

	evbuffer_add_printf(
	    out, "Upload-Offset: %" PRIu64 "\r\n", u->f.at.have);
	if (c->req.method == TUS_HEAD)
		evbuffer_add_printf(
		    out, "Upload-Length: %" PRIu64 "\r\n", u->f.at.length);
	if (c->req.method == TUS_HEAD && u->f.has_digest)
		evbuffer_add_printf(out, "Repr-Digest: sha-256=:%s:\r\n",
		    sodium_bin2base64(sum, sizeof(sum), u->f.digest,
			sizeof(u->f.digest), sodium_base64_VARIANT_ORIGINAL));
	if (status < 400)
		add_date(out, "Upload-Expires", receiver_expires_s(u));
}

/* What OPTIONS and a wrong version are told. */
static void
add_abilities(struct evbuffer *out, const struct upload_conn *c)
{
	evbuffer_add_printf(out,
	    "Tus-Version: " TUS_VERSION "\r\nTus-Extension: " TUS_EXTENSIONS
	    "\r\nTus-Checksum-Algorithm: " TUS_CHECKSUMS
	    "\r\nTus-Max-Size: %" PRId64 "\r\n",
	    c->d->conf.capture_max_bytes);
}

static unsigned
retry_after_s(const struct upload_conn *c, int status)
{
	return status == 423 ? 1
	    : status == 503  ? 10
	    : status == 429 || status == 507
	    ? (unsigned)c->d->conf.retry_seconds
	    : 0;
}

static void
add_end(struct evbuffer *out, const struct upload_conn *c, int status,
    const char *text)
{
	if (c->must_close)
		evbuffer_add_printf(out, "Connection: close\r\n");
	if (text != NULL && c->req.method != TUS_HEAD)
		evbuffer_add_printf(out,
		    "Content-Type: text/plain; charset=utf-8\r\n"
		    "Content-Length: %zu\r\n\r\n%s\n",
		    strlen(text) + 1, text);
	else if (status == 204 || c->req.method == TUS_HEAD)
		evbuffer_add_printf(out, "\r\n");
	else
		evbuffer_add_printf(out, "Content-Length: 0\r\n\r\n");
}

static struct evbuffer *
begin(struct upload_conn *c, int status)
{
	struct evbuffer *out = bufferevent_get_output(c->bev);
	unsigned retry = retry_after_s(c, status);

	/* a body that was not read would be taken for a request */
	if (c->body_left > 0 || c->req.wants_close)
		c->must_close = true;
	add_common(out, status);
	if (retry > 0)
		evbuffer_add_printf(out, "Retry-After: %u\r\n", retry);
	if (status == 412 || c->req.method == TUS_OPTIONS)
		add_abilities(out, c);
	if (status == 405)
		evbuffer_add_printf(
		    out, "Allow: OPTIONS, HEAD, POST, PATCH, DELETE\r\n");
	if (c->req.method == TUS_CREATE && c->req.id[0] != '\0' &&
	    (status == 201 || status == 409))
		evbuffer_add_printf(
		    out, "Location: " TUS_PATH "/%s\r\n", c->req.id);
	return out;
}

/* A HEAD that cannot be answered now gets 423: after 503 tus-js-client 4.3.1
 * creates a new upload at once and sends all again
 * (findings/tus-js-client-sends-all-again-after-a-503-to-its-head.sh). */
static int
status_for(const struct upload_conn *c, int status)
{
	return status == 503 && c->req.method == TUS_HEAD ? 423 : status;
}

void
upload_answer(
    struct upload_conn *c, int status, const struct upload *u, const char *text)
{
	struct evbuffer *out;

	status = status_for(c, status);
	out = begin(c, status);

	/* that all is here is said once it was checked: upload_answer_whole */
	if (u != NULL && !upload_offset_is_whole(&u->f.at))
		add_upload(out, c, u, status);
	add_end(out, c, status, text);
	upload_conn_next(c);
}

void
upload_answer_whole(
    struct upload_conn *c, int status, int64_t bytes, const char *text)
{
	struct evbuffer *out = begin(c, status);

	evbuffer_add_printf(out, "Upload-Offset: %" PRId64 "\r\n", bytes);
	if (c->req.method == TUS_HEAD)
		evbuffer_add_printf(
		    out, "Upload-Length: %" PRId64 "\r\n", bytes);
	add_end(out, c, status, text);
	upload_conn_next(c);
}
