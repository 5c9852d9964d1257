#include "rfb/des.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"

static uint8_t
reverse_bits(uint8_t b)
{
	uint8_t r = 0;

	for (int i = 0; i < 8; i++)
		r = (uint8_t)(r << 1 | ((b >> i) & 1));
	return r;
}

/*
 * Single DES lives in OpenSSL 3's legacy provider only; three-key DES with
 * the same key three times is the same function and is always there.
 */
int
rfb_des_encrypt(const uint8_t key[RFB_DES_LEN], const uint8_t *iv,
    const uint8_t *from, uint8_t *to, size_t n)
{
	uint8_t keys[3 * RFB_DES_LEN];
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int done = 0, rc = ERR_UNSUPPORTED;

	for (size_t i = 0; i < sizeof(keys); i++)
		keys[i] = reverse_bits(key[i % RFB_DES_LEN]);
	if (ctx != NULL &&
	    EVP_EncryptInit_ex(ctx,
		iv != NULL ? EVP_des_ede3_cbc() : EVP_des_ede3_ecb(), NULL,
		keys, iv) == 1 &&
	    EVP_CIPHER_CTX_set_padding(ctx, 0) == 1 &&
	    EVP_EncryptUpdate(ctx, to, &done, from, (int)n) == 1 &&
	    (size_t)done == n)
		rc = 0;
	if (rc != 0)
		ERR_clear_error(); /* or TLS on this thread would report it */
	EVP_CIPHER_CTX_free(ctx);
	wipe(keys, sizeof(keys));
	return rc;
}
