#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "common/err.h"
#include "common/tls.h"

static char folder[] = "/tmp/test-tls-XXXXXX";
static char cert_file[64], key_file[64];

static X509 *
make_certificate(EVP_PKEY *key)
{
	X509 *x = X509_new();
	X509_NAME *name = X509_get_subject_name(x);

	X509_set_version(x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
	    (const unsigned char *)"relay.example", -1, -1, 0);
	X509_set_issuer_name(x, name);
	X509_gmtime_adj(X509_getm_notBefore(x), -60);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_set_pubkey(x, key);
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	return x;
}

/* RSA, which fits all old suites as well. */
static int
set_up(void **state)
{
	EVP_PKEY *key = EVP_RSA_gen(2048);
	X509 *cert = make_certificate(key);
	FILE *f;

	assert_non_null(mkdtemp(folder));
	snprintf(cert_file, sizeof(cert_file), "%s/crt", folder);
	snprintf(key_file, sizeof(key_file), "%s/key", folder);
	f = fopen(cert_file, "w");
	PEM_write_X509(f, cert);
	fclose(f);
	f = fopen(key_file, "w");
	PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
	fclose(f);
	X509_free(cert);
	EVP_PKEY_free(key);
	return chmod(key_file, 0600);
}

static int
tear_down(void **state)
{
	unlink(cert_file);
	unlink(key_file);
	return rmdir(folder);
}

static SSL_CTX *
server(void)
{
	char err[512];
	SSL_CTX *ctx = tls_server_new(cert_file, key_file, err, sizeof(err));

	if (ctx == NULL)
		fail_msg("%s", err);
	return ctx;
}

/* Both ends in memory, until neither gets further. */
static bool
shake_hands(SSL *a, SSL *b)
{
	BIO *one, *two;
	int x = 0, y = 0;

	assert_int_equal(BIO_new_bio_pair(&one, 32768, &two, 32768), 1);
	SSL_set_bio(a, one, one);
	SSL_set_bio(b, two, two);
	for (int i = 0; i < 10; i++) {
		x = SSL_accept(a);
		y = SSL_connect(b);
	}
	return x == 1 && y == 1;
}

/* One who offers only these suites; its answer is the suite's name or "". */
static const char *
offer(SSL_CTX *server_ctx, int version, const char *list)
{
	static char name[64];
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *s = SSL_new(server_ctx), *c;

	SSL_CTX_set_max_proto_version(ctx, version);
	SSL_CTX_set_min_proto_version(ctx, version);
	SSL_CTX_set_security_level(ctx, 0);
	if (version != TLS1_3_VERSION)
		assert_int_equal(SSL_CTX_set_cipher_list(ctx, list), 1);
	c = SSL_new(ctx);
	snprintf(name, sizeof(name), "%s",
	    shake_hands(s, c) ? SSL_get_cipher_name(c) : "");
	SSL_free(s);
	SSL_free(c);
	SSL_CTX_free(ctx);
	return name;
}

static void
test_server_suites(void **state)
{
	static const struct {
		int version;
		const char *list, *want;
	} rows[] = {
		{ TLS1_2_VERSION, "ECDHE-RSA-AES128-GCM-SHA256",
		    "ECDHE-RSA-AES128-GCM-SHA256" },
		{ TLS1_2_VERSION, "ECDHE-RSA-AES256-GCM-SHA384",
		    "ECDHE-RSA-AES256-GCM-SHA384" },
		{ TLS1_2_VERSION, "ECDHE-RSA-CHACHA20-POLY1305",
		    "ECDHE-RSA-CHACHA20-POLY1305" },
		{ TLS1_3_VERSION, "", "TLS_AES_128_GCM_SHA256" },
		/* no forward secrecy */
		{ TLS1_2_VERSION, "AES128-GCM-SHA256", "" },
		{ TLS1_2_VERSION, "AES256-GCM-SHA384", "" },
		{ TLS1_2_VERSION, "AES128-CCM", "" },
		{ TLS1_2_VERSION, "AES128-SHA", "" },
		/* no AEAD */
		{ TLS1_2_VERSION, "ECDHE-RSA-AES128-SHA", "" },
		{ TLS1_2_VERSION, "ECDHE-RSA-AES128-SHA256", "" },
		{ TLS1_2_VERSION, "ECDHE-RSA-AES256-SHA384", "" },
		{ TLS1_2_VERSION, "DHE-RSA-AES128-SHA", "" },
		/* nobody is authenticated */
		{ TLS1_2_VERSION, "AECDH-AES128-SHA", "" },
		{ TLS1_2_VERSION, "ADH-AES128-GCM-SHA256", "" },
		{ TLS1_1_VERSION, "ALL", "" },
		{ TLS1_VERSION, "ALL", "" },
	};
	SSL_CTX *ctx = server();

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_string_equal(
		    offer(ctx, rows[i].version, rows[i].list), rows[i].want);
	SSL_CTX_free(ctx);
}

static bool
is_ephemeral_aead(const SSL_CIPHER *c)
{
	int kx = SSL_CIPHER_get_kx_nid(c), auth = SSL_CIPHER_get_auth_nid(c);

	return SSL_CIPHER_is_aead(c) == 1 &&
	    (kx == NID_kx_ecdhe || kx == NID_kx_dhe || kx == NID_kx_any) &&
	    (auth == NID_auth_rsa || auth == NID_auth_ecdsa ||
		auth == NID_auth_any);
}

/* Whatever the library of this machine has under those names. */
static void
check_all(const SSL_CTX *ctx)
{
	STACK_OF(SSL_CIPHER) *list = SSL_CTX_get_ciphers(ctx);

	assert_true(sk_SSL_CIPHER_num(list) > 6);
	for (int i = 0; i < sk_SSL_CIPHER_num(list); i++)
		if (!is_ephemeral_aead(sk_SSL_CIPHER_value(list, i)))
			fail_msg("%s",
			    SSL_CIPHER_get_name(sk_SSL_CIPHER_value(list, i)));
	assert_int_equal(
	    SSL_CTX_get_min_proto_version((SSL_CTX *)(uintptr_t)ctx),
	    TLS1_2_VERSION);
}

static void
test_both_sides_offer_nothing_else(void **state)
{
	char err[256];
	SSL_CTX *s = server(), *c = tls_client_new("", err, sizeof(err));

	check_all(s);
	check_all(c);
	SSL_CTX_free(s);
	SSL_CTX_free(c);
}

static void
test_key_file(void **state)
{
	char err[512];

	assert_int_equal(chmod(key_file, 0644), 0);
	assert_null(tls_server_new(cert_file, key_file, err, sizeof(err)));
	assert_non_null(strstr(err, key_file));
	assert_non_null(strstr(err, "mode 0644"));
	assert_non_null(strstr(err, "chmod 0600"));
	assert_int_equal(chmod(key_file, 0600), 0);
	SSL_CTX_free(server());
	assert_null(tls_server_new(cert_file, "/nonexistent", err, 512));
	assert_non_null(strstr(err, "/nonexistent"));
	assert_null(tls_server_new("/nonexistent", key_file, err, 512));
	/* a certificate is no key */
	assert_int_equal(chmod(cert_file, 0600), 0);
	assert_null(tls_server_new(cert_file, cert_file, err, 512));
	assert_non_null(strstr(err, "private key"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_server_suites),
		cmocka_unit_test(test_both_sides_offer_nothing_else),
		cmocka_unit_test(test_key_file),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
