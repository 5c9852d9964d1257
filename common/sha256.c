#include "common/sha256.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "common/err.h"

struct sha256 {
	EVP_MD_CTX *ctx;
	bool has_failed;
};

static const EVP_MD *md_;

/* Once: looking for it costs more than hashing a small block. */
static void
find(void)
{
	md_ = EVP_MD_fetch(NULL, "SHA256", NULL);
}

static const EVP_MD *
md(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, find);
	return md_ != NULL ? md_ : EVP_sha256();
}

struct sha256 *
sha256_new(void)
{
	struct sha256 *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->ctx = EVP_MD_CTX_new();
	if (s->ctx == NULL) {
		free(s);
		return NULL;
	}
	sha256_begin(s);
	return s;
}

void
sha256_free(struct sha256 *s)
{
	if (s == NULL)
		return;
	EVP_MD_CTX_free(s->ctx);
	free(s);
}

void
sha256_begin(struct sha256 *s)
{
	s->has_failed = EVP_DigestInit_ex(s->ctx, md(), NULL) != 1;
}

void
sha256_add(struct sha256 *s, const void *data, size_t len)
{
	if (!s->has_failed)
		s->has_failed = EVP_DigestUpdate(s->ctx, data, len) != 1;
}

int
sha256_end(struct sha256 *s, uint8_t out[SHA256_LEN])
{
	int rc = !s->has_failed && EVP_DigestFinal_ex(s->ctx, out, NULL) == 1
	    ? 0
	    : ERR_NOMEM;

	sha256_begin(s);
	return rc;
}

int
sha256_peek(const struct sha256 *s, uint8_t out[SHA256_LEN])
{
	EVP_MD_CTX *copy = EVP_MD_CTX_new();
	int rc = copy != NULL && !s->has_failed &&
		EVP_MD_CTX_copy_ex(copy, s->ctx) == 1 &&
		EVP_DigestFinal_ex(copy, out, NULL) == 1
	    ? 0
	    : ERR_NOMEM;

	EVP_MD_CTX_free(copy);
	return rc;
}
