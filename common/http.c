#include "common/http.h"

#include <stdbool.h>
#include <string.h>

#include "common/err.h"

static int
is_unreserved(unsigned char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	    (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
	    c == '~';
}

long
http_encode(const char *s, int keep_slash, char *out, size_t out_len)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t n = 0;

	for (; *s != '\0'; s++) {
		unsigned char c = (unsigned char)*s;
		int plain = is_unreserved(c) || (keep_slash && c == '/');

		if (n + (plain ? 1 : 3) >= out_len)
			return ERR_LIMIT;
		if (plain) {
			out[n++] = (char)c;
			continue;
		}
		out[n++] = '%';
		out[n++] = digits[c >> 4];
		out[n++] = digits[c & 15];
	}
	if (n >= out_len)
		return ERR_LIMIT;
	out[n] = '\0';
	return (long)n;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

long
http_decode(const char *s, size_t len, char *out, size_t out_len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		int c = (unsigned char)s[i];

		if (n + 1 >= out_len)
			return ERR_LIMIT;
		if (c == '%') {
			bool whole = len - i > 2;
			int hi = whole ? hex_digit(s[i + 1]) : -1;
			int lo = whole ? hex_digit(s[i + 2]) : -1;

			if (hi < 0 || lo < 0)
				return ERR_PROTOCOL;
			c = hi << 4 | lo;
			i += 2;
		}
		if (c == '\0')
			return ERR_PROTOCOL;
		out[n++] = (char)c;
	}
	if (n >= out_len)
		return ERR_LIMIT;
	out[n] = '\0';
	return (long)n;
}

/* The value of the first parameter `name` as it is written; NULL: none. */
static const char *
find_value(const char *query, const char *name, size_t *value_len)
{
	size_t name_len = strlen(name);

	for (const char *p = query; p != NULL && *p != '\0';) {
		size_t len = strcspn(p, "&");

		if (len > name_len && p[name_len] == '=' &&
		    memcmp(p, name, name_len) == 0) {
			*value_len = len - name_len - 1;
			return p + name_len + 1;
		}
		p += len;
		p += *p == '&';
	}
	return NULL;
}

long
http_query_value(const char *query, const char *name, char *out, size_t out_len)
{
	size_t len;
	const char *value = find_value(query, name, &len);

	return value != NULL ? http_decode(value, len, out, out_len)
			     : ERR_NOTFOUND;
}

long
http_form_value(const char *query, const char *name, char *out, size_t out_len)
{
	char text[HTTP_FORM_MAX];
	size_t len;
	const char *value = find_value(query, name, &len);

	if (value == NULL)
		return ERR_NOTFOUND;
	if (len > sizeof(text))
		return ERR_LIMIT;
	for (size_t i = 0; i < len; i++)
		text[i] = value[i] != '+' ? value[i] : ' ';
	return http_decode(text, len, out, out_len);
}

/* Digits into *v, at most UINT64_MAX (more is clipped); NULL if none. */
static const char *
parse_digits(const char *s, uint64_t *v)
{
	const char *p = s;

	for (*v = 0; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(*v, 10, v) ||
		    __builtin_add_overflow(*v, (uint64_t)(*p - '0'), v)) {
			while (*p >= '0' && *p <= '9')
				p++;
			*v = UINT64_MAX;
			return p;
		}
	return p == s ? NULL : p;
}

static const char *
skip_spaces(const char *s)
{
	while (*s == ' ' || *s == '\t')
		s++;
	return s;
}

/* "-500": the last 500 bytes. */
static int
suffix_range(const char *s, uint64_t size, struct http_range *r)
{
	uint64_t n;
	const char *end = parse_digits(s, &n);

	if (end == NULL || *skip_spaces(end) != '\0')
		return 0;
	if (n == 0 || size == 0)
		return ERR_LIMIT;
	r->first = n < size ? size - n : 0;
	r->last = size - 1;
	return 1;
}

int
http_range_parse(const char *field, uint64_t size, struct http_range *r)
{
	const char *s;

	if (field == NULL)
		return 0;
	s = skip_spaces(field);
	if (strncasecmp(s, "bytes=", 6) != 0)
		return 0;
	s = skip_spaces(s + 6);
	if (*s == '-')
		return suffix_range(s + 1, size, r);
	s = parse_digits(s, &r->first);
	if (s == NULL || *s != '-')
		return 0;
	s = skip_spaces(s + 1);
	r->last = UINT64_MAX;
	if (*s != '\0') {
		s = parse_digits(s, &r->last);
		if (s == NULL || *skip_spaces(s) != '\0' || r->last < r->first)
			return 0;
	}
	if (r->first >= size)
		return ERR_LIMIT;
	if (r->last >= size)
		r->last = size - 1;
	return 1;
}

char *
http_hex(const uint8_t *data, size_t n, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		out[2 * i] = digits[data[i] >> 4];
		out[2 * i + 1] = digits[data[i] & 15];
	}
	out[2 * n] = '\0';
	return out;
}

int
http_unhex(const char *s, uint8_t *out, size_t n)
{
	if (strlen(s) != 2 * n)
		return ERR_PROTOCOL;
	for (size_t i = 0; i < n; i++) {
		int hi = hex_digit(s[2 * i]), lo = hex_digit(s[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return ERR_PROTOCOL;
		out[i] = (uint8_t)(hi << 4 | lo);
	}
	return 0;
}

/* n lower-case hex digits at s; *is_zero: all of them are 0. */
static bool
is_hex(const char *s, size_t n, bool *is_zero)
{
	*is_zero = strspn(s, "0") >= n;
	return strspn(s, "0123456789abcdef") >= n;
}

int
http_trace_id(const char *traceparent, char out[HTTP_TRACE_ID_MAX])
{
	const char *s = traceparent;
	bool no_version, no_trace, no_parent, ignored;
	size_t len;

	if (s == NULL)
		return ERR_NOTFOUND;
	len = strlen(s);
	if (len < 55 || s[2] != '-' || s[35] != '-' || s[52] != '-' ||
	    !is_hex(s, 2, &no_version) || !is_hex(s + 3, 32, &no_trace) ||
	    !is_hex(s + 36, 16, &no_parent) || !is_hex(s + 53, 2, &ignored) ||
	    no_trace || no_parent || memcmp(s, "ff", 2) == 0 ||
	    (len > 55 && (no_version || s[55] != '-')))
		return ERR_PROTOCOL;
	memcpy(out, s + 3, 32);
	out[32] = '\0';
	return 0;
}
