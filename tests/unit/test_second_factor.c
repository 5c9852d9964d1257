/* One-time passwords by the vectors of RFC 6238, recovery codes, QR codes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "common/err.h"
#include "console/login/qr_svg.h"
#include "console/login/recovery_code.h"
#include "console/login/totp.h"

/* RFC 6238 appendix B: the secret of SHA-1. */
static const uint8_t secret[TOTP_SECRET_LEN] = "12345678901234567890";

/* The vectors have eight digits; the last six are ours. */
static void
test_vectors(void **state)
{
	static const struct {
		int64_t now_s;
		const char *code;
	} vectors[] = {
		{ 59, "287082" },
		{ 1111111109, "081804" },
		{ 1111111111, "050471" },
		{ 1234567890, "005924" },
		{ 2000000000, "279037" },
		{ 20000000000, "353130" },
	};

	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		int64_t now = vectors[i].now_s, step = now / TOTP_STEP_S;
		const char *code = vectors[i].code;

		assert_int_equal(totp_check(secret, code, now, 0), step);
		/* a step earlier and later */
		assert_int_equal(totp_check(secret, code, now + 30, 0), step);
		if (now > 60)
			assert_int_equal(
			    totp_check(secret, code, now - 30, 0), step);
		/* but no further */
		assert_int_equal(
		    totp_check(secret, code, now + 60, 0), ERR_DENIED);
		if (now > 90)
			assert_int_equal(
			    totp_check(secret, code, now - 60, 0), ERR_DENIED);
	}
}

static void
test_none_is_used_twice(void **state)
{
	const int64_t now = 1111111109, step = now / TOTP_STEP_S;

	assert_int_equal(totp_check(secret, "081804", now, step - 1), step);
	assert_int_equal(totp_check(secret, "081804", now, step), ERR_DENIED);
	assert_int_equal(
	    totp_check(secret, "081804", now, step + 1), ERR_DENIED);
}

static void
test_what_is_no_code(void **state)
{
	static const char *const codes[] = { "", "28708", "2870820", "28708a",
		" 87082", "-87082", "28708\n", "287 82" };

	assert_true(totp_is_code("287082"));
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		assert_false(totp_is_code(codes[i]));
		assert_int_equal(
		    totp_check(secret, codes[i], 59, 0), ERR_DENIED);
	}
	assert_int_equal(totp_check(secret, "287083", 59, 0), ERR_DENIED);
}

static void
test_texts(void **state)
{
	char text[TOTP_TEXT_MAX], url[TOTP_URL_MAX], longest[TOTP_URL_MAX];
	uint8_t other[TOTP_SECRET_LEN];

	assert_int_equal(totp_secret_text(secret, text), 0);
	assert_string_equal(text, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
	assert_int_equal(totp_url(url, "Relay cam", "al.i-ce+1", text), 0);
	assert_string_equal(url,
	    "otpauth://totp/Relay%20cam:al.i-ce%2B1?secret="
	    "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Relay%20cam"
	    "&algorithm=SHA1&digits=6&period=30");
	memset(longest, 'a', sizeof(longest));
	for (size_t n = sizeof(longest); n-- > sizeof(longest) - 100;) {
		longest[n] = '\0';
		assert_int_equal(
		    totp_url(url, "Relaycam", longest, text), ERR_LIMIT);
	}
	totp_secret_new(other);
	assert_memory_not_equal(other, secret, sizeof(other));
}

static void
test_recovery_codes(void **state)
{
	char codes[RECOVERY_CODES][RECOVERY_CODE_MAX];
	char hash[RECOVERY_HASH_MAX], same[RECOVERY_HASH_MAX];

	for (unsigned i = 0; i < RECOVERY_CODES; i++) {
		recovery_code_new(codes[i]);
		assert_int_equal(strlen(codes[i]), RECOVERY_CODE_MAX - 1);
		assert_true(recovery_code_hash(codes[i], hash));
		for (unsigned j = 0; j < i; j++)
			assert_string_not_equal(codes[i], codes[j]);
	}
	/* sha256sum of "abcdefghijklmnop" */
	assert_true(recovery_code_hash("abcd-efgh-ijkl-mnop", hash));
	assert_string_equal(hash,
	    "f39dac6cbaba535e2c207cd0cd8f154974223c848f727f98b3564cea569b41cf");
	assert_true(recovery_code_hash(" ABCDefgh IJKL mnop-", same));
	assert_string_equal(hash, same);
	assert_false(recovery_code_hash("", hash));
	assert_false(recovery_code_hash("abcd-efgh-ijkl-mno", hash));
	assert_false(recovery_code_hash("abcd-efgh-ijkl-mnopq", hash));
	assert_false(recovery_code_hash("abcd-efgh-ijkl-mno1", hash));
	assert_false(recovery_code_hash("287082", hash));
}

static void
test_qr(void **state)
{
	char *svg = qr_svg("otpauth://totp/Relaycam:alice?secret=GEZDGNBV");
	char *other = qr_svg("otpauth://totp/Relaycam:alice?secret=GEZDGNBW");
	char longest[4096];

	assert_non_null(svg);
	assert_non_null(other);
	assert_ptr_equal(strstr(svg, "<svg xmlns="), svg);
	assert_string_equal(svg + strlen(svg) - 6, "</svg>");
	assert_null(strstr(svg, "style"));
	assert_string_not_equal(svg, other);
	free(svg);
	free(other);
	memset(longest, 'a', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	assert_null(qr_svg(longest)); /* over 2331 bytes at level M */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_none_is_used_twice),
		cmocka_unit_test(test_what_is_no_code),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_recovery_codes),
		cmocka_unit_test(test_qr),
	};

	return sodium_init() < 0 ||
	    cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
