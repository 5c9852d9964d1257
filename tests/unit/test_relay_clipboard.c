/* Which clipboard messages pass: all kinds, both senders, all settings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "relay/pump/clipboard.h"

#define TO_E    CLIPBOARD_TO_ENDPOINT
#define TO_T    CLIPBOARD_TO_TECHNICIAN
#define CAPS    (1u << 24)
#define REQUEST (1u << 25)
#define PEEK    (1u << 26)
#define NOTIFY  (1u << 27)
#define PROVIDE (1u << 28)

static bool
clear(unsigned way, unsigned ways)
{
	struct clipboard_message m = { .way = way, .len = 5 };

	return clipboard_passes(&m, ways);
}

static bool
extended(unsigned way, uint32_t flags, uint32_t len, unsigned ways)
{
	struct clipboard_message m = { way, true, flags, len };

	return clipboard_passes(&m, ways);
}

static void
settings(void **state)
{
	for (unsigned i = 0; i <= CLIPBOARD_BOTH; i++)
		assert_int_equal(clipboard_ways(clipboard_setting(i)), i);
	assert_int_equal(clipboard_ways("to_endpoint"), TO_E);
	assert_int_equal(clipboard_ways("to_technician"), TO_T);
	/* what is not known opens nothing */
	assert_int_equal(clipboard_ways(NULL), 0);
	assert_int_equal(clipboard_ways(""), 0);
	assert_int_equal(clipboard_ways("Both"), 0);
}

static void
text_travels_as_allowed(void **state)
{
	for (unsigned ways = 0; ways <= CLIPBOARD_BOTH; ways++)
		for (unsigned way = TO_E; way <= TO_T; way++) {
			bool is_open = (way & ways) != 0;

			assert_int_equal(clear(way, ways), is_open);
			assert_int_equal(
			    extended(way, PROVIDE | 1, 900, ways), is_open);
			assert_int_equal(
			    extended(way, NOTIFY | 1, 4, ways), is_open);
		}
}

/* Who asks gets: the other direction decides. */
static void
questions(void **state)
{
	for (unsigned ways = 0; ways <= CLIPBOARD_BOTH; ways++)
		for (unsigned way = TO_E; way <= TO_T; way++) {
			bool is_open = ((way ^ CLIPBOARD_BOTH) & ways) != 0;

			assert_int_equal(
			    extended(way, REQUEST | 1, 4, ways), is_open);
			assert_int_equal(extended(way, PEEK, 4, ways), is_open);
			/* several at once need all */
			assert_int_equal(
			    extended(way, PROVIDE | REQUEST, 4, ways),
			    ways == CLIPBOARD_BOTH);
		}
}

static void
abilities_pass_and_are_nothing_else(void **state)
{
	uint32_t all = CAPS | REQUEST | PEEK | NOTIFY | PROVIDE | 0xffff;

	for (unsigned ways = 0; ways <= CLIPBOARD_BOTH; ways++) {
		assert_true(extended(TO_E, all, 68, ways));
		assert_true(extended(TO_T, CAPS, 4, ways));
		/* longer than any list of sizes: a text in disguise */
		assert_false(extended(TO_T, all, 69, ways));
		assert_false(extended(TO_E, CAPS, 1 << 20, ways));
		/* no action at all */
		assert_false(extended(TO_E, 0xffff, 4, ways));
		assert_false(extended(TO_T, 0, 900, ways));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(settings),
		cmocka_unit_test(text_travels_as_allowed),
		cmocka_unit_test(questions),
		cmocka_unit_test(abilities_pass_and_are_nothing_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
