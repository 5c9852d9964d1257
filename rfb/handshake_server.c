#include "rfb/handshake_server.h"

#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/bytes.h"
#include "common/err.h"
#include "rfb/protocol.h"

static const char server_version[] = "RFB 003.008\n";
static const char too_old[] =
    "This relay needs a viewer with TLS (VeNCrypt X509Plain), for instance "
    "TigerVNC. Your viewer speaks an older protocol without it.";

/*
 * What a viewer may choose inside VeNCrypt. A new way in is one more line
 * here and, where it asks for something else, one more phase.
 */
struct method {
	uint32_t subtype;
	bool is_in_tls; /* for transports that are TLS already */
	enum rfb_server_phase next;
};

static const struct method methods[] = {
	{ RFB_VENCRYPT_X509_PLAIN, false, RFB_SERVER_TLS },
	{ RFB_VENCRYPT_PLAIN, true, RFB_SERVER_CREDENTIALS },
};

struct rfb_handshake_server {
	struct buf *out;
	enum rfb_server_phase phase;
	bool is_in_tls;
	bool is_shared;
	unsigned minor;
	const char *why;
	char user[RFB_MAX_CREDENTIAL + 1];
	char password[RFB_MAX_CREDENTIAL + 1];
};

struct rfb_handshake_server *
rfb_handshake_server_new(struct buf *out)
{
	struct rfb_handshake_server *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return NULL;
	h->out = out;
	h->why = "no error";
	if (buf_append(out, server_version, RFB_VERSION_LEN) != 0) {
		free(h);
		return NULL;
	}
	return h;
}

struct rfb_handshake_server *
rfb_handshake_server_new_in_tls(struct buf *out)
{
	struct rfb_handshake_server *h = rfb_handshake_server_new(out);

	if (h != NULL)
		h->is_in_tls = true;
	return h;
}

static void
forget_credentials(struct rfb_handshake_server *h)
{
	wipe(h->user, sizeof(h->user));
	wipe(h->password, sizeof(h->password));
}

void
rfb_handshake_server_free(struct rfb_handshake_server *h)
{
	if (h == NULL)
		return;
	forget_credentials(h);
	free(h);
}

static int
fail(struct rfb_handshake_server *h, int err, const char *why)
{
	h->phase = RFB_SERVER_FAILED;
	h->why = why;
	return err;
}

/* Appends a 32-bit length and the text, cut between UTF-8 characters. */
static int
put_reason(struct buf *out, const char *reason)
{
	size_t n = strlen(reason);
	uint8_t len[4];
	int rc;

	if (n > RFB_MAX_REASON) {
		n = RFB_MAX_REASON;
		while (n > 0 && ((uint8_t)reason[n] & 0xc0) == 0x80)
			n--;
	}
	store_be32(len, (uint32_t)n);
	rc = buf_append(out, len, sizeof(len));
	return rc != 0 ? rc : buf_append(out, reason, n);
}

/* Sends n bytes and moves on. */
static int
step(struct rfb_handshake_server *h, const void *reply, size_t n,
    enum rfb_server_phase next, int event)
{
	int rc = buf_append(h->out, reply, n);

	if (rc != 0)
		return fail(h, rc, "the output is full");
	h->phase = next;
	return event;
}

static int
on_version(struct rfb_handshake_server *h, const uint8_t *data)
{
	/* 3.7 and later: no types and a reason; 3.3: type 0 and a reason */
	static const uint8_t no_type[4] = { 0 };
	int rc;

	h->minor = rfb_version_parse(data);
	if (h->minor == 0)
		return fail(h, ERR_PROTOCOL, "this is no RFB version");
	if (h->minor == 8)
		return step(h, "\1\23", 2, RFB_SERVER_TYPE, RFB_HANDSHAKE_STEP);
	rc = buf_append(h->out, no_type, h->minor == 7 ? 1 : 4);
	if (rc == 0)
		rc = put_reason(h->out, too_old);
	return fail(h, rc != 0 ? rc : ERR_UNSUPPORTED,
	    "the viewer's protocol is older than 3.8");
}

static int
on_type(struct rfb_handshake_server *h, const uint8_t *data)
{
	if (data[0] != RFB_SEC_VENCRYPT)
		return fail(h, ERR_PROTOCOL,
		    "the viewer chose a security type that was not offered");
	return step(h, "\0\2", 2, RFB_SERVER_VENCRYPT, RFB_HANDSHAKE_STEP);
}

/* Acknowledges VeNCrypt 0.2 and lists the types for this transport. */
static int
offer_methods(struct rfb_handshake_server *h)
{
	uint8_t reply[2 + 4 * N_ELEMENTS(methods)] = { 0 };
	size_t n = 0;

	for (size_t i = 0; i < N_ELEMENTS(methods); i++)
		if (methods[i].is_in_tls == h->is_in_tls)
			store_be32(reply + 2 + 4 * n++, methods[i].subtype);
	reply[1] = (uint8_t)n;
	return step(
	    h, reply, 2 + 4 * n, RFB_SERVER_SUBTYPE, RFB_HANDSHAKE_STEP);
}

static int
on_vencrypt(struct rfb_handshake_server *h, const uint8_t *data)
{
	if (data[0] != 0 || data[1] != 2) {
		buf_append(h->out, "\377", 1);
		return fail(h, ERR_UNSUPPORTED,
		    "the viewer's VeNCrypt version is not 0.2");
	}
	return offer_methods(h);
}

static const struct method *
find_method(const struct rfb_handshake_server *h, uint32_t subtype)
{
	for (size_t i = 0; i < N_ELEMENTS(methods); i++)
		if (methods[i].subtype == subtype &&
		    methods[i].is_in_tls == h->is_in_tls)
			return &methods[i];
	return NULL;
}

static int
on_subtype(struct rfb_handshake_server *h, const uint8_t *data, size_t len)
{
	const struct method *m = find_method(h, load_be32(data));

	if (m == NULL) {
		buf_append(h->out, "\0", 1);
		return fail(h, ERR_PROTOCOL,
		    "the viewer chose a VeNCrypt type that was not offered");
	}
	if (m->next != RFB_SERVER_TLS) {
		/* only the TLS types are acknowledged */
		h->phase = m->next;
		return RFB_HANDSHAKE_STEP;
	}
	if (len > 4)
		return fail(h, ERR_PROTOCOL, "bytes came before TLS");
	return step(h, "\1", 1, m->next, RFB_HANDSHAKE_START_TLS);
}

/* Copies n bytes into a NUL-terminated field; a NUL inside is refused. */
static int
take_text(char *to, const uint8_t *from, size_t n)
{
	if (memchr(from, '\0', n) != NULL)
		return ERR_PROTOCOL;
	memcpy(to, from, n);
	to[n] = '\0';
	return 0;
}

static int
on_credentials(struct rfb_handshake_server *h, const uint8_t *data, size_t len,
    size_t *used)
{
	uint32_t user_len, password_len;

	if (len < 8)
		return RFB_HANDSHAKE_MORE;
	user_len = load_be32(data);
	password_len = load_be32(data + 4);
	if (user_len > RFB_MAX_CREDENTIAL || password_len > RFB_MAX_CREDENTIAL)
		return fail(h, ERR_LIMIT, "user name or password is too long");
	if (len < 8 + user_len + password_len)
		return RFB_HANDSHAKE_MORE;
	if (take_text(h->user, data + 8, user_len) != 0 ||
	    take_text(h->password, data + 8 + user_len, password_len) != 0)
		return fail(h, ERR_PROTOCOL, "a NUL in user name or password");
	*used = 8 + user_len + password_len;
	h->phase = RFB_SERVER_ANSWER;
	return RFB_HANDSHAKE_CREDENTIALS;
}

/* Bytes that a phase of fixed size reads; 0: none, or it varies. */
static size_t
phase_len(enum rfb_server_phase phase)
{
	switch (phase) {
	case RFB_SERVER_VERSION:
		return RFB_VERSION_LEN;
	case RFB_SERVER_TYPE:
	case RFB_SERVER_CLIENT_INIT:
		return 1;
	case RFB_SERVER_VENCRYPT:
		return 2;
	case RFB_SERVER_SUBTYPE:
		return 4;
	default:
		return 0;
	}
}

int
rfb_handshake_server_feed(struct rfb_handshake_server *h, const uint8_t *data,
    size_t len, size_t *used)
{
	size_t need = phase_len(h->phase);

	*used = 0;
	if (h->phase == RFB_SERVER_FAILED)
		return ERR_PROTOCOL;
	if (len < need || len == 0)
		return RFB_HANDSHAKE_MORE;
	*used = need;
	switch (h->phase) {
	case RFB_SERVER_VERSION:
		return on_version(h, data);
	case RFB_SERVER_TYPE:
		return on_type(h, data);
	case RFB_SERVER_VENCRYPT:
		return on_vencrypt(h, data);
	case RFB_SERVER_SUBTYPE:
		return on_subtype(h, data, len);
	case RFB_SERVER_TLS:
		return fail(h, ERR_PROTOCOL, "bytes came before TLS");
	case RFB_SERVER_CREDENTIALS:
		return on_credentials(h, data, len, used);
	case RFB_SERVER_CLIENT_INIT:
		h->is_shared = data[0] != 0;
		h->phase = RFB_SERVER_READY;
		return RFB_HANDSHAKE_READY;
	case RFB_SERVER_ANSWER:
	case RFB_SERVER_READY:
		return RFB_HANDSHAKE_MORE;
	case RFB_SERVER_FAILED:
		break;
	}
	return ERR_PROTOCOL;
}

void
rfb_handshake_server_tls_started(struct rfb_handshake_server *h)
{
	if (h->phase == RFB_SERVER_TLS)
		h->phase = RFB_SERVER_CREDENTIALS;
}

const char *
rfb_handshake_server_user(const struct rfb_handshake_server *h)
{
	return h->user;
}

const char *
rfb_handshake_server_password(const struct rfb_handshake_server *h)
{
	return h->password;
}

int
rfb_handshake_server_accept(struct rfb_handshake_server *h)
{
	static const uint8_t ok[4] = { 0 };

	if (h->phase != RFB_SERVER_ANSWER)
		return ERR_PROTOCOL;
	forget_credentials(h);
	return step(h, ok, sizeof(ok), RFB_SERVER_CLIENT_INIT, 0);
}

int
rfb_handshake_server_reject(struct rfb_handshake_server *h, const char *reason)
{
	static const uint8_t failed[4] = { 0, 0, 0, 1 };
	int rc;

	if (!rfb_handshake_server_can_reject(h))
		return ERR_PROTOCOL;
	forget_credentials(h);
	rc = buf_append(h->out, failed, sizeof(failed));
	if (rc == 0)
		rc = put_reason(h->out, reason);
	fail(h, rc, "the technician was refused");
	return rc;
}

bool
rfb_handshake_server_can_reject(const struct rfb_handshake_server *h)
{
	return h->phase == RFB_SERVER_CREDENTIALS ||
	    h->phase == RFB_SERVER_ANSWER;
}

enum rfb_server_phase
rfb_handshake_server_phase(const struct rfb_handshake_server *h)
{
	return h->phase;
}

bool
rfb_handshake_server_is_shared(const struct rfb_handshake_server *h)
{
	return h->is_shared;
}

unsigned
rfb_handshake_server_minor(const struct rfb_handshake_server *h)
{
	return h->minor;
}

const char *
rfb_handshake_server_why(const struct rfb_handshake_server *h)
{
	return h->why;
}

int
rfb_server_init_write(struct buf *out, uint16_t width, uint16_t height,
    const struct rfb_pixel_format *pf, const char *name, size_t name_len)
{
	uint8_t head[24];
	int rc;

	if (name_len > RFB_MAX_NAME)
		return ERR_LIMIT;
	store_be16(head, width);
	store_be16(head + 2, height);
	rfb_pixel_format_write(pf, head + 4);
	store_be32(head + 20, (uint32_t)name_len);
	rc = buf_append(out, head, sizeof(head));
	return rc != 0 ? rc : buf_append(out, name, name_len);
}
