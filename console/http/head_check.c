#include "console/http/head_check.h"

#include <string.h>
#include <strings.h>

enum state {
	METHOD,
	TARGET_START,
	TARGET_SECOND, /* behind its first slash */
	TARGET,
	VERSION,
	LINE_LF,     /* behind a CR that ends the request line or a field */
	FIELD_START, /* a field, or the end of the head */
	NAME,
	VALUE_START,
	VALUE,
	HEAD_LF, /* behind the CR of the empty line */
	BODY,
	CHUNK_SIZE,
	CHUNK_SIZE_LF,
	CHUNK_DATA,
	CHUNK_CR,
	CHUNK_LF,
	LAST_CR, /* the empty line behind the last chunk */
	LAST_LF,
};

enum field {
	FIELD_OTHER,
	FIELD_HOST,
	FIELD_LENGTH,
	FIELD_ENCODING,
	FIELD_EXPECT,
};

#define REFUSE 400u

/* Appends c to the word; false: it is longer than any that counts. */
static bool
put(struct head_check *h, uint8_t c)
{
	if (h->n_word >= HEAD_CHECK_WORD_MAX - 1)
		return false;
	h->word[h->n_word++] = (char)c;
	h->word[h->n_word] = '\0';
	return true;
}

static void
clear(struct head_check *h)
{
	h->n_word = 0;
	h->word[0] = '\0';
}

/* RFC 9110 section 5.6.2. */
static bool
is_token(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	    (c >= 'A' && c <= 'Z') ||
	    (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool
is_word(const struct head_check *h, const char *s)
{
	return strcmp(h->word, s) == 0;
}

/* ---- the request line ---- */

/* Those that evhttp is to hand on; it has an answer of its own to others. */
static bool
is_known_method(const struct head_check *h)
{
	return h->takes_body || is_word(h, "GET") || is_word(h, "HEAD") ||
	    is_word(h, "DELETE") || is_word(h, "OPTIONS");
}

static unsigned
method(struct head_check *h, uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return put(h, c) ? 0 : REFUSE;
	if (c != ' ' || h->n_word == 0)
		return REFUSE;
	h->takes_body =
	    is_word(h, "POST") || is_word(h, "PUT") || is_word(h, "PATCH");
	if (!is_known_method(h))
		return 501;
	clear(h);
	h->state = TARGET_START;
	return 0;
}

/* A path; the asterisk of OPTIONS counts as one. */
static unsigned
target_start(struct head_check *h, uint8_t c)
{
	if (c != '/' && c != '*')
		return REFUSE;
	h->state = c == '/' ? TARGET_SECOND : TARGET;
	return 0;
}

static unsigned
target(struct head_check *h, uint8_t c)
{
	if (c == ' ')
		h->state = VERSION;
	else if (c <= ' ' || c >= 0x7f || c == '#')
		return REFUSE;
	return 0;
}

/* What begins with two slashes is a path to some and a host to evhttp. */
static unsigned
target_second(struct head_check *h, uint8_t c)
{
	h->state = TARGET;
	return c == '/' ? REFUSE : target(h, c);
}

static unsigned
version(struct head_check *h, uint8_t c)
{
	if (c != '\r')
		return put(h, c) ? 0 : REFUSE;
	h->is_old = is_word(h, "HTTP/1.0");
	if (!h->is_old && !is_word(h, "HTTP/1.1"))
		return REFUSE;
	h->state = LINE_LF;
	return 0;
}

/* ---- fields ---- */

static unsigned
field_start(struct head_check *h, uint8_t c)
{
	clear(h);
	h->has_space = false;
	if (c == '\r') {
		h->state = HEAD_LF;
		return 0;
	}
	if (!is_token(c)) /* white space here is obs-fold */
		return REFUSE;
	if (++h->n_fields > HEAD_CHECK_FIELDS_MAX)
		return 431;
	h->state = NAME;
	put(h, c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c);
	return 0;
}

/* Names longer than the word are none that count: what is kept of them has
 * another length than each of those. */
static unsigned
name(struct head_check *h, uint8_t c)
{
	if (is_token(c)) {
		put(h, c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c);
		return 0;
	}
	if (c != ':')
		return REFUSE;
	h->field = is_word(h, "host")         ? FIELD_HOST
	    : is_word(h, "content-length")    ? FIELD_LENGTH
	    : is_word(h, "transfer-encoding") ? FIELD_ENCODING
	    : is_word(h, "expect")            ? FIELD_EXPECT
					      : FIELD_OTHER;
	clear(h);
	h->state = VALUE_START;
	return 0;
}

/* Decimal digits only. */
static unsigned
content_length(struct head_check *h)
{
	uint64_t n = 0;

	if (h->has_length || h->n_word == 0)
		return REFUSE;
	h->has_length = true;
	for (unsigned i = 0; i < h->n_word; i++) {
		if (h->word[i] < '0' || h->word[i] > '9')
			return REFUSE;
		if (n <= HEAD_CHECK_BODY_MAX)
			n = n * 10 + (unsigned)(h->word[i] - '0');
	}
	if (n > HEAD_CHECK_BODY_MAX)
		return 413;
	h->body_left = (uint32_t)n;
	return 0;
}

static unsigned
end_field(struct head_check *h)
{
	h->state = LINE_LF;
	switch (h->field) {
	case FIELD_HOST:
		if (h->has_host)
			return REFUSE;
		h->has_host = true;
		return 0;
	case FIELD_LENGTH:
		return content_length(h);
	case FIELD_ENCODING:
		if (h->has_chunked || !is_word(h, "chunked"))
			return REFUSE;
		h->has_chunked = true;
		return 0;
	case FIELD_EXPECT:
		return strcasecmp(h->word, "100-continue") == 0 ? 0 : 417;
	default:
		return 0;
	}
}

/* Of lengths, encodings and expectations the value is kept, without the white
 * space around it; white space inside, and values that are too long, are
 * refused. */
static unsigned
keep_value(struct head_check *h, uint8_t c)
{
	if (h->field == FIELD_OTHER || h->field == FIELD_HOST)
		return 0;
	if (c == ' ' || c == '\t') {
		h->has_space = h->n_word > 0;
		return 0;
	}
	if (!h->has_space && put(h, c))
		return 0;
	if (h->field == FIELD_EXPECT)
		return 417;
	return h->field == FIELD_LENGTH && !h->has_space ? 413 : REFUSE;
}

static unsigned
value(struct head_check *h, uint8_t c)
{
	if (c == '\r')
		return end_field(h);
	if ((c < ' ' && c != '\t') || c == 0x7f)
		return REFUSE;
	h->state = VALUE;
	return keep_value(h, c);
}

/* ---- what follows a head ---- */

static void
next_request(struct head_check *h)
{
	memset(h, 0, sizeof(*h));
}

static unsigned
end_head(struct head_check *h)
{
	clear(h);
	if (!h->has_host && !h->is_old)
		return REFUSE;
	if (h->has_chunked && (h->has_length || h->is_old))
		return REFUSE;
	if (!h->takes_body && (h->has_chunked || h->body_left > 0))
		return REFUSE;
	if (h->has_chunked)
		h->state = CHUNK_SIZE;
	else if (h->body_left > 0)
		h->state = BODY;
	else
		next_request(h);
	return 0;
}

static int
hex(uint8_t c)
{
	return c >= '0' && c <= '9' ? c - '0'
	    : c >= 'a' && c <= 'f'  ? c - 'a' + 10
	    : c >= 'A' && c <= 'F'  ? c - 'A' + 10
				    : -1;
}

static unsigned
chunk_size(struct head_check *h, uint8_t c)
{
	if (c == '\r' && h->n_word > 0) {
		h->state = CHUNK_SIZE_LF;
		return 0;
	}
	if (hex(c) < 0 || h->n_word >= 8)
		return REFUSE; /* extensions too */
	put(h, c);
	h->body_left = h->body_left * 16 + (unsigned)hex(c);
	return h->body_left > HEAD_CHECK_BODY_MAX ? 413 : 0;
}

static unsigned
begin_chunk(struct head_check *h)
{
	clear(h);
	h->body_len += h->body_left;
	if (h->body_len > HEAD_CHECK_BODY_MAX)
		return 413;
	h->state = h->body_left > 0 ? CHUNK_DATA : LAST_CR;
	return 0;
}

/* Goes to `next` when c is what has to follow. */
static unsigned
expect(struct head_check *h, uint8_t c, uint8_t want, enum state next)
{
	h->state = next;
	return c == want ? 0 : REFUSE;
}

static unsigned
in_body(struct head_check *h, uint8_t c)
{
	switch (h->state) {
	case CHUNK_SIZE:
		return chunk_size(h, c);
	case CHUNK_SIZE_LF:
		return c == '\n' ? begin_chunk(h) : REFUSE;
	case CHUNK_CR:
		return expect(h, c, '\r', CHUNK_LF);
	case CHUNK_LF:
		return expect(h, c, '\n', CHUNK_SIZE);
	case LAST_CR: /* anything else is a trailer */
		return expect(h, c, '\r', LAST_LF);
	default:
		if (c != '\n')
			return REFUSE;
		next_request(h);
		return 0;
	}
}

static unsigned
in_head(struct head_check *h, uint8_t c)
{
	if (++h->head_len > HEAD_CHECK_HEAD_MAX)
		return 431;
	switch (h->state) {
	case METHOD:
		return method(h, c);
	case TARGET_START:
		return target_start(h, c);
	case TARGET_SECOND:
		return target_second(h, c);
	case TARGET:
		return target(h, c);
	case VERSION:
		return version(h, c);
	case LINE_LF:
		return expect(h, c, '\n', FIELD_START);
	case FIELD_START:
		return field_start(h, c);
	case NAME:
		return name(h, c);
	case VALUE_START:
	case VALUE:
		return value(h, c);
	default:
		return c == '\n' ? end_head(h) : REFUSE;
	}
}

/* Bytes of a body at once; returns how many. */
static size_t
skip(struct head_check *h, size_t len)
{
	size_t n = len < h->body_left ? len : h->body_left;

	h->body_left -= (uint32_t)n;
	if (h->body_left == 0 && h->state == BODY)
		next_request(h);
	else if (h->body_left == 0)
		h->state = CHUNK_CR;
	return n;
}

unsigned
head_check_feed(struct head_check *h, const uint8_t *data, size_t len)
{
	size_t i = 0;

	while (i < len && h->status == 0)
		if (h->state == BODY || h->state == CHUNK_DATA)
			i += skip(h, len - i);
		else if (h->state < BODY)
			h->status = in_head(h, data[i++]);
		else
			h->status = in_body(h, data[i++]);
	return h->status;
}
