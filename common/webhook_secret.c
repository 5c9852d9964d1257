#include "common/webhook_secret.h"

#include <sodium.h>
#include <stdint.h>
#include <string.h>

#include "common/bytes.h"

#define KEY_LEN 32

void
webhook_secret_new(char out[WEBHOOK_SECRET_MAX])
{
	static const size_t prefix = sizeof(WEBHOOK_SECRET_PREFIX) - 1;
	uint8_t key[KEY_LEN];

	randombytes_buf(key, sizeof(key));
	memcpy(out, WEBHOOK_SECRET_PREFIX, prefix);
	sodium_bin2base64(out + prefix, WEBHOOK_SECRET_MAX - prefix, key,
	    sizeof(key), sodium_base64_VARIANT_ORIGINAL);
	wipe(key, sizeof(key));
}
