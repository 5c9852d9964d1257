/*
 * The relay towards a technician's viewer: RFB 3.8, VeNCrypt X509Plain; in
 * a WebSocket over TLS, where TLS is there already, VeNCrypt Plain.
 *
 *   VERSION -> TYPE -> VENCRYPT -> SUBTYPE -> (TLS) -> CREDENTIALS
 *           -> ANSWER (accept | reject) -> CLIENT_INIT -> READY
 *
 * Any phase -> FAILED. See rfb/handshake.h for the call pattern. Memory is
 * bounded by the two credentials. One owner, not thread-safe, no I/O.
 */
#ifndef RFB_HANDSHAKE_SERVER_H
#define RFB_HANDSHAKE_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rfb/handshake.h"
#include "rfb/pixel_format.h"

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
	RFB_SERVER_ANSWER, /* accept or reject is awaited */
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
/* Wipes the credentials. */
void rfb_handshake_server_free(struct rfb_handshake_server *h);

/*
 * data: all unread input, len bytes, borrowed. *used: bytes to drop from it.
 * Returns an enum rfb_handshake_event, or ERR_PROTOCOL, ERR_LIMIT,
 * ERR_UNSUPPORTED (the viewer cannot do VeNCrypt: the reason was queued in
 * the viewer's own protocol: send it, then close) or ERR_NOMEM. Once it has
 * failed, or after reject, always ERR_PROTOCOL.
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
 * Answers the credentials, at once or later. reason: UTF-8, shown to the
 * technician, cut at RFB_MAX_REASON bytes. After reject: send the output and
 * close. Returns 0, ERR_NOMEM or ERR_LIMIT (of the output), or ERR_PROTOCOL
 * when nothing was asked: accept wants ANSWER, reject wants can_reject.
 */
int rfb_handshake_server_accept(struct rfb_handshake_server *h);
int rfb_handshake_server_reject(
    struct rfb_handshake_server *h, const char *reason);

/* True once reject would reach the viewer: TLS is up, no answer given. */
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
