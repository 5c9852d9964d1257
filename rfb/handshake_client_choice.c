/* Which way into the endpoint is taken, of those it offers. */
#include <stdio.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "rfb/handshake_client_internal.h"

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
	    "VeNCrypt with X.509 (19), RA2 (5, 129), a macOS or Windows login "
	    "(30, 113), a VNC password (2) or none (1)",
	    h->offered);
}

int
rfb_client_needs_credentials(struct rfb_handshake_client *h)
{
	return rfb_client_fail(h, ERR_DENIED,
	    "the endpoint wants a user name and a password and they are not "
	    "stored for it");
}

static int
needs_password(struct rfb_handshake_client *h)
{
	return rfb_client_fail(h, ERR_DENIED,
	    "the endpoint wants a VNC password and none is stored for it");
}

/* A security type besides VeNCrypt's own: what it takes, what follows. */
struct way {
	uint32_t type;
	bool is_clear, needs_user, needs_password;
	enum rfb_client_phase next;
	const char *name;
};

/* The best first. Never Tight (16) or UltraVNC's others. */
static const struct way ways[] = {
	{ RFB_SEC_RA2_256, false, false, true, RFB_CLIENT_RA2_KEY, "RA2_256" },
	{ RFB_SEC_RA2, false, false, true, RFB_CLIENT_RA2_KEY, "RA2" },
	{ RFB_SEC_RA2NE_256, true, false, true, RFB_CLIENT_RA2_KEY,
	    "RA2ne_256" },
	{ RFB_SEC_RA2NE, true, false, true, RFB_CLIENT_RA2_KEY, "RA2ne" },
	{ RFB_SEC_ARD, true, true, true, RFB_CLIENT_ARD,
	    "Apple Diffie-Hellman" },
	{ RFB_SEC_MSLOGON, true, true, true, RFB_CLIENT_MSLOGON,
	    "MS-Logon II" },
	{ RFB_SEC_VNC, true, false, true, RFB_CLIENT_CHALLENGE,
	    "VNC password" },
	{ RFB_SEC_NONE, true, false, false, RFB_CLIENT_RESULT, "none" },
};

/* A list of types as it came: n of them, 1 or 4 bytes each. */
struct offer {
	const uint8_t *types;
	size_t n, size;
};

static uint32_t
offered_at(const struct offer *o, size_t i)
{
	return o->size == 1 ? o->types[i] : load_be32(o->types + 4 * i);
}

static bool
is_offered(const struct offer *o, uint32_t type)
{
	for (size_t i = 0; i < o->n; i++)
		if (offered_at(o, i) == type)
			return true;
	return false;
}

/* RA2 takes a key of the relay. */
static bool
is_possible(const struct rfb_handshake_client *h, const struct way *w)
{
	return w->next != RFB_CLIENT_RA2_KEY || h->ra2_key != NULL;
}

/* Nothing forbids it; credentials may be missing. */
static bool
is_allowed(const struct rfb_handshake_client *h, const struct way *w)
{
	return (!w->is_clear || h->allow_clear) && is_possible(h, w);
}

static bool
has_credentials(const struct rfb_handshake_client *h, const struct way *w)
{
	return (h->has_user || !w->needs_user) &&
	    (h->has_password || !w->needs_password);
}

static const struct way *
choose_way(const struct rfb_handshake_client *h, const struct offer *o)
{
	for (size_t i = 0; i < N_ELEMENTS(ways); i++)
		if (is_offered(o, ways[i].type) && is_allowed(h, &ways[i]) &&
		    has_credentials(h, &ways[i]))
			return &ways[i];
	return NULL;
}

/*
 * Says why no way could be chosen, as far as credentials are the reason;
 * returns 0 when they are not.
 */
static int
missing_credentials(struct rfb_handshake_client *h, const struct offer *o)
{
	bool wants_user = false;

	for (size_t i = 0; i < N_ELEMENTS(ways); i++) {
		if (!is_offered(o, ways[i].type) || !is_allowed(h, &ways[i]))
			continue;
		if (!ways[i].needs_user)
			return needs_password(h);
		wants_user = true;
	}
	return wants_user ? rfb_client_needs_credentials(h) : 0;
}

/* allow_clear would open a way. */
static bool
is_too_clear(const struct rfb_handshake_client *h, const struct offer *o)
{
	for (size_t i = 0; i < N_ELEMENTS(ways) && !h->allow_clear; i++)
		if (is_offered(o, ways[i].type) && is_possible(h, &ways[i]))
			return true;
	return false;
}

/* Sends the n bytes that choose the way; 3.3 tells instead of asking: n is
 * 0. */
static int
take_way(struct rfb_handshake_client *h, const struct way *w,
    const uint8_t *choice, size_t n)
{
	int rc;

	h->chosen = w->name;
	h->type = w->type;
	if (w->type != RFB_SEC_NONE || h->minor == 8)
		return rfb_client_step(h, choice, n, w->next);
	/* before 3.8 there is no result for "none": ClientInit follows */
	rc = rfb_client_send(h, choice, n);
	return rc != 0 ? rc : rfb_client_start_session(h);
}

static int
choose_type(struct rfb_handshake_client *h, const struct offer *o)
{
	const struct way *w;
	uint8_t type;
	int rc;
	bool has_vencrypt = is_offered(o, RFB_SEC_VENCRYPT);

	w = !has_vencrypt || h->is_in_tunnel ? choose_way(h, o) : NULL;
	/* in a tunnel it is the last resort: for what it lists without TLS */
	if (w == NULL && has_vencrypt)
		return rfb_client_step(h, "\23", 1, RFB_CLIENT_VENCRYPT);
	if (w == NULL) {
		rc = missing_credentials(h, o);
		if (rc != 0)
			return rc;
		return is_too_clear(h, o) ? needs_tls(h) : no_common_type(h);
	}
	type = (uint8_t)w->type;
	return take_way(h, w, &type, 1);
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
		return rfb_client_on_refusal(h, data, len, used, 1);
	if (len < 1 + n)
		return RFB_HANDSHAKE_MORE;
	*used = 1 + n;
	for (size_t i = 0; i < n; i++)
		note_offer(h, data[1 + i]);
	return choose_type(h, &(struct offer){ data + 1, n, 1 });
}

int
rfb_client_on_type_33(struct rfb_handshake_client *h, const uint8_t *data,
    size_t len, size_t *used)
{
	uint32_t type = load_be32(data);
	const struct way *w;

	if (type == RFB_SEC_INVALID)
		return rfb_client_on_refusal(h, data, len, used, 4);
	*used = 4;
	note_offer(h, type);
	/* 3.3 knows these two and nothing else */
	if (type != RFB_SEC_NONE && type != RFB_SEC_VNC)
		return no_common_type(h);
	if (!h->allow_clear)
		return needs_tls(h);
	w = choose_way(h, &(struct offer){ data, 1, 4 });
	return w != NULL ? take_way(h, w, NULL, 0) : needs_password(h);
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

/* The best X.509 type for the credentials there are; 0: none. */
static uint32_t
choose_x509(const struct rfb_handshake_client *h, const struct offer *o)
{
	const struct {
		uint32_t type;
		bool is_usable;
	} wanted[] = {
		{ RFB_VENCRYPT_X509_PLAIN, h->has_user && h->has_password },
		{ RFB_VENCRYPT_X509_VNC, h->has_password },
		{ RFB_VENCRYPT_X509_NONE, true },
	};

	for (size_t i = 0; i < N_ELEMENTS(wanted); i++)
		if (wanted[i].is_usable && is_offered(o, wanted[i].type))
			return wanted[i].type;
	return 0;
}

static int
no_common_subtype(struct rfb_handshake_client *h, const struct offer *o)
{
	char list[RFB_CLIENT_OFFERED_MAX] = "";
	int rc;

	if (h->is_in_tunnel)
		return rfb_client_fail(h, ERR_UNSUPPORTED,
		    "the endpoint takes TLS of its own only, which is not done "
		    "inside the encrypted connection it is reached through; "
		    "allow a VNC password there (for TigerVNC: SecurityTypes "
		    "VncAuth)");
	/* an X.509 type that is offered lacks what it asks for */
	if (is_offered(o, RFB_VENCRYPT_X509_VNC))
		return needs_password(h);
	if (is_offered(o, RFB_VENCRYPT_X509_PLAIN))
		return rfb_client_needs_credentials(h);
	rc = missing_credentials(h, o);
	if (rc != 0)
		return rc;
	for (size_t i = 0; i < o->n; i++)
		list_number(list, offered_at(o, i));
	return rfb_client_fail(h, ERR_UNSUPPORTED,
	    "the endpoint offers %s%s%s; Relaycam needs one with a "
	    "certificate: X509Plain (262), X509Vnc (261) or X509None (260)",
	    o->n != 0 ? "VeNCrypt types " : "no VeNCrypt type", list,
	    o->n != 0 ? " only" : "");
}

/*
 * TigerVNC lists its types without TLS in here too, and with its default
 * settings these are the only ones besides anonymous TLS.
 */
int
rfb_client_on_subtypes(struct rfb_handshake_client *h, const uint8_t *data,
    size_t len, size_t *used)
{
	const struct offer o = { data + 1, data[0], 4 };
	const struct way *w;
	uint8_t reply[4];

	if (len < 1 + 4 * o.n)
		return RFB_HANDSHAKE_MORE;
	*used = 1 + 4 * o.n;
	h->subtype = h->is_in_tunnel ? 0 : choose_x509(h, &o);
	w = h->subtype == 0 ? choose_way(h, &o) : NULL;
	if (h->subtype == 0 && w == NULL)
		return no_common_subtype(h, &o);
	store_be32(reply, w != NULL ? w->type : h->subtype);
	/* the types without TLS are not acknowledged */
	if (w != NULL)
		return take_way(h, w, reply, sizeof(reply));
	h->chosen = subtype_name(h->subtype);
	return rfb_client_step(h, reply, sizeof(reply), RFB_CLIENT_SUBTYPE_ACK);
}
