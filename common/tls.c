#include "common/tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "common/keyfile.h"

#define READ_AHEAD_LEN (17 * 1024) /* one full record and its header */
#define SUITES_1_3                                                             \
	"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"                       \
	"TLS_CHACHA20_POLY1305_SHA256"

char *
tls_error(char *err, size_t err_len)
{
	unsigned long code = ERR_get_error();
	const char *reason = ERR_SYSTEM_ERROR(code)
	    ? strerror(ERR_GET_REASON(code))
	    : ERR_reason_error_string(code);

	snprintf(err, err_len, "%s", reason != NULL ? reason : "TLS error");
	ERR_clear_error();
	return err;
}

/* A daemon has nobody to ask. */
int
tls_no_passphrase(char *buf, int size, int rwflag, void *arg)
{
	return -1;
}

static SSL_CTX *
ctx_new(const SSL_METHOD *method)
{
	SSL_CTX *ctx = SSL_CTX_new(method);

	if (ctx == NULL)
		return NULL;
	if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_cipher_list(ctx, TLS_CIPHERS_1_2) != 1 ||
	    SSL_CTX_set_ciphersuites(ctx, SUITES_1_3) != 1) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	SSL_CTX_set_options(ctx,
	    SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET |
		SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(ctx,
	    SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
		SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_default_read_buffer_len(ctx, READ_AHEAD_LEN);
	return ctx;
}

/* The key's file is one that only its owner can read. 0 or ERR_*, and err. */
static int
read_private_key(EVP_PKEY **key, const char *path, char *err, size_t err_len)
{
	int fd = keyfile_open("private key", path, err, err_len);
	char why[128];
	BIO *bio;

	if (fd < 0)
		return ERR_CONFIG;
	bio = BIO_new_fd(fd, BIO_CLOSE);
	if (bio == NULL)
		close(fd);
	else
		*key =
		    PEM_read_bio_PrivateKey(bio, NULL, tls_no_passphrase, NULL);
	BIO_free(bio);
	if (*key != NULL)
		return 0;
	snprintf(err, err_len, "private key %s: %s", path,
	    tls_error(why, sizeof(why)));
	return ERR_CONFIG;
}

static int
load_identity(SSL_CTX *ctx, const char *cert_file, const char *key_file,
    char *err, size_t err_len)
{
	EVP_PKEY *key = NULL;
	char why[128];
	int ok;

	if (SSL_CTX_use_certificate_chain_file(ctx, cert_file) != 1) {
		snprintf(err, err_len, "certificate %s: %s", cert_file,
		    tls_error(why, sizeof(why)));
		return ERR_CONFIG;
	}
	if (read_private_key(&key, key_file, err, err_len) != 0)
		return ERR_CONFIG;
	ok = SSL_CTX_use_PrivateKey(ctx, key);
	EVP_PKEY_free(key);
	if (ok == 1)
		return 0;
	if (ERR_GET_REASON(ERR_peek_error()) == X509_R_KEY_VALUES_MISMATCH) {
		snprintf(err, err_len,
		    "private key %s does not belong to certificate %s",
		    key_file, cert_file);
		ERR_clear_error();
	} else {
		snprintf(err, err_len, "private key %s: %s", key_file,
		    tls_error(why, sizeof(why)));
	}
	return ERR_CONFIG;
}

SSL_CTX *
tls_server_new(
    const char *cert_file, const char *key_file, char *err, size_t err_len)
{
	SSL_CTX *ctx = ctx_new(TLS_server_method());

	if (ctx == NULL) {
		snprintf(err, err_len, "out of memory");
		return NULL;
	}
	SSL_CTX_set_num_tickets(ctx, 0);
	/* AES-128 first: a third cheaper than 256 for the same session */
	SSL_CTX_set_options(
	    ctx, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
	if (load_identity(ctx, cert_file, key_file, err, err_len) != 0) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

SSL_CTX *
tls_client_new(const char *ca_file, char *err, size_t err_len)
{
	SSL_CTX *ctx = ctx_new(TLS_client_method());
	char why[128];
	int ok;

	if (ctx == NULL) {
		snprintf(err, err_len, "out of memory");
		return NULL;
	}
	if (ca_file != NULL && *ca_file == '\0')
		return ctx;
	ok = ca_file != NULL ? SSL_CTX_load_verify_locations(ctx, ca_file, NULL)
			     : SSL_CTX_set_default_verify_paths(ctx);
	if (ok != 1) {
		snprintf(err, err_len, "CA certificates %s: %s",
		    ca_file != NULL ? ca_file : "of the system",
		    tls_error(why, sizeof(why)));
		SSL_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

static int
is_ip_address(const char *host)
{
	unsigned char addr[16];

	return inet_pton(AF_INET, host, addr) == 1 ||
	    inet_pton(AF_INET6, host, addr) == 1;
}

int
tls_client_verify(SSL *ssl, const char *host)
{
	SSL_set_verify(ssl, SSL_VERIFY_PEER, NULL);
	if (host == NULL || *host == '\0')
		return ERR_CONFIG;
	if (is_ip_address(host))
		return X509_VERIFY_PARAM_set1_ip_asc(
			   SSL_get0_param(ssl), host) == 1
		    ? 0
		    : ERR_NOMEM;
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (SSL_set1_host(ssl, host) != 1 ||
	    SSL_set_tlsext_host_name(ssl, host) != 1)
		return ERR_NOMEM;
	return 0;
}

int
tls_peer_sha256(const SSL *ssl, unsigned char out[32])
{
	X509 *cert = SSL_get0_peer_certificate(ssl);
	unsigned int len = 32;

	if (cert == NULL || X509_digest(cert, EVP_sha256(), out, &len) != 1)
		return ERR_NOTFOUND;
	return 0;
}

static int
accept_any(int ok, X509_STORE_CTX *ctx)
{
	return 1;
}

void
tls_ask_certificate(SSL *ssl)
{
	SSL_set_verify(ssl, SSL_VERIFY_PEER, accept_any);
}

/* Where the name stands in what the client offers; NULL: nowhere. */
static const unsigned char *
find_protocol(const char *name, const unsigned char *in, unsigned in_len)
{
	size_t len = strlen(name);

	for (unsigned i = 0; i < in_len; i += in[i] + 1u)
		if (in[i] == len && i + 1u + len <= in_len &&
		    memcmp(in + i + 1, name, len) == 0)
			return in + i;
	return NULL;
}

bool
tls_choose_protocol(SSL *ssl, const struct tls_protocol *protocols, size_t n,
    const unsigned char **out, unsigned char *out_len, const unsigned char *in,
    unsigned in_len)
{
	for (size_t k = 0; k < n; k++) {
		const unsigned char *p =
		    find_protocol(protocols[k].name, in, in_len);

		if (p == NULL)
			continue;
		if (protocols[k].asks_certificate)
			tls_ask_certificate(ssl);
		*out = p + 1;
		*out_len = p[0];
		return true;
	}
	return false;
}
