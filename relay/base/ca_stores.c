#include "relay/base/ca_stores.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/tls.h"

struct kept {
	char *pem; /* NULL: free */
	X509_STORE *store;
	uint64_t used; /* when, by the count of uses */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct kept kept[CA_STORES_MAX];
static uint64_t n_uses;

static int
parse(X509_STORE *store, const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	int n = 0;
	X509 *x;

	if (bio == NULL)
		return ERR_NOMEM;
	while ((x = PEM_read_bio_X509(bio, NULL, tls_no_passphrase, NULL)) !=
	    NULL) {
		n += X509_STORE_add_cert(store, x);
		X509_free(x);
	}
	ERR_clear_error();
	BIO_free(bio);
	return n > 0 ? 0 : ERR_CONFIG;
}

/* ---- under the lock ---- */

static struct kept *
find(const char *pem)
{
	for (unsigned i = 0; i < CA_STORES_MAX; i++)
		if (kept[i].pem != NULL && strcmp(kept[i].pem, pem) == 0)
			return &kept[i];
	return NULL;
}

static void
drop(struct kept *k)
{
	free(k->pem);
	X509_STORE_free(k->store);
	*k = (struct kept){ 0 };
}

/* In the place that was not used for the longest time. Without memory it is
 * not kept. */
static void
keep(X509_STORE *store, const char *pem)
{
	struct kept *k = kept;

	for (unsigned i = 1; i < CA_STORES_MAX; i++)
		if (kept[i].used < k->used)
			k = &kept[i];
	drop(k);
	k->pem = strdup(pem);
	if (k->pem == NULL)
		return;
	X509_STORE_up_ref(store);
	k->store = store;
	k->used = ++n_uses;
}

int
ca_store_get(X509_STORE **out, const char *pem)
{
	struct kept *k;
	int rc = 0;

	pthread_mutex_lock(&lock);
	k = find(pem);
	if (k != NULL) {
		k->used = ++n_uses;
		X509_STORE_up_ref(k->store);
		*out = k->store;
	} else if ((*out = X509_STORE_new()) == NULL) {
		rc = ERR_NOMEM;
	} else if ((rc = parse(*out, pem)) == 0) {
		keep(*out, pem);
	} else {
		X509_STORE_free(*out);
		*out = NULL;
	}
	pthread_mutex_unlock(&lock);
	return rc;
}

void
ca_stores_release(void)
{
	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < CA_STORES_MAX; i++)
		drop(&kept[i]);
	pthread_mutex_unlock(&lock);
}
