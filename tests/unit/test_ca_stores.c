/* CAs that are parsed once: which text is which store, and how many stay. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/pem.h>

#include "common/err.h"
#include "relay/base/ca_stores.h"
#include "tests/unit/tls_pair.h"

#define N_CAS (CA_STORES_MAX + 1)

static char *pems[N_CAS];

/* Another certificate each time, as PEM. */
static char *
new_pem(void)
{
	SSL_CTX *server, *client;
	BIO *bio = BIO_new(BIO_s_mem());
	char *text, *copy;
	long len;

	tls_pair_new(&server, &client);
	assert_int_equal(
	    PEM_write_bio_X509(bio, SSL_CTX_get0_certificate(server)), 1);
	len = BIO_get_mem_data(bio, &text);
	copy = strndup(text, (size_t)len);
	assert_non_null(copy);
	BIO_free(bio);
	SSL_CTX_free(server);
	SSL_CTX_free(client);
	return copy;
}

static X509_STORE *
get(const char *pem)
{
	X509_STORE *store = NULL;

	assert_int_equal(ca_store_get(&store, pem), 0);
	assert_non_null(store);
	return store;
}

static int
n_certificates(X509_STORE *store)
{
	return sk_X509_OBJECT_num(X509_STORE_get0_objects(store));
}

static void
test_same_text_is_same_store(void **state)
{
	X509_STORE *a = get(pems[0]), *again = get(pems[0]), *b = get(pems[1]);

	assert_ptr_equal(a, again);
	assert_ptr_not_equal(a, b);
	assert_int_equal(n_certificates(a), 1);
	X509_STORE_free(a);
	X509_STORE_free(b);
	/* a session's reference outlives those that are kept */
	ca_stores_release();
	assert_int_equal(n_certificates(again), 1);
	X509_STORE_free(again);
}

static void
test_no_certificate(void **state)
{
	X509_STORE *store = NULL;

	assert_int_equal(ca_store_get(&store, ""), ERR_CONFIG);
	assert_null(store);
	assert_int_equal(ca_store_get(&store, "no certificate"), ERR_CONFIG);
	assert_null(store);
	/* no passphrase is asked for */
	assert_int_equal(ca_store_get(&store,
			     "-----BEGIN CERTIFICATE-----\n"
			     "Proc-Type: 4,ENCRYPTED\n"
			     "DEK-Info: AES-128-CBC,"
			     "00112233445566778899AABBCCDDEEFF\n\n"
			     "AAAAAAAAAAAAAAAAAAAAAA==\n"
			     "-----END CERTIFICATE-----\n"),
	    ERR_CONFIG);
	assert_null(store);
	/* a text of which one is a beginning is another one */
	X509_STORE_free(get(pems[0]));
	char *cut = strndup(pems[0], strlen(pems[0]) / 2);
	assert_int_equal(ca_store_get(&store, cut), ERR_CONFIG);
	free(cut);
}

static void
test_two_in_one_text(void **state)
{
	size_t len = strlen(pems[0]) + strlen(pems[1]) + 1;
	char *both = malloc(len);
	X509_STORE *store;

	snprintf(both, len, "%s%s", pems[0], pems[1]);
	store = get(both);
	assert_int_equal(n_certificates(store), 2);
	X509_STORE_free(store);
	free(both);
}

/* The one that was not used for the longest time goes. */
static void
test_bound(void **state)
{
	X509_STORE *first, *second, *again;

	ca_stores_release();
	first = get(pems[0]);
	second = get(pems[1]);
	for (int i = 2; i < CA_STORES_MAX; i++)
		X509_STORE_free(get(pems[i]));
	X509_STORE_free(get(pems[0])); /* used lately: stays */
	X509_STORE_free(get(pems[CA_STORES_MAX]));
	again = get(pems[0]);
	assert_ptr_equal(again, first);
	X509_STORE_free(again);
	again = get(pems[1]);
	assert_ptr_not_equal(again, second);
	X509_STORE_free(again);
	X509_STORE_free(first);
	X509_STORE_free(second);
}

static int
set_up(void **state)
{
	for (int i = 0; i < N_CAS; i++)
		pems[i] = new_pem();
	return 0;
}

static int
tear_down(void **state)
{
	for (int i = 0; i < N_CAS; i++)
		free(pems[i]);
	ca_stores_release();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_text_is_same_store),
		cmocka_unit_test(test_no_certificate),
		cmocka_unit_test(test_two_in_one_text),
		cmocka_unit_test(test_bound),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
