/*
 * The endpoint's key and self-signed certificate (docs/agent-protocol.md:
 * why there is no CA). Files are PEM, key first, mode 0600.
 */
#ifndef AGENT_IDENTITY_H
#define AGENT_IDENTITY_H

#include <openssl/ssl.h>
#include <stddef.h>

struct identity {
	EVP_PKEY *key; /* EC, P-256 */
	X509 *cert;
};

/* A new pair. Returns 0 or ERR_NOMEM. */
int identity_make(struct identity *id);

/* Writes a new file, synced. Returns 0, ERR_IO (errno; EEXIST when the file
 * is there) or ERR_NOMEM. */
int identity_save(const struct identity *id, const char *path);

/* Returns 0, ERR_CORRUPT, ERR_NOMEM, or the errors of keyfile_open; why then
 * has a sentence. */
int identity_load(
    struct identity *id, const char *path, char *why, size_t why_len);

void identity_release(struct identity *id);

#endif
