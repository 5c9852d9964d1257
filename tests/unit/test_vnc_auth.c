/*
 * VNC authentication against pairs that TigerVNC's Xvnc 1.12 accepted:
 * its challenge, the password in its -PasswordFile, the response it took.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rfb/vnc_auth.h"

static const struct {
	const char *password;
	uint8_t challenge[RFB_VNC_CHALLENGE_LEN];
	uint8_t response[RFB_VNC_CHALLENGE_LEN];
} pairs[] = {
	{ "geheim12",
	    { 0x54, 0xf2, 0xb2, 0xb3, 0xfc, 0x20, 0x38, 0xa5, 0x87, 0x6a, 0x6d,
		0x93, 0x20, 0xa3, 0x46, 0xef },
	    { 0xf6, 0x9e, 0xe7, 0x95, 0x4e, 0xe6, 0x61, 0xa7, 0x11, 0xbb, 0x75,
		0x53, 0x84, 0x3c, 0x0f, 0x7f } },
	{ "kurz", /* shorter than a key */
	    { 0x23, 0x62, 0x0e, 0xf4, 0x48, 0x07, 0x3b, 0x76, 0x76, 0xae, 0x08,
		0x3f, 0x82, 0xc5, 0x09, 0x3c },
	    { 0x0b, 0x39, 0xc5, 0x15, 0x08, 0xda, 0x3a, 0x1f, 0x37, 0xf6, 0x7a,
		0xc6, 0x43, 0xea, 0xcf, 0x0b } },
};

static void
test_accepted_pairs(void **state)
{
	uint8_t out[RFB_VNC_CHALLENGE_LEN];

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		assert_int_equal(rfb_vnc_auth_response(pairs[i].password,
				     pairs[i].challenge, out),
		    0);
		assert_memory_equal(out, pairs[i].response, sizeof(out));
	}
}

/* Only 8 bytes count: servers cut the password there too. */
static void
test_long_password(void **state)
{
	uint8_t out[RFB_VNC_CHALLENGE_LEN];

	assert_int_equal(
	    rfb_vnc_auth_response("geheim12345", pairs[0].challenge, out), 0);
	assert_memory_equal(out, pairs[0].response, sizeof(out));
	assert_int_equal(
	    rfb_vnc_auth_response("geheim1", pairs[0].challenge, out), 0);
	assert_memory_not_equal(out, pairs[0].response, sizeof(out));
}

static void
test_in_place(void **state)
{
	uint8_t text[RFB_VNC_CHALLENGE_LEN];

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = pairs[0].challenge[i];
	assert_int_equal(rfb_vnc_auth_response("geheim12", text, text), 0);
	assert_memory_equal(text, pairs[0].response, sizeof(text));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepted_pairs),
		cmocka_unit_test(test_long_password),
		cmocka_unit_test(test_in_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
