/*
 * The relay towards an endpoint: any RFB server version, VeNCrypt with
 * X.509, VNC authentication, or none.
 *
 *   VERSION -> TYPES -> [VENCRYPT -> SUBTYPES -> (TLS)]
 *           -> [CHALLENGE] -> RESULT -> SERVER_INIT -> READY
 *
 * ClientInit always asks for a shared session. See rfb/handshake.h for the
 * call pattern. One owner, not thread-safe.
 */
#ifndef RFB_HANDSHAKE_CLIENT_H
#define RFB_HANDSHAKE_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rfb/handshake.h"
#include "rfb/pixel_format.h"
#include "rfb/protocol.h"

struct buf;
struct rfb_handshake_client;

/*
 * Text is NUL-terminated, at most RFB_MAX_CREDENTIAL bytes (a longer one
 * ends the handshake at its first step, before anything was sent).
 */
struct rfb_client_params {
	const char *user;     /* for X509Plain; NULL or "": none */
	const char *password; /* NULL: none */
	bool allow_clear;     /* VNC authentication or none without TLS */
};

struct rfb_server_init {
	uint16_t width, height; /* 1..RFB_MAX_SIDE pixels */
	struct rfb_pixel_format pf;
	size_t name_len;
	char name[RFB_MAX_NAME + 1]; /* as sent; NUL added, not cut off */
};

/* out: borrowed for the lifetime; params are copied. NULL only for memory. */
struct rfb_handshake_client *rfb_handshake_client_new(
    struct buf *out, const struct rfb_client_params *params);
/* Wipes the password. */
void rfb_handshake_client_free(struct rfb_handshake_client *h);

/*
 * data: all unread input, len bytes, borrowed. *used: bytes to drop from it.
 * Returns an enum rfb_handshake_event, or ERR_PROTOCOL, ERR_LIMIT,
 * ERR_UNSUPPORTED (no security type in common), ERR_DENIED (refused by the
 * endpoint) or ERR_NOMEM; rfb_handshake_client_why is made for people.
 */
int rfb_handshake_client_feed(struct rfb_handshake_client *h,
    const uint8_t *data, size_t len, size_t *used);

/*
 * After START_TLS, once the TLS handshake is complete and the endpoint's
 * certificate was checked: X509Plain's credentials go out at the next step,
 * so nothing secret is sent before that. Returns 0, ERR_NOMEM or ERR_LIMIT
 * (of the output), or ERR_PROTOCOL when START_TLS has not happened.
 */
int rfb_handshake_client_tls_started(struct rfb_handshake_client *h);

/* After READY, borrowed. */
const struct rfb_server_init *rfb_handshake_client_init(
    const struct rfb_handshake_client *h);

/* What is awaited, for people: "the security types". Static. */
const char *rfb_handshake_client_phase(const struct rfb_handshake_client *h);

/* The types the endpoint offered, as "2, 19"; "" before. */
const char *rfb_handshake_client_offered(const struct rfb_handshake_client *h);
/* What was chosen, as "VeNCrypt X509Vnc"; "" before. */
const char *rfb_handshake_client_chosen(const struct rfb_handshake_client *h);
/* True when UltraVNC's own security types were among those offered. */
bool rfb_handshake_client_is_ultra(const struct rfb_handshake_client *h);

/*
 * A sentence for the technician about the last error, in the form "the
 * endpoint ...", printable UTF-8; an endpoint's own reason (UTF-8, else
 * taken as Latin-1) is part of it. Owned by h. Never NULL.
 */
const char *rfb_handshake_client_why(const struct rfb_handshake_client *h);

#endif
