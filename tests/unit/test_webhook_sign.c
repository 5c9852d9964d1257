/* Signatures of webhooks: the example of the specification, and secrets that
 * are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/err.h"
#include "console/http/webhook_sign.h"

/* The example of Standard Webhooks' own libraries. */
static void
test_the_example(void **state)
{
	char out[WEBHOOK_SIGNATURE_MAX];

	assert_int_equal(webhook_sign("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
			     "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330,
			     "{\"test\": 2432232314}", out),
	    0);
	assert_string_equal(
	    out, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

static void
test_what_is_signed_matters(void **state)
{
	static const char secret[] = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
	char a[WEBHOOK_SIGNATURE_MAX], b[WEBHOOK_SIGNATURE_MAX];

	assert_int_equal(webhook_sign(secret, "a", 1, "x", a), 0);
	assert_int_equal(webhook_sign(secret, "a", 1, "y", b), 0);
	assert_string_not_equal(a, b);
	assert_int_equal(webhook_sign(secret, "a", 2, "x", b), 0);
	assert_string_not_equal(a, b);
	assert_int_equal(webhook_sign(secret, "b", 1, "x", b), 0);
	assert_string_not_equal(a, b);
}

static void
test_what_is_no_secret(void **state)
{
	static const char *const bad[] = {
		"", "whsec_", "MfKQ9r8GKYqr", "whsec_abc", "whsec_ab*=",
		"whsec_abcdabcdabcdabcdabcdabcdabcd"
		"abcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcd"
	};
	char out[WEBHOOK_SIGNATURE_MAX];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(
		    webhook_sign(bad[i], "a", 1, "x", out), ERR_PROTOCOL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_example),
		cmocka_unit_test(test_what_is_signed_matters),
		cmocka_unit_test(test_what_is_no_secret),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
