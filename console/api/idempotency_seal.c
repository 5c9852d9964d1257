#include "console/api/idempotency_seal.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/http.h"

/* A keyed BLAKE2b of texts, each with its NUL, and data behind them. */
static void
keyed_hash(uint8_t out[32], const uint8_t key[32], const char *const *texts,
    size_t n, const void *data, size_t len)
{
	crypto_generichash_state h;

	crypto_generichash_init(&h, key, 32, 32);
	for (size_t i = 0; i < n; i++)
		crypto_generichash_update(
		    &h, (const uint8_t *)texts[i], strlen(texts[i]) + 1);
	if (len > 0)
		crypto_generichash_update(&h, data, len);
	crypto_generichash_final(&h, out, 32);
	sodium_memzero(&h, sizeof(h));
}

void
idempotency_keys_make(struct idempotency_keys *k,
    const uint8_t seal_key[SEAL_KEY_LEN], int64_t person, const char *key,
    const char *uri, const void *body, size_t len)
{
	char number[24];
	const char *texts[] = { "idempotency id", number, key };

	snprintf(number, sizeof(number), "%" PRId64, person);
	keyed_hash(k->id, seal_key, texts, 3, NULL, 0);
	texts[0] = "idempotency answer";
	keyed_hash(k->answer, seal_key, texts, 3, NULL, 0);
	texts[0] = "idempotency request";
	texts[1] = uri;
	keyed_hash(k->fingerprint, k->answer, texts, 2, body, len);
}

char *
idempotency_seal(const struct idempotency_keys *k, const char *text, size_t len)
{
	size_t n = len + SEAL_OVERHEAD;
	uint8_t *box = malloc(n);
	char *hex = malloc(2 * n + 1);

	if (box == NULL || hex == NULL) {
		free(box);
		free(hex);
		return NULL;
	}
	seal(k->answer, text, len, box);
	http_hex(box, n, hex);
	free(box);
	return hex;
}

char *
idempotency_open(const struct idempotency_keys *k, const char *hex, size_t *len)
{
	size_t n = strlen(hex) / 2;
	uint8_t *box = malloc(n + 1);
	char *text = malloc(n + 1);
	int rc = -1;

	if (box != NULL && text != NULL && n >= SEAL_OVERHEAD &&
	    http_unhex(hex, box, n) == 0)
		rc = seal_open(k->answer, box, n, (uint8_t *)text);
	free(box);
	if (rc < 0) {
		free(text);
		return NULL;
	}
	*len = (size_t)rc;
	text[rc] = '\0';
	return text;
}
