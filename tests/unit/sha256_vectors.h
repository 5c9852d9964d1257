/* Vectors of SHA-256, for both of its implementations. */
#ifndef TESTS_UNIT_SHA256_VECTORS_H
#define TESTS_UNIT_SHA256_VECTORS_H

#include <sodium.h>
#include <string.h>

#include "common/sha256.h"

#define MILLION 1000000

static void
add_in_pieces(struct sha256 *s, const char *text, size_t len, size_t piece)
{
	for (size_t at = 0; at < len; at += piece)
		sha256_add(s, text + at, len - at < piece ? len - at : piece);
}

/* Source: FIPS 180-2 appendix B, and NIST's vector of no bytes. */
static void
vectors_hold(void **state)
{
	static char a[MILLION];
	static const struct {
		const char *text, *hex;
		size_t len;
	} v[] = {
		{ "",
		    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b"
		    "7852b855",
		    0 },
		{ "abc",
		    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61"
		    "f20015ad",
		    3 },
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		    "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd4"
		    "19db06c1",
		    56 },
		{ a,
		    "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39cc"
		    "c7112cd0",
		    MILLION },
	};
	static const size_t pieces[] = { 1, 63, 64, 65, MILLION };
	struct sha256 *s = sha256_new();
	uint8_t sum[SHA256_LEN], peeked[SHA256_LEN];
	char hex[2 * SHA256_LEN + 1];

	(void)state;
	memset(a, 'a', sizeof(a));
	assert_non_null(s);
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++)
		for (size_t p = 0; p < sizeof(pieces) / sizeof(pieces[0]);
		     p++) {
			add_in_pieces(s, v[i].text, v[i].len, pieces[p]);
			assert_int_equal(sha256_peek(s, peeked), 0);
			assert_int_equal(sha256_end(s, sum), 0);
			sodium_bin2hex(hex, sizeof(hex), sum, sizeof(sum));
			assert_string_equal(hex, v[i].hex);
			assert_memory_equal(peeked, sum, sizeof(sum));
		}
	/* begin drops what was added */
	sha256_add(s, "x", 1);
	sha256_begin(s);
	sha256_add(s, "abc", 3);
	assert_int_equal(sha256_end(s, sum), 0);
	sodium_bin2hex(hex, sizeof(hex), sum, sizeof(sum));
	assert_string_equal(hex, v[1].hex);
	sha256_free(s);
	sha256_free(NULL);
}

#endif
