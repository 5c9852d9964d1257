/* The RSA login: the steps of rfb/ra2.h within the handshake. */
#include "common/bytes.h"
#include "common/err.h"
#include "rfb/handshake_client_internal.h"
#include "rfb/ra2.h"
#include "rfb/ra2_stream.h"

static int
no_crypto(struct rfb_handshake_client *h, int err)
{
	return rfb_client_fail(
	    h, err, "the relay's crypto library refuses %s", h->chosen);
}

static bool
is_256(const struct rfb_handshake_client *h)
{
	return h->type == RFB_SEC_RA2_256 || h->type == RFB_SEC_RA2NE_256;
}

/* The session is encrypted, not the login alone. */
static bool
is_all_encrypted(const struct rfb_handshake_client *h)
{
	return h->type == RFB_SEC_RA2_256 || h->type == RFB_SEC_RA2;
}

static int
bad_key(struct rfb_handshake_client *h, int err, uint32_t bits)
{
	if (err == ERR_LIMIT)
		return rfb_client_fail(h, err,
		    "the endpoint's RSA key has %u bits; %d to %d are taken",
		    bits, RFB_RA2_BITS_MIN, RFB_RA2_BITS_MAX);
	if (err == ERR_PROTOCOL)
		return rfb_client_fail(
		    h, err, "the endpoint's RSA key cannot be right");
	return no_crypto(h, err);
}

int
rfb_client_on_ra2_key(struct rfb_handshake_client *h, const uint8_t *data,
    size_t len, size_t *used)
{
	ssize_t n;
	int rc;

	if (h->ra2 == NULL)
		h->ra2 = rfb_ra2_new(h->ra2_key, is_256(h));
	if (h->ra2 == NULL)
		return no_crypto(h, ERR_NOMEM);
	n = rfb_ra2_read_key(h->ra2, data, len);
	if (n < 0)
		return bad_key(h, (int)n, load_be32(data));
	if (n == 0)
		return RFB_HANDSHAKE_MORE;
	*used = (size_t)n;
	rc = rfb_ra2_key_sha256(h->ra2, h->key_sha256);
	if (rc == 0)
		rc = rfb_ra2_key_text(h->ra2, h->key_text);
	if (rc != 0)
		return no_crypto(h, rc);
	h->phase = RFB_CLIENT_RA2_CHECK;
	return RFB_HANDSHAKE_CHECK_KEY;
}

/* The relay has said nothing yet that could be answered. */
int
rfb_client_on_ra2_early(struct rfb_handshake_client *h, const uint8_t *data,
    size_t len, size_t *used)
{
	return rfb_client_fail(h, ERR_PROTOCOL,
	    "the endpoint sent bytes before its RSA key was checked");
}

int
rfb_handshake_client_key_checked(struct rfb_handshake_client *h)
{
	int rc;

	if (h->phase != RFB_CLIENT_RA2_CHECK)
		return ERR_PROTOCOL;
	rc = rfb_ra2_write_opening(h->ra2, h->out);
	if (rc != 0)
		return no_crypto(h, rc);
	h->phase = RFB_CLIENT_RA2_RANDOM;
	return 0;
}

int
rfb_client_on_ra2_random(struct rfb_handshake_client *h, const uint8_t *data,
    size_t len, size_t *used)
{
	ssize_t n = rfb_ra2_read_random(h->ra2, data, len);
	int rc;

	if (n == 0)
		return RFB_HANDSHAKE_MORE;
	if (n == ERR_PROTOCOL)
		return rfb_client_fail(h, ERR_PROTOCOL,
		    "the endpoint's random number is not as long as the "
		    "relay's RSA key");
	rc = n < 0 ? (int)n : rfb_ra2_write_hash(h->ra2, h->out);
	if (rc != 0)
		return no_crypto(h, rc);
	*used = (size_t)n;
	h->phase = RFB_CLIENT_RA2_HASH;
	return RFB_HANDSHAKE_STEP;
}

static int
send_credentials(struct rfb_handshake_client *h, int asked)
{
	int rc;

	if (asked == RFB_RA2_USER_AND_PASSWORD && !h->has_user)
		return rfb_client_needs_credentials(h);
	rc = rfb_ra2_write_credentials(h->ra2,
	    asked == RFB_RA2_USER_AND_PASSWORD ? h->user : "", h->password,
	    h->out);
	if (rc == ERR_LIMIT)
		return rfb_client_fail(h, rc,
		    "the user name or password stored for the endpoint is too "
		    "long for its kind of login (%s)",
		    h->chosen);
	if (rc != 0)
		return no_crypto(h, rc);
	h->has_authenticated = true;
	h->phase = RFB_CLIENT_RESULT;
	return is_all_encrypted(h) ? RFB_HANDSHAKE_START_CIPHER
				   : RFB_HANDSHAKE_STEP;
}

static int
bad_message(struct rfb_handshake_client *h, int err)
{
	if (err == ERR_UNAVAILABLE)
		return no_crypto(h, err);
	return rfb_client_fail(h, err,
	    "the endpoint's encrypted login (%s) is not what its RSA key says",
	    h->chosen);
}

static int
on_message(struct rfb_handshake_client *h, const uint8_t *data, size_t len,
    size_t *used)
{
	ssize_t n = rfb_ra2_read_message(h->ra2, data, len);
	int rc;

	if (n < 0)
		return bad_message(h, (int)n);
	*used = (size_t)n;
	if (n == 0)
		return RFB_HANDSHAKE_MORE;
	if (h->phase == RFB_CLIENT_RA2_HASH) {
		rc = rfb_ra2_check_hash(h->ra2);
		if (rc <= 0)
			return rc < 0 ? bad_message(h, rc) : RFB_HANDSHAKE_STEP;
		h->phase = RFB_CLIENT_RA2_SUBTYPE;
	}
	rc = rfb_ra2_take_subtype(h->ra2);
	if (rc <= 0)
		return rc < 0 ? bad_message(h, rc) : RFB_HANDSHAKE_STEP;
	return send_credentials(h, rc);
}

int
rfb_client_on_ra2_hash(struct rfb_handshake_client *h, const uint8_t *data,
    size_t len, size_t *used)
{
	return on_message(h, data, len, used);
}

int
rfb_client_on_ra2_subtype(struct rfb_handshake_client *h, const uint8_t *data,
    size_t len, size_t *used)
{
	return on_message(h, data, len, used);
}

struct rfb_ra2_stream *
rfb_handshake_client_take_cipher(struct rfb_handshake_client *h)
{
	if (h->ra2 == NULL || h->phase != RFB_CLIENT_RESULT ||
	    !is_all_encrypted(h))
		return NULL;
	return rfb_ra2_take_stream(h->ra2);
}

const uint8_t *
rfb_handshake_client_key_sha256(const struct rfb_handshake_client *h)
{
	return h->key_text[0] != '\0' ? h->key_sha256 : NULL;
}

const char *
rfb_handshake_client_key_text(const struct rfb_handshake_client *h)
{
	return h->key_text;
}
