#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/err.h"
#include "rfb/set_encodings.h"
#include "tests/unit/rfb_bytes.h"

static struct rfb_encodings_offer offer;
static struct rfb_encodings_policy policy;

static size_t
write_message(uint8_t *msg, const int32_t *list, size_t n)
{
	msg[0] = RFB_SET_ENCODINGS;
	msg[1] = 0;
	store_be16(msg + 2, (uint16_t)n);
	for (size_t i = 0; i < n; i++)
		store_be32(msg + 4 + 4 * i, (uint32_t)list[i]);
	return 4 + 4 * n;
}

static void
assert_narrowed(
    const int32_t *list, size_t n, const int32_t *expected, size_t n_expected)
{
	uint8_t msg[1024], want[1024];
	size_t len = write_message(msg, list, n);
	size_t want_len = write_message(want, expected, n_expected);

	assert_int_equal(
	    rfb_set_encodings_narrow(msg, len, &policy, msg, len, &offer),
	    want_len);
	assert_memory_equal(msg, want, want_len);
	assert_int_equal(offer.n, n_expected);
}

#define NARROWED(list, expected)                                               \
	assert_narrowed(list, N_ELEMENTS(list), expected, N_ELEMENTS(expected))

static int
set_up(void **state)
{
	memset(&policy, 0, sizeof(policy));
	return 0;
}

/* As TigerVNC's viewer 1.12 and noVNC 1.7.0 send them. */
static const int32_t tigervnc[] = { -314, 0x574d5664, -239, -240, 0x574d5666,
	-223, -308, -307, -224, (int32_t)0xC0A1E5CE, -313, -312, -258, 7, 1, 16,
	5, 2, 1, 0, -254, -24 };
static const int32_t novnc[] = { 1, 50, 7, -260, 16, 21, 5, 2, 6, 0, -26, -254,
	-223, -224, -258, -261, -308, -309, -312, -313, -307,
	(int32_t)0xC0A1E5CE, -316, 0x574d5664, -239 };

static void
tigervnc_is_forwarded_as_it_is(void **state)
{
	NARROWED(tigervnc, tigervnc);
	assert_true(offer.is_recordable);
	assert_true(offer.has_copyrect);
	assert_true(offer.has_last_rect);
	assert_true(offer.has_resize);
	assert_true(offer.has_fence_and_continuous);
	assert_true(offer.has_ext_clipboard);
	assert_false(offer.has_ext_buttons);
}

static void
novnc_loses_what_cannot_be_recorded(void **state)
{
	static const int32_t expected[] = { 1, 7, 16, 5, 2, 6, 0, -26, -254,
		-223, -224, -258, -261, -308, -312, -313, -307,
		(int32_t)0xC0A1E5CE, -316, 0x574d5664, -239 };

	NARROWED(novnc, expected);
	assert_true(offer.has_ext_buttons);
}

static void
dropped_encodings_are_never_allowed(void **state)
{
	static const int32_t dropped[] = { 3, 8, 9, 10, 15, 17, 18, 19, 20, 21,
		22, 25, 26, 27, 28, 29, 50, 0x48323634, -22, -33, -246, -259,
		-260, -305, -306, -309, -310, -311, -411, -513, -523, -528,
		-762, -769, -1000, -1001, 1000, 1105, 0x574d5665, 0x574d5667,
		0x574d5669, 0x574d566a, (int32_t)0xC0A1E5CF,
		(int32_t)0xFFFE0000, (int32_t)0xFFFF0000, (int32_t)0xFFFF8000,
		INT32_MIN, INT32_MAX };

	for (size_t i = 0; i < N_ELEMENTS(dropped); i++)
		assert_false(rfb_is_encoding_allowed(dropped[i]));
	assert_narrowed(dropped, N_ELEMENTS(dropped), NULL, 0);
	assert_false(offer.is_recordable);
}

static void
hints_are_kept(void **state)
{
	static const int32_t hints[] = { -23, -32, -247, -255, -317, -412, -512,
		-763, -768 };

	NARROWED(hints, hints);
	assert_false(offer.is_recordable);
}

/* The viewer of libvncclient without JPEG; TurboVNC's since 3.2. */
static void
level_0_is_for_viewers_that_know_plain_tight(void **state)
{
	static const int32_t libvnc[] = { 7, 1, 0, -256, -239 };
	static const int32_t level_1[] = { 7, 1, 0, -255, -239 };
	static const int32_t turbo[] = { 7, 1, 0, -256, -317 };

	NARROWED(libvnc, level_1);
	NARROWED(turbo, turbo);
}

static void
fence_and_continuous_updates_go_together(void **state)
{
	static const int32_t fence[] = { 0, -312 }, continuous[] = { -313, 0 };
	static const int32_t both[] = { -313, 0, -312 }, raw[] = { 0 };

	NARROWED(fence, raw);
	NARROWED(continuous, raw);
	assert_false(offer.has_fence_and_continuous);
	NARROWED(both, both);
	assert_true(offer.has_fence_and_continuous);
}

static void
copyrect_is_dropped_by_policy(void **state)
{
	static const int32_t list[] = { 1, 7, 1, 0 }, expected[] = { 7, 0 };

	policy.drop_copyrect = true;
	NARROWED(list, expected);
	assert_false(offer.has_copyrect);
}

static void
stateless_offers_have_no_zlib(void **state)
{
	static const int32_t expected[] = { 1, 5, 2, 0, -26, -254, -223, -224,
		-258, -261, -308, -312, -313, -307, (int32_t)0xC0A1E5CE, -316,
		0x574d5664, -239 };

	policy.stateless_only = true;
	NARROWED(novnc, expected);
	assert_true(offer.is_recordable);
}

static void
ultravnc_servers_are_not_told_of_desktop_name(void **state)
{
	static const int32_t list[] = { 16, -307, -308 };
	static const int32_t expected[] = { 16, -308 };

	policy.is_ultravnc = true;
	NARROWED(list, expected);
}

static void
wrong_lengths_are_refused(void **state)
{
	uint8_t msg[64], out[64];
	size_t len = write_message(msg, (int32_t[]){ 7, 16, 0 }, 3);

	assert_int_equal(rfb_set_encodings_narrow(
			     msg, len - 1, &policy, out, sizeof(out), &offer),
	    ERR_PROTOCOL);
	assert_int_equal(rfb_set_encodings_narrow(
			     msg, len + 4, &policy, out, sizeof(out), &offer),
	    ERR_PROTOCOL);
	assert_int_equal(
	    rfb_set_encodings_narrow(msg, 3, &policy, out, sizeof(out), &offer),
	    ERR_PROTOCOL);
	for (size_t cap = 0; cap < len; cap++)
		assert_int_equal(rfb_set_encodings_narrow(
				     msg, len, &policy, out, cap, &offer),
		    ERR_LIMIT);
	msg[0] = RFB_KEY_EVENT;
	assert_int_equal(rfb_set_encodings_narrow(
			     msg, len, &policy, out, sizeof(out), &offer),
	    ERR_PROTOCOL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(tigervnc_is_forwarded_as_it_is, set_up),
		cmocka_unit_test_setup(
		    novnc_loses_what_cannot_be_recorded, set_up),
		cmocka_unit_test_setup(
		    dropped_encodings_are_never_allowed, set_up),
		cmocka_unit_test_setup(hints_are_kept, set_up),
		cmocka_unit_test_setup(
		    level_0_is_for_viewers_that_know_plain_tight, set_up),
		cmocka_unit_test_setup(
		    fence_and_continuous_updates_go_together, set_up),
		cmocka_unit_test_setup(copyrect_is_dropped_by_policy, set_up),
		cmocka_unit_test_setup(stateless_offers_have_no_zlib, set_up),
		cmocka_unit_test_setup(
		    ultravnc_servers_are_not_told_of_desktop_name, set_up),
		cmocka_unit_test_setup(wrong_lengths_are_refused, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
