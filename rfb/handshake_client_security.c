/* The steps along VeNCrypt and VNC authentication, and how they end. */
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "rfb/handshake_client_internal.h"
#include "rfb/vnc_auth.h"

#define REASON_SHOWN_MAX 512 /* bytes of an endpoint's reason, for people */

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

int
rfb_client_on_refusal(struct rfb_handshake_client *h, const uint8_t *data,
    size_t len, size_t *used, size_t head)
{
	int rc;

	*used = head;
	rc = on_reason(h, data + head, len - head, used, ERR_DENIED,
	    "the endpoint refused the connection");
	if (rc == RFB_HANDSHAKE_MORE)
		*used = 0;
	return rc;
}

int
rfb_client_start_session(struct rfb_handshake_client *h)
{
	return rfb_client_step(h, "\1", 1, RFB_CLIENT_SERVER_INIT);
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
		return rfb_client_start_session(h);
	if (!h->has_authenticated)
		refused = "the endpoint refused the connection";
	if (h->minor < 8)
		return rfb_client_fail(h, ERR_DENIED, "%s", refused);
	rc = on_reason(h, data + 4, len - 4, used, ERR_DENIED, refused);
	if (rc == RFB_HANDSHAKE_MORE)
		*used = 0;
	return rc;
}
