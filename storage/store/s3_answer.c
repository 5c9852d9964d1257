/* What the head and the body of an S3 answer say. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/s3_xml.h"
#include "storage/store/s3_call.h"

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

void
s3_answer_header(struct s3_call *c, const char *line, size_t n)
{
	struct s3_response *r = &c->r;
	char text[100];

	if (n > 5 && memcmp(line, "HTTP/", 5) == 0) {
		/* a new answer, after 100 Continue */
		r->size = c->retry_after_s = c->date_s = 0;
		c->head_ended = false;
		return;
	}
	c->head_ended |= line[0] == '\r' || line[0] == '\n';
	if (header_is(line, n, "etag", r->etag, sizeof(r->etag)) ||
	    header_is(
		line, n, "x-amz-meta-sha256", r->sha256, sizeof(r->sha256)) ||
	    header_is(line, n, "x-amz-server-side-encryption", r->encryption,
		sizeof(r->encryption)))
		return;
	if (header_is(line, n, "content-range", text, sizeof(text)) &&
	    strchr(text, '/') != NULL)
		r->size = strtoull(strchr(text, '/') + 1, NULL, 10);
	else if (r->size == 0 &&
	    header_is(line, n, "content-length", text, sizeof(text)))
		r->size = strtoull(text, NULL, 10);
	else if (header_is(line, n, "retry-after", text, sizeof(text)))
		c->retry_after_s =
		    s3_retry_after_s(text, clock_wall_ns() / NS_PER_S);
	else if (header_is(line, n, "date", text, sizeof(text)) &&
	    curl_getdate(text, NULL) > 0)
		c->date_s = (uint64_t)curl_getdate(text, NULL);
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
		if (rq->key[0] == '\0')
			return "s3:ListBucket";
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
void
s3_answer_name_error(struct s3_call *c)
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

int
s3_answer_error(long status)
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

bool
s3_answer_is_temporary(const struct s3_call *c, CURLcode rc)
{
	if (rc == CURLE_PEER_FAILED_VERIFICATION ||
	    rc == CURLE_SSL_CACERT_BADFILE || rc == CURLE_READ_ERROR ||
	    rc == CURLE_ABORTED_BY_CALLBACK)
		return false;
	return rc != CURLE_OK || c->r.status >= 500 || c->r.status == 429 ||
	    c->r.status == 408 ||
	    strcmp(c->r.code, "ConditionalRequestConflict") == 0 ||
	    strcmp(c->r.code, "RequestTimeout") == 0; /* status 400 */
}

bool
s3_answer_is_expired(const struct s3_call *c)
{
	static const char *const codes[] = { "ExpiredToken", "InvalidToken",
		"TokenRefreshRequired", "InvalidAccessKeyId" };

	for (size_t i = 0; i < N_ELEMENTS(codes); i++)
		if (strcmp(c->r.code, codes[i]) == 0)
			return true;
	return false;
}
