#include <sodium.h>
#include <stdlib.h>

#include "common/sha256.h"

struct sha256 {
	crypto_hash_sha256_state state;
};

struct sha256 *
sha256_new(void)
{
	struct sha256 *s = malloc(sizeof(*s));

	if (s != NULL)
		sha256_begin(s);
	return s;
}

void
sha256_free(struct sha256 *s)
{
	free(s);
}

void
sha256_begin(struct sha256 *s)
{
	crypto_hash_sha256_init(&s->state);
}

void
sha256_add(struct sha256 *s, const void *data, size_t len)
{
	crypto_hash_sha256_update(&s->state, data, len);
}

int
sha256_end(struct sha256 *s, uint8_t out[SHA256_LEN])
{
	crypto_hash_sha256_final(&s->state, out);
	sha256_begin(s);
	return 0;
}

int
sha256_peek(const struct sha256 *s, uint8_t out[SHA256_LEN])
{
	crypto_hash_sha256_state copy = s->state;

	crypto_hash_sha256_final(&copy, out);
	return 0;
}
