#include "agent/trust.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/http.h"
#include "common/tls.h"

#define HEX_MAX 65 /* a SHA-256 in hexadecimal */

/* Where a connection keeps the certificate that was refused; -1: not yet. */
static int refused_index = -1;

/* One pin of len characters. */
static int
parse_pin(const char *s, size_t len, unsigned char out[32])
{
	unsigned n = 0;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];
		int digit = OPENSSL_hexchar2int(c);

		if (c == ':')
			continue;
		if (digit < 0 || n == 64)
			return ERR_CONFIG;
		out[n / 2] = (unsigned char)(n % 2 == 0 ? digit << 4
							: out[n / 2] | digit);
		n++;
	}
	return n == 64 ? 0 : ERR_CONFIG;
}

static int
parse_pins(struct trust *t, const char *s)
{
	while (*s != '\0') {
		size_t len;

		s += strspn(s, ", ");
		len = strcspn(s, ", ");
		if (len == 0)
			break;
		if (t->n_pins == TRUST_MAX_PINS ||
		    parse_pin(s, len, t->pins[t->n_pins]) != 0)
			return ERR_CONFIG;
		t->n_pins++;
		s += len;
	}
	return t->n_pins > 0 ? 0 : ERR_CONFIG;
}

static void
free_refused(
    void *parent, void *ptr, CRYPTO_EX_DATA *ad, int idx, long argl, void *argp)
{
	X509_free(ptr);
}

/* OpenSSL forgets a certificate that it refuses; its SHA-256 is what a
 * person needs to compare. */
static int
on_verified(int is_good, X509_STORE_CTX *store)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(
	    store, SSL_get_ex_data_X509_STORE_CTX_idx());
	X509 *leaf = X509_STORE_CTX_get0_cert(store);

	if (is_good || SSL_get_ex_data(ssl, refused_index) != NULL)
		return is_good;
	if (X509_up_ref(leaf) == 1 &&
	    SSL_set_ex_data(ssl, refused_index, leaf) != 1)
		X509_free(leaf);
	return 0;
}

int
trust_init(struct trust *t, const char *ca_file, const char *pins, char *why,
    size_t why_len)
{
	*t = (struct trust){ 0 };
	if (refused_index < 0)
		refused_index =
		    SSL_get_ex_new_index(0, NULL, NULL, NULL, free_refused);
	if (pins != NULL && *pins != '\0' && parse_pins(t, pins) != 0) {
		snprintf(why, why_len,
		    "pin: 64 hexadecimal digits are needed, the SHA-256 of "
		    "the relay's certificate; at most %d, with commas",
		    TRUST_MAX_PINS);
		return ERR_CONFIG;
	}
	t->ctx = tls_client_new(t->n_pins > 0 ? "" : ca_file, why, why_len);
	if (t->ctx == NULL)
		return ERR_CONFIG;
	SSL_CTX_set_min_proto_version(t->ctx, TLS1_3_VERSION);
	/* libevent asks SSL_pending alone, which does not count records that
	 * were read ahead: they would lie there until more arrives */
	SSL_CTX_set_read_ahead(t->ctx, 0);
	return 0;
}

int
trust_identity(struct trust *t, X509 *cert, EVP_PKEY *key)
{
	if (SSL_CTX_use_certificate(t->ctx, cert) == 1 &&
	    SSL_CTX_use_PrivateKey(t->ctx, key) == 1)
		return 0;
	ERR_clear_error();
	return ERR_CONFIG;
}

void
trust_release(struct trust *t)
{
	SSL_CTX_free(t->ctx);
	*t = (struct trust){ 0 };
}

static int
offer_alpn(SSL *ssl, const char *alpn)
{
	unsigned char wire[64];
	size_t len = strlen(alpn);

	if (len >= sizeof(wire))
		return ERR_LIMIT;
	wire[0] = (unsigned char)len;
	memcpy(wire + 1, alpn, len);
	return SSL_set_alpn_protos(ssl, wire, (unsigned)len + 1) == 0
	    ? 0
	    : ERR_NOMEM;
}

/* A pin needs no chain; the name is still what the relay is asked for. */
static int
set_name_only(SSL *ssl, const char *host)
{
	unsigned char addr[16];

	SSL_set_verify(ssl, SSL_VERIFY_NONE, NULL);
	if (inet_pton(AF_INET, host, addr) == 1 ||
	    inet_pton(AF_INET6, host, addr) == 1)
		return 0;
	return SSL_set_tlsext_host_name(ssl, host) == 1 ? 0 : ERR_NOMEM;
}

SSL *
trust_ssl_new(const struct trust *t, const char *host, const char *alpn)
{
	SSL *ssl = SSL_new(t->ctx);
	int rc;

	if (ssl == NULL)
		return NULL;
	rc = t->n_pins > 0 ? set_name_only(ssl, host)
			   : tls_client_verify(ssl, host);
	if (rc == 0 && t->n_pins == 0)
		SSL_set_verify(ssl, SSL_VERIFY_PEER, on_verified);
	if (rc != 0 || offer_alpn(ssl, alpn) != 0) {
		SSL_free(ssl);
		return NULL;
	}
	return ssl;
}

static void
fingerprint(const X509 *cert, char out[HEX_MAX])
{
	unsigned char sha[32];
	unsigned len = sizeof(sha);

	out[0] = '\0';
	if (cert == NULL || X509_digest(cert, EVP_sha256(), sha, &len) != 1)
		return;
	http_hex(sha, sizeof(sha), out);
}

static bool
is_pinned(const struct trust *t, const SSL *ssl)
{
	unsigned char sha[32];
	bool is_known = false;

	if (tls_peer_sha256(ssl, sha) != 0)
		return false;
	for (size_t i = 0; i < t->n_pins; i++)
		is_known |= memcmp(t->pins[i], sha, sizeof(sha)) == 0;
	return is_known;
}

int
trust_check(const struct trust *t, SSL *ssl, const char *alpn, char *why,
    size_t why_len)
{
	const unsigned char *chosen;
	unsigned len;
	char hex[HEX_MAX];

	if (t->n_pins > 0 && !is_pinned(t, ssl)) {
		fingerprint(SSL_get0_peer_certificate(ssl), hex);
		snprintf(why, why_len,
		    "its certificate is not the pinned one (SHA-256 %s)", hex);
		return ERR_DENIED;
	}
	SSL_get0_alpn_selected(ssl, &chosen, &len);
	if (len != strlen(alpn) || memcmp(chosen, alpn, len) != 0) {
		snprintf(why, why_len, "it is not a relay's port for agents");
		return ERR_DENIED;
	}
	return 0;
}

/* The certificate was refused: what is wrong with it. */
static void
explain_certificate(SSL *ssl, long result, char *why, size_t why_len)
{
	char hex[HEX_MAX];

	fingerprint(SSL_get_ex_data(ssl, refused_index), hex);
	snprintf(why, why_len, "its certificate is refused: %s%s%s%s",
	    X509_verify_cert_error_string(result),
	    hex[0] != '\0' ? " (SHA-256 " : "", hex, hex[0] != '\0' ? ")" : "");
}

void
trust_explain(SSL *ssl, unsigned long ssl_error, char *why, size_t why_len)
{
	long result = SSL_get_verify_result(ssl);
	const char *reason;

	if (result != X509_V_OK &&
	    SSL_get_verify_mode(ssl) != SSL_VERIFY_NONE) {
		explain_certificate(ssl, result, why, why_len);
		return;
	}
	reason = ssl_error != 0 ? ERR_reason_error_string(ssl_error) : NULL;
	if (reason != NULL)
		snprintf(why, why_len, "TLS: %s", reason);
	else
		snprintf(why, why_len, "closed during the TLS handshake");
}
