/* Typed getters of JSON objects. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <string.h>

#include "common/json.h"

static json_t *
object(void)
{
	json_t *o = json_pack("{s:s s:s s:i s:I s:f s:n}", "text", "abc",
	    "empty", "", "number", -3, "large", (json_int_t)INT64_MAX,
	    "fraction", 2.5, "null");

	assert_non_null(o);
	return o;
}

static void
test_text(void **state)
{
	static const char *const none[] = { "absent", "number", "null" };
	json_t *o = object(), *list = json_array();

	assert_string_equal(json_text(o, "text"), "abc");
	assert_string_equal(json_text(o, "empty"), "");
	assert_string_equal(json_text_or_empty(o, "text"), "abc");
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		assert_null(json_text(o, none[i]));
		assert_string_equal(json_text_or_empty(o, none[i]), "");
	}
	assert_null(json_text(NULL, "text"));
	assert_null(json_text(list, "text"));
	assert_string_equal(json_text_or_empty(NULL, "text"), "");
	json_decref(list);
	json_decref(o);
}

static void
test_int(void **state)
{
	json_t *o = object();
	int64_t v = 7;

	assert_int_equal(json_int(o, "number"), -3);
	assert_true(json_int(o, "large") == INT64_MAX);
	assert_int_equal(json_int(o, "text"), 0);
	assert_int_equal(json_int(o, "fraction"), 0);
	assert_int_equal(json_int(NULL, "number"), 0);
	assert_false(json_int_within(o, "number", -2, 5, &v));
	assert_false(json_int_within(o, "number", -9, -4, &v));
	assert_false(json_int_within(o, "text", -9, 9, &v));
	assert_false(json_int_within(o, "absent", -9, 9, &v));
	assert_false(json_int_within(NULL, "number", -9, 9, &v));
	assert_int_equal(v, 7);
	assert_true(json_int_within(o, "number", -3, -3, &v));
	assert_int_equal(v, -3);
	json_decref(o);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_int),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
