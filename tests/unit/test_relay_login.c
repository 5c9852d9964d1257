/* Login names and the wait after wrong passwords. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/err.h"
#include "common/login/login_delay.h"
#include "relay/login/login.h"

static void
test_three_signs(void **state)
{
	static const char *const texts[] = { "alice@desk1", "alice:desk1",
		"alice#desk1", "Alice@DESK1" };
	struct login_name n;

	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(login_name_parse(&n, texts[i]), 0);
		assert_string_equal(n.person, "alice");
		assert_string_equal(n.endpoint, "desk1");
	}
}

static void
test_no_endpoint(void **state)
{
	struct login_name n;

	assert_int_equal(login_name_parse(&n, "alice"), ERR_NOTFOUND);
	assert_int_equal(login_name_parse(&n, ""), ERR_NOTFOUND);
}

static void
test_bad_names(void **state)
{
	static const char *const texts[] = { "alice!x@desk1", "alice@desk1!x",
		"alice@", "@desk1", "alice@desk1@more", "al ice@desk1",
		"alice@d\xc3\xa9sk" };
	struct login_name n;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_int_equal(login_name_parse(&n, texts[i]), ERR_LIMIT);
		/* half a name may be somebody's */
		assert_string_equal(n.person, "");
		assert_string_equal(n.endpoint, "");
	}
}

static void
test_longest_name(void **state)
{
	char text[2 * LOGIN_PART_MAX + 3];
	struct login_name n;

	memset(text, 'a', sizeof(text));
	text[LOGIN_PART_MAX] = '@';
	text[2 * LOGIN_PART_MAX + 1] = '\0';
	assert_int_equal(login_name_parse(&n, text), 0);
	assert_int_equal(strlen(n.person), LOGIN_PART_MAX);
	assert_int_equal(strlen(n.endpoint), LOGIN_PART_MAX);
	text[2 * LOGIN_PART_MAX + 1] = 'a';
	text[2 * LOGIN_PART_MAX + 2] = '\0';
	assert_int_equal(login_name_parse(&n, text), ERR_LIMIT);
}

static void
test_delay_doubles_to_its_cap(void **state)
{
	uint32_t want = 500;

	assert_int_equal(login_delay_ms(0, 0), 0);
	for (uint64_t n = 1; want < LOGIN_DELAY_MAX_MS; n++, want *= 2)
		assert_int_equal(login_delay_ms(n, 1), want);
	assert_int_equal(login_delay_ms(50, 1), LOGIN_DELAY_MAX_MS);
	assert_int_equal(login_delay_ms(UINT64_MAX, 1), LOGIN_DELAY_MAX_MS);
}

static void
test_delay_is_forgotten(void **state)
{
	assert_int_equal(login_delay_ms(9, LOGIN_FORGET_S + 1), 0);
	assert_int_not_equal(login_delay_ms(9, LOGIN_FORGET_S - 1), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_three_signs),
		cmocka_unit_test(test_no_endpoint),
		cmocka_unit_test(test_bad_names),
		cmocka_unit_test(test_longest_name),
		cmocka_unit_test(test_delay_doubles_to_its_cap),
		cmocka_unit_test(test_delay_is_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
