/* What is down at the endpoint, and what lets it go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "common/bytes.h"
#include "relay/pump/held_input.h"

static struct held_input h;
static uint8_t first[HELD_MESSAGE_MAX], out[HELD_RELEASE_MAX];

static int
setup(void **state)
{
	memset(&h, 0, sizeof(h));
	return 0;
}

static size_t
make_key(uint8_t m[12], bool down, uint32_t keysym)
{
	memset(m, 0, 12);
	m[0] = 4;
	m[1] = down;
	store_be32(m + 4, keysym);
	return 8;
}

static size_t
key(bool down, uint32_t keysym)
{
	uint8_t m[12];
	size_t len = make_key(m, down, keysym);

	return held_input_pass(&h, m, len, first);
}

static size_t
qemu(bool down, uint32_t keysym, uint32_t keycode)
{
	uint8_t m[12] = { 255, 0, 0, down };

	store_be32(m + 4, keysym);
	store_be32(m + 8, keycode);
	return held_input_pass(&h, m, sizeof(m), first);
}

static void
pointer(unsigned buttons, unsigned more, uint16_t x, uint16_t y)
{
	uint8_t m[7] = { 5, (uint8_t)buttons, 0, 0, 0, 0, (uint8_t)more };

	store_be16(m + 2, x);
	store_be16(m + 4, y);
	assert_int_equal(
	    held_input_pass(&h, m, buttons & 0x80 ? 7 : 6, first), 0);
}

static void
assert_release(size_t at, uint32_t keysym)
{
	uint8_t m[12];

	make_key(m, false, keysym);
	assert_memory_equal(out + at, m, 8);
}

static void
test_keys_and_buttons(void **state)
{
	static const uint8_t up[] = { 5, 0, 0, 50, 0, 60 };

	assert_int_equal(held_input_release(&h, out), 0);
	key(true, 0xffe3);
	key(true, 0xffff);
	key(true, 0xffff); /* repeated */
	pointer(5, 0, 50, 60);
	assert_int_equal(held_input_release(&h, out), 8 + 8 + 6);
	assert_release(0, 0xffff); /* the last one first */
	assert_release(8, 0xffe3);
	assert_memory_equal(out + 16, up, sizeof(up));
	assert_int_equal(held_input_release(&h, out), 0);
	/* what was let go is not let go again */
	key(true, 'a');
	key(true, 'b');
	key(false, 'a');
	key(false, 'x');
	pointer(1, 0, 1, 1);
	pointer(0, 0, 2, 2);
	assert_int_equal(held_input_release(&h, out), 8);
	assert_release(0, 'b');
	/* buttons 8 and 9 alone */
	pointer(0x80, 1, 3, 3);
	assert_int_equal(held_input_release(&h, out), 6);
}

/* Shift changes the keysym between down and up, not the keycode. */
static void
test_qemu_keys(void **state)
{
	static const uint8_t up[] = { 255, 0, 0, 0, 0, 0, 0, 'A', 0, 0, 0, 30 };

	qemu(true, 'A', 30);
	qemu(false, 'a', 30);
	assert_int_equal(held_input_release(&h, out), 0);
	qemu(true, 'A', 30);
	key(true, 'A'); /* another message: another key */
	key(false, 'A');
	assert_int_equal(held_input_release(&h, out), sizeof(up));
	assert_memory_equal(out, up, sizeof(up));
	/* without a keycode the keysym counts */
	qemu(true, 'a', 0);
	qemu(true, 'b', 0);
	qemu(false, 'a', 0);
	assert_int_equal(held_input_release(&h, out), 12);
	assert_int_equal(out[7], 'b');
}

static void
test_lets_go(void **state)
{
	uint8_t down[12], up[12];
	size_t len = make_key(down, true, 'a');

	make_key(up, false, 'a');
	assert_false(held_input_lets_go(&h, up, len));
	held_input_pass(&h, down, len, first);
	assert_true(held_input_lets_go(&h, up, len));
	assert_false(held_input_lets_go(&h, down, len));
	assert_false(held_input_lets_go(&h, up, len - 1));
	make_key(up, false, 'b');
	assert_false(held_input_lets_go(&h, up, len));
}

/* However many keys are pressed, each of them is up in the end. */
static void
test_more_than_fingers(void **state)
{
	bool is_down[100] = { false };
	size_t len;

	for (uint32_t k = 0; k < 100; k++) {
		len = key(true, k);
		is_down[k] = true;
		assert_int_equal(len, k < HELD_KEYS ? 0 : 8);
		if (len > 0) {
			assert_int_equal(load_be32(first + 4), k - HELD_KEYS);
			is_down[k - HELD_KEYS] = false;
		}
	}
	len = held_input_release(&h, out);
	assert_int_equal(len, HELD_KEYS * 8);
	for (size_t at = 0; at < len; at += 8)
		is_down[load_be32(out + at + 4)] = false;
	for (unsigned k = 0; k < 100; k++)
		assert_false(is_down[k]);
	/* the longest release fits */
	for (uint32_t k = 0; k < HELD_KEYS; k++)
		qemu(true, k, k + 1);
	pointer(1, 0, 0, 0);
	assert_int_equal(held_input_release(&h, out), HELD_RELEASE_MAX);
}

/* Half messages and others change nothing. */
static void
test_other_messages(void **state)
{
	uint8_t m[16] = { 0 };

	for (unsigned type = 0; type < 256; type++)
		for (size_t len = 1; len <= sizeof(m); len++) {
			m[0] = (uint8_t)type;
			assert_int_equal(held_input_pass(&h, m, len, first), 0);
		}
	assert_int_equal(held_input_release(&h, out), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_keys_and_buttons, setup),
		cmocka_unit_test_setup(test_qemu_keys, setup),
		cmocka_unit_test_setup(test_lets_go, setup),
		cmocka_unit_test_setup(test_more_than_fingers, setup),
		cmocka_unit_test_setup(test_other_messages, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
