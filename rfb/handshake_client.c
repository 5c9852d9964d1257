#include "rfb/handshake_client.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/bytes.h"
#include "common/err.h"
#include "rfb/vnc_auth.h"

#define WHY_MAX	      400
#define NAME_DROP_MAX 65536 /* a longer name is refused, not cut */

enum phase {
	PHASE_VERSION,
	PHASE_TYPES,
	PHASE_TYPE_33,
	PHASE_VENCRYPT,
	PHASE_VENCRYPT_ACK,
	PHASE_SUBTYPES,
	PHASE_SUBTYPE_ACK,
	PHASE_TLS,
	PHASE_CHALLENGE,
	PHASE_RESULT,
	PHASE_SERVER_INIT,
	PHASE_NAME_REST,
	PHASE_READY,
	PHASE_FAILED,
};

struct rfb_handshake_client {
	struct buf *out;
	enum phase phase;
	unsigned minor;
	char user[RFB_MAX_CREDENTIAL + 1];
	char password[RFB_MAX_CREDENTIAL + 1];
	bool has_user, has_password, allow_clear, is_ultra, in_tls;
	uint32_t subtype;
	uint32_t name_rest; /* bytes of an over-long name still to drop */
	struct rfb_server_init init;
	char offered[128];
	const char *chosen;
	char why[WHY_MAX];
};

struct rfb_handshake_client *
rfb_handshake_client_new(struct buf *out, const struct rfb_client_params *p)
{
	struct rfb_handshake_client *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return NULL;
	h->out = out;
	h->has_user = p->user != NULL;
	h->has_password = p->password != NULL;
	h->allow_clear = p->allow_clear;
	snprintf(h->user, sizeof(h->user), "%s", h->has_user ? p->user : "");
	snprintf(h->password, sizeof(h->password), "%s",
	    h->has_password ? p->password : "");
	h->chosen = "";
	snprintf(h->why, sizeof(h->why), "no error");
	return h;
}

void
rfb_handshake_client_free(struct rfb_handshake_client *h)
{
	if (h == NULL)
		return;
	wipe(h, sizeof(*h));
	free(h);
}

__attribute__((format(printf, 3, 4))) static int
fail(struct rfb_handshake_client *h, int err, const char *fmt, ...)
{
	va_list ap;

	h->phase = PHASE_FAILED;
	va_start(ap, fmt);
	vsnprintf(h->why, sizeof(h->why), fmt, ap);
	va_end(ap);
	return err;
}

static int
send_bytes(struct rfb_handshake_client *h, const void *data, size_t n)
{
	int rc = buf_append(h->out, data, n);

	return rc == 0 ? 0 : fail(h, rc, "the relay is out of memory");
}

/* Sends n bytes and moves on. */
static int
step(struct rfb_handshake_client *h, const void *data, size_t n,
    enum phase next)
{
	int rc = send_bytes(h, data, n);

	if (rc != 0)
		return rc;
	h->phase = next;
	return RFB_HANDSHAKE_STEP;
}

/*
 * A reason string at data (length, text) becomes `why`, printable ASCII
 * only. Returns RFB_HANDSHAKE_MORE until all is there, then err.
 */
static int
on_reason(struct rfb_handshake_client *h, const uint8_t *data, size_t len,
    size_t *used, int err, const char *intro)
{
	char text[200];
	uint32_t n;
	size_t k = 0;

	if (len < 4)
		return RFB_HANDSHAKE_MORE;
	n = load_be32(data);
	if (n > RFB_MAX_REASON)
		return fail(h, ERR_LIMIT, "the endpoint refused with a reason "
		    "of %u bytes", n);
	if (len < 4 + n)
		return RFB_HANDSHAKE_MORE;
	*used += 4 + n;
	for (uint32_t i = 0; i < n && k + 1 < sizeof(text); i++)
		if (data[4 + i] >= 0x20 && data[4 + i] < 0x7f)
			text[k++] = (char)data[4 + i];
	text[k] = '\0';
	return fail(h, err, "%s: %s", intro, text);
}

static int
on_version(struct rfb_handshake_client *h, const uint8_t *data)
{
	unsigned major, minor;
	char text[RFB_VERSION_LEN + 1];
	int end = 0;

	memcpy(text, data, RFB_VERSION_LEN);
	text[RFB_VERSION_LEN] = '\0';
	if (sscanf(text, "RFB %3u.%3u\n%n", &major, &minor, &end) != 2 ||
	    end != RFB_VERSION_LEN || text[7] != '.' || major < 3)
		return fail(h, ERR_PROTOCOL,
		    "the endpoint does not speak VNC (RFB) on that port");
	/* odd numbers (3.889, 4.1, 5.0) are servers that also do 3.8 */
	if (major > 3 || minor >= 8)
		h->minor = 8;
	else
		h->minor = minor == 7 ? 7 : 3;
	snprintf(text, sizeof(text), "RFB 003.00%u\n", h->minor);
	return step(h, text, RFB_VERSION_LEN,
	    h->minor == 3 ? PHASE_TYPE_33 : PHASE_TYPES);
}

static int
no_common_type(struct rfb_handshake_client *h, bool clear_would_do)
{
	if (clear_would_do)
		return fail(h, ERR_UNSUPPORTED,
		    "the endpoint offers no TLS (security types %s); switch "
		    "on VeNCrypt X509 there, or allow clear connections to "
		    "this endpoint (--allow-clear)", h->offered);
	return fail(h, ERR_UNSUPPORTED,
	    "the endpoint offers security types %s only; Relaycam can use "
	    "VeNCrypt with X.509 (19), VNC password (2) or none (1)",
	    h->offered);
}

/* Goes on without TLS by one of the two old types. */
static int
choose_clear(struct rfb_handshake_client *h, uint8_t type)
{
	/* 3.3 is told, not asked: nothing is sent */
	size_t n = h->minor == 3 ? 0 : 1;

	if (type == RFB_SEC_VNC) {
		if (!h->has_password)
			return fail(h, ERR_DENIED, "the endpoint wants a VNC "
			    "password and none is stored for it");
		h->chosen = "VNC password";
		return step(h, &type, n, PHASE_CHALLENGE);
	}
	h->chosen = "none";
	if (h->minor == 8)
		return step(h, &type, n, PHASE_RESULT);
	/* before 3.8 there is no result for "none": ClientInit follows */
	if (send_bytes(h, &type, n) != 0)
		return ERR_NOMEM;
	return step(h, "\1", 1, PHASE_SERVER_INIT);
}

static int
choose_type(struct rfb_handshake_client *h, const uint8_t *types, size_t n)
{
	bool has_vnc = memchr(types, RFB_SEC_VNC, n) != NULL;
	bool has_none = memchr(types, RFB_SEC_NONE, n) != NULL;

	if (memchr(types, RFB_SEC_VENCRYPT, n) != NULL)
		return step(h, "\23", 1, PHASE_VENCRYPT);
	if ((has_vnc || has_none) && !h->allow_clear)
		return no_common_type(h, true);
	if (has_vnc && (h->has_password || !has_none))
		return choose_clear(h, RFB_SEC_VNC);
	if (has_none)
		return choose_clear(h, RFB_SEC_NONE);
	return no_common_type(h, false);
}

static void
note_offer(struct rfb_handshake_client *h, uint32_t type)
{
	size_t n = strlen(h->offered);

	snprintf(h->offered + n, sizeof(h->offered) - n, "%s%u",
	    n != 0 ? ", " : "", type);
	if (type == 17 || (type >= 0x70 && type <= 0x76))
		h->is_ultra = true;
}

static int
on_types(struct rfb_handshake_client *h, const uint8_t *data, size_t len,
    size_t *used)
{
	size_t n = data[0];

	if (n == 0) {
		int rc = on_reason(h, data + 1, len - 1, used, ERR_DENIED,
		    "the endpoint refused the connection");

		if (rc != RFB_HANDSHAKE_MORE)
			*used += 1;
		return rc;
	}
	if (len < 1 + n)
		return RFB_HANDSHAKE_MORE;
	*used = 1 + n;
	for (size_t i = 0; i < n; i++)
		note_offer(h, data[1 + i]);
	return choose_type(h, data + 1, n);
}

static int
on_type_33(struct rfb_handshake_client *h, const uint8_t *data, size_t len,
    size_t *used)
{
	uint32_t type;
	int rc;

	if (len < 4)
		return RFB_HANDSHAKE_MORE;
	type = load_be32(data);
	if (type == RFB_SEC_INVALID) {
		rc = on_reason(h, data + 4, len - 4, used, ERR_DENIED,
		    "the endpoint refused the connection");
		if (rc != RFB_HANDSHAKE_MORE)
			*used += 4;
		return rc;
	}
	*used = 4;
	note_offer(h, type);
	if (type != RFB_SEC_NONE && type != RFB_SEC_VNC)
		return no_common_type(h, false);
	if (!h->allow_clear)
		return no_common_type(h, true);
	return choose_clear(h, (uint8_t)type);
}

static int
on_vencrypt(struct rfb_handshake_client *h, const uint8_t *data, size_t len,
    size_t *used)
{
	if (len < 2)
		return RFB_HANDSHAKE_MORE;
	*used = 2;
	if (data[0] == 0 && data[1] < 2)
		return fail(h, ERR_UNSUPPORTED,
		    "the endpoint's VeNCrypt version %u.%u is too old",
		    data[0], data[1]);
	return step(h, "\0\2", 2, PHASE_VENCRYPT_ACK);
}

static int
on_vencrypt_ack(struct rfb_handshake_client *h, const uint8_t *data,
    size_t *used)
{
	*used = 1;
	if (data[0] != 0)
		return fail(h, ERR_UNSUPPORTED,
		    "the endpoint does not accept VeNCrypt 0.2");
	h->phase = PHASE_SUBTYPES;
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

/* The best sub-type for the credentials there are; 0: none. */
static uint32_t
choose_subtype(const struct rfb_handshake_client *h, const uint8_t *subtypes,
    size_t n)
{
	if (h->has_user && h->has_password &&
	    is_offered(subtypes, n, RFB_VENCRYPT_X509_PLAIN))
		return RFB_VENCRYPT_X509_PLAIN;
	if (h->has_password && is_offered(subtypes, n, RFB_VENCRYPT_X509_VNC))
		return RFB_VENCRYPT_X509_VNC;
	if (is_offered(subtypes, n, RFB_VENCRYPT_X509_NONE))
		return RFB_VENCRYPT_X509_NONE;
	return 0;
}

static int
no_common_subtype(struct rfb_handshake_client *h, const uint8_t *subtypes,
    size_t n)
{
	if (is_offered(subtypes, n, RFB_VENCRYPT_X509_PLAIN) &&
	    !(h->has_user && h->has_password))
		return fail(h, ERR_DENIED, "the endpoint wants a user name "
		    "and a password and they are not stored for it");
	if (is_offered(subtypes, n, RFB_VENCRYPT_X509_VNC))
		return fail(h, ERR_DENIED, "the endpoint wants a VNC "
		    "password and none is stored for it");
	h->offered[0] = '\0';
	for (size_t i = 0; i < n; i++)
		note_offer(h, load_be32(subtypes + 4 * i));
	return fail(h, ERR_UNSUPPORTED,
	    "the endpoint offers VeNCrypt types %s only; Relaycam needs one "
	    "with a certificate: X509Plain (262), X509Vnc (261) or X509None "
	    "(260)", h->offered);
}

static int
on_subtypes(struct rfb_handshake_client *h, const uint8_t *data, size_t len,
    size_t *used)
{
	size_t n = data[0];
	uint8_t reply[4];

	if (len < 1 + 4 * n)
		return RFB_HANDSHAKE_MORE;
	*used = 1 + 4 * n;
	h->subtype = choose_subtype(h, data + 1, n);
	if (h->subtype == 0)
		return no_common_subtype(h, data + 1, n);
	h->chosen = h->subtype == RFB_VENCRYPT_X509_PLAIN ?
	    "VeNCrypt X509Plain" :
	    h->subtype == RFB_VENCRYPT_X509_VNC ? "VeNCrypt X509Vnc" :
						  "VeNCrypt X509None";
	store_be32(reply, h->subtype);
	return step(h, reply, sizeof(reply), PHASE_SUBTYPE_ACK);
}

static int
on_subtype_ack(struct rfb_handshake_client *h, const uint8_t *data, size_t len,
    size_t *used)
{
	*used = 1;
	if (data[0] != 1)
		return fail(h, ERR_DENIED,
		    "the endpoint refused the VeNCrypt type it had offered");
	if (len > 1)
		return fail(h, ERR_PROTOCOL,
		    "the endpoint sent bytes before TLS was started");
	h->phase = PHASE_TLS;
	return RFB_HANDSHAKE_START_TLS;
}

int
rfb_handshake_client_tls_started(struct rfb_handshake_client *h)
{
	size_t user_len = strlen(h->user), password_len = strlen(h->password);
	uint8_t head[8];

	if (h->phase != PHASE_TLS)
		return 0;
	h->in_tls = true;
	if (h->subtype == RFB_VENCRYPT_X509_VNC) {
		h->phase = PHASE_CHALLENGE;
		return 0;
	}
	h->phase = PHASE_RESULT;
	if (h->subtype == RFB_VENCRYPT_X509_NONE)
		return 0;
	store_be32(head, (uint32_t)user_len);
	store_be32(head + 4, (uint32_t)password_len);
	if (send_bytes(h, head, sizeof(head)) != 0 ||
	    send_bytes(h, h->user, user_len) != 0 ||
	    send_bytes(h, h->password, password_len) != 0)
		return ERR_NOMEM;
	return 0;
}

static int
on_challenge(struct rfb_handshake_client *h, const uint8_t *data, size_t len,
    size_t *used)
{
	uint8_t response[RFB_VNC_CHALLENGE_LEN];

	if (len < RFB_VNC_CHALLENGE_LEN)
		return RFB_HANDSHAKE_MORE;
	*used = RFB_VNC_CHALLENGE_LEN;
	if (rfb_vnc_auth_response(h->password, data, response) != 0)
		return fail(h, ERR_UNSUPPORTED,
		    "the relay's crypto library refuses DES");
	return step(h, response, sizeof(response), PHASE_RESULT);
}

static int
on_result(struct rfb_handshake_client *h, const uint8_t *data, size_t len,
    size_t *used)
{
	static const char refused[] =
	    "the endpoint refused the stored password";
	uint32_t result;
	int rc;

	if (len < 4)
		return RFB_HANDSHAKE_MORE;
	result = load_be32(data);
	if (result == 0) {
		*used = 4;
		return step(h, "\1", 1, PHASE_SERVER_INIT);
	}
	if (h->minor < 8) {
		*used = 4;
		return fail(h, ERR_DENIED, "%s", refused);
	}
	rc = on_reason(h, data + 4, len - 4, used, ERR_DENIED, refused);
	if (rc != RFB_HANDSHAKE_MORE)
		*used += 4;
	return rc;
}

static int
check_init(struct rfb_handshake_client *h, const uint8_t *data)
{
	struct rfb_server_init *init = &h->init;
	uint32_t name_len = load_be32(data + 20);

	init->width = load_be16(data);
	init->height = load_be16(data + 2);
	if (init->width == 0 || init->width > RFB_MAX_SIDE ||
	    init->height == 0 || init->height > RFB_MAX_SIDE)
		return fail(h, ERR_LIMIT, "the endpoint's desktop is %ux%u; "
		    "1 to %u pixels a side can be recorded", init->width,
		    init->height, RFB_MAX_SIDE);
	if (rfb_pixel_format_parse(&init->pf, data + 4) != 0)
		return fail(h, ERR_UNSUPPORTED, "the endpoint's pixel format "
		    "is not one with true colour and 8, 16 or 32 bits");
	if (name_len > NAME_DROP_MAX)
		return fail(h, ERR_LIMIT,
		    "the endpoint's desktop name has %u bytes", name_len);
	return 0;
}

static int
on_server_init(struct rfb_handshake_client *h, const uint8_t *data, size_t len,
    size_t *used)
{
	uint32_t name_len, kept;
	int rc;

	if (len < 24)
		return RFB_HANDSHAKE_MORE;
	rc = check_init(h, data);
	if (rc != 0)
		return rc;
	name_len = load_be32(data + 20);
	kept = (uint32_t)min_size(name_len, RFB_MAX_NAME);
	if (len < 24 + kept)
		return RFB_HANDSHAKE_MORE;
	*used = 24 + kept;
	memcpy(h->init.name, data + 24, kept);
	h->init.name[kept] = '\0';
	h->init.name_len = kept;
	h->name_rest = name_len - kept;
	h->phase = h->name_rest != 0 ? PHASE_NAME_REST : PHASE_READY;
	return h->name_rest != 0 ? RFB_HANDSHAKE_STEP : RFB_HANDSHAKE_READY;
}

static int
on_name_rest(struct rfb_handshake_client *h, size_t len, size_t *used)
{
	*used = min_size(len, h->name_rest);
	h->name_rest -= (uint32_t)*used;
	if (h->name_rest != 0)
		return RFB_HANDSHAKE_STEP;
	h->phase = PHASE_READY;
	return RFB_HANDSHAKE_READY;
}

int
rfb_handshake_client_feed(struct rfb_handshake_client *h, const uint8_t *data,
    size_t len, size_t *used)
{
	*used = 0;
	if (len == 0)
		return RFB_HANDSHAKE_MORE;
	switch (h->phase) {
	case PHASE_VERSION:
		if (len < RFB_VERSION_LEN)
			return RFB_HANDSHAKE_MORE;
		*used = RFB_VERSION_LEN;
		return on_version(h, data);
	case PHASE_TYPES:
		return on_types(h, data, len, used);
	case PHASE_TYPE_33:
		return on_type_33(h, data, len, used);
	case PHASE_VENCRYPT:
		return on_vencrypt(h, data, len, used);
	case PHASE_VENCRYPT_ACK:
		return on_vencrypt_ack(h, data, used);
	case PHASE_SUBTYPES:
		return on_subtypes(h, data, len, used);
	case PHASE_SUBTYPE_ACK:
		return on_subtype_ack(h, data, len, used);
	case PHASE_TLS:
		return fail(h, ERR_PROTOCOL,
		    "the endpoint sent bytes before TLS was started");
	case PHASE_CHALLENGE:
		return on_challenge(h, data, len, used);
	case PHASE_RESULT:
		return on_result(h, data, len, used);
	case PHASE_SERVER_INIT:
		return on_server_init(h, data, len, used);
	case PHASE_NAME_REST:
		return on_name_rest(h, len, used);
	case PHASE_READY:
		return RFB_HANDSHAKE_MORE;
	case PHASE_FAILED:
		break;
	}
	return ERR_PROTOCOL;
}

const struct rfb_server_init *
rfb_handshake_client_init(const struct rfb_handshake_client *h)
{
	return &h->init;
}

const char *
rfb_handshake_client_offered(const struct rfb_handshake_client *h)
{
	return h->offered;
}

const char *
rfb_handshake_client_chosen(const struct rfb_handshake_client *h)
{
	return h->chosen;
}

bool
rfb_handshake_client_is_ultra(const struct rfb_handshake_client *h)
{
	return h->is_ultra;
}

const char *
rfb_handshake_client_why(const struct rfb_handshake_client *h)
{
	return h->why;
}
