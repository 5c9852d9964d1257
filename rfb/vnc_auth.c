#include "rfb/vnc_auth.h"

#include <openssl/evp.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"

#define DES_KEY_LEN 8

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
rfb_vnc_auth_response(const char *password,
    const uint8_t challenge[RFB_VNC_CHALLENGE_LEN],
    uint8_t out[RFB_VNC_CHALLENGE_LEN])
{
	uint8_t key[3 * DES_KEY_LEN] = { 0 };
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n = 0, rc = ERR_UNSUPPORTED;

	for (size_t i = 0; i < DES_KEY_LEN && password[i] != '\0'; i++)
		key[i] = reverse_bits((uint8_t)password[i]);
	memcpy(key + DES_KEY_LEN, key, DES_KEY_LEN);
	memcpy(key + 2 * DES_KEY_LEN, key, DES_KEY_LEN);
	if (ctx != NULL &&
	    EVP_EncryptInit_ex(ctx, EVP_des_ede3_ecb(), NULL, key, NULL) == 1 &&
	    EVP_CIPHER_CTX_set_padding(ctx, 0) == 1 &&
	    EVP_EncryptUpdate(ctx, out, &n, challenge, RFB_VNC_CHALLENGE_LEN) ==
		1 &&
	    n == RFB_VNC_CHALLENGE_LEN)
		rc = 0;
	EVP_CIPHER_CTX_free(ctx);
	wipe(key, sizeof(key));
	return rc;
}
