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

enum phase {
	PHASE_VERSION,
	PHASE_TYPE,
	PHASE_VENCRYPT,
	PHASE_SUBTYPE,
	PHASE_TLS,
	PHASE_CREDENTIALS,
	PHASE_ANSWER,
	PHASE_CLIENT_INIT,
	PHASE_READY,
	PHASE_FAILED,
};

struct rfb_handshake_server {
	struct buf *out;
	enum phase phase;
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
	h->phase = PHASE_FAILED;
	h->why = why;
	return err;
}

/* Appends a 32-bit length and the text. */
static int
put_reason(struct buf *out, const char *reason)
{
	size_t n = min_size(strlen(reason), RFB_MAX_REASON);
	uint8_t len[4];
	int rc;

	store_be32(len, (uint32_t)n);
	rc = buf_append(out, len, sizeof(len));
	return rc != 0 ? rc : buf_append(out, reason, n);
}

/* Sends n bytes and moves on. */
static int
step(struct rfb_handshake_server *h, const void *reply, size_t n,
    enum phase next, int event)
{
	int rc = buf_append(h->out, reply, n);

	if (rc != 0)
		return fail(h, rc, "the output is full");
	h->phase = next;
	return event;
}

/* "RFB xxx.yyy\n" -> minor version 3, 7 or 8; 0 when it is no version. */
static unsigned
parse_version(const uint8_t *p)
{
	unsigned major = 0, minor = 0;

	if (memcmp(p, "RFB ", 4) != 0 || p[7] != '.' || p[11] != '\n')
		return 0;
	for (int i = 0; i < 3; i++) {
		if (p[4 + i] < '0' || p[4 + i] > '9' || p[8 + i] < '0' ||
		    p[8 + i] > '9')
			return 0;
		major = major * 10 + (p[4 + i] - '0');
		minor = minor * 10 + (p[8 + i] - '0');
	}
	if (major != 3)
		return major > 3 ? 8 : 0;
	return minor >= 8 ? 8 : minor == 7 ? 7 : 3;
}

static int
on_version(struct rfb_handshake_server *h, const uint8_t *data)
{
	/* 3.7 and later: no types and a reason; 3.3: type 0 and a reason */
	static const uint8_t no_type[4] = { 0 };
	int rc;

	h->minor = parse_version(data);
	if (h->minor == 0)
		return fail(h, ERR_PROTOCOL, "this is no RFB version");
	if (h->minor == 8)
		return step(h, "\1\23", 2, PHASE_TYPE, RFB_HANDSHAKE_STEP);
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
	return step(h, "\0\2", 2, PHASE_VENCRYPT, RFB_HANDSHAKE_STEP);
}

static int
on_vencrypt(struct rfb_handshake_server *h, const uint8_t *data)
{
	if (data[0] != 0 || data[1] != 2) {
		buf_append(h->out, "\377", 1);
		return fail(h, ERR_UNSUPPORTED,
		    "the viewer's VeNCrypt version is not 0.2");
	}
	return step(h, "\0\1\0\0\1\6", 6, PHASE_SUBTYPE, RFB_HANDSHAKE_STEP);
}

static int
on_subtype(struct rfb_handshake_server *h, const uint8_t *data, size_t len)
{
	if (load_be32(data) != RFB_VENCRYPT_X509_PLAIN) {
		buf_append(h->out, "\0", 1);
		return fail(h, ERR_PROTOCOL,
		    "the viewer chose a VeNCrypt type that was not offered");
	}
	if (len > 4)
		return fail(h, ERR_PROTOCOL, "bytes came before TLS");
	return step(h, "\1", 1, PHASE_TLS, RFB_HANDSHAKE_START_TLS);
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
	h->phase = PHASE_ANSWER;
	return RFB_HANDSHAKE_CREDENTIALS;
}

/* Bytes that a phase of fixed size reads; 0: none, or it varies. */
static size_t
phase_len(enum phase phase)
{
	switch (phase) {
	case PHASE_VERSION:
		return RFB_VERSION_LEN;
	case PHASE_TYPE:
	case PHASE_CLIENT_INIT:
		return 1;
	case PHASE_VENCRYPT:
		return 2;
	case PHASE_SUBTYPE:
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
	if (len < need || len == 0)
		return RFB_HANDSHAKE_MORE;
	*used = need;
	switch (h->phase) {
	case PHASE_VERSION:
		return on_version(h, data);
	case PHASE_TYPE:
		return on_type(h, data);
	case PHASE_VENCRYPT:
		return on_vencrypt(h, data);
	case PHASE_SUBTYPE:
		return on_subtype(h, data, len);
	case PHASE_TLS:
		return fail(h, ERR_PROTOCOL, "bytes came before TLS");
	case PHASE_CREDENTIALS:
		return on_credentials(h, data, len, used);
	case PHASE_CLIENT_INIT:
		h->phase = PHASE_READY;
		return RFB_HANDSHAKE_READY;
	case PHASE_ANSWER:
	case PHASE_READY:
		return RFB_HANDSHAKE_MORE;
	case PHASE_FAILED:
		break;
	}
	return ERR_PROTOCOL;
}

void
rfb_handshake_server_tls_started(struct rfb_handshake_server *h)
{
	if (h->phase == PHASE_TLS)
		h->phase = PHASE_CREDENTIALS;
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
	int rc;

	forget_credentials(h);
	rc = step(h, ok, sizeof(ok), PHASE_CLIENT_INIT, 0);
	return rc;
}

int
rfb_handshake_server_reject(
    struct rfb_handshake_server *h, const char *reason)
{
	static const uint8_t failed[4] = { 0, 0, 0, 1 };
	int rc;

	forget_credentials(h);
	rc = step(h, failed, sizeof(failed), PHASE_FAILED, 0);
	return rc != 0 ? rc : put_reason(h->out, reason);
}

bool
rfb_handshake_server_can_reject(const struct rfb_handshake_server *h)
{
	return h->phase == PHASE_CREDENTIALS || h->phase == PHASE_ANSWER;
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
	uint8_t *p = buf_reserve(out, 24 + name_len);

	if (p == NULL)
		return ERR_LIMIT;
	store_be16(p, width);
	store_be16(p + 2, height);
	rfb_pixel_format_write(pf, p + 4);
	store_be32(p + 20, (uint32_t)name_len);
	memcpy(p + 24, name, name_len);
	buf_commit(out, 24 + name_len);
	return 0;
}
