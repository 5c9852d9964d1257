/* Title and tags of a file: what people typed stays one line of plain UTF-8. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "common/bytes.h"
#include "recorder/session/segment_tags.h"

static void
test_plain(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "", "" }, { "Ünï 数 😀", "Ünï 数 😀" },
		{ "a\nb\tc\x7f\x1b[31m", "abc[31m" },
		{ "a\xc2\x85"
		  "b\xe2\x80\xa8"
		  "c",
		    "abc" }, /* C1, U+2028 */
		{ "gpj.\xe2\x80\xae"
		  "exe",
		    "gpj.exe" }, /* U+202E */
		{ "a\xff\xfe"
		  "b",
		    "ab" },
		{ "a\xc0\xaf"
		  "b",
		    "ab" }, /* overlong */
		{ "a\xed\xa0\x80"
		  "b",
		    "ab" }, /* a surrogate */
		{ "a\xf5\x80\x80\x80"
		  "b",
		    "ab" },           /* above U+10FFFF */
		{ "a\xe2\x82", "a" }, /* cut off */
	};
	char out[64];

	for (size_t i = 0; i < N_ELEMENTS(rows); i++)
		assert_string_equal(
		    segment_tags_plain(rows[i].in, out, sizeof(out)),
		    rows[i].out);
	/* whole characters only */
	assert_string_equal(segment_tags_plain("ab\xc3\xa9z", out, 4), "ab");
	assert_string_equal(
	    segment_tags_plain("ab\xc3\xa9z", out, 5), "ab\xc3\xa9");
}

static const char *
value(const struct segment_tags *t, const char *name)
{
	for (size_t i = 0; i < FILE_TAGS_N; i++)
		if (strcmp(t->list[i].name, name) == 0)
			return t->list[i].value;
	return NULL;
}

static void
test_tags(void **state)
{
	struct meta m = { .session = "11111111-2222-3333-4444-555555555555",
		.team = "acme",
		.endpoint = "desk\n1",
		.technician = "al\x1bice",
		.time_zone = "Europe/Berlin" };
	struct segment_tags t;

	/* 2026-11-21 08:15:02 UTC */
	segment_tags_fill(
	    &t, &m, "s", 2, "DP-1", UINT64_C(1795248902000000000));
	assert_string_equal(
	    t.title, "desk1, alice, 2026-11-21 09:15:02 +0100, monitor 2");
	assert_string_equal(value(&t, "SESSION"), m.session);
	assert_string_equal(value(&t, "SEGMENT"), "s");
	assert_string_equal(value(&t, "TEAM"), "acme");
	assert_string_equal(value(&t, "ENDPOINT"), "desk1");
	assert_string_equal(value(&t, "TECHNICIAN"), "alice");
	assert_string_equal(value(&t, "MONITOR"), "2 DP-1");
	assert_string_equal(value(&t, "DATE_RECORDED"), "2026-11-21 08:15:02");
	assert_string_equal(value(&t, "DATE_RECORDED_LOCAL"),
	    "2026-11-21 09:15:02 +0100 Europe/Berlin");
}

/* The longest names still make a header that the writer takes. */
static void
test_longest(void **state)
{
	struct meta m = { .time_zone = "UTC" };
	struct segment_tags t;

	memset(m.endpoint, 'e', sizeof(m.endpoint) - 1);
	memset(m.technician, 't', sizeof(m.technician) - 1);
	memset(m.team, 'a', sizeof(m.team) - 1);
	segment_tags_fill(&t, &m, "s", 4294967295U, m.endpoint, 0);
	assert_true(strlen(t.title) < WEBM_STRING_MAX);
	for (size_t i = 0; i < FILE_TAGS_N; i++)
		assert_true(strlen(t.list[i].value) < WEBM_STRING_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_tags),
		cmocka_unit_test(test_longest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
