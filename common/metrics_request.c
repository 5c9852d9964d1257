#include "common/metrics_request.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "common/bytes.h"
#include "common/err.h"

struct span {
	const char *at;
	size_t len;
};

/* The next line of a head without its end, which is CRLF or LF; s moves on.
 * False at the end of s. */
static bool
next_line(struct span *s, struct span *line)
{
	const char *end = s->len > 0 ? memchr(s->at, '\n', s->len) : NULL;

	if (end == NULL)
		return false;
	line->at = s->at;
	line->len = (size_t)(end - s->at);
	s->len -= line->len + 1;
	s->at = end + 1;
	if (line->len > 0 && line->at[line->len - 1] == '\r')
		line->len--;
	return true;
}

/* The length of the head with its empty line; 0: it is not there. */
static size_t
head_len(const char *data, size_t len)
{
	struct span rest = { data, len }, line;

	while (next_line(&rest, &line))
		if (line.len == 0 && line.at != data)
			return len - rest.len;
	return 0;
}

static bool
is(struct span s, const char *word)
{
	return s.len == strlen(word) && strncasecmp(s.at, word, s.len) == 0;
}

/* The part of s up to a blank; s moves behind that blank. */
static struct span
next_word(struct span *s)
{
	/* NOLINTNEXTLINE: clang 14 takes s for unset where a line was read */
	const char *end = s->len > 0 ? memchr(s->at, ' ', s->len) : NULL;
	struct span word = { s->at,
		end != NULL ? (size_t)(end - s->at) : s->len };

	s->len -= min_size(word.len + 1, s->len);
	s->at += word.len + (end != NULL);
	return word;
}

static int
read_method(struct span word, enum metrics_method *method)
{
	static const char *const names[] = {
		[METRICS_GET] = "GET",
		[METRICS_HEAD] = "HEAD",
		[METRICS_OPTIONS] = "OPTIONS",
	};

	for (unsigned i = 0; i < N_ELEMENTS(names); i++)
		if (word.len == strlen(names[i]) &&
		    memcmp(word.at, names[i], word.len) == 0) {
			*method = (enum metrics_method)i;
			return 0;
		}
	for (size_t i = 0; i < word.len; i++)
		if (word.at[i] < 'A' || word.at[i] > 'Z')
			return ERR_PROTOCOL;
	return word.len > 0 ? ERR_UNSUPPORTED : ERR_PROTOCOL;
}

static int
read_request_line(struct span line, struct metrics_request *req)
{
	struct span method = next_word(&line), path = next_word(&line);
	const char *query;
	int rc;

	if (!is(line, "HTTP/1.1") && !is(line, "HTTP/1.0"))
		return ERR_PROTOCOL;
	rc = read_method(method, &req->method);
	if (rc != 0)
		return rc;
	if (path.len == 0 || (path.at[0] != '/' && !is(path, "*")))
		return ERR_PROTOCOL;
	query = memchr(path.at, '?', path.len);
	if (query != NULL)
		path.len = (size_t)(query - path.at);
	if (path.len > METRICS_PATH_MAX)
		return ERR_NOTFOUND;
	memcpy(req->path, path.at, path.len);
	req->path[path.len] = '\0';
	return memchr(path.at, '\0', path.len) == NULL ? 0 : ERR_PROTOCOL;
}

static struct span
trim(struct span s)
{
	while (s.len > 0 && (*s.at == ' ' || *s.at == '\t')) {
		s.at++;
		s.len--;
	}
	while (s.len > 0 && (s.at[s.len - 1] == ' ' || s.at[s.len - 1] == '\t'))
		s.len--;
	return s;
}

/* The trimmed part of s up to the separator; s moves behind it. */
static struct span
next_part(struct span *s, char separator)
{
	const char *end = s->len > 0 ? memchr(s->at, separator, s->len) : NULL;
	struct span part = { s->at,
		end != NULL ? (size_t)(end - s->at) : s->len };
	size_t used = min_size(part.len + 1, s->len);

	s->at += used;
	s->len -= used;
	return trim(part);
}

/* A body is never read: it would be taken for the next request. */
static bool
announces_body(struct span name, struct span value)
{
	return is(name, "Transfer-Encoding") ||
	    (is(name, "Content-Length") && !is(value, "0"));
}

/* The weight of a media range in thousandths, RFC 9110 section 12.4.2; what
 * cannot be read is 0. */
static unsigned
weight(struct span parameters)
{
	while (parameters.len > 0) {
		struct span p = next_part(&parameters, ';');
		unsigned q = 0, unit = 1000;

		if (p.len < 3 || strncasecmp(p.at, "q=", 2) != 0)
			continue;
		for (size_t i = 2; i < p.len && unit > 0; i++) {
			if (p.at[i] == '.')
				continue;
			if (p.at[i] < '0' || p.at[i] > '9')
				return 0;
			q += (unsigned)(p.at[i] - '0') * unit;
			unit /= 10;
		}
		return q;
	}
	return 1000;
}

static void
read_accept(struct span value, unsigned *open, unsigned *plain)
{
	while (value.len > 0) {
		struct span range = next_part(&value, ',');
		struct span type = next_part(&range, ';');
		unsigned *to = is(type, "application/openmetrics-text") ? open
		    : is(type, "text/plain")                            ? plain
									: NULL;

		if (to != NULL && weight(range) > *to)
			*to = weight(range);
	}
}

static int
read_fields(struct span rest, struct metrics_request *req)
{
	unsigned open = 0, plain = 0;
	struct span line;

	while (next_line(&rest, &line)) {
		struct span name = next_part(&line, ':'), value = trim(line);

		if (announces_body(name, value))
			return ERR_PROTOCOL;
		if (is(name, "Accept"))
			read_accept(value, &open, &plain);
	}
	req->format = open > 0 && open >= plain ? METRICS_OPENMETRICS
						: METRICS_PROMETHEUS;
	return 0;
}

ssize_t
metrics_request_parse(struct metrics_request *req, const char *data, size_t len)
{
	size_t used = head_len(data, min_size(len, METRICS_HEAD_MAX));
	struct span rest = { data, used }, line;
	int rc;

	if (used == 0)
		return len >= METRICS_HEAD_MAX ? ERR_LIMIT : 0;
	next_line(&rest, &line);
	rc = read_request_line(line, req);
	if (rc == 0)
		rc = read_fields(rest, req);
	return rc != 0 ? rc : (ssize_t)used;
}
