/*
 * The head of an HTTP/1.1 request (RFC 9112 sections 2 to 5), for the
 * protocols of uploads, whose bodies are read as they come. Strict: no bare CR
 * or LF, no folded fields, no control characters, one Host. No I/O, no
 * allocation; all input is hostile.
 */
#ifndef STORAGE_UPLOAD_HTTP_HEAD_H
#define STORAGE_UPLOAD_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>

#define HTTP_HEAD_MAX        8192 /* bytes */
#define HTTP_HEAD_FIELDS_MAX 64

/* Bytes of the head, without a NUL. */
struct http_span {
	const char *at;
	size_t len;
};

struct http_field {
	struct http_span name, value; /* value: without white space around it */
};

struct http_head {
	struct http_span method, target;
	bool is_old; /* HTTP/1.0 */
	unsigned n_fields;
	struct http_field fields[HTTP_HEAD_FIELDS_MAX];
};

/*
 * Reads a head from the len bytes at data, which it refers to. Returns its
 * length with the empty line, 0 when more bytes are needed, or the negative
 * status to refuse it with: -400, -431 (over a limit), -505 (version).
 */
long http_head_parse(struct http_head *h, const char *data, size_t len);

/*
 * Looks for a field by its name in lower case. 1 and the value; 0: it is not
 * there; -400: it is there more than once.
 */
int http_head_field(
    const struct http_head *h, const char *name, struct http_span *value);

/* Whether the bytes are those of the text; the second ignores the case. */
bool http_span_is(struct http_span s, const char *text);
bool http_span_is_nocase(struct http_span s, const char *text);
/* Takes white space from both ends. */
struct http_span http_span_trim(struct http_span s);
/* Takes what is before the next `stop`, or all, from *s; false: *s is empty. */
bool http_span_next(struct http_span *s, char stop, struct http_span *out);

#endif
