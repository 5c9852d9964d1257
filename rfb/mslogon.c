#include "rfb/mslogon.h"

#include <openssl/rand.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "rfb/des.h"
#include "rfb/dh.h"

#define NUMBER_LEN 8

/* The text NUL-terminated in a field of len bytes, random bytes behind it,
 * encrypted; the secret is key and initial vector. */
static int
put_field(uint8_t *to, size_t len, const char *text, const uint8_t *secret)
{
	if (RAND_bytes(to, (int)len) != 1)
		return ERR_NOMEM;
	memcpy(to, text, strlen(text) + 1);
	return rfb_des_encrypt(secret, secret, to, to, len);
}

int
rfb_mslogon_answer(
    const uint8_t *message, const char *user, const char *password, uint8_t *to)
{
	const struct rfb_dh_params params = {
		.generator = message,
		.generator_len = NUMBER_LEN,
		.prime = message + NUMBER_LEN,
		.peer = message + 2 * NUMBER_LEN,
		.len = NUMBER_LEN,
	};
	uint8_t *at = to + NUMBER_LEN, secret[NUMBER_LEN];
	int rc;

	if (strlen(user) >= RFB_MSLOGON_USER_LEN ||
	    strlen(password) >= RFB_MSLOGON_PASSWORD_LEN)
		return ERR_LIMIT;
	rc = rfb_dh_agree(&params, to, secret);
	if (rc == 0)
		rc = put_field(at, RFB_MSLOGON_USER_LEN, user, secret);
	at += RFB_MSLOGON_USER_LEN;
	if (rc == 0)
		rc = put_field(at, RFB_MSLOGON_PASSWORD_LEN, password, secret);
	wipe(secret, sizeof(secret));
	if (rc != 0)
		wipe(to, RFB_MSLOGON_ANSWER_LEN);
	return rc;
}
