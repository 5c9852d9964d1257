#include "relay/http/http_request.h"

#include <string.h>
#include <strings.h>

#include "common/bytes.h"
#include "common/err.h"

/* ---- characters, RFC 9110 section 5.6 ---- */

static bool
is_token_char(unsigned char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	    (c >= '0' && c <= '9') ||
	    (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool
is_token(const char *s)
{
	if (*s == '\0')
		return false;
	while (is_token_char((unsigned char)*s))
		s++;
	return *s == '\0';
}

/* A name, an address or [an IPv6 address], and a port: what is put into
 * answers and compared with an Origin. */
static bool
is_host(const char *s)
{
	static const char others[] = ".-_:[]";

	if (*s == '\0' || strlen(s) > 255)
		return false;
	for (; *s != '\0'; s++) {
		bool alnum = (*s >= 'A' && *s <= 'Z') ||
		    (*s >= 'a' && *s <= 'z') || (*s >= '0' && *s <= '9');

		if (!alnum && strchr(others, *s) == NULL)
			return false;
	}
	return true;
}

/*
 * Is every byte one that may be in a head, and every CR and LF half of a
 * line's end? A CR at the very end may still get its LF.
 */
static bool
are_bytes_right(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		bool after_cr = i > 0 && p[i - 1] == '\r';

		if ((p[i] == '\n') != after_cr)
			return false;
		if (p[i] == 0x7f ||
		    (p[i] < ' ' && strchr("\t\r\n", p[i]) == NULL) ||
		    p[i] == '\0')
			return false;
	}
	return true;
}

/* ---- comma lists ---- */

static const char *
skip_blank(const char *s)
{
	return s + strspn(s, " \t");
}

/*
 * Steps through a list with commas: returns the next element without the
 * blanks around it and its length, or NULL at the end; *list moves on.
 */
static const char *
next_element(const char **list, size_t *len)
{
	const char *s = skip_blank(*list);

	while (*s == ',')
		s = skip_blank(s + 1);
	if (*s == '\0')
		return NULL;
	*len = strcspn(s, ",");
	*list = s + *len;
	while (*len > 0 && strchr(" \t", s[*len - 1]) != NULL)
		(*len)--;
	return s;
}

static bool
list_has(const char *list, const char *word)
{
	const char *s;
	size_t len;

	while ((s = next_element(&list, &len)) != NULL)
		if (len == strlen(word) && strncasecmp(s, word, len) == 0)
			return true;
	return false;
}

/* ---- fields ---- */

enum field_id {
	FIELD_OTHER,
	FIELD_HOST,
	FIELD_ORIGIN,
	FIELD_IF_NONE_MATCH,
	FIELD_WS_KEY,
	FIELD_WS_VERSION,
	FIELD_WS_PROTOCOL,
	FIELD_UPGRADE,
	FIELD_CONNECTION,
	FIELD_CONTENT_LENGTH,
	FIELD_TRANSFER_ENCODING,
	FIELD_TRACEPARENT,
};

static const struct {
	const char *name;
	enum field_id id;
} known_fields[] = {
	{ "Host", FIELD_HOST },
	{ "Origin", FIELD_ORIGIN },
	{ "If-None-Match", FIELD_IF_NONE_MATCH },
	{ "Sec-WebSocket-Key", FIELD_WS_KEY },
	{ "Sec-WebSocket-Version", FIELD_WS_VERSION },
	{ "Sec-WebSocket-Protocol", FIELD_WS_PROTOCOL },
	{ "Upgrade", FIELD_UPGRADE },
	{ "Connection", FIELD_CONNECTION },
	{ "Content-Length", FIELD_CONTENT_LENGTH },
	{ "Transfer-Encoding", FIELD_TRANSFER_ENCODING },
	{ "Traceparent", FIELD_TRACEPARENT },
};

static enum field_id
field_id(const char *name)
{
	for (size_t i = 0; i < N_ELEMENTS(known_fields); i++)
		if (strcasecmp(name, known_fields[i].name) == 0)
			return known_fields[i].id;
	return FIELD_OTHER;
}

/* What is gathered from lists that may come in several fields. */
struct gathered {
	bool upgrade_websocket, connection_upgrade, connection_close;
};

/* A field that may come once only: two would be read as one or the other. */
static int
take_once(const char **where, const char *value)
{
	if (*where != NULL)
		return ERR_PROTOCOL;
	*where = value;
	return 0;
}

static int
take_field(struct http_request *req, struct gathered *g, const char *name,
    const char *value)
{
	switch (field_id(name)) {
	case FIELD_HOST:
		if (!is_host(value))
			return ERR_PROTOCOL;
		return take_once(&req->host, value);
	case FIELD_ORIGIN:
		return take_once(&req->origin, value);
	case FIELD_IF_NONE_MATCH:
		return take_once(&req->if_none_match, value);
	case FIELD_TRACEPARENT:
		return take_once(&req->traceparent, value);
	case FIELD_WS_KEY:
		return take_once(&req->ws_key, value);
	case FIELD_WS_VERSION:
		return take_once(&req->ws_version, value);
	case FIELD_WS_PROTOCOL:
		req->offers_binary |= list_has(value, "binary");
		return 0;
	case FIELD_UPGRADE:
		g->upgrade_websocket |= list_has(value, "websocket");
		return 0;
	case FIELD_CONNECTION:
		g->connection_upgrade |= list_has(value, "upgrade");
		g->connection_close |= list_has(value, "close");
		return 0;
	case FIELD_CONTENT_LENGTH:
		/* no body is ever read: one would be the next request */
		return strcmp(value, "0") == 0 ? 0 : ERR_PROTOCOL;
	case FIELD_TRANSFER_ENCODING:
		return ERR_PROTOCOL;
	case FIELD_OTHER:
		break;
	}
	return 0;
}

/* "Name: value" in place. A blank before the name is a folded line, one
 * before the colon makes no token: both are refused. */
static int
parse_field(struct http_request *req, struct gathered *g, char *line)
{
	char *colon = strchr(line, ':'), *value, *end;

	if (colon == NULL)
		return ERR_PROTOCOL;
	*colon = '\0';
	if (!is_token(line))
		return ERR_PROTOCOL;
	value = colon + 1 + strspn(colon + 1, " \t");
	end = value + strlen(value);
	while (end > value && strchr(" \t", end[-1]) != NULL)
		end--;
	*end = '\0';
	return take_field(req, g, line, value);
}

/* ---- the first line ---- */

/* "/path?query": the only form a browser sends to a server. */
static int
parse_target(struct http_request *req, char *target)
{
	char *query;

	if (target[0] != '/')
		return ERR_PROTOCOL;
	for (const char *s = target; *s != '\0'; s++)
		if (*s <= ' ' || *s > '~' || *s == '#')
			return ERR_PROTOCOL;
	query = strchr(target, '?');
	if (query != NULL) {
		*query = '\0';
		req->query = query + 1;
	}
	req->path = target;
	return 0;
}

static int
parse_request_line(struct http_request *req, char *line)
{
	char *target = strchr(line, ' '), *version;

	if (target == NULL)
		return ERR_PROTOCOL;
	*target++ = '\0';
	version = strchr(target, ' ');
	if (version == NULL)
		return ERR_PROTOCOL;
	*version++ = '\0';
	if (!is_token(line) || strcmp(version, "HTTP/1.1") != 0)
		return ERR_PROTOCOL;
	req->is_head = strcmp(line, "HEAD") == 0;
	if (!req->is_head && strcmp(line, "GET") != 0)
		return ERR_UNSUPPORTED;
	return parse_target(req, target);
}

/* ---- the head ---- */

/* Cuts the line at s; returns where the next one begins. */
static char *
cut_line(char *s)
{
	char *end = strstr(s, "\r\n");

	*end = '\0';
	return end + 2;
}

/* text: whole lines, the last one empty. */
static int
parse_head(struct http_request *req)
{
	struct gathered g = { 0 };
	char *line = req->text, *next = cut_line(line);
	unsigned n = 0;
	int rc = parse_request_line(req, line);

	for (line = next; rc == 0 && *line != '\r'; line = next) {
		next = cut_line(line);
		if (++n > HTTP_FIELDS_MAX)
			return ERR_LIMIT;
		rc = parse_field(req, &g, line);
	}
	if (rc != 0)
		return rc;
	if (req->host == NULL)
		return ERR_PROTOCOL;
	req->wants_upgrade = g.upgrade_websocket && g.connection_upgrade;
	req->is_keep_alive = !g.connection_close;
	return 0;
}

ssize_t
http_request_parse(struct http_request *req, const uint8_t *data, size_t len)
{
	size_t seen = min_size(len, HTTP_HEAD_MAX);
	const uint8_t *end = memmem(data, seen, "\r\n\r\n", 4);
	size_t used = end != NULL ? (size_t)(end - data) + 4 : seen;
	int rc;

	if (len == 0)
		return 0;
	if (!are_bytes_right(data, used))
		return ERR_PROTOCOL;
	if (end == NULL)
		return len >= HTTP_HEAD_MAX ? ERR_LIMIT : 0;
	*req = (struct http_request){ 0 };
	memcpy(req->text, data, used);
	rc = parse_head(req);
	if (rc != 0) {
		http_request_wipe(req);
		return rc;
	}
	return (ssize_t)used;
}

void
http_request_wipe(struct http_request *req)
{
	wipe(req, sizeof(*req));
}

unsigned
http_request_error_status(int err)
{
	switch (err) {
	case ERR_UNSUPPORTED:
		return 405;
	case ERR_LIMIT:
		return 431;
	default:
		return 400;
	}
}

/* ---- WebSocket ---- */

/* 16 bytes in base64: 22 characters and two '='. */
static bool
is_ws_key(const char *s)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	return s != NULL && strspn(s, digits) == 22 &&
	    strcmp(s + 22, "==") == 0;
}

unsigned
http_request_websocket_status(const struct http_request *req)
{
	if (req->is_head || !req->wants_upgrade || req->ws_version == NULL ||
	    strcmp(req->ws_version, "13") != 0)
		return 426;
	return is_ws_key(req->ws_key) ? 101 : 400;
}

bool
http_request_origin_ok(const struct http_request *req, const char *allowed)
{
	static const char scheme[] = "https://";
	const size_t n = sizeof(scheme) - 1;

	if (allowed == NULL)
		allowed = "";
	if (req->origin == NULL)
		return list_has(allowed, "none");
	if (strncasecmp(req->origin, scheme, n) == 0 &&
	    strcasecmp(req->origin + n, req->host) == 0)
		return true;
	/* an Origin has a scheme: the word `none` is no origin */
	return strstr(req->origin, "://") != NULL &&
	    strchr(req->origin, ',') == NULL && list_has(allowed, req->origin);
}
