/* What a viewer is offered, and the steps along each way in. */
#include <openssl/rand.h>
#include <string.h>

#include "common/buf.h"
#include "common/bytes.h"
#include "common/err.h"
#include "rfb/handshake_server_internal.h"

static const char too_old[] =
    "This relay needs a viewer with TLS (VeNCrypt X509Plain), for instance "
    "TigerVNC. Your viewer speaks an older protocol without it. Use the "
    "relay's page in a browser instead, or ask for a one-time VNC password "
    "if your team allows them.";

/*
 * What a viewer may choose inside VeNCrypt. A new way in is one more line
 * here and, where it asks for something else, one more phase.
 */
struct method {
	uint32_t subtype;
	enum rfb_server_mode mode;
	enum rfb_server_phase next;
};

static const struct method methods[] = {
	{ RFB_VENCRYPT_X509_PLAIN, RFB_SERVER_X509_PLAIN, RFB_SERVER_TLS },
	{ RFB_VENCRYPT_PLAIN, RFB_SERVER_PLAIN, RFB_SERVER_CREDENTIALS },
};

static uint8_t
offered_type(const struct rfb_handshake_server *h)
{
	switch (h->mode) {
	case RFB_SERVER_AUTHENTICATED:
		return RFB_SEC_NONE;
	case RFB_SERVER_VNC_AUTH:
		return RFB_SEC_VNC;
	case RFB_SERVER_PLAIN:
	case RFB_SERVER_X509_PLAIN:
	default:
		return RFB_SEC_VENCRYPT;
	}
}

/* A viewer without VeNCrypt reads why, in the form its version has. */
static int
refuse_old(struct rfb_handshake_server *h)
{
	/* 3.7: no types and a reason; 3.3: type 0 and a reason */
	static const uint8_t no_type[4] = { 0 };
	int rc;

	rc = rfb_server_put_reason(
	    h->out, no_type, h->minor == 7 ? 1 : 4, too_old);
	return rfb_server_fail(h, rc != 0 ? rc : ERR_UNSUPPORTED,
	    "the viewer's protocol is older than 3.8");
}

static int
send_challenge(struct rfb_handshake_server *h)
{
	if (!h->has_challenge &&
	    RAND_bytes(h->challenge, sizeof(h->challenge)) != 1)
		return rfb_server_fail(
		    h, ERR_UNAVAILABLE, "there are no random bytes");
	return rfb_server_step(h, h->challenge, sizeof(h->challenge),
	    RFB_SERVER_RESPONSE, RFB_HANDSHAKE_STEP);
}

/* The server of 3.3 does not ask: it tells, and goes on. */
static int
tell_type_33(struct rfb_handshake_server *h, uint8_t type)
{
	const uint8_t told[4] = { 0, 0, 0, type };
	int rc;

	rc = rfb_server_step(
	    h, told, sizeof(told), RFB_SERVER_CLIENT_INIT, RFB_HANDSHAKE_STEP);
	return rc > 0 && type == RFB_SEC_VNC ? send_challenge(h) : rc;
}

int
rfb_server_offer_type(struct rfb_handshake_server *h)
{
	const uint8_t offer[2] = { 1, offered_type(h) };

	if (offer[1] == RFB_SEC_VENCRYPT && h->minor < 8)
		return refuse_old(h);
	if (h->minor == 3)
		return tell_type_33(h, offer[1]);
	return rfb_server_step(
	    h, offer, sizeof(offer), RFB_SERVER_TYPE, RFB_HANDSHAKE_STEP);
}

int
rfb_server_on_type(struct rfb_handshake_server *h, const uint8_t *data)
{
	if (data[0] != offered_type(h))
		return rfb_server_fail(h, ERR_PROTOCOL,
		    "the viewer chose a security type that was not offered");
	if (data[0] == RFB_SEC_VNC)
		return send_challenge(h);
	if (data[0] == RFB_SEC_VENCRYPT)
		return rfb_server_step(
		    h, "\0\2", 2, RFB_SERVER_VENCRYPT, RFB_HANDSHAKE_STEP);
	if (h->minor == 8)
		return rfb_server_await_answer(h);
	/* 3.7 was accepted before it was offered "none", which has no result */
	h->phase = RFB_SERVER_CLIENT_INIT;
	return RFB_HANDSHAKE_STEP;
}

/* Acknowledges VeNCrypt 0.2 and lists the types for this transport. */
static int
offer_methods(struct rfb_handshake_server *h)
{
	uint8_t reply[2 + 4 * N_ELEMENTS(methods)] = { 0 };
	size_t n = 0;

	for (size_t i = 0; i < N_ELEMENTS(methods); i++)
		if (methods[i].mode == h->mode)
			store_be32(reply + 2 + 4 * n++, methods[i].subtype);
	reply[1] = (uint8_t)n;
	return rfb_server_step(
	    h, reply, 2 + 4 * n, RFB_SERVER_SUBTYPE, RFB_HANDSHAKE_STEP);
}

int
rfb_server_on_vencrypt(struct rfb_handshake_server *h, const uint8_t *data)
{
	if (data[0] != 0 || data[1] != 2) {
		buf_append(h->out, "\377", 1);
		return rfb_server_fail(h, ERR_UNSUPPORTED,
		    "the viewer's VeNCrypt version is not 0.2");
	}
	return offer_methods(h);
}

static const struct method *
find_method(const struct rfb_handshake_server *h, uint32_t subtype)
{
	for (size_t i = 0; i < N_ELEMENTS(methods); i++)
		if (methods[i].subtype == subtype && methods[i].mode == h->mode)
			return &methods[i];
	return NULL;
}

int
rfb_server_on_subtype(
    struct rfb_handshake_server *h, const uint8_t *data, size_t len)
{
	const struct method *m = find_method(h, load_be32(data));

	if (m == NULL) {
		buf_append(h->out, "\0", 1);
		return rfb_server_fail(h, ERR_PROTOCOL,
		    "the viewer chose a VeNCrypt type that was not offered");
	}
	if (m->next != RFB_SERVER_TLS) {
		/* only the TLS types are acknowledged */
		h->phase = m->next;
		return RFB_HANDSHAKE_STEP;
	}
	if (len > 4)
		return rfb_server_fail(
		    h, ERR_PROTOCOL, "bytes came before TLS");
	return rfb_server_step(h, "\1", 1, m->next, RFB_HANDSHAKE_START_TLS);
}

int
rfb_server_on_response(struct rfb_handshake_server *h, const uint8_t *data)
{
	memcpy(h->response, data, sizeof(h->response));
	h->phase = RFB_SERVER_ANSWER;
	return RFB_HANDSHAKE_CREDENTIALS;
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

int
rfb_server_on_credentials(struct rfb_handshake_server *h, const uint8_t *data,
    size_t len, size_t *used)
{
	uint32_t user_len, password_len;

	if (len < 8)
		return RFB_HANDSHAKE_MORE;
	user_len = load_be32(data);
	password_len = load_be32(data + 4);
	if (user_len > RFB_MAX_CREDENTIAL || password_len > RFB_MAX_CREDENTIAL)
		return rfb_server_fail(
		    h, ERR_LIMIT, "user name or password is too long");
	if (len < 8 + user_len + password_len)
		return RFB_HANDSHAKE_MORE;
	if (take_text(h->user, data + 8, user_len) != 0 ||
	    take_text(h->password, data + 8 + user_len, password_len) != 0)
		return rfb_server_fail(
		    h, ERR_PROTOCOL, "a NUL in user name or password");
	*used = 8 + user_len + password_len;
	h->phase = RFB_SERVER_ANSWER;
	return RFB_HANDSHAKE_CREDENTIALS;
}
