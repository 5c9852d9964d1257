/* Fields of answers to requests that will not be there for ever. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/queue.h>

#include <cmocka.h>

#include <event2/http.h>
#include <event2/keyvalq_struct.h>

#include "console/http/deprecation.h"

static void
nothing_for_what_stays(void **state)
{
	struct evkeyvalq fields;

	TAILQ_INIT(&fields);
	deprecation_add(NULL, &fields);
	assert_true(TAILQ_EMPTY(&fields));
}

/* The examples of RFC 9745 section 2.1 and RFC 8594 section 3. */
static void
fields_as_the_standards_have_them(void **state)
{
	const struct deprecation d = {
		.since_s = 1688169599,
		.sunset_s = 1541721599,
		.link = "/docs/api.md#versions",
	};
	struct evkeyvalq fields;

	TAILQ_INIT(&fields);
	deprecation_add(&d, &fields);
	assert_string_equal(
	    evhttp_find_header(&fields, "Deprecation"), "@1688169599");
	assert_string_equal(evhttp_find_header(&fields, "Sunset"),
	    "Thu, 08 Nov 2018 23:59:59 GMT");
	assert_string_equal(evhttp_find_header(&fields, "Link"),
	    "</docs/api.md#versions>; rel=\"deprecation\"");
	evhttp_clear_headers(&fields);
}

static void
no_end_and_no_link(void **state)
{
	const struct deprecation d = { .since_s = 4102444800 }; /* 2100 */
	struct evkeyvalq fields;

	TAILQ_INIT(&fields);
	deprecation_add(&d, &fields);
	assert_string_equal(
	    evhttp_find_header(&fields, "Deprecation"), "@4102444800");
	assert_null(evhttp_find_header(&fields, "Sunset"));
	assert_null(evhttp_find_header(&fields, "Link"));
	evhttp_clear_headers(&fields);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_for_what_stays),
		cmocka_unit_test(fields_as_the_standards_have_them),
		cmocka_unit_test(no_end_and_no_link),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
