/*
 * Which relay is the right one, and who we are: the TLS side of every
 * connection to a relay. TLS 1.3 only. A pin (SHA-256 of the relay's
 * certificate) stands for itself; without one the chain and the name are
 * checked. One owner, not thread-safe.
 */
#ifndef AGENT_TRUST_H
#define AGENT_TRUST_H

#include <openssl/ssl.h>
#include <stddef.h>

#define TRUST_MAX_PINS 8

struct trust {
	SSL_CTX *ctx;
	unsigned char pins[TRUST_MAX_PINS][32];
	size_t n_pins;
};

/*
 * ca_file: PEM, NULL for the system's store. pins: SHA-256 in hexadecimal,
 * colons allowed, separated by commas; NULL for none. Returns 0 or
 * ERR_CONFIG with a sentence in why.
 */
int trust_init(struct trust *t, const char *ca_file, const char *pins,
    char *why, size_t why_len);

/* Takes a certificate and its key, which the relay is shown when it asks.
 * The caller keeps its own references. Returns 0 or ERR_CONFIG. */
int trust_identity(struct trust *t, X509 *cert, EVP_PKEY *key);

void trust_release(struct trust *t);

/* A client side for host that offers only alpn. NULL for memory. */
SSL *trust_ssl_new(const struct trust *t, const char *host, const char *alpn);

/*
 * After the handshake, before a byte is sent: is the peer pinned, does it
 * speak alpn? Returns 0 or ERR_DENIED with a sentence in why.
 */
int trust_check(const struct trust *t, SSL *ssl, const char *alpn, char *why,
    size_t why_len);

/* After a failed handshake: a sentence, with the certificate's SHA-256 when
 * that is what failed. ssl_error: of bufferevent_get_openssl_error. */
void trust_explain(
    SSL *ssl, unsigned long ssl_error, char *why, size_t why_len);

#endif
