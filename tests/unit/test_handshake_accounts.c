/*
 * The logins with an account of the endpoint's system: macOS (type 30) and
 * MS-Logon II (113): good in any pieces, and numbers that cannot be right.
 */
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "rfb/ard.h"
#include "rfb/mslogon.h"
#include "tests/unit/handshake_play.h"

#define V38         "RFB 003.008\n"
#define BYTES(text) (text), sizeof(text) - 1
#define INIT                                                                   \
	"\5\0\3\40\40\30\0\377\0\377\0\377\0\377\20\10\0\0\0\0"                \
	"\0\0\0\4desk"
#define LEN 128 /* bytes of the prime of RFC 2409 section 6.2 */

static struct flight sent, nothing;
static struct play played;
static uint8_t prime[LEN];

static const struct rfb_client_params account = {
	.user = "alice", .password = "geheim12", .allow_clear = true
};

/* What the endpoint sends: the type and its numbers, then a session. */
static void
load(uint8_t type, const uint8_t *numbers, size_t n)
{
	sent.len = 0;
	fly(&sent, BYTES(V38 "\1"));
	fly8(&sent, type);
	fly(&sent, numbers, n);
}

static void
play(const struct rfb_client_params *params, size_t piece)
{
	play_client_start(&played, params);
	play_both(&played, &sent, &nothing, piece);
}

/* With the endpoint's private key 1 its public key is the generator, and the
 * shared secret the relay's public key. */
static size_t
ard_numbers(uint8_t *to, unsigned generator, const uint8_t *p, size_t len)
{
	store_be16(to, (uint16_t)generator);
	store_be16(to + 2, (uint16_t)len);
	memcpy(to + 4, p, len);
	memset(to + 4 + len, 0, len);
	to[4 + 2 * len - 1] = (uint8_t)generator;
	return 4 + 2 * len;
}

/* Decrypts in place; cipher: AES-128-ECB or DES-CBC as the wire has it. */
static void
decrypt(const EVP_CIPHER *cipher, const uint8_t *key, const uint8_t *iv,
    uint8_t *data, size_t n)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int done;

	assert_non_null(ctx);
	assert_int_equal(EVP_DecryptInit_ex(ctx, cipher, NULL, key, iv), 1);
	EVP_CIPHER_CTX_set_padding(ctx, 0);
	assert_int_equal(EVP_DecryptUpdate(ctx, data, &done, data, (int)n), 1);
	assert_int_equal(done, n);
	EVP_CIPHER_CTX_free(ctx);
}

static void
test_ard(void **state)
{
	uint8_t numbers[4 + 2 * LEN], answer[128], key[16];
	size_t n = ard_numbers(numbers, 2, prime, LEN);

	for (size_t piece = 0; piece < 12; piece++) {
		const uint8_t *p;

		load(RFB_SEC_ARD, numbers, n);
		fly(&sent, BYTES("\0\0\0\0" INIT));
		play(&account, piece);
		assert_string_equal(played.events, "R");
		assert_string_equal(rfb_handshake_client_chosen(played.client),
		    "Apple Diffie-Hellman");
		assert_int_equal(buf_len(&played.out), 12 + 1 + 128 + LEN + 1);
		p = buf_head(&played.out) + 13;
		EVP_Digest(p + 128, LEN, key, NULL, EVP_md5(), NULL);
		memcpy(answer, p, sizeof(answer));
		decrypt(EVP_aes_128_ecb(), key, NULL, answer, sizeof(answer));
		assert_string_equal((char *)answer, "alice");
		assert_string_equal((char *)answer + 64, "geheim12");
		play_end(&played);
	}
}

static void
test_mslogon(void **state)
{
	static const uint8_t numbers[] = "\0\0\0\0\0\0\0\5"
					 "\377\377\377\377\377\377\377\305"
					 "\0\0\0\0\0\0\0\5";

	for (size_t piece = 0; piece < 12; piece++) {
		uint8_t key[24], answer[320];
		const uint8_t *p;

		load(RFB_SEC_MSLOGON, numbers, 24);
		fly(&sent, BYTES("\0\0\0\0" INIT));
		play(&account, piece);
		assert_string_equal(played.events, "R");
		assert_string_equal(
		    rfb_handshake_client_chosen(played.client), "MS-Logon II");
		assert_int_equal(buf_len(&played.out), 13 + 8 + 320 + 1);
		p = buf_head(&played.out) + 13;
		for (size_t i = 0; i < sizeof(key); i++) {
			key[i] = 0;
			for (int bit = 0; bit < 8; bit++)
				key[i] |= (p[i % 8] >> bit & 1) << (7 - bit);
		}
		memcpy(answer, p + 8, sizeof(answer));
		decrypt(EVP_des_ede3_cbc(), key, p, answer, 256);
		decrypt(EVP_des_ede3_cbc(), key, p, answer + 256, 64);
		assert_string_equal((char *)answer, "alice");
		assert_string_equal((char *)answer + 256, "geheim12");
		play_end(&played);
	}
}

/* Cut anywhere the handshake waits, and no credential is on its way. */
static void
test_truncated(void **state)
{
	uint8_t numbers[4 + 2 * LEN];
	size_t n = ard_numbers(numbers, 2, prime, LEN);

	for (size_t i = 0; i < n; i++) {
		load(RFB_SEC_ARD, numbers, i);
		play(&account, i % 5);
		assert_int_equal(played.rc, RFB_HANDSHAKE_MORE);
		assert_int_equal(buf_len(&played.out), 13);
		play_end(&played);
	}
	for (size_t i = 0; i < RFB_MSLOGON_MESSAGE_LEN; i++) {
		load(RFB_SEC_MSLOGON, prime, i);
		play(&account, i % 5);
		assert_int_equal(played.rc, RFB_HANDSHAKE_MORE);
		assert_int_equal(buf_len(&played.out), 13);
		play_end(&played);
	}
}

static void
check_failed(const struct rfb_client_params *params, int rc, const char *why)
{
	for (size_t piece = 0; piece < 3; piece++) {
		play(params, piece);
		assert_string_equal(played.why, why);
		assert_int_equal(played.rc, rc);
		assert_int_equal(buf_len(&played.out), 13);
		play_end(&played);
	}
}

#define NOT_RIGHT(name)                                                        \
	"the endpoint's key exchange (" name ") has numbers that cannot be "   \
	"right"

static void
check_ard(unsigned generator, const uint8_t *p, const uint8_t *peer)
{
	uint8_t numbers[4 + 2 * LEN];
	size_t n = ard_numbers(numbers, generator, p, LEN);

	if (peer != NULL)
		memcpy(numbers + 4 + LEN, peer, LEN);
	load(RFB_SEC_ARD, numbers, n);
	check_failed(&account, ERR_PROTOCOL, NOT_RIGHT("Apple Diffie-Hellman"));
}

static void
test_wrong_ard_numbers(void **state)
{
	uint8_t number[LEN];

	memcpy(number, prime, LEN);
	number[LEN - 1] ^= 1; /* even */
	check_ard(2, number, NULL);
	memset(number, 0, LEN);
	check_ard(2, number, NULL);
	number[LEN - 1] = 23; /* far shorter than it says */
	check_ard(2, number, NULL);
	/* public keys that give the secret away, and too large ones */
	memset(number, 0, LEN);
	check_ard(2, prime, number);
	number[LEN - 1] = 1;
	check_ard(2, prime, number);
	memcpy(number, prime, LEN);
	check_ard(2, prime, number);
	number[LEN - 1]--;
	check_ard(2, prime, number);
	memset(number, 0xff, LEN);
	check_ard(2, prime, number);
	check_ard(0, prime, NULL);
	check_ard(1, prime, NULL);
}

static void
test_wrong_ard_lengths(void **state)
{
	static const struct {
		unsigned len;
		const char *why;
	} lengths[] = {
		{ 0,
		    "the endpoint's key exchange has numbers of 0 bytes; 128 "
		    "to 1024 are taken" },
		{ 127,
		    "the endpoint's key exchange has numbers of 127 bytes; "
		    "128 to 1024 are taken" },
		{ 1025,
		    "the endpoint's key exchange has numbers of 1025 "
		    "bytes; 128 to 1024 are taken" },
		{ 65535,
		    "the endpoint's key exchange has numbers of 65535 "
		    "bytes; 128 to 1024 are taken" },
	};

	for (size_t i = 0; i < N_ELEMENTS(lengths); i++) {
		uint8_t head[4] = { 0, 2 };

		store_be16(head + 2, (uint16_t)lengths[i].len);
		load(RFB_SEC_ARD, head, sizeof(head));
		check_failed(&account, ERR_LIMIT, lengths[i].why);
	}
}

/* The longest is worked with at once. */
static void
test_longest_ard(void **state)
{
	static uint8_t p[RFB_ARD_KEY_MAX], numbers[4 + 2 * RFB_ARD_KEY_MAX];

	memset(p, 0xff, sizeof(p));
	load(RFB_SEC_ARD, numbers, ard_numbers(numbers, 2, p, sizeof(p)));
	play(&account, 0);
	assert_true(played.rc >= 0);
	assert_int_equal(buf_len(&played.out), 13 + 128 + RFB_ARD_KEY_MAX);
	play_end(&played);
}

static void
test_wrong_mslogon_numbers(void **state)
{
	static const struct {
		uint64_t generator, modulus, peer;
	} wrong[] = {
		{ 5, 0, 5 },
		{ 5, 1, 5 },
		{ 5, 3, 5 },
		{ 5, UINT64_MAX - 1, 5 },
		{ 0, 101, 5 },
		{ 1, 101, 5 },
		{ 100, 101, 5 },
		{ 5, 101, 0 },
		{ 5, 101, 1 },
		{ 5, 101, 100 },
		{ 5, 101, 101 },
		{ 5, 101, UINT64_MAX },
	};

	for (size_t i = 0; i < N_ELEMENTS(wrong); i++) {
		uint8_t numbers[24];

		store_be64(numbers, wrong[i].generator);
		store_be64(numbers + 8, wrong[i].modulus);
		store_be64(numbers + 16, wrong[i].peer);
		load(RFB_SEC_MSLOGON, numbers, sizeof(numbers));
		check_failed(&account, ERR_PROTOCOL, NOT_RIGHT("MS-Logon II"));
	}
}

/* The smallest numbers that can be right end, too. */
static void
test_small_modulus(void **state)
{
	uint8_t numbers[24] = { 0 };

	for (unsigned modulus = 5; modulus < 64; modulus += 2) {
		numbers[7] = numbers[23] = 2;
		numbers[15] = (uint8_t)modulus;
		load(RFB_SEC_MSLOGON, numbers, sizeof(numbers));
		play(&account, 0);
		assert_true(played.rc >= 0);
		assert_int_equal(buf_len(&played.out), 13 + 8 + 320);
		play_end(&played);
	}
}

static void
test_too_long(void **state)
{
	static char text[257];
	uint8_t numbers[4 + 2 * LEN];
	size_t n = ard_numbers(numbers, 2, prime, LEN);
	struct rfb_client_params params = {
		.user = text, .password = "p", .allow_clear = true
	};

	memset(text, 'x', RFB_ARD_CREDENTIAL_MAX + 1);
	load(RFB_SEC_ARD, numbers, n);
	check_failed(&params, ERR_LIMIT,
	    "the user name or password stored for the endpoint is too long "
	    "for its kind of login (Apple Diffie-Hellman)");
	memset(text, 'x', RFB_MSLOGON_USER_LEN);
	load(RFB_SEC_MSLOGON, prime, 24);
	check_failed(&params, ERR_LIMIT,
	    "the user name or password stored for the endpoint is too long "
	    "for its kind of login (MS-Logon II)");
}

static int
set_up(void **state)
{
	BIGNUM *p = BN_get_rfc2409_prime_1024(NULL);
	int n = p != NULL ? BN_bn2binpad(p, prime, LEN) : 0;

	BN_free(p);
	return n == LEN ? 0 : -1;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ard),
		cmocka_unit_test(test_mslogon),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_wrong_ard_numbers),
		cmocka_unit_test(test_wrong_ard_lengths),
		cmocka_unit_test(test_longest_ard),
		cmocka_unit_test(test_wrong_mslogon_numbers),
		cmocka_unit_test(test_small_modulus),
		cmocka_unit_test(test_too_long),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
