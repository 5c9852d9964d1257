/* What a VNC server that dials out says first: good, cut, hostile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/bytes.h"
#include "common/err.h"
#include "rfb/repeater.h"

static struct rfb_repeater_hello hello;
static uint8_t wire[RFB_REPEATER_LEN + 12];
static size_t used;

/* Parses a copy of exactly n bytes, so that a sanitizer sees a read beyond. */
static int
parse(const void *data, size_t n)
{
	uint8_t *copy = malloc(n + (n == 0));
	int rc;

	assert_non_null(copy);
	if (n != 0)
		memcpy(copy, data, n);
	rc = rfb_repeater_parse(&hello, copy, n, &used);
	free(copy);
	return rc;
}

/* "ID:", the text, then fill; the version right behind. */
static void
write_hello(const char *text, size_t n, uint8_t fill)
{
	memset(wire, fill, RFB_REPEATER_LEN);
	memcpy(wire, "ID:", 3);
	memcpy(wire + 3, text, n);
	memcpy(wire + RFB_REPEATER_LEN, "RFB 003.008\n", 12);
}

static void
check_hello(const char *text, const char *endpoint, const char *secret)
{
	write_hello(text, strlen(text), 0);
	for (size_t n = 0; n < RFB_REPEATER_LEN; n++) {
		assert_int_equal(parse(wire, n), RFB_REPEATER_MORE);
		assert_int_equal(used, 0);
	}
	for (size_t n = RFB_REPEATER_LEN; n <= sizeof(wire); n++) {
		assert_int_equal(parse(wire, n), RFB_REPEATER_ID);
		assert_int_equal(used, RFB_REPEATER_LEN);
		assert_string_equal(hello.text, text);
		assert_string_equal(hello.endpoint, endpoint);
		assert_string_equal(hello.secret, secret);
	}
}

static void
test_plain(void **state)
{
	static const char version[] = "RFB 003.008\n";

	for (size_t n = 0; n < 4; n++)
		assert_int_equal(parse(version, n), RFB_REPEATER_MORE);
	for (size_t n = 4; n <= 12; n++) {
		assert_int_equal(parse(version, n), RFB_REPEATER_PLAIN);
		assert_int_equal(used, 0);
	}
}

#define SECRET "MFRGGZDFMZTWQ2LK"

static void
test_names_and_secrets(void **state)
{
	check_hello("1234", "1234", "");
	check_hello("desk1", "desk1", "");
	check_hello("desk1-" SECRET, "desk1", SECRET);
	/* as a person types it, and as winvnc turns it */
	check_hello("Desk1-mfrggzdfmztwq2lk", "desk1", SECRET);
	check_hello("DESK1-" SECRET, "desk1", SECRET);
	/* the last dash counts */
	check_hello("front-desk-1-" SECRET, "front-desk-1", SECRET);
	check_hello("a-" SECRET "-" SECRET "234567", "a-mfrggzdfmztwq2lk",
	    SECRET "234567");
}

/* A tail that is no secret belongs to the name. */
static void
test_no_secret(void **state)
{
	check_hello("front-desk", "front-desk", "");
	check_hello("desk-", "desk-", "");
	check_hello("-", "-", "");
	check_hello("desk1-MFRGGZDFMZTWQ2L", "desk1-mfrggzdfmztwq2l", "");
	/* digits that base32 does not have, padding, a space */
	check_hello("d-0FRGGZDFMZTWQ2LK", "d-0frggzdfmztwq2lk", "");
	check_hello("d-MFRGGZDFMZTWQ2L1", "d-mfrggzdfmztwq2l1", "");
	check_hello("d-8FRGGZDFMZTWQ2LK", "d-8frggzdfmztwq2lk", "");
	check_hello("d-" SECRET "=", "d-mfrggzdfmztwq2lk=", "");
	check_hello("d- " SECRET, "d- mfrggzdfmztwq2lk", "");
}

static void
test_longest(void **state)
{
	char text[RFB_REPEATER_TEXT_MAX + 2];

	memset(text, 'a', sizeof(text));
	text[RFB_REPEATER_TEXT_MAX] = '\0';
	check_hello(text, text, "");
	text[0] = 'd';
	text[1] = '-';
	write_hello(text, RFB_REPEATER_TEXT_MAX, 0);
	assert_int_equal(parse(wire, sizeof(wire)), RFB_REPEATER_ID);
	assert_string_equal(hello.endpoint, "d");
	assert_int_equal(strlen(hello.secret), RFB_REPEATER_TEXT_MAX - 2);
	/* 247 characters leave no room for a NUL */
	write_hello(text, RFB_REPEATER_TEXT_MAX, 'a');
	assert_int_equal(parse(wire, sizeof(wire)), ERR_LIMIT);
}

/* Some senders leave what was in their memory behind the NUL. */
static void
test_garbage_after_nul(void **state)
{
	for (unsigned fill = 0; fill < 256; fill++) {
		write_hello(
		    "desk1-" SECRET, 6 + strlen(SECRET) + 1, (uint8_t)fill);
		assert_int_equal(parse(wire, sizeof(wire)), RFB_REPEATER_ID);
		assert_string_equal(hello.text, "desk1-" SECRET);
		assert_string_equal(hello.endpoint, "desk1");
		assert_string_equal(hello.secret, SECRET);
	}
}

static void
check_refused(const char *text, size_t n)
{
	write_hello(text, n, 0);
	for (size_t k = 0; k < RFB_REPEATER_LEN; k++)
		assert_int_equal(parse(wire, k), RFB_REPEATER_MORE);
	assert_int_equal(parse(wire, sizeof(wire)), ERR_PROTOCOL);
	assert_int_equal(used, 0);
}

static void
test_refused_texts(void **state)
{
	check_refused("", 0);
	check_refused("-" SECRET, 17);
	check_refused("\0desk1", 6);
	check_refused("de\nsk1", 6);
	check_refused("desk\33[2J", 8);
	check_refused("d\xc3\xa4sk", 5);
	check_refused("desk\x7f", 5);
}

/* Anything else is refused as soon as it differs. */
static void
test_neither(void **state)
{
	static const char *const texts[] = { "GET / HTTP/1.1\r\n", "SSH-2.0-",
		"\x16\x03\x01", "RFB003.008\n", "rfb 003", "id:1234", "IDX",
		"RID:", "" };

	for (size_t i = 0; texts[i][0] != '\0'; i++)
		assert_int_equal(
		    parse(texts[i], strlen(texts[i])), ERR_PROTOCOL);
	for (unsigned c = 0; c < 256; c++) {
		uint8_t one[4] = { (uint8_t)c, 0, 0, 0 };

		assert_int_equal(parse(one, 1),
		    c == 'R' || c == 'I' ? RFB_REPEATER_MORE : ERR_PROTOCOL);
		assert_int_equal(parse(one, 4), ERR_PROTOCOL);
	}
	assert_int_equal(
	    rfb_repeater_parse(&hello, NULL, 0, &used), RFB_REPEATER_MORE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_names_and_secrets),
		cmocka_unit_test(test_no_secret),
		cmocka_unit_test(test_longest),
		cmocka_unit_test(test_garbage_after_nul),
		cmocka_unit_test(test_refused_texts),
		cmocka_unit_test(test_neither),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
