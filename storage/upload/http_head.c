#include "storage/upload/http_head.h"

#include <string.h>
#include <strings.h>

#define REFUSE (-400)

/* ---- spans ---- */

bool
http_span_is(struct http_span s, const char *text)
{
	return s.len == strlen(text) && memcmp(s.at, text, s.len) == 0;
}

bool
http_span_is_nocase(struct http_span s, const char *text)
{
	return s.len == strlen(text) && strncasecmp(s.at, text, s.len) == 0;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

struct http_span
http_span_trim(struct http_span s)
{
	while (s.len > 0 && is_blank(s.at[0])) {
		s.at++;
		s.len--;
	}
	while (s.len > 0 && is_blank(s.at[s.len - 1]))
		s.len--;
	return s;
}

bool
http_span_next(struct http_span *s, char stop, struct http_span *out)
{
	const char *end;

	if (s->len == 0)
		return false;
	end = memchr(s->at, stop, s->len);
	out->at = s->at;
	out->len = end != NULL ? (size_t)(end - s->at) : s->len;
	s->at += out->len + (end != NULL);
	s->len -= out->len + (end != NULL);
	return true;
}

/* ---- lines ---- */

/* RFC 9110 section 5.6.2. */
static bool
is_token(struct http_span s)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.at[i];

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
			(c >= 'A' && c <= 'Z') ||
			(c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL)))
			return false;
	}
	return s.len > 0;
}

static bool
is_text(struct http_span s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.at[i];

		if ((c < ' ' && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

/* Of the target: visible characters of ASCII. */
static bool
is_visible(struct http_span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.at[i] <= ' ' || s.at[i] >= 0x7f)
			return false;
	return s.len > 0;
}

/* Takes the next line, without its CR LF. 1, 0 for more, or REFUSE. */
static int
next_line(struct http_span *in, struct http_span *line)
{
	const char *lf = memchr(in->at, '\n', in->len);
	const char *cr = memchr(in->at, '\r', in->len);

	if (lf == NULL)
		return cr != NULL && cr + 1 < in->at + in->len ? REFUSE : 0;
	if (cr == NULL || cr + 1 != lf)
		return REFUSE;
	line->at = in->at;
	line->len = (size_t)(cr - in->at);
	in->len -= line->len + 2;
	in->at = lf + 1;
	return 1;
}

static int
request_line(struct http_head *h, struct http_span line)
{
	struct http_span version;

	if (!http_span_next(&line, ' ', &h->method) ||
	    !http_span_next(&line, ' ', &h->target) || !is_token(h->method) ||
	    !is_visible(h->target))
		return REFUSE;
	version = line;
	h->is_old = http_span_is(version, "HTTP/1.0");
	if (h->is_old || http_span_is(version, "HTTP/1.1"))
		return 0;
	return version.len == 8 && memcmp(version.at, "HTTP/", 5) == 0 ? -505
								       : REFUSE;
}

static int
field_line(struct http_head *h, struct http_span line)
{
	struct http_field *f = &h->fields[h->n_fields];
	const char *colon = memchr(line.at, ':', line.len);

	if (h->n_fields == HTTP_HEAD_FIELDS_MAX)
		return -431;
	if (colon == NULL)
		return REFUSE;
	f->name = (struct http_span){ line.at, (size_t)(colon - line.at) };
	f->value = http_span_trim(
	    (struct http_span){ colon + 1, line.len - f->name.len - 1 });
	if (!is_token(f->name) || !is_text(f->value))
		return REFUSE;
	h->n_fields++;
	return 0;
}

static int
check_host(const struct http_head *h)
{
	struct http_span host;
	int rc = http_head_field(h, "host", &host);

	return rc < 0 || (rc == 0 && !h->is_old) ? REFUSE : 0;
}

/* 0 for more, too: at most HTTP_HEAD_MAX bytes of it. */
static long
parse(struct http_head *h, struct http_span in)
{
	const char *begin = in.at;
	struct http_span line;
	int rc = next_line(&in, &line);

	if (rc <= 0)
		return rc;
	rc = request_line(h, line);
	while (rc == 0) {
		rc = next_line(&in, &line);
		if (rc <= 0)
			return rc;
		if (line.len == 0) {
			rc = check_host(h);
			return rc != 0 ? rc : in.at - begin;
		}
		rc = field_line(h, line);
	}
	return rc;
}

long
http_head_parse(struct http_head *h, const char *data, size_t len)
{
	size_t n = len < HTTP_HEAD_MAX ? len : HTTP_HEAD_MAX;
	long rc;

	h->n_fields = 0;
	rc = parse(h, (struct http_span){ data, n });
	return rc == 0 && n == HTTP_HEAD_MAX ? -431 : rc;
}

int
http_head_field(
    const struct http_head *h, const char *name, struct http_span *value)
{
	int found = 0;

	for (unsigned i = 0; i < h->n_fields; i++) {
		if (!http_span_is_nocase(h->fields[i].name, name))
			continue;
		if (found++ != 0)
			return REFUSE;
		*value = h->fields[i].value;
	}
	return found;
}
