/*
 * The relay towards an endpoint: any RFB server version, and from what the
 * endpoint offers the best that the stored credentials can serve:
 *
 *   encrypted  VeNCrypt X509Plain, X509Vnc, X509None; RA2_256, RA2
 *   clear      RA2ne_256, RA2ne, Apple Diffie-Hellman, MS-Logon II, VNC
 *              authentication, none
 *
 *   VERSION -> TYPES -> [VENCRYPT -> SUBTYPES -> (TLS)]
 *           -> [CHALLENGE | ARD | MSLOGON | RA2_... -> (key) -> (cipher)]
 *           -> RESULT -> SERVER_INIT -> READY
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
struct rfb_ra2_key;
struct rfb_ra2_stream;

/*
 * Text is NUL-terminated, at most RFB_MAX_CREDENTIAL bytes (a longer one
 * ends the handshake at its first step, before anything was sent).
 */
struct rfb_client_params {
	const char *user;     /* NULL or "": none */
	const char *password; /* NULL: none */
	bool allow_clear;     /* also what does not encrypt the session */
	/* The connection is encrypted already (an agent's, stunnel's): types
	 * without TLS are taken, those with TLS are not. */
	bool is_in_tunnel;
	/* Of the relay, borrowed for the lifetime; NULL: RA2 is not chosen,
	 * and CHECK_KEY and START_CIPHER never happen. */
	const struct rfb_ra2_key *ra2_key;
};

struct rfb_server_init {
	uint16_t width, height; /* 1..RFB_MAX_SIDE pixels */
	/* What viewers are told. */
	struct rfb_pixel_format pf;
	/* The endpoint's own is another one, of which pictures cannot be read
	 * for certain (a colour map): pf has to be asked for before any. */
	bool is_own_format_unknown;
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

/*
 * RA2: the endpoint's RSA key, after CHECK_KEY, as it came: SHA-256 over U32
 * bits, modulus, exponent (32 bytes, to be pinned), and the first 8 bytes of
 * SHA-1 over the same as RealVNC and TigerVNC show it to people, as
 * "01-23-45-67-89-ab-cd-ef". NULL and "" before.
 */
const uint8_t *rfb_handshake_client_key_sha256(
    const struct rfb_handshake_client *h);
const char *rfb_handshake_client_key_text(const struct rfb_handshake_client *h);

/*
 * After CHECK_KEY, once the key is known to be the endpoint's: goes on;
 * nothing was sent before. Returns 0, ERR_NOMEM, ERR_LIMIT (of the output),
 * ERR_UNAVAILABLE when libcrypto fails, or ERR_PROTOCOL when CHECK_KEY has
 * not happened.
 */
int rfb_handshake_client_key_checked(struct rfb_handshake_client *h);

/*
 * After START_CIPHER, once: what the session is sealed and opened with;
 * ownership moves to the caller. From then on feed takes what was opened, and
 * what it appends to the output is to be sealed; what was in the output at
 * START_CIPHER goes out as it is. NULL before, and the second time.
 */
struct rfb_ra2_stream *rfb_handshake_client_take_cipher(
    struct rfb_handshake_client *h);

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
