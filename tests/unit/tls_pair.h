/* A server's and a client's TLS context with one new certificate. */
#ifndef TESTS_UNIT_TLS_PAIR_H
#define TESTS_UNIT_TLS_PAIR_H

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

static inline X509 *
tls_pair_certificate(EVP_PKEY *key)
{
	X509 *x = X509_new();

	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), 0);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_set_pubkey(x, key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
	    (const unsigned char *)"localhost", -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	return x;
}

/* Both show the certificate when they are asked for one; neither verifies. */
static inline void
tls_pair_new(SSL_CTX **server, SSL_CTX **client)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = tls_pair_certificate(key);

	*server = SSL_CTX_new(TLS_server_method());
	*client = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_mode(*server,
	    SSL_MODE_ENABLE_PARTIAL_WRITE |
		SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_read_ahead(*server, 1);
	SSL_CTX_set_num_tickets(*server, 0);
	SSL_CTX_set_options(*server, SSL_OP_IGNORE_UNEXPECTED_EOF);
	assert_int_equal(SSL_CTX_use_certificate(*server, x), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(*server, key), 1);
	assert_int_equal(SSL_CTX_use_certificate(*client, x), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(*client, key), 1);
	X509_free(x);
	EVP_PKEY_free(key);
}

#endif
