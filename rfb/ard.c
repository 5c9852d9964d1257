#include "rfb/ard.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdbool.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "rfb/dh.h"

#define FIELD_LEN   (RFB_ARD_CREDENTIALS_LEN / 2)
#define AES_KEY_LEN 16

size_t
rfb_ard_message_len(const uint8_t *head)
{
	size_t len = load_be16(head + 2);

	if (len < RFB_ARD_KEY_MIN || len > RFB_ARD_KEY_MAX)
		return 0;
	return RFB_ARD_HEAD_LEN + 2 * len;
}

/* AES-128-ECB under MD5 of the secret, in place. */
static bool
encrypt(uint8_t *credentials, const uint8_t *secret, size_t len)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t key[AES_KEY_LEN];
	int n = 0;
	bool is_done = ctx != NULL &&
	    EVP_Digest(secret, len, key, NULL, EVP_md5(), NULL) == 1 &&
	    EVP_EncryptInit_ex(ctx, EVP_aes_128_ecb(), NULL, key, NULL) == 1 &&
	    EVP_CIPHER_CTX_set_padding(ctx, 0) == 1 &&
	    EVP_EncryptUpdate(ctx, credentials, &n, credentials,
		RFB_ARD_CREDENTIALS_LEN) == 1 &&
	    n == RFB_ARD_CREDENTIALS_LEN;

	EVP_CIPHER_CTX_free(ctx);
	wipe(key, sizeof(key));
	if (!is_done)
		ERR_clear_error();
	return is_done;
}

/* Both fields NUL-terminated, random bytes behind that. */
static bool
fill(uint8_t *to, const char *user, const char *password)
{
	if (RAND_bytes(to, RFB_ARD_CREDENTIALS_LEN) != 1)
		return false;
	memcpy(to, user, strlen(user) + 1);
	memcpy(to + FIELD_LEN, password, strlen(password) + 1);
	return true;
}

int
rfb_ard_answer(const uint8_t *message, const char *user, const char *password,
    uint8_t *to, size_t *n)
{
	size_t len = load_be16(message + 2);
	struct rfb_dh_params params = {
		.generator = message,
		.generator_len = 2,
		.prime = message + RFB_ARD_HEAD_LEN,
		.peer = message + RFB_ARD_HEAD_LEN + len,
		.len = len,
	};
	uint8_t secret[RFB_ARD_KEY_MAX];
	int rc;

	if (strlen(user) > RFB_ARD_CREDENTIAL_MAX ||
	    strlen(password) > RFB_ARD_CREDENTIAL_MAX)
		return ERR_LIMIT;
	if (rfb_ard_message_len(message) == 0 || params.prime[0] == 0)
		return ERR_PROTOCOL; /* a shorter prime than it says */
	rc = rfb_dh_agree(&params, to + RFB_ARD_CREDENTIALS_LEN, secret);
	if (rc == 0 && !(fill(to, user, password) && encrypt(to, secret, len)))
		rc = ERR_NOMEM;
	wipe(secret, sizeof(secret));
	if (rc != 0)
		wipe(to, RFB_ARD_CREDENTIALS_LEN);
	else
		*n = RFB_ARD_CREDENTIALS_LEN + len;

	return rc;
}
