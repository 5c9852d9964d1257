#include "storage/upload/tus.h"

#include <sodium.h>
#include <string.h>

#define SHA1_LEN   20
#define SHA256_LEN 32

static long
refuse(struct tus_refusal *why, int status, const char *text)
{
	*why = (struct tus_refusal){ status, text };
	return -1;
}

/* ---- values ---- */

/* Decimal digits only, below 2^63. False: something else. */
static bool
read_number(struct http_span s, uint64_t *out)
{
	uint64_t n = 0;

	if (s.len == 0 || s.len > 18)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (s.at[i] < '0' || s.at[i] > '9')
			return false;
		n = n * 10 + (unsigned)(s.at[i] - '0');
	}
	*out = n;
	return true;
}

/* 1, 0: it is not there, -1: it is there and no number, or there twice. */
static int
number_field(const struct http_head *h, const char *name, uint64_t *out)
{
	struct http_span value;
	int rc = http_head_field(h, name, &value);

	if (rc <= 0)
		return rc < 0 ? -1 : 0;
	return read_number(value, out) ? 1 : -1;
}

/* Base64 of exactly n bytes, or, at_most, of up to n; *got: how many. */
static bool
read_base64(struct http_span s, uint8_t *out, size_t n, size_t *got)
{
	return sodium_base642bin(out, n, s.at, s.len, NULL, got, NULL,
		   sodium_base64_VARIANT_ORIGINAL) == 0;
}

/* ---- the request line ---- */

static long
read_method(
    struct tus_request *r, const struct http_head *h, struct tus_refusal *why)
{
	static const struct {
		const char *name;
		enum tus_method method;
	} known[] = { { "OPTIONS", TUS_OPTIONS }, { "HEAD", TUS_HEAD },
		{ "POST", TUS_CREATE }, { "PATCH", TUS_APPEND },
		{ "DELETE", TUS_DELETE } };
	struct http_span name = h->method, other;
	int rc = http_head_field(h, "x-http-method-override", &other);

	if (rc < 0)
		return refuse(
		    why, 400, "X-HTTP-Method-Override is there twice.");
	if (rc > 0)
		name = other;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (http_span_is(name, known[i].name)) {
			r->method = known[i].method;
			return 0;
		}
	return refuse(why, 405,
	    "Only OPTIONS, HEAD, POST, PATCH and DELETE are served here.");
}

static long
read_target(
    struct tus_request *r, const struct http_head *h, struct tus_refusal *why)
{
	const size_t len = strlen(TUS_PATH);
	struct http_span t = h->target;

	if (t.len < len || memcmp(t.at, TUS_PATH, len) != 0)
		return refuse(why, 404, "Captures are at " TUS_PATH ".");
	t.at += len;
	t.len -= len;
	if (t.len <= 1) { /* a slash at the end is the same */
		if (t.len == 1 && t.at[0] != '/')
			return refuse(
			    why, 404, "Captures are at " TUS_PATH ".");
		if (r->method != TUS_OPTIONS && r->method != TUS_CREATE)
			return refuse(
			    why, 405, "The path needs the UUID of a capture.");
		return 0;
	}
	if (t.at[0] != '/' || t.len != 1 + UUID_LEN)
		return refuse(why, 404, "There is no such capture.");
	memcpy(r->id, t.at + 1, UUID_LEN);
	r->id[UUID_LEN] = '\0';
	if (!is_uuid(r->id))
		return refuse(why, 404, "There is no such capture.");
	if (r->method == TUS_CREATE)
		return refuse(
		    why, 405, "Captures are created at " TUS_PATH ".");
	return 0;
}

/* ---- framing ---- */

static long
read_framing(
    struct tus_request *r, const struct http_head *h, struct tus_refusal *why)
{
	struct http_span value, option;
	int rc;

	if (http_head_field(h, "transfer-encoding", &value) != 0)
		return refuse(why, 411,
		    "The body needs a Content-Length; no other encoding of it "
		    "is taken.");
	if (number_field(h, "content-length", &r->body_len) < 0)
		return refuse(why, 400, "Content-Length is no number.");
	rc = http_head_field(h, "expect", &value);
	if (rc < 0 || (rc > 0 && !http_span_is_nocase(value, "100-continue")))
		return refuse(why, 417, "Only 100-continue can be expected.");
	r->wants_continue = rc > 0 && r->body_len > 0;
	r->wants_close = h->is_old;
	if (http_head_field(h, "connection", &value) < 0)
		return refuse(why, 400, "Connection is there twice.");
	if (http_head_field(h, "connection", &value) > 0)
		while (http_span_next(&value, ',', &option))
			if (http_span_is_nocase(
				http_span_trim(option), "close"))
				r->wants_close = true;
	if (r->body_len > 0 && r->method != TUS_CREATE &&
	    r->method != TUS_APPEND)
		return refuse(why, 400, "This method has no body.");
	return 0;
}

static long
check_version(const struct tus_request *r, const struct http_head *h,
    struct tus_refusal *why)
{
	struct http_span value;

	if (r->method == TUS_OPTIONS)
		return 0;
	if (http_head_field(h, "tus-resumable", &value) != 1 ||
	    !http_span_is(value, TUS_VERSION))
		return refuse(
		    why, 412, "Tus-Resumable has to be " TUS_VERSION ".");
	return 0;
}

/* ---- what POST says ---- */

/* One "key base64". False: it breaks a rule. */
static bool
read_metadata_pair(struct tus_request *r, struct http_span pair)
{
	struct http_span key, value;
	char text[64];
	size_t got = 0;

	pair = http_span_trim(pair);
	if (!http_span_next(&pair, ' ', &key))
		return false;
	value = http_span_trim(pair);
	if (http_span_is(key, "capture")) {
		if (r->id[0] != '\0' ||
		    !read_base64(value, (uint8_t *)text, UUID_LEN, &got) ||
		    got != UUID_LEN)
			return false;
		memcpy(r->id, text, UUID_LEN);
		return is_uuid(r->id);
	}
	if (http_span_is(key, "encryption")) {
		if (!read_base64(value, (uint8_t *)text, sizeof(text), &got))
			return false;
		r->is_sealed = got == strlen("secretstream") &&
		    memcmp(text, "secretstream", got) == 0;
		return r->is_sealed;
	}
	return true; /* tus: unknown keys are the client's */
}

static long
read_creation(
    struct tus_request *r, const struct http_head *h, struct tus_refusal *why)
{
	struct http_span all, pair;
	bool is_right = true;

	if (number_field(h, "upload-length", &r->length) != 1)
		return refuse(why, 400,
		    "Upload-Length has to be the number of all bytes.");
	if (http_head_field(h, "upload-metadata", &all) == 1)
		while (is_right && http_span_next(&all, ',', &pair))
			is_right = read_metadata_pair(r, pair);
	if (!is_right || r->id[0] == '\0')
		return refuse(why, 400,
		    "Upload-Metadata needs `capture`, a UUID, and of "
		    "`encryption` only secretstream is known.");
	return 0;
}

/* ---- what comes with bytes ---- */

/* Bytes of an upload, when there are any. */
static long
check_type(const struct tus_request *r, const struct http_head *h,
    struct tus_refusal *why)
{
	struct http_span value;

	if (r->method == TUS_CREATE && r->body_len == 0)
		return 0;
	if (http_head_field(h, "content-type", &value) != 1 ||
	    !http_span_is_nocase(value, "application/offset+octet-stream"))
		return refuse(why, 415,
		    "Content-Type has to be application/offset+octet-stream.");
	return 0;
}

static long
read_checksum(
    struct tus_request *r, const struct http_head *h, struct tus_refusal *why)
{
	struct http_span value, name;
	size_t got = 0, want;
	int rc = http_head_field(h, "upload-checksum", &value);

	if (rc == 0)
		return 0;
	if (rc < 0 || !http_span_next(&value, ' ', &name))
		return refuse(why, 400, "Upload-Checksum cannot be read.");
	r->checksum = http_span_is(name, "sha256") ? TUS_CHECKSUM_SHA256
	    : http_span_is(name, "sha1")           ? TUS_CHECKSUM_SHA1
						   : TUS_CHECKSUM_NONE;
	want = r->checksum == TUS_CHECKSUM_SHA1 ? SHA1_LEN : SHA256_LEN;
	if (r->checksum == TUS_CHECKSUM_NONE ||
	    !read_base64(value, r->sum, sizeof(r->sum), &got) || got != want)
		return refuse(why, 400,
		    "Upload-Checksum has to be sha1 or sha256 and a checksum "
		    "of its length in Base64.");
	return 0;
}

/* sha-256=:...: among others, RFC 9530 and RFC 8941. */
static long
read_digest(
    struct tus_request *r, const struct http_head *h, struct tus_refusal *why)
{
	struct http_span all, one, name;
	size_t got = 0;

	if (http_head_field(h, "repr-digest", &all) < 0)
		return refuse(why, 400, "Repr-Digest is there twice.");
	if (http_head_field(h, "repr-digest", &all) == 0)
		return 0;
	while (http_span_next(&all, ',', &one)) {
		one = http_span_trim(one);
		if (!http_span_next(&one, '=', &name) ||
		    !http_span_is(name, "sha-256"))
			continue;
		if (one.len < 2 || one.at[0] != ':' ||
		    one.at[one.len - 1] != ':')
			return refuse(why, 400, "Repr-Digest cannot be read.");
		one.at++;
		one.len -= 2;
		if (!read_base64(one, r->digest, SHA256_LEN, &got) ||
		    got != SHA256_LEN)
			return refuse(why, 400, "Repr-Digest cannot be read.");
		r->has_digest = true;
	}
	return 0;
}

static long
read_append(
    struct tus_request *r, const struct http_head *h, struct tus_refusal *why)
{
	struct http_span value;

	if (http_head_field(h, "content-length", &value) != 1)
		return refuse(why, 411, "The body needs a Content-Length.");
	if (number_field(h, "upload-offset", &r->offset) != 1)
		return refuse(why, 400,
		    "Upload-Offset has to be the number of bytes before "
		    "these.");
	return 0;
}

/* ---- all of it ---- */

static long
read_request(
    struct tus_request *r, const struct http_head *h, struct tus_refusal *why)
{
	long rc = read_method(r, h, why);

	if (rc == 0)
		rc = read_framing(r, h, why);
	if (rc == 0)
		rc = check_version(r, h, why);
	if (rc == 0)
		rc = read_target(r, h, why);
	if (rc == 0 && r->method == TUS_CREATE)
		rc = read_creation(r, h, why);
	if (rc == 0 && r->method == TUS_APPEND)
		rc = read_append(r, h, why);
	if (rc == 0 && (r->method == TUS_CREATE || r->method == TUS_APPEND)) {
		rc = check_type(r, h, why);
		if (rc == 0)
			rc = read_checksum(r, h, why);
		if (rc == 0)
			rc = read_digest(r, h, why);
	}
	return rc;
}

long
tus_parse(struct tus_request *r, const char *data, size_t len,
    struct tus_refusal *why)
{
	struct http_head h;
	long n = http_head_parse(&h, data, len);

	memset(r, 0, sizeof(*r));
	if (n == 0)
		return 0;
	if (n < 0)
		return refuse(why, (int)-n, "This is no request of HTTP/1.1.");
	return read_request(r, &h, why) == 0 ? n : -1;
}

const char *
tus_reason(int status)
{
	static const struct {
		int status;
		const char *reason;
	} known[] = { { 200, "OK" }, { 201, "Created" }, { 204, "No Content" },
		{ 400, "Bad Request" }, { 403, "Forbidden" },
		{ 404, "Not Found" }, { 405, "Method Not Allowed" },
		{ 409, "Conflict" }, { 411, "Length Required" },
		{ 412, "Precondition Failed" }, { 413, "Content Too Large" },
		{ 415, "Unsupported Media Type" },
		{ 417, "Expectation Failed" }, { 422, "Unprocessable Content" },
		{ 423, "Locked" }, { 429, "Too Many Requests" },
		{ 431, "Request Header Fields Too Large" },
		{ 460, "Checksum Mismatch" }, { 500, "Internal Server Error" },
		{ 503, "Service Unavailable" },
		{ 505, "HTTP Version Not Supported" },
		{ 507, "Insufficient Storage" } };

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].status == status)
			return known[i].reason;
	return "Error";
}
