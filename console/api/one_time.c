#include "console/api/one_time.h"

#include <assert.h>
#include <openssl/sha.h>
#include <sodium.h>
#include <stdint.h>
#include <string.h>

#include "common/bytes.h"
#include "common/http.h"

#define RANDOM_LEN 32
#define BASE32_LEN 26

static void
set_hash(struct one_time *t)
{
	uint8_t hash[SHA256_DIGEST_LENGTH];

	SHA256((const uint8_t *)t->text, strlen(t->text), hash);
	http_hex(hash, sizeof(hash), t->hash);
}

void
one_time_new(struct one_time *t, const char *prefix)
{
	uint8_t bytes[RANDOM_LEN];
	size_t n = strlen(prefix);

	assert(n <= 8);
	randombytes_buf(bytes, sizeof(bytes));
	memcpy(t->text, prefix, n);
	sodium_bin2base64(t->text + n, sizeof(t->text) - n, bytes,
	    sizeof(bytes), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	wipe(bytes, sizeof(bytes));
	set_hash(t);
}

void
one_time_new_base32(struct one_time *t)
{
	static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

	for (int i = 0; i < BASE32_LEN; i++)
		t->text[i] = set[randombytes_uniform(sizeof(set) - 1)];
	t->text[BASE32_LEN] = '\0';
	set_hash(t);
}
