/*
 * Small HTTP pieces that S3 requests, signed links and the file server
 * share: percent-encoding (RFC 3986 section 2), query values and byte ranges
 * (RFC 9110 section 14). No I/O, thread-safe; all input is hostile.
 */
#ifndef COMMON_HTTP_H
#define COMMON_HTTP_H

#include <stddef.h>
#include <stdint.h>

/* RFC 6797: browsers come back over TLS only, for a year after each answer.
 * It is a host's, not a port's, and no subdomain's. */
#define HTTP_HSTS       "max-age=31536000"
#define HTTP_HSTS_FIELD "Strict-Transport-Security: " HTTP_HSTS "\r\n"

/*
 * Percent-encodes all but A-Z a-z 0-9 - . _ ~ (and '/', if keep_slash) into
 * out with a NUL. Returns the length, or ERR_LIMIT when it does not fit.
 */
long http_encode(const char *s, int keep_slash, char *out, size_t out_len);

/*
 * Decodes len bytes of s into out with a NUL. '+' is itself. Returns the
 * length, ERR_PROTOCOL for a broken escape or an encoded NUL, ERR_LIMIT.
 */
long http_decode(const char *s, size_t len, char *out, size_t out_len);

/*
 * Decoded value of the first parameter `name` of a query ("a=1&b=2"; NULL
 * is an empty one). Returns its length, ERR_NOTFOUND, ERR_PROTOCOL or
 * ERR_LIMIT.
 */
long http_query_value(
    const char *query, const char *name, char *out, size_t out_len);

/* The same where '+' is a space, as browsers write forms; values of up to
 * HTTP_FORM_MAX bytes before they are decoded. */
#define HTTP_FORM_MAX 2048
long http_form_value(
    const char *query, const char *name, char *out, size_t out_len);

/* Bytes first..last, both included. */
struct http_range {
	uint64_t first, last;
};

/*
 * Reads a Range field for a file of size bytes. Returns 1 and the range; 0
 * when the field is to be ignored (NULL, another unit, broken, several
 * ranges: the whole file is a right answer to all of them, RFC 9110 section
 * 14.2); ERR_LIMIT when it cannot be satisfied (416).
 */
int http_range_parse(const char *field, uint64_t size, struct http_range *r);

#define HTTP_TRACE_ID_MAX 33

/*
 * The trace that a request belongs to, from its field traceparent (NULL: it
 * has none; W3C Trace Context, version 00 and later ones that begin as it
 * does). out: 32 hex digits. Returns 0, ERR_NOTFOUND (no field) or
 * ERR_PROTOCOL.
 */
int http_trace_id(const char *traceparent, char out[HTTP_TRACE_ID_MAX]);

/* Lower-case hex of n bytes into out (2n + 1 bytes); returns out. */
char *http_hex(const uint8_t *data, size_t n, char *out);

/* The reverse; s has exactly 2n hex digits. Returns 0 or ERR_PROTOCOL. */
int http_unhex(const char *s, uint8_t *out, size_t n);

#endif
