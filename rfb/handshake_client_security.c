/* Which way into the endpoint is taken, and the steps along it. */
#include <stdio.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "rfb/handshake_client_internal.h"
#include "rfb/vnc_auth.h"

#define REASON_SHOWN_MAX 512 /* bytes of an endpoint's reason, for people */

/* Appends ", number"; a full text ends in ", ...". */
static void
list_number(char text[RFB_CLIENT_OFFERED_MAX], uint32_t number)
{
	static const char more[] = ", ...";
	size_t n = strlen(text), room = RFB_CLIENT_OFFERED_MAX - n;
	char item[16];

	snprintf(item, sizeof(item), "%s%u", n != 0 ? ", " : "", number);
	if (strlen(item) + sizeof(more) <= room)
		memcpy(text + n, item, strlen(item) + 1);
	else if (room >= sizeof(more) && (n < 3 || text[n - 1] != '.'))
		memcpy(text + n, more, sizeof(more));
}

/*
 * A reason string at data (length, text) becomes part of `why`. Returns
 * RFB_HANDSHAKE_MORE until all is there, then err; *used grows by it.
 */
static int
on_reason(struct rfb_handshake_client *h, const uint8_t *data, size_t len,
    size_t *used, int err, const char *intro)
{
	char text[REASON_SHOWN_MAX];
	uint32_t n;

	if (len < 4)
		return RFB_HANDSHAKE_MORE;
	n = load_be32(data);
	if (n > RFB_MAX_REASON)
		return rfb_client_fail(
		    h, ERR_LIMIT, "%s with a reason of %u bytes", intro, n);
	if (len < 4 + n)
		return RFB_HANDSHAKE_MORE;
	*used += 4 + n;
	if (rfb_printable(text, sizeof(text), data + 4, n) == 0)
		return rfb_client_fail(h, err, "%s", intro);
	return rfb_client_fail(h, err, "%s: %s", intro, text);
}

/* The same after `head` bytes that told that a reason follows. */
static int
on_refusal(struct rfb_handshake_client *h, const uint8_t *data, size_t len,
    size_t *used, size_t head)
{
	int rc;

	*used = head;
	rc = on_reason(h, data + head, len - head, used, ERR_DENIED,
	    "the endpoint refused the connection");
	if (rc == RFB_HANDSHAKE_MORE)
		*used = 0;
	return rc;
}

static int
needs_tls(struct rfb_handshake_client *h)
{
	return rfb_client_fail(h, ERR_UNSUPPORTED,
	    "the endpoint offers no TLS (security types %s); switch on "
	    "VeNCrypt X509 there, or allow clear connections to this "
	    "endpoint (--allow-clear)",
	    h->offered);
}

static int
no_common_type(struct rfb_handshake_client *h)
{
	return rfb_client_fail(h, ERR_UNSUPPORTED,
	    "the endpoint offers security types %s only; Relaycam needs "
	    "VeNCrypt with X.509 (19), a VNC password (2) or none (1)",
	    h->offered);
}

static int
needs_password(struct rfb_handshake_client *h)
{
	return rfb_client_fail(h, ERR_DENIED,
	    "the endpoint wants a VNC password and none is stored for it");
}

/* Sends ClientInit, always asking for a shared session. */
static int
start_session(struct rfb_handshake_client *h)
{
	return rfb_client_step(h, "\1", 1, RFB_CLIENT_SERVER_INIT);
}

/*
 * Sends the n bytes that choose "none" or VNC authentication without TLS;
 * 3.3 tells instead of asking: n is 0.
 */
static int
choose_clear(struct rfb_handshake_client *h, uint32_t type,
    const uint8_t *choice, size_t n)
{
	int rc;

	if (type == RFB_SEC_VNC) {
		if (!h->has_password)
			return needs_password(h);
		h->chosen = "VNC password";
		return rfb_client_step(h, choice, n, RFB_CLIENT_CHALLENGE);
	}
	h->chosen = "none";
	if (h->minor == 8)
		return rfb_client_step(h, choice, n, RFB_CLIENT_RESULT);
	/* before 3.8 there is no result for "none": ClientInit follows */
	rc = rfb_client_send(h, choice, n);
	return rc != 0 ? rc : start_session(h);
}

static int
choose_type(struct rfb_handshake_client *h, const uint8_t *types, size_t n)
{
	bool has_vnc = memchr(types, RFB_SEC_VNC, n) != NULL;
	bool has_none = memchr(types, RFB_SEC_NONE, n) != NULL;
	uint8_t type;

	if (memchr(types, RFB_SEC_VENCRYPT, n) != NULL)
		return rfb_client_step(h, "\23", 1, RFB_CLIENT_VENCRYPT);
	if (!has_vnc && !has_none)
		return no_common_type(h);
	if (!h->allow_clear)
		return needs_tls(h);
	type = has_vnc && (h->has_password || !has_none) ? RFB_SEC_VNC
							 : RFB_SEC_NONE;
	return choose_clear(h, type, &type, 1);
}

static void
note_offer(struct rfb_handshake_client *h, uint32_t type)
{
	list_number(h->offered, type);
	if (type == 17 || (type >= 0x70 && type <= 0x76))
		h->is_ultra = true;
}

int
rfb_client_on_types(struct rfb_handshake_client *h, const uint8_t *data,
    size_t len, size_t *used)
{
	size_t n = data[0];

	if (n == 0)
		return on_refusal(h, data, len, used, 1);
	if (len < 1 + n)
		return RFB_HANDSHAKE_MORE;
	*used = 1 + n;
	for (size_t i = 0; i < n; i++)
		note_offer(h, data[1 + i]);
	return choose_type(h, data + 1, n);
}

int
rfb_client_on_type_33(struct rfb_handshake_client *h, const uint8_t *data,
    size_t len, size_t *used)
{
	uint32_t type = load_be32(data);

	if (type == RFB_SEC_INVALID)
		return on_refusal(h, data, len, used, 4);
	*used = 4;
	note_offer(h, type);
	if (type != RFB_SEC_NONE && type != RFB_SEC_VNC)
		return no_common_type(h);
	if (!h->allow_clear)
		return needs_tls(h);
	return choose_clear(h, type, NULL, 0);
}

int
rfb_client_on_vencrypt(struct rfb_handshake_client *h, const uint8_t *data,
    size_t len, size_t *used)
{
	*used = 2;
	if (data[0] == 0 && data[1] < 2)
		return rfb_client_fail(h, ERR_UNSUPPORTED,
		    "the endpoint's VeNCrypt version is %u.%u; Relaycam needs "
		    "0.2",
		    data[0], data[1]);
	return rfb_client_step(h, "\0\2", 2, RFB_CLIENT_VENCRYPT_ACK);
}

int
rfb_client_on_vencrypt_ack(struct rfb_handshake_client *h, const uint8_t *data,
    size_t len, size_t *used)
{
	*used = 1;
	if (data[0] != 0)
		return rfb_client_fail(h, ERR_UNSUPPORTED,
		    "the endpoint does not accept VeNCrypt 0.2");
	h->phase = RFB_CLIENT_SUBTYPES;
	return RFB_HANDSHAKE_STEP;
}

static bool
is_offered(const uint8_t *subtypes, size_t n, uint32_t type)
{
	for (size_t i = 0; i < n; i++)
		if (load_be32(subtypes + 4 * i) == type)
			return true;
	return false;
}

static const char *
subtype_name(uint32_t subtype)
{
	switch (subtype) {
	case RFB_VENCRYPT_X509_PLAIN:
		return "VeNCrypt X509Plain";
	case RFB_VENCRYPT_X509_VNC:
		return "VeNCrypt X509Vnc";
	default:
		return "VeNCrypt X509None";
	}
}

/*
 * The best sub-type for the credentials there are; 0: none. TigerVNC lists
 * its types without TLS in here too, and with its default settings these are
 * the only ones besides anonymous TLS.
 */
static uint32_t
choose_subtype(
    const struct rfb_handshake_client *h, const uint8_t *subtypes, size_t n)
{
	const struct {
		uint32_t type;
		bool is_usable;
	} wanted[] = {
		{ RFB_VENCRYPT_X509_PLAIN, h->has_user && h->has_password },
		{ RFB_VENCRYPT_X509_VNC, h->has_password },
		{ RFB_VENCRYPT_X509_NONE, true },
		{ RFB_SEC_VNC, h->allow_clear && h->has_password },
		{ RFB_SEC_NONE, h->allow_clear },
	};

	for (size_t i = 0; i < N_ELEMENTS(wanted); i++)
		if (wanted[i].is_usable &&
		    is_offered(subtypes, n, wanted[i].type))
			return wanted[i].type;
	return 0;
}

static int
no_common_subtype(
    struct rfb_handshake_client *h, const uint8_t *subtypes, size_t n)
{
	char list[RFB_CLIENT_OFFERED_MAX] = "";

	/* an X.509 type that is offered lacks what it asks for */
	if (is_offered(subtypes, n, RFB_VENCRYPT_X509_VNC))
		return needs_password(h);
	if (is_offered(subtypes, n, RFB_VENCRYPT_X509_PLAIN))
		return rfb_client_fail(h, ERR_DENIED,
		    "the endpoint wants a user name and a password and they "
		    "are not stored for it");
	if (h->allow_clear && is_offered(subtypes, n, RFB_SEC_VNC))
		return needs_password(h);
	for (size_t i = 0; i < n; i++)
		list_number(list, load_be32(subtypes + 4 * i));
	return rfb_client_fail(h, ERR_UNSUPPORTED,
	    "the endpoint offers %s%s%s; Relaycam needs one with a "
	    "certificate: X509Plain (262), X509Vnc (261) or X509None (260)",
	    n != 0 ? "VeNCrypt types " : "no VeNCrypt type", list,
	    n != 0 ? " only" : "");
}

int
rfb_client_on_subtypes(struct rfb_handshake_client *h, const uint8_t *data,
    size_t len, size_t *used)
{
	size_t n = data[0];
	uint8_t reply[4];

	if (len < 1 + 4 * n)
		return RFB_HANDSHAKE_MORE;
	*used = 1 + 4 * n;
	h->subtype = choose_subtype(h, data + 1, n);
	if (h->subtype == 0)
		return no_common_subtype(h, data + 1, n);
	store_be32(reply, h->subtype);
	/* the types without TLS are not acknowledged */
	if (h->subtype == RFB_SEC_VNC || h->subtype == RFB_SEC_NONE)
		return choose_clear(h, h->subtype, reply, sizeof(reply));
	h->chosen = subtype_name(h->subtype);
	return rfb_client_step(h, reply, sizeof(reply), RFB_CLIENT_SUBTYPE_ACK);
}

int
rfb_client_on_tls(struct rfb_handshake_client *h, const uint8_t *data,
    size_t len, size_t *used)
{
	return rfb_client_fail(
	    h, ERR_PROTOCOL, "the endpoint sent bytes before TLS was started");
}

int
rfb_client_on_subtype_ack(struct rfb_handshake_client *h, const uint8_t *data,
    size_t len, size_t *used)
{
	*used = 1;
	if (data[0] != 1)
		return rfb_client_fail(h, ERR_DENIED,
		    "the endpoint refused the VeNCrypt type it had offered");
	if (len > 1)
		return rfb_client_on_tls(h, data, len, used);
	h->phase = RFB_CLIENT_TLS;
	return RFB_HANDSHAKE_START_TLS;
}

static int
send_plain(struct rfb_handshake_client *h)
{
	size_t user_len = strlen(h->user), password_len = strlen(h->password);
	uint8_t head[8];
	int rc;

	store_be32(head, (uint32_t)user_len);
	store_be32(head + 4, (uint32_t)password_len);
	rc = rfb_client_send(h, head, sizeof(head));
	if (rc == 0)
		rc = rfb_client_send(h, h->user, user_len);
	if (rc == 0)
		rc = rfb_client_send(h, h->password, password_len);
	return rc;
}

int
rfb_handshake_client_tls_started(struct rfb_handshake_client *h)
{
	if (h->phase != RFB_CLIENT_TLS)
		return ERR_PROTOCOL;
	h->phase = h->subtype == RFB_VENCRYPT_X509_VNC ? RFB_CLIENT_CHALLENGE
						       : RFB_CLIENT_RESULT;
	if (h->subtype != RFB_VENCRYPT_X509_PLAIN)
		return 0;
	h->has_authenticated = true;
	return send_plain(h);
}

int
rfb_client_on_challenge(struct rfb_handshake_client *h, const uint8_t *data,
    size_t len, size_t *used)
{
	uint8_t response[RFB_VNC_CHALLENGE_LEN];

	*used = RFB_VNC_CHALLENGE_LEN;
	if (rfb_vnc_auth_response(h->password, data, response) != 0)
		return rfb_client_fail(h, ERR_UNSUPPORTED,
		    "the relay's crypto library refuses DES");
	h->has_authenticated = true;
	return rfb_client_step(
	    h, response, sizeof(response), RFB_CLIENT_RESULT);
}

int
rfb_client_on_result(struct rfb_handshake_client *h, const uint8_t *data,
    size_t len, size_t *used)
{
	const char *refused = "the endpoint refused the stored password";
	int rc;

	*used = 4;
	if (load_be32(data) == 0)
		return start_session(h);
	if (!h->has_authenticated)
		refused = "the endpoint refused the connection";
	if (h->minor < 8)
		return rfb_client_fail(h, ERR_DENIED, "%s", refused);
	rc = on_reason(h, data + 4, len - 4, used, ERR_DENIED, refused);
	if (rc == RFB_HANDSHAKE_MORE)
		*used = 0;
	return rc;
}
