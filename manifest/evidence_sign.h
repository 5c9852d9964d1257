/*
 * Who vouches for a recording (X3): a manifest's Ed25519 signature, and the
 * keys it is made and checked with. docs/evidence.md has the form that is
 * signed. evidence_signer_read reads a file; otherwise no I/O. Thread-safe
 * as long as nobody changes what is read.
 */
#ifndef MANIFEST_EVIDENCE_SIGN_H
#define MANIFEST_EVIDENCE_SIGN_H

#include <jansson.h>
#include <sodium.h>
#include <stddef.h>
#include <stdint.h>

#define EVIDENCE_PUBLIC_LEN    crypto_sign_PUBLICKEYBYTES
#define EVIDENCE_SIGNATURE_LEN crypto_sign_BYTES
#define EVIDENCE_SEED_LEN      crypto_sign_SEEDBYTES
#define EVIDENCE_KEY_ID_MAX    17  /* 16 hex digits and a NUL */
#define EVIDENCE_KEYS_MAX      256 /* public keys in one file */
/* "relaycam-evidence <64 hex digits>" and a NUL */
#define EVIDENCE_KEY_TEXT_MAX (18 + 2 * EVIDENCE_PUBLIC_LEN + 1)

struct evidence_key {
	uint8_t bytes[EVIDENCE_PUBLIC_LEN]; /* public */
	char id[EVIDENCE_KEY_ID_MAX];       /* begins its SHA-256 */
};

struct evidence_signer {
	struct evidence_key key;
	uint8_t secret[crypto_sign_SECRETKEYBYTES];
};

/* Fills in the id of k->bytes. */
void evidence_key_name(struct evidence_key *k);

/* The line that stands for a public key in files. Returns out. */
char *evidence_key_print(
    const struct evidence_key *k, char out[EVIDENCE_KEY_TEXT_MAX]);

/*
 * Reads such lines; anything after a key is a comment, as are empty lines
 * and those that begin with '#'. Returns how many keys (up to
 * EVIDENCE_KEYS_MAX) are in keys, ERR_LIMIT, or ERR_CORRUPT with the number
 * of the wrong line in *line.
 */
int evidence_keys_parse(const char *text,
    struct evidence_key keys[EVIDENCE_KEYS_MAX], unsigned *line);

/*
 * Reads the 32 bytes of an Ed25519 seed. Returns 0, ERR_NOMEM, or the errors
 * of keyfile_read; why then has a sentence. Wipe s afterwards.
 */
int evidence_signer_read(
    struct evidence_signer *s, const char *path, char *why, size_t why_len);

/*
 * Signs all that the manifest says, and puts the signature into it as
 * "signature". Returns 0 or ERR_NOMEM.
 */
int evidence_sign(json_t *manifest, const struct evidence_signer *s);

/*
 * Checks a manifest's signature with the n keys. Returns 0 and the key in
 * *by (borrowed); ERR_NOTFOUND: it is not signed; ERR_CORRUPT: changed since
 * it was signed; ERR_DENIED: by a key that is not among them (key_id, if not
 * NULL, gets the id it claims, "" when there is none); ERR_NOMEM.
 */
int evidence_check_signature(const json_t *manifest,
    const struct evidence_key *keys, size_t n, const struct evidence_key **by,
    char key_id[EVIDENCE_KEY_ID_MAX]);

/* The 64 bytes of a manifest's signature. 0, or ERR_NOTFOUND. */
int evidence_signature_bytes(
    const json_t *manifest, uint8_t out[EVIDENCE_SIGNATURE_LEN]);

#endif
