/*
 * Passkeys: Web Authentication Level 2, the relying party's part (sections 7.1
 * and 7.2), with signatures checked by libfido2. User verification is
 * required; ES256, EdDSA and RS256; whose authenticator it is (attestation)
 * does not matter, but a statement that is there has to be right. No I/O.
 */
#ifndef CONSOLE_LOGIN_PASSKEY_H
#define CONSOLE_LOGIN_PASSKEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "console/login/authenticator_data.h"
#include "console/login/challenge.h"

#define CLIENT_DATA_MAX        4096
#define PASSKEY_SIGNATURE_MAX  1024
#define PASSKEY_PUBLIC_KEY_MAX 1024

/* The relying party: where the pages come from. */
struct passkey_rp {
	char id[254];     /* the host */
	char origin[280]; /* "https://host[:port]" */
	bool is_usable;   /* the host is a name: an address cannot be an id */
};

/* url: "https://host[:port]/". Returns 0, or ERR_CONFIG when it is none. */
int passkey_rp_set(struct passkey_rp *rp, const char *url);

/* Bytes of a request, borrowed. */
struct passkey_bytes {
	const uint8_t *data;
	size_t len;
};

/* What is kept of a passkey. */
struct passkey {
	uint8_t id[CREDENTIAL_ID_MAX];
	size_t id_len;
	int algorithm;                       /* COSE: -7, -8 or -257 */
	uint8_t key[PASSKEY_PUBLIC_KEY_MAX]; /* as libfido2 has it */
	size_t key_len;
	uint32_t sign_count;
};

/*
 * What a browser signed (collected client data): has it that type
 * ("webauthn.create", "webauthn.get") and our origin? challenge: CHALLENGE_LEN
 * bytes out. Returns 0 or ERR_DENIED.
 */
int client_data_check(const struct passkey_rp *rp, struct passkey_bytes json,
    const char *type, uint8_t challenge[CHALLENGE_LEN]);

/* Takes a new passkey. client_data was checked. Returns 0; ERR_PROTOCOL: it
 * has another form; ERR_DENIED: it is not for us, or nobody was verified, or
 * the statement is wrong; ERR_NOMEM. */
int passkey_register(struct passkey *p, const struct passkey_rp *rp,
    struct passkey_bytes client_data, struct passkey_bytes attestation);

/* Checks a signature of p. client_data was checked. sign_count: out. Returns
 * as passkey_register(). */
int passkey_verify(const struct passkey *p, const struct passkey_rp *rp,
    struct passkey_bytes client_data, struct passkey_bytes data,
    struct passkey_bytes signature, uint32_t *sign_count);

#endif
