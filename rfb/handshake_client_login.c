/* The logins with an account of the endpoint's system: macOS and UltraVNC. */
#include "common/bytes.h"
#include "common/err.h"
#include "rfb/ard.h"
#include "rfb/handshake_client_internal.h"
#include "rfb/mslogon.h"

/* Sends the answer (n bytes, wiped) or says why there is none. */
static int
send_answer(struct rfb_handshake_client *h, int rc, uint8_t *answer, size_t n)
{
	if (rc == ERR_LIMIT)
		rfb_client_fail(h, rc,
		    "the user name or password stored for the endpoint is too "
		    "long for its kind of login (%s)",
		    h->chosen);
	else if (rc == ERR_PROTOCOL)
		rfb_client_fail(h, rc,
		    "the endpoint's key exchange (%s) has numbers that cannot "
		    "be right",
		    h->chosen);
	else if (rc != 0)
		rfb_client_fail(
		    h, rc, "the relay's crypto library refuses %s", h->chosen);
	if (rc == 0) {
		h->has_authenticated = true;
		rc = rfb_client_step(h, answer, n, RFB_CLIENT_RESULT);
	}
	wipe(answer, n);
	return rc;
}

int
rfb_client_on_ard(struct rfb_handshake_client *h, const uint8_t *data,
    size_t len, size_t *used)
{
	size_t need = rfb_ard_message_len(data), n = 0;
	uint8_t answer[RFB_ARD_ANSWER_MAX];
	int rc;

	if (need == 0)
		return rfb_client_fail(h, ERR_LIMIT,
		    "the endpoint's key exchange has numbers of %u bytes; %d "
		    "to %d are taken",
		    load_be16(data + 2), RFB_ARD_KEY_MIN, RFB_ARD_KEY_MAX);
	if (len < need)
		return RFB_HANDSHAKE_MORE;
	*used = need;
	rc = rfb_ard_answer(data, h->user, h->password, answer, &n);
	return send_answer(h, rc, answer, n);
}

int
rfb_client_on_mslogon(struct rfb_handshake_client *h, const uint8_t *data,
    size_t len, size_t *used)
{
	uint8_t answer[RFB_MSLOGON_ANSWER_LEN];
	int rc;

	*used = RFB_MSLOGON_MESSAGE_LEN;
	rc = rfb_mslogon_answer(data, h->user, h->password, answer);
	return send_answer(h, rc, answer, sizeof(answer));
}
