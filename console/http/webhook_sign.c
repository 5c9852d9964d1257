#include "console/http/webhook_sign.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/webhook_secret.h"

/* Returns the key's length or ERR_PROTOCOL. */
static int
read_key(const char *secret, uint8_t key[WEBHOOK_KEY_MAX])
{
	static const size_t prefix = sizeof(WEBHOOK_SECRET_PREFIX) - 1;
	size_t len;
	int n;

	if (strncmp(secret, WEBHOOK_SECRET_PREFIX, prefix) != 0)
		return ERR_PROTOCOL;
	secret += prefix;
	len = strlen(secret);
	if (len < 4 || len % 4 != 0 || len / 4 * 3 > WEBHOOK_KEY_MAX)
		return ERR_PROTOCOL;
	n = EVP_DecodeBlock(key, (const uint8_t *)secret, (int)len);
	if (n <= 0)
		return ERR_PROTOCOL;
	/* it counts what stands for nothing */
	return n - (secret[len - 1] == '=') - (secret[len - 2] == '=');
}

static int
mac(const uint8_t *key, int key_len, const char *id, uint64_t timestamp,
    const char *body, uint8_t out[32])
{
	unsigned len = 32;
	char *text;
	int n = asprintf(
	    &text, "%s.%llu.%s", id, (unsigned long long)timestamp, body);
	bool ok;

	if (n < 0)
		return ERR_NOMEM;
	ok = HMAC(EVP_sha256(), key, key_len, (const uint8_t *)text, (size_t)n,
		 out, &len) != NULL;
	free(text);
	return ok ? 0 : ERR_NOMEM;
}

int
webhook_sign(const char *secret, const char *id, uint64_t timestamp,
    const char *body, char out[WEBHOOK_SIGNATURE_MAX])
{
	uint8_t key[WEBHOOK_KEY_MAX + 3], sum[32];
	int n = read_key(secret, key), rc = n;

	if (n > 0)
		rc = mac(key, n, id, timestamp, body, sum);
	wipe(key, sizeof(key));
	if (rc != 0)
		return rc;
	strcpy(out, "v1,");
	EVP_EncodeBlock((uint8_t *)out + 3, sum, sizeof(sum));
	return 0;
}
