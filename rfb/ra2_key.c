#include "rfb/ra2_key.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"

#define EXPONENT_BITS_MAX 64 /* a longer one would keep the relay busy */

/* Writes the public half of key->pkey into key->wire. */
static bool
write_public(struct rfb_ra2_key *key, unsigned bits)
{
	BIGNUM *n = NULL, *e = NULL;
	bool is_done;

	key->size = (bits + 7) / 8;
	key->wire_len = 4 + 2 * key->size;
	store_be32(key->wire, bits);
	is_done =
	    EVP_PKEY_get_bn_param(key->pkey, OSSL_PKEY_PARAM_RSA_N, &n) == 1 &&
	    EVP_PKEY_get_bn_param(key->pkey, OSSL_PKEY_PARAM_RSA_E, &e) == 1 &&
	    BN_bn2binpad(n, key->wire + 4, (int)key->size) > 0 &&
	    BN_bn2binpad(e, key->wire + 4 + key->size, (int)key->size) > 0;
	BN_free(n);
	BN_free(e);
	return is_done;
}

struct rfb_ra2_key *
rfb_ra2_key_new(unsigned bits)
{
	struct rfb_ra2_key *key = calloc(1, sizeof(*key));

	if (key == NULL)
		return NULL;
	key->pkey = EVP_RSA_gen(bits);
	if (key->pkey != NULL && write_public(key, bits))
		return key;
	ERR_clear_error();
	rfb_ra2_key_free(key);
	return NULL;
}

void
rfb_ra2_key_release(struct rfb_ra2_key *key)
{
	EVP_PKEY_free(key->pkey);
	key->pkey = NULL;
}

void
rfb_ra2_key_free(struct rfb_ra2_key *key)
{
	if (key == NULL)
		return;
	rfb_ra2_key_release(key);
	free(key);
}

/* A public key that libcrypto can use, or NULL. */
static EVP_PKEY *
make_public(BIGNUM *n, BIGNUM *e)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	OSSL_PARAM *params = NULL;
	EVP_PKEY *pkey = NULL;

	if (ctx == NULL || build == NULL ||
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) != 1 ||
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e) != 1)
		goto out;
	params = OSSL_PARAM_BLD_to_param(build);
	if (params == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
		pkey = NULL;
out:
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(build);
	EVP_PKEY_CTX_free(ctx);
	return pkey;
}

/* Reads the two numbers of key->wire; 0 or an error. */
static int
load_public(struct rfb_ra2_key *key)
{
	BIGNUM *n = BN_bin2bn(key->wire + 4, (int)key->size, NULL);
	BIGNUM *e = BN_bin2bn(key->wire + 4 + key->size, (int)key->size, NULL);
	int rc = ERR_NOMEM;

	if (n == NULL || e == NULL)
		goto out;
	rc = ERR_PROTOCOL;
	if ((size_t)BN_num_bytes(n) != key->size || !BN_is_odd(n) ||
	    !BN_is_odd(e) || BN_is_one(e) || BN_num_bits(e) > EXPONENT_BITS_MAX)
		goto out;
	key->pkey = make_public(n, e);
	rc = key->pkey != NULL ? 0 : ERR_UNAVAILABLE;
out:
	if (rc != 0)
		ERR_clear_error();
	BN_free(n);
	BN_free(e);
	return rc;
}

ssize_t
rfb_ra2_key_read(struct rfb_ra2_key *key, const uint8_t *data, size_t len)
{
	uint32_t bits;
	int rc;

	if (len < 4)
		return 0;
	bits = load_be32(data);
	if (bits < RFB_RA2_BITS_MIN || bits > RFB_RA2_BITS_MAX)
		return ERR_LIMIT;
	key->size = (bits + 7) / 8;
	key->wire_len = 4 + 2 * key->size;
	if (len < key->wire_len)
		return 0;
	memcpy(key->wire, data, key->wire_len);
	rc = load_public(key);
	return rc != 0 ? rc : (ssize_t)key->wire_len;
}

bool
rfb_ra2_encrypt(
    const struct rfb_ra2_key *key, const uint8_t *from, size_t n, uint8_t *to)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key->pkey, NULL);
	size_t len = key->size;
	bool is_done = ctx != NULL && EVP_PKEY_encrypt_init(ctx) == 1 &&
	    EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1 &&
	    EVP_PKEY_encrypt(ctx, to, &len, from, n) == 1 && len == key->size;

	EVP_PKEY_CTX_free(ctx);
	if (!is_done)
		ERR_clear_error();
	return is_done;
}

bool
rfb_ra2_decrypt(
    const struct rfb_ra2_key *key, const uint8_t *from, uint8_t *to, size_t n)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key->pkey, NULL);
	uint8_t plain[RFB_RA2_NUMBER_MAX];
	size_t len = sizeof(plain);
	bool is_done = ctx != NULL && EVP_PKEY_decrypt_init(ctx) == 1 &&
	    EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1 &&
	    EVP_PKEY_decrypt(ctx, plain, &len, from, key->size) == 1 &&
	    len == n;

	if (is_done)
		memcpy(to, plain, n);
	EVP_PKEY_CTX_free(ctx);
	wipe(plain, sizeof(plain));
	if (!is_done)
		ERR_clear_error();
	return is_done;
}
