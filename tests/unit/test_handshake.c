/* Versions and text that both sides of the handshake read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "rfb/handshake.h"

static unsigned
version(const char *text)
{
	assert_int_equal(strlen(text), RFB_VERSION_LEN);
	return rfb_version_parse((const uint8_t *)text);
}

static void
test_versions(void **state)
{
	assert_int_equal(version("RFB 003.003\n"), 3);
	assert_int_equal(version("RFB 003.005\n"), 3);
	assert_int_equal(version("RFB 003.006\n"), 3);
	assert_int_equal(version("RFB 003.007\n"), 7);
	assert_int_equal(version("RFB 003.008\n"), 8);
	assert_int_equal(version("RFB 003.889\n"), 8); /* macOS */
	assert_int_equal(version("RFB 004.001\n"), 8); /* RealVNC */
	assert_int_equal(version("RFB 005.000\n"), 8);
}

static void
test_no_versions(void **state)
{
	assert_int_equal(version("RFB 000.000\n"), 0); /* a repeater */
	assert_int_equal(version("RFB 002.008\n"), 0);
	assert_int_equal(version("RFB 003.002\n"), 0);
	assert_int_equal(version("RFB 003.008\r"), 0);
	assert_int_equal(version("RFB 003 008\n"), 0);
	assert_int_equal(version("RFB  03.  8\n"), 0);
	assert_int_equal(version("RFB +03.008\n"), 0);
	assert_int_equal(version("RFB -03.-08\n"), 0);
	assert_int_equal(version("RFB 00:.008\n"), 0);
	assert_int_equal(version("rfb 003.008\n"), 0);
	assert_int_equal(version("SSH-2.0-Ope\n"), 0);
	assert_int_equal(version("GET / HTTP/1"), 0);
}

static void
check(const char *from, size_t len, size_t cap, const char *expected)
{
	char to[64];

	memset(to, 'x', sizeof(to));
	assert_int_equal(rfb_printable(to, cap, (const uint8_t *)from, len),
	    strlen(expected));
	assert_string_equal(to, expected);
	assert_int_equal(to[cap], 'x');
}

#define CHECK(from, expected) check(from, sizeof(from) - 1, 60, expected)

static void
test_printable(void **state)
{
	CHECK("", "");
	CHECK("Too many tries", "Too many tries");
	CHECK("zu sp\xc3\xa4t", "zu sp\xc3\xa4t");
	CHECK("zu sp\xe4t", "zu sp\xc3\xa4t"); /* Latin-1 */
	CHECK("\xe6\x97\xa5 \xf0\x9f\x98\x80", "\xe6\x97\xa5 \xf0\x9f\x98\x80");
	CHECK("one\r\n\ttwo\n", "one two");
	CHECK("a\0b\x1b[31mc\x7f", "a b [31mc");
	CHECK("  a   b  ", "a b");
	CHECK("\n\n", "");
	CHECK("a\xc2\x9b"
	      "b",
	    "a\xc3\x82 b");                        /* no control of C1 */
	CHECK("\xc0\xaf", "\xc3\x80\xc2\xaf");     /* overlong */
	CHECK("\xed\xa0\x80", "\xc3\xad\xc2\xa0"); /* surrogate */
	CHECK("\xe6\x97", "\xc3\xa6"); /* cut off; 97 is a control */
}

static void
test_printable_limits(void **state)
{
	check("abcdef", 6, 4, "abc");
	check("abcdef", 6, 1, "");
	check("a\xc3\xa4", 3, 3, "a"); /* never half a character */
	check("a\xc3\xa4", 3, 4, "a\xc3\xa4");
	check("a\xe4", 2, 3, "a");
	check("a bcd", 5, 3, "a");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_no_versions),
		cmocka_unit_test(test_printable),
		cmocka_unit_test(test_printable_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
