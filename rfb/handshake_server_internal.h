/*
 * Shared by the files of the handshake towards a viewer, nobody else.
 */
#ifndef RFB_HANDSHAKE_SERVER_INTERNAL_H
#define RFB_HANDSHAKE_SERVER_INTERNAL_H

#include "rfb/handshake_server.h"
#include "rfb/protocol.h"
#include "rfb/vnc_auth.h"

/* How a viewer shows who it is. */
enum rfb_server_mode {
	RFB_SERVER_X509_PLAIN,    /* VeNCrypt, TLS by START_TLS */
	RFB_SERVER_PLAIN,         /* VeNCrypt, in TLS already */
	RFB_SERVER_AUTHENTICATED, /* known by other means: type "none" */
	RFB_SERVER_VNC_AUTH,      /* an 8-character password, any version */
};

struct rfb_handshake_server {
	struct buf *out;
	enum rfb_server_mode mode;
	enum rfb_server_phase phase;
	bool is_shared, is_accepted;
	unsigned minor;
	const char *why;
	char user[RFB_MAX_CREDENTIAL + 1];
	char password[RFB_MAX_CREDENTIAL + 1];
	bool has_challenge; /* a fixed one, for tests */
	uint8_t challenge[RFB_VNC_CHALLENGE_LEN];
	uint8_t response[RFB_VNC_CHALLENGE_LEN];
};

/* Ends the handshake with a static sentence; returns err. */
int rfb_server_fail(struct rfb_handshake_server *h, int err, const char *why);

/* Sends n bytes and moves on; returns event, or a failure that was noted. */
int rfb_server_step(struct rfb_handshake_server *h, const void *reply, size_t n,
    enum rfb_server_phase next, int event);

/* Sends head (n bytes) and a reason behind it; returns 0 or the output's
 * error. */
int rfb_server_put_reason(
    struct buf *out, const uint8_t *head, size_t n, const char *reason);

/* Waits for accept or reject, or goes on when accept was early. */
int rfb_server_await_answer(struct rfb_handshake_server *h);

/* Tells the viewer the one security type there is for it. */
int rfb_server_offer_type(struct rfb_handshake_server *h);

/* The readers of the phases they are named after; data is complete. */
int rfb_server_on_type(struct rfb_handshake_server *h, const uint8_t *data);
int rfb_server_on_vencrypt(struct rfb_handshake_server *h, const uint8_t *data);
int rfb_server_on_subtype(
    struct rfb_handshake_server *h, const uint8_t *data, size_t len);
int rfb_server_on_response(struct rfb_handshake_server *h, const uint8_t *data);
/* Of any length: says itself what it used. */
int rfb_server_on_credentials(struct rfb_handshake_server *h,
    const uint8_t *data, size_t len, size_t *used);

#endif
