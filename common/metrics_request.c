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

/* A body is never read: it would be taken for the next request. */
static bool
announces_body(struct span line)
{
	const char *colon = memchr(line.at, ':', line.len);
	struct span name = { line.at, 0 }, value = line;

	if (colon == NULL)
		return false;
	name.len = (size_t)(colon - line.at);
	value.at = colon + 1;
	value.len -= name.len + 1;
	while (value.len > 0 && (*value.at == ' ' || *value.at == '\t')) {
		value.at++;
		value.len--;
	}
	return is(name, "Transfer-Encoding") ||
	    (is(name, "Content-Length") && !is(value, "0"));
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
	while (rc == 0 && next_line(&rest, &line))
		if (announces_body(line))
			rc = ERR_PROTOCOL;
	return rc != 0 ? rc : (ssize_t)used;
}
