#include "rfb/handshake_client_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/bytes.h"
#include "common/err.h"
#include "rfb/ard.h"
#include "rfb/mslogon.h"
#include "rfb/ra2.h"
#include "rfb/vnc_auth.h"

#define NAME_DROP_MAX   65536 /* a longer name is refused, not cut */
#define SERVER_INIT_LEN 24    /* without the name */

/* Copies text that may be NULL; false when it is too long. */
static bool
take_credential(char to[RFB_MAX_CREDENTIAL + 1], const char *from)
{
	size_t n = from != NULL ? strlen(from) : 0;

	if (n > RFB_MAX_CREDENTIAL)
		return false;
	if (n != 0)
		memcpy(to, from, n);
	return true;
}

struct rfb_handshake_client *
rfb_handshake_client_new(struct buf *out, const struct rfb_client_params *p)
{
	struct rfb_handshake_client *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return NULL;
	h->out = out;
	h->has_user = p->user != NULL && p->user[0] != '\0';
	h->has_password = p->password != NULL;
	h->allow_clear = p->allow_clear || p->is_in_tunnel;
	h->is_in_tunnel = p->is_in_tunnel;
	h->ra2_key = p->ra2_key;
	h->is_too_long = !take_credential(h->user, p->user) ||
	    !take_credential(h->password, p->password);
	h->chosen = "";
	snprintf(h->why, sizeof(h->why), "no error");
	return h;
}

void
rfb_handshake_client_free(struct rfb_handshake_client *h)
{
	if (h == NULL)
		return;
	rfb_ra2_free(h->ra2);
	wipe(h, sizeof(*h));
	free(h);
}

int
rfb_client_fail(struct rfb_handshake_client *h, int err, const char *fmt, ...)
{
	va_list ap;

	h->phase = RFB_CLIENT_FAILED;
	va_start(ap, fmt);
	vsnprintf(h->why, sizeof(h->why), fmt, ap);
	va_end(ap);
	return err;
}

int
rfb_client_send(struct rfb_handshake_client *h, const void *data, size_t n)
{
	int rc = buf_append(h->out, data, n);

	return rc == 0
	    ? 0
	    : rfb_client_fail(h, rc, "the relay has no memory for its answer");
}

int
rfb_client_step(struct rfb_handshake_client *h, const void *data, size_t n,
    enum rfb_client_phase next)
{
	int rc = rfb_client_send(h, data, n);

	if (rc != 0)
		return rc;
	h->phase = next;
	return RFB_HANDSHAKE_STEP;
}

static int
on_version(struct rfb_handshake_client *h, const uint8_t *data, size_t len,
    size_t *used)
{
	const char *reply = "RFB 003.008\n";

	*used = RFB_VERSION_LEN;
	if (h->is_too_long)
		return rfb_client_fail(h, ERR_LIMIT,
		    "the user name or password stored for the endpoint is "
		    "longer than %d bytes",
		    RFB_MAX_CREDENTIAL);
	h->minor = rfb_version_parse(data);
	if (h->minor == 0)
		return rfb_client_fail(h, ERR_PROTOCOL,
		    "the endpoint does not speak VNC (RFB) on that port");
	if (h->minor < 8)
		reply = h->minor == 7 ? "RFB 003.007\n" : "RFB 003.003\n";
	return rfb_client_step(h, reply, RFB_VERSION_LEN,
	    h->minor == 3 ? RFB_CLIENT_TYPE_33 : RFB_CLIENT_TYPES);
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
		return rfb_client_fail(h, ERR_LIMIT,
		    "the endpoint's desktop is %ux%u; 1 to %u pixels a side "
		    "can be recorded",
		    init->width, init->height, RFB_MAX_SIDE);
	init->is_own_format_unknown =
	    rfb_pixel_format_parse(&init->pf, data + 4) != 0 ||
	    !rfb_pixel_format_is_clear(&init->pf);
	if (init->is_own_format_unknown)
		init->pf = rfb_pixel_format_usual;
	if (name_len > NAME_DROP_MAX)
		return rfb_client_fail(h, ERR_LIMIT,
		    "the endpoint's desktop name has %u bytes", name_len);
	return 0;
}

static int
on_server_init(struct rfb_handshake_client *h, const uint8_t *data, size_t len,
    size_t *used)
{
	uint32_t name_len, kept;
	int rc;

	rc = check_init(h, data);
	if (rc != 0)
		return rc;
	name_len = load_be32(data + 20);
	kept = (uint32_t)min_size(name_len, RFB_MAX_NAME);
	if (len < SERVER_INIT_LEN + kept)
		return RFB_HANDSHAKE_MORE;
	*used = SERVER_INIT_LEN + kept;
	memcpy(h->init.name, data + SERVER_INIT_LEN, kept);
	h->init.name[kept] = '\0';
	h->init.name_len = kept;
	h->name_rest = name_len - kept;
	h->phase = h->name_rest != 0 ? RFB_CLIENT_NAME_REST : RFB_CLIENT_READY;
	return h->name_rest != 0 ? RFB_HANDSHAKE_STEP : RFB_HANDSHAKE_READY;
}

static int
on_name_rest(struct rfb_handshake_client *h, const uint8_t *data, size_t len,
    size_t *used)
{
	*used = min_size(len, h->name_rest);
	h->name_rest -= (uint32_t)*used;
	if (h->name_rest != 0)
		return RFB_HANDSHAKE_STEP;
	h->phase = RFB_CLIENT_READY;
	return RFB_HANDSHAKE_READY;
}

/* What each phase awaits, the fewest bytes it can work with, its reader. */
static const struct {
	const char *awaited;
	size_t least;
	rfb_client_reader *read; /* NULL: input is left alone */
} phases[] = {
	[RFB_CLIENT_VERSION] = { "the protocol version", RFB_VERSION_LEN,
	    on_version },
	[RFB_CLIENT_TYPES] = { "the security types", 1, rfb_client_on_types },
	[RFB_CLIENT_TYPE_33] = { "the security type", 4,
	    rfb_client_on_type_33 },
	[RFB_CLIENT_VENCRYPT] = { "the VeNCrypt version", 2,
	    rfb_client_on_vencrypt },
	[RFB_CLIENT_VENCRYPT_ACK] = { "consent to VeNCrypt 0.2", 1,
	    rfb_client_on_vencrypt_ack },
	[RFB_CLIENT_SUBTYPES] = { "the VeNCrypt types", 1,
	    rfb_client_on_subtypes },
	[RFB_CLIENT_SUBTYPE_ACK] = { "consent to the VeNCrypt type", 1,
	    rfb_client_on_subtype_ack },
	[RFB_CLIENT_TLS] = { "TLS", 1, rfb_client_on_tls },
	[RFB_CLIENT_CHALLENGE] = { "the password challenge",
	    RFB_VNC_CHALLENGE_LEN, rfb_client_on_challenge },
	[RFB_CLIENT_ARD] = { "the numbers of the macOS login", RFB_ARD_HEAD_LEN,
	    rfb_client_on_ard },
	[RFB_CLIENT_MSLOGON] = { "the numbers of the Windows login",
	    RFB_MSLOGON_MESSAGE_LEN, rfb_client_on_mslogon },
	[RFB_CLIENT_RA2_KEY] = { "the RSA key", 4, rfb_client_on_ra2_key },
	[RFB_CLIENT_RA2_CHECK] = { "the check of the RSA key", 1,
	    rfb_client_on_ra2_early },
	[RFB_CLIENT_RA2_RANDOM] = { "the random number under RSA", 2,
	    rfb_client_on_ra2_random },
	[RFB_CLIENT_RA2_HASH] = { "the hash of the RSA keys", 2,
	    rfb_client_on_ra2_hash },
	[RFB_CLIENT_RA2_SUBTYPE] = { "what the RSA login asks for", 2,
	    rfb_client_on_ra2_subtype },
	[RFB_CLIENT_RESULT] = { "the answer to the password", 4,
	    rfb_client_on_result },
	[RFB_CLIENT_SERVER_INIT] = { "the desktop's size and format",
	    SERVER_INIT_LEN, on_server_init },
	[RFB_CLIENT_NAME_REST] = { "the desktop's name", 1, on_name_rest },
	[RFB_CLIENT_READY] = { "nothing", 0, NULL },
	[RFB_CLIENT_FAILED] = { "nothing, it failed", 0, NULL },
};

int
rfb_handshake_client_feed(struct rfb_handshake_client *h, const uint8_t *data,
    size_t len, size_t *used)
{
	*used = 0;
	if (h->phase == RFB_CLIENT_FAILED)
		return ERR_PROTOCOL;
	if (phases[h->phase].read == NULL || len < phases[h->phase].least)
		return RFB_HANDSHAKE_MORE;
	return phases[h->phase].read(h, data, len, used);
}

const char *
rfb_handshake_client_phase(const struct rfb_handshake_client *h)
{
	return phases[h->phase].awaited;
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
