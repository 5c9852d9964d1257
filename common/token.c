#include "common/token.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "common/bytes.h"

#define RANDOM_LEN 32
#define BASE32_LEN 26

void
token_hash(const void *data, size_t len, char out[TOKEN_HASH_MAX])
{
	unsigned char digest[crypto_hash_sha256_BYTES];

	crypto_hash_sha256(digest, data, len);
	memcpy(out, "\\x", 2);
	sodium_bin2hex(out + 2, TOKEN_HASH_MAX - 2, digest, sizeof(digest));
}

void
token_new(struct token *t, const char *prefix)
{
	uint8_t bytes[RANDOM_LEN];
	size_t n = strlen(prefix);

	assert(n <= 8);
	randombytes_buf(bytes, sizeof(bytes));
	memcpy(t->text, prefix, n);
	sodium_bin2base64(t->text + n, sizeof(t->text) - n, bytes,
	    sizeof(bytes), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	token_hash(t->text, strlen(t->text), t->hash);
	wipe(bytes, sizeof(bytes));
}

/* n characters of a set, each as likely as the others. */
static void
draw(char *out, size_t n, const char *set)
{
	uint32_t size = (uint32_t)strlen(set);

	for (size_t i = 0; i < n; i++)
		out[i] = set[randombytes_uniform(size)];
	out[n] = '\0';
}

void
token_new_base32(struct token *t)
{
	draw(t->text, BASE32_LEN, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567");
	token_hash(t->text, BASE32_LEN, t->hash);
}

/* Without 0 O 1 l I, which people take for one another. */
void
token_new_vnc(char out[TOKEN_VNC_LEN + 1])
{
	draw(out, TOKEN_VNC_LEN,
	    "abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789");
}

void
token_wipe(struct token *t)
{
	wipe(t, sizeof(*t));
}
