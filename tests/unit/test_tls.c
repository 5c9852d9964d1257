/* The border between rows and OpenSSL: what is absent is an error there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <openssl/x509v3.h>

#include "common/err.h"
#include "common/tls.h"

static int
verify(const char *host, char *peer, size_t len)
{
	char why[128];
	SSL_CTX *ctx = tls_client_new("", why, sizeof(why));
	SSL *ssl = SSL_new(ctx);
	int rc = tls_client_verify(ssl, host);
	const char *name = X509_VERIFY_PARAM_get0_host(SSL_get0_param(ssl), 0);

	snprintf(peer, len, "%s", name != NULL ? name : "");
	/* whatever it answers, nothing goes through unverified */
	assert_int_equal(SSL_get_verify_mode(ssl), SSL_VERIFY_PEER);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	return rc;
}

static void
no_host(void **state)
{
	char peer[64];

	assert_int_equal(verify(NULL, peer, sizeof(peer)), ERR_CONFIG);
	assert_int_equal(verify("", peer, sizeof(peer)), ERR_CONFIG);
}

static void
host(void **state)
{
	char peer[64];

	assert_int_equal(verify("desk1.example.com", peer, sizeof(peer)), 0);
	assert_string_equal(peer, "desk1.example.com");
	assert_int_equal(verify("192.0.2.1", peer, sizeof(peer)), 0);
	assert_string_equal(peer, "");
	assert_int_equal(verify("2001:db8::1", peer, sizeof(peer)), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_host),
		cmocka_unit_test(host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
