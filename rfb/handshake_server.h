/*
 * The relay towards a technician's viewer, in one of four ways:
 *
 *   new                RFB 3.8, VeNCrypt X509Plain
 *   new_in_tls         3.8, VeNCrypt Plain, where TLS is there already (a
 *                      WebSocket)
 *   new_authenticated  3.8, 3.7, 3.3, security type "none", for a viewer
 *                      that showed who it is by other means
 *   new_vnc_auth       3.8, 3.7, 3.3, VNC authentication with a one-time
 *                      password; nothing in it encrypts
 *
 *   VERSION -> TYPE -> VENCRYPT -> SUBTYPE -> (TLS) -> CREDENTIALS
 *           -> ANSWER (accept | reject) -> CLIENT_INIT -> READY
 *   vnc_auth:      VERSION -> [TYPE] -> RESPONSE -> ANSWER -> ...
 *   authenticated: VERSION -> TYPE -> ANSWER -> ..., and before 3.8
 *                  VERSION -> ANSWER -> [TYPE] -> CLIENT_INIT -> READY
 *
 * Any phase -> FAILED. See rfb/handshake.h for the call pattern. Memory is
 * bounded by the two credentials. One owner, not thread-safe, no I/O but
 * random bytes from libcrypto. Source: RFC 6143 sections 7.1 and 7.2.
 */
#ifndef RFB_HANDSHAKE_SERVER_H
#define RFB_HANDSHAKE_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rfb/handshake.h"
#include "rfb/pixel_format.h"
#include "rfb/vnc_auth.h"

struct buf;
struct rfb_handshake_server;

/* Named after what is awaited. */
enum rfb_server_phase {
	RFB_SERVER_VERSION,
	RFB_SERVER_TYPE,
	RFB_SERVER_VENCRYPT,
	RFB_SERVER_SUBTYPE,
	RFB_SERVER_TLS, /* tls_started is awaited */
	RFB_SERVER_CREDENTIALS,
	RFB_SERVER_RESPONSE, /* to the challenge of VNC authentication */
	RFB_SERVER_ANSWER,   /* accept or reject is awaited */
	RFB_SERVER_CLIENT_INIT,
	RFB_SERVER_READY,
	RFB_SERVER_FAILED,
};

/* out: borrowed for the lifetime; the server's version is appended to it at
 * once. NULL only for memory. */
struct rfb_handshake_server *rfb_handshake_server_new(struct buf *out);
/*
 * The same for a viewer whose transport is TLS already (WebSocket): offers
 * VeNCrypt Plain (256), so START_TLS never happens.
 */
struct rfb_handshake_server *rfb_handshake_server_new_in_tls(struct buf *out);
/*
 * For a viewer that is authenticated already. CREDENTIALS never happens:
 * when the phase is ANSWER, accept or reject; accept may also come earlier
 * and then takes effect by itself.
 */
struct rfb_handshake_server *rfb_handshake_server_new_authenticated(
    struct buf *out);
/*
 * For a viewer that knows no more than VNC authentication: at CREDENTIALS
 * (user and password stay empty) ask ..._check_vnc, then accept or reject.
 */
struct rfb_handshake_server *rfb_handshake_server_new_vnc_auth(struct buf *out);
/* Wipes the credentials. */
void rfb_handshake_server_free(struct rfb_handshake_server *h);

/*
 * data: all unread input, len bytes, borrowed. *used: bytes to drop from it.
 * Returns an enum rfb_handshake_event, or ERR_PROTOCOL, ERR_LIMIT,
 * ERR_UNSUPPORTED (the viewer cannot do VeNCrypt: the reason was queued in
 * the viewer's own protocol: send it, then close), ERR_UNAVAILABLE (no
 * random bytes) or ERR_NOMEM. Once it has failed, or after reject, always
 * ERR_PROTOCOL.
 */
int rfb_handshake_server_feed(struct rfb_handshake_server *h,
    const uint8_t *data, size_t len, size_t *used);

/* After START_TLS, once the TLS handshake is complete. */
void rfb_handshake_server_tls_started(struct rfb_handshake_server *h);

/* After CREDENTIALS: NUL-terminated, at most RFB_MAX_CREDENTIAL bytes,
 * borrowed until accept, reject or free, which wipe them. */
const char *rfb_handshake_server_user(const struct rfb_handshake_server *h);
const char *rfb_handshake_server_password(const struct rfb_handshake_server *h);

/*
 * VNC authentication, after CREDENTIALS and until accept or reject, as often
 * as there are passwords to try. password: NUL-terminated, its first 8 bytes
 * count. Compares in constant time. Returns 0 when it is the viewer's,
 * ERR_DENIED when not (an empty one never is), ERR_UNSUPPORTED when libcrypto
 * refuses DES, ERR_PROTOCOL when there is no response to check.
 */
int rfb_handshake_server_check_vnc(
    const struct rfb_handshake_server *h, const char *password);

/* For tests: a challenge to send instead of random bytes. Call it before the
 * first feed. */
void rfb_handshake_server_set_challenge(struct rfb_handshake_server *h,
    const uint8_t challenge[RFB_VNC_CHALLENGE_LEN]);

/*
 * Answers the credentials, at once or later. reason: UTF-8, shown to the
 * technician, cut at RFB_MAX_REASON bytes. After reject: send the output and
 * close. Returns 0, ERR_NOMEM or ERR_LIMIT (of the output), or ERR_PROTOCOL
 * when nothing was asked: accept wants ANSWER, reject wants can_reject.
 *
 * VNC authentication of 3.3 and 3.7 has no room for a reason: the viewer
 * says that the password is wrong, whatever the reason was.
 */
int rfb_handshake_server_accept(struct rfb_handshake_server *h);
int rfb_handshake_server_reject(
    struct rfb_handshake_server *h, const char *reason);

/* True once reject would reach the viewer (TLS, where it belongs to the
 * handshake, is up) and no answer was given. */
bool rfb_handshake_server_can_reject(const struct rfb_handshake_server *h);

enum rfb_server_phase rfb_handshake_server_phase(
    const struct rfb_handshake_server *h);

/* After READY: whether the viewer's ClientInit asked to share. */
bool rfb_handshake_server_is_shared(const struct rfb_handshake_server *h);

/* The minor version the viewer asked for: 3, 7, 8; 0 before. */
unsigned rfb_handshake_server_minor(const struct rfb_handshake_server *h);

/* A static sentence for the last error. Never NULL. */
const char *rfb_handshake_server_why(const struct rfb_handshake_server *h);

/*
 * Appends ServerInit; after READY. Sides in pixels. name: name_len bytes,
 * borrowed, UTF-8 as far as known, at most RFB_MAX_NAME. Returns 0,
 * ERR_LIMIT (name or output) or ERR_NOMEM.
 */
int rfb_server_init_write(struct buf *out, uint16_t width, uint16_t height,
    const struct rfb_pixel_format *pf, const char *name, size_t name_len);

#endif
