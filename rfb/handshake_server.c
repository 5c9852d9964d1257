#include "rfb/handshake_server_internal.h"

#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/bytes.h"
#include "common/err.h"

static const char server_version[] = "RFB 003.008\n";

static struct rfb_handshake_server *
new_in_mode(struct buf *out, enum rfb_server_mode mode)
{
	struct rfb_handshake_server *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return NULL;
	h->out = out;
	h->mode = mode;
	h->why = "no error";
	if (buf_append(out, server_version, RFB_VERSION_LEN) != 0) {
		free(h);
		return NULL;
	}
	return h;
}

struct rfb_handshake_server *
rfb_handshake_server_new(struct buf *out)
{
	return new_in_mode(out, RFB_SERVER_X509_PLAIN);
}

struct rfb_handshake_server *
rfb_handshake_server_new_in_tls(struct buf *out)
{
	return new_in_mode(out, RFB_SERVER_PLAIN);
}

struct rfb_handshake_server *
rfb_handshake_server_new_authenticated(struct buf *out)
{
	return new_in_mode(out, RFB_SERVER_AUTHENTICATED);
}

struct rfb_handshake_server *
rfb_handshake_server_new_vnc_auth(struct buf *out)
{
	return new_in_mode(out, RFB_SERVER_VNC_AUTH);
}

static void
forget_credentials(struct rfb_handshake_server *h)
{
	wipe(h->user, sizeof(h->user));
	wipe(h->password, sizeof(h->password));
	wipe(h->challenge, sizeof(h->challenge));
	wipe(h->response, sizeof(h->response));
}

void
rfb_handshake_server_free(struct rfb_handshake_server *h)
{
	if (h == NULL)
		return;
	forget_credentials(h);
	free(h);
}

int
rfb_server_fail(struct rfb_handshake_server *h, int err, const char *why)
{
	h->phase = RFB_SERVER_FAILED;
	h->why = why;
	return err;
}

int
rfb_server_put_reason(
    struct buf *out, const uint8_t *head, size_t n_head, const char *reason)
{
	size_t n = strlen(reason);
	uint8_t len[4];
	int rc;

	if (n > RFB_MAX_REASON) {
		n = RFB_MAX_REASON; /* cut between UTF-8 characters */
		while (n > 0 && ((uint8_t)reason[n] & 0xc0) == 0x80)
			n--;
	}
	store_be32(len, (uint32_t)n);
	rc = buf_append(out, head, n_head);
	if (rc == 0)
		rc = buf_append(out, len, sizeof(len));
	return rc != 0 ? rc : buf_append(out, reason, n);
}

int
rfb_server_step(struct rfb_handshake_server *h, const void *reply, size_t n,
    enum rfb_server_phase next, int event)
{
	int rc = buf_append(h->out, reply, n);

	if (rc != 0)
		return rfb_server_fail(h, rc, "the output is full");
	h->phase = next;
	return event;
}

static int
on_version(struct rfb_handshake_server *h, const uint8_t *data)
{
	h->minor = rfb_version_parse(data);
	if (h->minor == 0)
		return rfb_server_fail(
		    h, ERR_PROTOCOL, "this is no RFB version");
	/* "none" has a result, and so a reason, in 3.8 only; an older viewer
	 * can be told one as long as it was offered nothing */
	if (h->mode == RFB_SERVER_AUTHENTICATED && h->minor < 8)
		return rfb_server_await_answer(h);
	return rfb_server_offer_type(h);
}

/* What accept does once its moment has come. */
static int
go_on_accepted(struct rfb_handshake_server *h)
{
	static const uint8_t ok[4] = { 0 };

	forget_credentials(h);
	if (h->mode == RFB_SERVER_AUTHENTICATED && h->minor < 8)
		return rfb_server_offer_type(h);
	return rfb_server_step(
	    h, ok, sizeof(ok), RFB_SERVER_CLIENT_INIT, RFB_HANDSHAKE_STEP);
}

int
rfb_server_await_answer(struct rfb_handshake_server *h)
{
	h->phase = RFB_SERVER_ANSWER;
	return h->is_accepted ? go_on_accepted(h) : RFB_HANDSHAKE_STEP;
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
	case RFB_SERVER_RESPONSE:
		return RFB_VNC_CHALLENGE_LEN;
	case RFB_SERVER_ANSWER:
	case RFB_SERVER_CREDENTIALS:
	case RFB_SERVER_FAILED:
	case RFB_SERVER_READY:
	case RFB_SERVER_TLS:
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
		return rfb_server_on_type(h, data);
	case RFB_SERVER_VENCRYPT:
		return rfb_server_on_vencrypt(h, data);
	case RFB_SERVER_SUBTYPE:
		return rfb_server_on_subtype(h, data, len);
	case RFB_SERVER_TLS:
		return rfb_server_fail(
		    h, ERR_PROTOCOL, "bytes came before TLS");
	case RFB_SERVER_CREDENTIALS:
		return rfb_server_on_credentials(h, data, len, used);
	case RFB_SERVER_RESPONSE:
		return rfb_server_on_response(h, data);
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

void
rfb_handshake_server_set_challenge(struct rfb_handshake_server *h,
    const uint8_t challenge[RFB_VNC_CHALLENGE_LEN])
{
	memcpy(h->challenge, challenge, sizeof(h->challenge));
	h->has_challenge = true;
}

int
rfb_handshake_server_check_vnc(
    const struct rfb_handshake_server *h, const char *password)
{
	uint8_t expected[RFB_VNC_CHALLENGE_LEN];
	bool is_equal;

	if (h->mode != RFB_SERVER_VNC_AUTH || h->phase != RFB_SERVER_ANSWER)
		return ERR_PROTOCOL;
	if (password[0] == '\0')
		return ERR_DENIED; /* no password is never the right one */
	if (rfb_vnc_auth_response(password, h->challenge, expected) != 0)
		return ERR_UNSUPPORTED;
	is_equal = equal_constant_time(expected, h->response, sizeof(expected));
	wipe(expected, sizeof(expected));
	return is_equal ? 0 : ERR_DENIED;
}

int
rfb_handshake_server_accept(struct rfb_handshake_server *h)
{
	int rc;

	if (h->is_accepted)
		return ERR_PROTOCOL;
	if (h->mode == RFB_SERVER_AUTHENTICATED &&
	    (h->phase == RFB_SERVER_VERSION || h->phase == RFB_SERVER_TYPE)) {
		h->is_accepted = true;
		return 0;
	}
	if (h->phase != RFB_SERVER_ANSWER)
		return ERR_PROTOCOL;
	h->is_accepted = true;
	rc = go_on_accepted(h);
	return rc < 0 ? rc : 0;
}

/* Writes the refusal in the form that version and security type have. */
static int
put_refusal(struct rfb_handshake_server *h, const char *reason)
{
	static const uint8_t failed[4] = { 0, 0, 0, 1 }, no_type[4] = { 0 };

	if (h->minor == 8)
		return rfb_server_put_reason(
		    h->out, failed, sizeof(failed), reason);
	if (h->mode == RFB_SERVER_AUTHENTICATED)
		return rfb_server_put_reason(
		    h->out, no_type, h->minor == 7 ? 1 : 4, reason);
	return buf_append(h->out, failed, sizeof(failed));
}

int
rfb_handshake_server_reject(struct rfb_handshake_server *h, const char *reason)
{
	int rc;

	if (!rfb_handshake_server_can_reject(h))
		return ERR_PROTOCOL;
	forget_credentials(h);
	rc = put_refusal(h, reason);
	rfb_server_fail(h, rc, "the technician was refused");
	return rc;
}

bool
rfb_handshake_server_can_reject(const struct rfb_handshake_server *h)
{
	return h->phase == RFB_SERVER_CREDENTIALS ||
	    h->phase == RFB_SERVER_RESPONSE || h->phase == RFB_SERVER_ANSWER;
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
