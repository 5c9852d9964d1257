#include "console/login/challenge.h"

#include <sodium.h>
#include <string.h>

#define RANDOM_LEN 16
#define END_AT     RANDOM_LEN
#define PERSON_AT  (END_AT + 8)
#define MAC_AT     (PERSON_AT + 8)

_Static_assert(MAC_AT + crypto_generichash_BYTES == CHALLENGE_LEN, "layout");

static void
put_int64(uint8_t *out, int64_t value)
{
	for (int i = 7; i >= 0; i--, value >>= 8)
		out[i] = (uint8_t)value;
}

static int64_t
get_int64(const uint8_t *in)
{
	uint64_t value = 0;

	for (int i = 0; i < 8; i++)
		value = value << 8 | in[i];
	return (int64_t)value;
}

static void
hash(uint8_t out[crypto_generichash_BYTES],
    const uint8_t challenge[CHALLENGE_LEN], const uint8_t key[SEAL_KEY_LEN],
    enum challenge_use use)
{
	static const char what[] = "relaycam passkey challenge\n";
	const uint8_t use_byte = (uint8_t)use;
	crypto_generichash_state st;

	crypto_generichash_init(
	    &st, key, SEAL_KEY_LEN, crypto_generichash_BYTES);
	/* keeps it apart from other uses of the key */
	crypto_generichash_update(&st, (const uint8_t *)what, strlen(what));
	crypto_generichash_update(&st, &use_byte, 1);
	crypto_generichash_update(&st, challenge, MAC_AT);
	crypto_generichash_final(&st, out, crypto_generichash_BYTES);
}

void
challenge_new(uint8_t out[CHALLENGE_LEN], const uint8_t key[SEAL_KEY_LEN],
    enum challenge_use use, int64_t person, int64_t now_s)
{
	randombytes_buf(out, RANDOM_LEN);
	put_int64(out + END_AT, now_s + CHALLENGE_SECONDS);
	put_int64(out + PERSON_AT, person);
	hash(out + MAC_AT, out, key, use);
}

void
challenge_text(
    const uint8_t challenge[CHALLENGE_LEN], char out[CHALLENGE_TEXT_MAX])
{
	sodium_bin2base64(out, CHALLENGE_TEXT_MAX, challenge, CHALLENGE_LEN,
	    sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

bool
challenge_is_good(const uint8_t *challenge, size_t len,
    const uint8_t key[SEAL_KEY_LEN], enum challenge_use use, int64_t person,
    int64_t now_s)
{
	uint8_t want[crypto_generichash_BYTES];

	if (len != CHALLENGE_LEN)
		return false;
	hash(want, challenge, key, use);
	return sodium_memcmp(want, challenge + MAC_AT, sizeof(want)) == 0 &&
	    get_int64(challenge + PERSON_AT) == person &&
	    get_int64(challenge + END_AT) >= now_s;
}
