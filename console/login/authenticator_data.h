/*
 * What an authenticator says, taken apart and checked for its form: Web
 * Authentication Level 2 sections 6.1 and 6.5. No I/O.
 */
#ifndef CONSOLE_LOGIN_AUTHENTICATOR_DATA_H
#define CONSOLE_LOGIN_AUTHENTICATOR_DATA_H

#include <stddef.h>
#include <stdint.h>

#define AUTHENTICATOR_DATA_MAX 2048
#define ATTESTATION_MAX        16384 /* of the whole object */
#define CREDENTIAL_ID_MAX      1023  /* section 5.8.3 */

enum authenticator_flags {
	FLAG_USER_PRESENT = 0x01,
	FLAG_USER_VERIFIED = 0x04,
	FLAG_CREDENTIAL = 0x40,
	FLAG_EXTENSIONS = 0x80,
};

/* Pointers into the bytes that were parsed. */
struct authenticator_data {
	const uint8_t *rp_id_hash; /* 32 bytes */
	uint8_t flags;
	uint32_t sign_count;
	const uint8_t *credential_id; /* NULL without FLAG_CREDENTIAL */
	size_t credential_id_len;
	const uint8_t *key; /* COSE, as CBOR */
	size_t key_len;
	int64_t algorithm; /* of it; 0: it says none */
};

/* Returns 0 or ERR_PROTOCOL; bytes that are left over are an error. */
int authenticator_data_parse(
    struct authenticator_data *a, const uint8_t *data, size_t len);

/* An attestation object: pointers into it. */
struct attestation {
	const char *format;
	size_t format_len;
	const uint8_t *statement; /* as CBOR, a map */
	size_t statement_len;
	const uint8_t *data; /* authenticator data */
	size_t data_len;
};

/* Returns 0 or ERR_PROTOCOL: not exactly fmt, attStmt and authData. */
int attestation_parse(struct attestation *a, const uint8_t *data, size_t len);

#endif
