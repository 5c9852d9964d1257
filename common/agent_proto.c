#include "common/agent_proto.h"

#include <string.h>

#include "common/bytes.h"
#include "common/err.h"

/* What a field is on the wire and in the struct. */
enum kind {
	TEXT,     /* u16 length and bytes; a char array of `size` */
	REQUIRED, /* the same, never empty */
	SESSION,  /* TEXT that is a uuid */
	TICKET,   /* TEXT of 64 hexadecimal digits */
	DIGITS,   /* TEXT of hexadecimal digits */
	CODE,     /* TEXT of 9 digits */
	U8,       /* at most `size` */
	U16,
	U32,
	U64,
	PROTOCOL, /* u16, AGENT_PROTOCOL */
	DISPLAYS, /* u8 count, then REQUIRED texts */
};

struct field {
	enum kind kind;
	size_t offset;
	size_t size;
};

#define F_TEXT(kind, f)                                                        \
	{                                                                      \
		(kind), offsetof(struct agent_msg, f),                         \
		    sizeof(((struct agent_msg *)0)->f)                         \
	}
#define F_NUMBER(kind, f, max)                                                 \
	{                                                                      \
		(kind), offsetof(struct agent_msg, f), (max)                   \
	}

static const struct field hello[] = {
	F_NUMBER(PROTOCOL, hello.protocol, 0),
	F_NUMBER(U8, hello.mode, AGENT_MODE_ENROL),
	F_TEXT(REQUIRED, hello.version),
	F_TEXT(TEXT, hello.host),
	F_TEXT(TEXT, hello.os),
	F_NUMBER(DISPLAYS, hello.n_displays, 0),
	F_TEXT(TEXT, hello.secret),
};
static const struct field enrol[] = { F_TEXT(REQUIRED, enrol.token) };
static const struct field ping[] = { F_NUMBER(U32, ping, 0) };
static const struct field end[] = {
	F_TEXT(SESSION, end.session),
	F_TEXT(TEXT, end.reason),
};
static const struct field welcome[] = {
	F_TEXT(TEXT, welcome.endpoint),
	F_TEXT(TEXT, welcome.team),
	F_NUMBER(U16, welcome.keepalive_s, 0),
	F_TEXT(REQUIRED, welcome.version),
};
static const struct field refused[] = {
	F_TEXT(TEXT, refused.reason),
	F_NUMBER(U8, refused.is_final, 1),
};
static const struct field code[] = {
	F_TEXT(CODE, code.code),
	F_NUMBER(U32, code.valid_s, 0),
};
static const struct field open_fields[] = {
	F_TEXT(SESSION, open.session),
	F_TEXT(TICKET, open.ticket),
	F_TEXT(TEXT, open.address),
	F_TEXT(TEXT, open.display),
	F_TEXT(REQUIRED, open.technician),
	F_TEXT(TEXT, open.team),
	F_TEXT(TEXT, open.access),
	F_NUMBER(U8, open.recorded, AGENT_RECORDED_MAYBE),
	F_NUMBER(U8, open.consent, 1),
	F_NUMBER(U16, open.consent_s, 0),
	F_NUMBER(U8, open.capture, AGENT_CAPTURE_MUST),
};
static const struct field indicator[] = {
	F_TEXT(SESSION, indicator.session),
	F_NUMBER(U8, indicator.on, 1),
	F_TEXT(TEXT, indicator.text),
};
static const struct field capture[] = {
	F_TEXT(SESSION, capture.session),
	F_TEXT(SESSION, capture.id),
	F_NUMBER(U64, capture.offset, 0),
	F_NUMBER(U64, capture.now_ns, 0),
	F_TEXT(REQUIRED, capture.storage),
	F_TEXT(TICKET, capture.key),
	F_TEXT(REQUIRED, capture.meta),
};
static const struct field marks[] = {
	F_TEXT(SESSION, marks.session),
	F_NUMBER(U32, marks.number, 0),
	F_NUMBER(U64, marks.until, 0),
	F_TEXT(DIGITS, marks.marks),
};
static const struct field capture_state[] = {
	F_TEXT(SESSION, capture_state.session),
	F_NUMBER(U8, capture_state.state, AGENT_CAPTURE_FAILED),
	F_TEXT(TEXT, capture_state.reason),
};
static const struct field ticket[] = { F_TEXT(TICKET, ticket.ticket) };
static const struct field consent[] = {
	F_NUMBER(U8, consent.answer, AGENT_ANSWER_NO_DIALOG),
	F_TEXT(TEXT, consent.text),
};

static const struct layout {
	enum agent_type type;
	const char *name;
	const struct field *fields;
	size_t n;
} layouts[] = {
	{ AGENT_HELLO, "HELLO", hello, N_ELEMENTS(hello) },
	{ AGENT_ENROL, "ENROL", enrol, N_ELEMENTS(enrol) },
	{ AGENT_PONG, "PONG", ping, N_ELEMENTS(ping) },
	{ AGENT_OPEN_FAILED, "OPEN_FAILED", end, N_ELEMENTS(end) },
	{ AGENT_CLOSE, "CLOSE", NULL, 0 },
	{ AGENT_CAPTURE_STATE, "CAPTURE_STATE", capture_state,
	    N_ELEMENTS(capture_state) },
	{ AGENT_WELCOME, "WELCOME", welcome, N_ELEMENTS(welcome) },
	{ AGENT_REFUSED, "REFUSED", refused, N_ELEMENTS(refused) },
	{ AGENT_PING, "PING", ping, N_ELEMENTS(ping) },
	{ AGENT_CODE, "CODE", code, N_ELEMENTS(code) },
	{ AGENT_OPEN, "OPEN", open_fields, N_ELEMENTS(open_fields) },
	{ AGENT_INDICATOR, "INDICATOR", indicator, N_ELEMENTS(indicator) },
	{ AGENT_END, "END", end, N_ELEMENTS(end) },
	{ AGENT_CAPTURE, "CAPTURE", capture, N_ELEMENTS(capture) },
	{ AGENT_CAPTURE_MARKS, "CAPTURE_MARKS", marks, N_ELEMENTS(marks) },
	{ AGENT_TICKET, "TICKET", ticket, N_ELEMENTS(ticket) },
	{ AGENT_ACCEPTED, "ACCEPTED", NULL, 0 },
	{ AGENT_CONSENT, "CONSENT", consent, N_ELEMENTS(consent) },
	{ AGENT_JOINED, "JOINED", NULL, 0 },
};

static const struct layout *
layout_of(unsigned type)
{
	for (size_t i = 0; i < N_ELEMENTS(layouts); i++)
		if ((unsigned)layouts[i].type == type)
			return &layouts[i];
	return NULL;
}

const char *
agent_proto_name(enum agent_type type)
{
	const struct layout *l = layout_of((unsigned)type);

	return l != NULL ? l->name : "?";
}

/*
 * One character of UTF-8 (RFC 3629) at s. Returns its bytes, or 0 when it is
 * malformed; *c is the code point.
 */
static size_t
utf8_char(const unsigned char *s, size_t len, uint32_t *c)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = s[0] < 0x80 ? 1
	    : s[0] < 0xc2      ? 0
	    : s[0] < 0xe0      ? 2
	    : s[0] < 0xf0      ? 3
	    : s[0] < 0xf5      ? 4
			       : 0;

	if (n == 0 || n > len)
		return 0;
	*c = n == 1 ? s[0] : s[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		*c = *c << 6 | (s[i] & 0x3fu);
	}
	if (n > 1 && *c < least[n])
		return 0;
	if (*c > 0x10ffff || (*c >= 0xd800 && *c < 0xe000))
		return 0;
	return n;
}

static bool
is_printable_char(uint32_t c)
{
	if (c < 0x20 || (c >= 0x7f && c < 0xa0))
		return false;
	/* line and paragraph separator; embeddings, overrides, isolates */
	if (c >= 0x2028 && c <= 0x202e)
		return false;
	if (c >= 0x2066 && c <= 0x2069)
		return false;
	return c != 0x200e && c != 0x200f && c != 0x061c && c != 0xfeff;
}

bool
agent_proto_is_printable(const char *s, size_t len)
{
	const unsigned char *p = (const unsigned char *)s;
	uint32_t c;

	for (size_t i = 0, n; i < len; i += n) {
		n = utf8_char(p + i, len - i, &c);
		if (n == 0 || !is_printable_char(c))
			return false;
	}
	return true;
}

char *
agent_proto_clean(char *out, size_t size, const char *text)
{
	const unsigned char *p =
	    (const unsigned char *)(text != NULL ? text : "");
	size_t len = strlen((const char *)p), at = 0, n, width;
	uint32_t c;
	bool is_good;

	for (; len > 0; p += n, len -= n) {
		n = utf8_char(p, len, &c);
		is_good = n != 0 && is_printable_char(c);
		if (n == 0)
			n = 1;
		width = is_good ? n : 1;
		if (at + width >= size)
			break;
		if (is_good)
			memcpy(out + at, p, n);
		else
			out[at] = '?';
		at += width;
	}
	out[at] = '\0';
	return out;
}

static bool
is_all(const char *s, size_t len, const char *set)
{
	for (size_t i = 0; i < len; i++)
		if (s[i] == '\0' || strchr(set, s[i]) == NULL)
			return false;
	return true;
}

static bool
is_uuid(const char *s, size_t len)
{
	if (len != AGENT_SESSION_MAX - 1)
		return false;
	for (size_t i = 0; i < len; i++) {
		bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (!is_all(s + i, 1, is_dash ? "-" : "0123456789abcdef"))
			return false;
	}
	return true;
}

/* The same rules for what is sent and what is received. */
static int
check_text(const struct field *f, const char *s, size_t len)
{
	if (len >= f->size)
		return ERR_LIMIT;
	if (!agent_proto_is_printable(s, len))
		return ERR_PROTOCOL;
	switch (f->kind) {
	case REQUIRED:
		return len != 0 ? 0 : ERR_PROTOCOL;
	case SESSION:
		return is_uuid(s, len) ? 0 : ERR_PROTOCOL;
	case TICKET:
		return len == AGENT_TICKET_MAX - 1 &&
			is_all(s, len, "0123456789abcdef")
		    ? 0
		    : ERR_PROTOCOL;
	case DIGITS:
		return is_all(s, len, "0123456789abcdef") ? 0 : ERR_PROTOCOL;
	case CODE:
		return len == AGENT_CODE_MAX - 1 && is_all(s, len, "0123456789")
		    ? 0
		    : ERR_PROTOCOL;
	case DISPLAYS:
	case PROTOCOL:
	case TEXT:
	case U16:
	case U32:
	case U64:
	case U8:
	default:
		return 0;
	}
}

/* A display's name as a field of its own. */
static struct field
display_field(size_t i)
{
	return (struct field)F_TEXT(REQUIRED, hello.displays[i]);
}

/* The frame being written: one place for its bound. */
struct writer {
	uint8_t data[AGENT_FRAME_MAX];
	size_t len;
};

static uint8_t *
take(struct writer *w, size_t n)
{
	uint8_t *p = w->data + w->len;

	if (n > sizeof(w->data) - w->len)
		return NULL;
	w->len += n;
	return p;
}

static int
write_text(struct writer *w, const struct agent_msg *m, const struct field *f)
{
	const char *s = (const char *)m + f->offset;
	size_t len = strnlen(s, f->size);
	int rc = check_text(f, s, len);
	uint8_t *p;

	if (rc != 0)
		return ERR_PROTOCOL;
	p = take(w, 2 + len);
	if (p == NULL)
		return ERR_PROTOCOL;
	store_be16(p, (uint16_t)len);
	memcpy(p + 2, s, len);
	return 0;
}

static int
write_displays(struct writer *w, const struct agent_msg *m)
{
	uint8_t *p = take(w, 1);
	int rc = 0;

	if (p == NULL || m->hello.n_displays > AGENT_MAX_DISPLAYS)
		return ERR_PROTOCOL;
	*p = m->hello.n_displays;
	for (size_t i = 0; i < m->hello.n_displays && rc == 0; i++) {
		struct field f = display_field(i);

		rc = write_text(w, m, &f);
	}
	return rc;
}

/* Bytes of a number. */
static size_t
width_of(const struct field *f)
{
	return f->kind == U8 ? 1 : f->kind == U32 ? 4 : f->kind == U64 ? 8 : 2;
}

static int
write_number(struct writer *w, const struct agent_msg *m, const struct field *f)
{
	const void *value = (const uint8_t *)m + f->offset;
	uint8_t *p = take(w, width_of(f));

	if (p == NULL)
		return ERR_PROTOCOL;
	switch (f->kind) {
	case U8:
		*p = *(const uint8_t *)value;
		return *p <= f->size ? 0 : ERR_PROTOCOL;
	case U32:
		store_be32(p, *(const uint32_t *)value);
		return 0;
	case U64:
		store_be64(p, *(const uint64_t *)value);
		return 0;
	case CODE:
	case DIGITS:
	case DISPLAYS:
	case PROTOCOL:
	case REQUIRED:
	case SESSION:
	case TEXT:
	case TICKET:
	case U16:
	default:
		store_be16(p, *(const uint16_t *)value);
		return f->kind != PROTOCOL ||
			*(const uint16_t *)value == AGENT_PROTOCOL
		    ? 0
		    : ERR_PROTOCOL;
	}
}

static int
write_field(struct writer *w, const struct agent_msg *m, const struct field *f)
{
	switch (f->kind) {
	case U8:
	case U16:
	case U32:
	case U64:
	case PROTOCOL:
		return write_number(w, m, f);
	case DISPLAYS:
		return write_displays(w, m);
	case CODE:
	case DIGITS:
	case REQUIRED:
	case SESSION:
	case TEXT:
	case TICKET:
	default:
		return write_text(w, m, f);
	}
}

int
agent_proto_encode(struct buf *b, const struct agent_msg *m)
{
	const struct layout *l = layout_of((unsigned)m->type);
	struct writer w = { .len = 3 };
	int rc = l != NULL ? 0 : ERR_PROTOCOL;

	for (size_t i = 0; rc == 0 && i < l->n; i++)
		rc = write_field(&w, m, &l->fields[i]);
	if (rc == 0) {
		store_be16(w.data, (uint16_t)(w.len - 2));
		w.data[2] = (uint8_t)m->type;
		rc = buf_append(b, w.data, w.len);
	}
	wipe(w.data, w.len);
	return rc;
}

/* The body being read. */
struct reader {
	const uint8_t *data;
	size_t len;
};

/* n bytes off the front, or NULL when the body is shorter. */
static const uint8_t *
get(struct reader *r, size_t n)
{
	const uint8_t *p = r->data;

	if (n > r->len)
		return NULL;
	r->data += n;
	r->len -= n;
	return p;
}

static int
read_text(struct reader *r, struct agent_msg *m, const struct field *f)
{
	char *out = (char *)m + f->offset;
	const uint8_t *p = get(r, 2);
	size_t len;
	int rc;

	if (p == NULL)
		return ERR_PROTOCOL;
	len = load_be16(p);
	p = get(r, len);
	if (p == NULL)
		return ERR_PROTOCOL;
	rc = check_text(f, (const char *)p, len);
	if (rc != 0)
		return rc;
	memcpy(out, p, len);
	out[len] = '\0';
	return 0;
}

static int
read_displays(struct reader *r, struct agent_msg *m)
{
	const uint8_t *p = get(r, 1);
	int rc = 0;

	if (p == NULL)
		return ERR_PROTOCOL;
	if (*p > AGENT_MAX_DISPLAYS)
		return ERR_LIMIT;
	m->hello.n_displays = *p;
	for (size_t i = 0; i < m->hello.n_displays && rc == 0; i++) {
		struct field f = display_field(i);

		rc = read_text(r, m, &f);
	}
	return rc;
}

static int
read_number(struct reader *r, struct agent_msg *m, const struct field *f)
{
	void *out = (uint8_t *)m + f->offset;
	const uint8_t *p = get(r, width_of(f));

	if (p == NULL)
		return ERR_PROTOCOL;
	switch (f->kind) {
	case U8:
		*(uint8_t *)out = *p;
		return *p <= f->size ? 0 : ERR_PROTOCOL;
	case U32:
		*(uint32_t *)out = load_be32(p);
		return 0;
	case U64:
		*(uint64_t *)out = load_be64(p);
		return 0;
	case CODE:
	case DIGITS:
	case DISPLAYS:
	case PROTOCOL:
	case REQUIRED:
	case SESSION:
	case TEXT:
	case TICKET:
	case U16:
	default:
		*(uint16_t *)out = load_be16(p);
		return f->kind != PROTOCOL || load_be16(p) == AGENT_PROTOCOL
		    ? 0
		    : ERR_UNSUPPORTED;
	}
}

static int
read_field(struct reader *r, struct agent_msg *m, const struct field *f)
{
	switch (f->kind) {
	case U8:
	case U16:
	case U32:
	case U64:
	case PROTOCOL:
		return read_number(r, m, f);
	case DISPLAYS:
		return read_displays(r, m);
	case CODE:
	case DIGITS:
	case REQUIRED:
	case SESSION:
	case TEXT:
	case TICKET:
	default:
		return read_text(r, m, f);
	}
}

/* The frame at data is whole: its fields. */
static int
read_body(const uint8_t *data, size_t len, struct agent_msg *m)
{
	struct reader r = { data + 1, len - 1 };
	const struct layout *l = layout_of(data[0]);
	int rc = 0;

	if (l == NULL)
		return ERR_PROTOCOL;
	memset(m, 0, sizeof(*m));
	m->type = l->type;
	for (size_t i = 0; rc == 0 && i < l->n; i++)
		rc = read_field(&r, m, &l->fields[i]);
	if (rc != 0)
		return rc;
	return r.len == 0 ? 1 : ERR_PROTOCOL;
}

int
agent_proto_parse(
    const uint8_t *data, size_t len, size_t *used, struct agent_msg *m)
{
	size_t body;
	int rc;

	*used = 0;
	if (len < 2)
		return 0;
	body = load_be16(data);
	if (body == 0)
		return ERR_PROTOCOL;
	if (body > AGENT_BODY_MAX)
		return ERR_LIMIT;
	/* a type nobody knows need not be waited for */
	if (len > 2 && layout_of(data[2]) == NULL)
		return ERR_PROTOCOL;
	if (len - 2 < body)
		return 0;
	rc = read_body(data + 2, body, m);
	if (rc > 0)
		*used = 2 + body;
	return rc;
}
