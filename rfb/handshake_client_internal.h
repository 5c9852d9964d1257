/*
 * Shared by the files of the handshake towards an endpoint, nobody else.
 */
#ifndef RFB_HANDSHAKE_CLIENT_INTERNAL_H
#define RFB_HANDSHAKE_CLIENT_INTERNAL_H

#include "rfb/handshake_client.h"

#define RFB_CLIENT_WHY_MAX     640
#define RFB_CLIENT_OFFERED_MAX 128

enum rfb_client_phase {
	RFB_CLIENT_VERSION,
	RFB_CLIENT_TYPES,
	RFB_CLIENT_TYPE_33,
	RFB_CLIENT_VENCRYPT,
	RFB_CLIENT_VENCRYPT_ACK,
	RFB_CLIENT_SUBTYPES,
	RFB_CLIENT_SUBTYPE_ACK,
	RFB_CLIENT_TLS,
	RFB_CLIENT_CHALLENGE,
	RFB_CLIENT_ARD,
	RFB_CLIENT_MSLOGON,
	RFB_CLIENT_RA2_KEY,
	RFB_CLIENT_RA2_CHECK, /* key_checked is awaited */
	RFB_CLIENT_RA2_RANDOM,
	RFB_CLIENT_RA2_HASH,
	RFB_CLIENT_RA2_SUBTYPE,
	RFB_CLIENT_RESULT,
	RFB_CLIENT_SERVER_INIT,
	RFB_CLIENT_NAME_REST, /* of a name that is too long to keep */
	RFB_CLIENT_READY,
	RFB_CLIENT_FAILED,
};

struct rfb_handshake_client {
	struct buf *out;
	enum rfb_client_phase phase;
	unsigned minor; /* of the version spoken: 3, 7 or 8 */
	char user[RFB_MAX_CREDENTIAL + 1];
	char password[RFB_MAX_CREDENTIAL + 1];
	bool has_user, has_password, is_too_long;
	bool allow_clear, is_in_tunnel, is_ultra, has_authenticated;
	uint32_t type; /* that was chosen outside X.509 */
	const struct rfb_ra2_key *ra2_key;
	struct rfb_ra2 *ra2;
	uint8_t key_sha256[32];
	char key_text[24];
	uint32_t subtype;   /* of VeNCrypt */
	uint32_t name_rest; /* bytes of an over-long name still to drop */
	struct rfb_server_init init;
	char offered[RFB_CLIENT_OFFERED_MAX];
	const char *chosen;
	char why[RFB_CLIENT_WHY_MAX];
};

/*
 * A phase's reader: data holds len bytes, at least what the phase's line in
 * the table of handshake_client.c asks for. Returns as feed does; *used is
 * 0 at the call.
 */
typedef int rfb_client_reader(struct rfb_handshake_client *h,
    const uint8_t *data, size_t len, size_t *used);

rfb_client_reader rfb_client_on_types;
rfb_client_reader rfb_client_on_type_33;
rfb_client_reader rfb_client_on_vencrypt;
rfb_client_reader rfb_client_on_vencrypt_ack;
rfb_client_reader rfb_client_on_subtypes;
rfb_client_reader rfb_client_on_subtype_ack;
rfb_client_reader rfb_client_on_tls;
rfb_client_reader rfb_client_on_challenge;
rfb_client_reader rfb_client_on_ard;
rfb_client_reader rfb_client_on_mslogon;
rfb_client_reader rfb_client_on_ra2_key;
rfb_client_reader rfb_client_on_ra2_early;
rfb_client_reader rfb_client_on_ra2_random;
rfb_client_reader rfb_client_on_ra2_hash;
rfb_client_reader rfb_client_on_ra2_subtype;
rfb_client_reader rfb_client_on_result;

/* Sends ClientInit, always asking for a shared session. */
int rfb_client_start_session(struct rfb_handshake_client *h);

/*
 * A refusal with its reason behind `head` bytes; ends the handshake, or
 * RFB_HANDSHAKE_MORE.
 */
int rfb_client_on_refusal(struct rfb_handshake_client *h, const uint8_t *data,
    size_t len, size_t *used, size_t head);

/* The endpoint wants a user name and a password; returns the error. */
int rfb_client_needs_credentials(struct rfb_handshake_client *h);

/* Ends the handshake with a sentence; returns err. */
__attribute__((format(printf, 3, 4))) int rfb_client_fail(
    struct rfb_handshake_client *h, int err, const char *fmt, ...);

/* Sends n bytes; returns 0, or a failure that was noted. */
int rfb_client_send(struct rfb_handshake_client *h, const void *data, size_t n);

/* Sends n bytes and moves on; returns RFB_HANDSHAKE_STEP or a failure. */
int rfb_client_step(struct rfb_handshake_client *h, const void *data, size_t n,
    enum rfb_client_phase next);

#endif
