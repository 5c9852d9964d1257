/*
 * OpenSSL contexts with Relaycam's rules: TLS 1.3, and 1.2 with forward
 * secrecy and authenticated encryption (RFC 9325 section 4.2), no session
 * tickets (TigerVNC viewers up to 1.12 hang on them, docs/rfb.md), no
 * compression, no renegotiation, read-ahead on, buffers released when idle.
 * The contexts are shared by threads; making one is not on a hot path.
 */
#ifndef COMMON_TLS_H
#define COMMON_TLS_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * TLS 1.2: ephemeral key exchange and AEAD only, so neither CBC nor RSA key
 * transport. DHE is for VNC servers without elliptic curves; a server of
 * ours never chooses it, because it has no parameters for it. In the form of
 * openssl-ciphers(1), which libcurl takes too.
 */
#define TLS_CIPHERS_1_2                                                        \
	"ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20:"                 \
	"!aNULL:!aDSS:!PSK:!SRP"

/*
 * Server side. cert_file: PEM chain, leaf first; key_file: PEM without a
 * passphrase, which keyfile_open must accept.
 * Returns NULL and a sentence in err that names the file.
 */
SSL_CTX *tls_server_new(
    const char *cert_file, const char *key_file, char *err, size_t err_len);

/*
 * Client side. ca_file: PEM, NULL: the system's store, "": trusts nobody by
 * itself (a store or a pin comes with each connection). The caller sets
 * SSL_set_verify and the name or pin per connection (tls_client_verify).
 */
SSL_CTX *tls_client_new(const char *ca_file, char *err, size_t err_len);

/* Demands a chain to the context's CA and that the peer is `host` (DNS name
 * or IP address); sets SNI for names. Returns 0, ERR_NOMEM, or ERR_CONFIG
 * when host is NULL or "": a chain alone would let any certificate of that CA
 * in. */
int tls_client_verify(SSL *ssl, const char *host);

/* SHA-256 of the peer's certificate (DER) into out; 0 or ERR_NOTFOUND. */
int tls_peer_sha256(const SSL *ssl, unsigned char out[32]);

/* A pem_password_cb that knows none: OpenSSL's own one asks at the terminal. */
int tls_no_passphrase(char *buf, int size, int rwflag, void *arg);

/* The oldest queued OpenSSL error as text into err; clears the queue. */
char *tls_error(char *err, size_t err_len);

/* A server asks for a certificate, whoever made it: who the client is, is
 * looked up by its SHA-256. */
void tls_ask_certificate(SSL *ssl);

/* A protocol that a server chooses by ALPN (RFC 7301). */
struct tls_protocol {
	const char *name;
	bool asks_certificate; /* as tls_ask_certificate() */
};

/*
 * Chooses the first of n protocols that the client offers; the rest of the
 * arguments are those of SSL_CTX_set_alpn_select_cb(3). False: it offers none.
 */
bool tls_choose_protocol(SSL *ssl, const struct tls_protocol *protocols,
    size_t n, const unsigned char **out, unsigned char *out_len,
    const unsigned char *in, unsigned in_len);

#endif
