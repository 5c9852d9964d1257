/* What the table of known logins calls a name from an address. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/login/known_login.h"
#include "common/proxy_protocol.h"

static void
test_ids(void **state)
{
	static const char *const same[][2] = {
		{ "203.0.113.7", "::ffff:203.0.113.7" },
		{ "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::9" },
	};
	static const char *const other[][2] = {
		{ "alice", "203.0.113.8" },
		{ "bob", "203.0.113.7" },
		{ "alice203.0.113.7", "" },
		{ "", "alice203.0.113.7" },
	};
	uint8_t key[SEAL_KEY_LEN] = { 1 }, other_key[SEAL_KEY_LEN] = { 2 };
	char a[KNOWN_LOGIN_ID_LEN], b[KNOWN_LOGIN_ID_LEN];

	known_login_id(a, key, "alice", "203.0.113.7");
	assert_int_equal(strlen(a), 64);
	assert_int_equal(strspn(a, "0123456789abcdef"), 64);
	for (unsigned i = 0; i < 4; i++) {
		known_login_id(b, key, other[i][0], other[i][1]);
		assert_string_not_equal(a, b);
	}
	/* without the key nobody can tell */
	known_login_id(b, other_key, "alice", "203.0.113.7");
	assert_string_not_equal(a, b);
	for (unsigned i = 0; i < 2; i++) {
		known_login_id(a, key, "alice", same[i][0]);
		known_login_id(b, key, "alice", same[i][1]);
		assert_string_equal(a, b);
	}
}

/* Strangers whose address a balancer does not say are nobody's known client. */
static void
test_unknown_client(void **state)
{
	uint8_t key[SEAL_KEY_LEN] = { 1 };
	char id[KNOWN_LOGIN_ID_LEN] = "x";

	known_login_id(id, key, "alice", CLIENT_UNKNOWN);
	assert_string_equal(id, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_ids),
		cmocka_unit_test(test_unknown_client) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
