/* The messages of RA2: known ones, cut, changed, too long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/bytes.h"
#include "common/err.h"
#include "rfb/ra2_stream.h"

static uint8_t key[RFB_RA2_KEY_MAX], other_key[RFB_RA2_KEY_MAX];
static uint8_t wire[RFB_RA2_PLAIN_MAX + RFB_RA2_OVERHEAD];
static uint8_t plain[RFB_RA2_PLAIN_MAX];
static struct rfb_ra2_stream *a, *b;

static int
start(size_t key_len)
{
	for (size_t i = 0; i < sizeof(key); i++) {
		key[i] = (uint8_t)i;
		other_key[i] = (uint8_t)(200 - i);
	}
	a = rfb_ra2_stream_new(other_key, key, key_len);
	b = rfb_ra2_stream_new(key, other_key, key_len);
	return a != NULL && b != NULL;
}

static void
end(void)
{
	rfb_ra2_stream_free(a);
	rfb_ra2_stream_free(b);
}

/* Opens a copy of exactly n bytes. */
static ssize_t
open_copy(struct rfb_ra2_stream *s, size_t n, size_t *n_plain)
{
	uint8_t *copy = malloc(n + (n == 0));
	ssize_t rc;

	assert_non_null(copy);
	memcpy(copy, wire, n);
	rc = rfb_ra2_open(s, copy, n, plain, sizeof(plain), n_plain);
	free(copy);
	return rc;
}

struct vector {
	const char *plain;
	const char *wire;
	size_t wire_len;
};

#define LONG       "Relaycam seals a message longer than two blocks of AES"
#define WIRE(text) (text), sizeof(text) - 1

/*
 * Three messages in a row under the key 00 01 02..., made with another
 * implementation of AES-EAX: PyCryptodome 3.11 (AES.MODE_EAX, nonce the
 * counter, header the length).
 */
static const struct vector vectors_128[] = {
	{ "hello",
	    WIRE("\x00\x05\x10\xf9\x2a\x33\xa7\x21\xcc\xbc\x27\x2b\xcb\x96\x04"
		 "\x05\x54\xd7\x16\x43\x98\x0f\x50") },
	{ LONG,
	    WIRE("\x00\x36\xb2\x61\xfc\x80\xf6\xb1\xad\xf2\x82\x36\xb3\x4b\x53"
		 "\x4b\xc6\x1d\xd1\xb6\x56\x58\xc3\xe3\xd2\x09\x2f\x7e\x0d\xb0"
		 "\xe0\x2e\x31\x6a\xf9\x7b\xf4\xa2\x6a\x91\x05\xf8\xfc\x5d\x0a"
		 "\xe3\x84\xfd\x2c\x13\x4f\x3a\x97\xa6\x5f\xb8\x19\x45\x87\xf0"
		 "\x14\xd4\x6d\x5c\x8b\x4d\xc0\x67\xa5\xf3\xf9\xf4") },
	{ "!",
	    WIRE("\x00\x01\x8e\x6e\x4a\xfa\x83\x72\x38\x9c\xff\xad\xf4\x9c\x2b"
		 "\x97\x17\x61\xb0") },
};

static const struct vector vectors_256[] = {
	{ "hello",
	    WIRE("\x00\x05\xbd\x38\x89\xc9\xcb\x2b\x3a\xe1\x9f\x79\xaa\x12\x05"
		 "\xe4\x9d\xc0\x39\xd6\x7a\x8b\xc6") },
	{ LONG,
	    WIRE("\x00\x36\x73\x21\xd8\x72\x8e\x3c\x49\x8c\xb5\xf5\x74\x1b\x03"
		 "\x08\x18\xc7\x8d\xcb\xe7\xaa\x5b\xf1\x29\xe3\x31\xa7\x8d\x0d"
		 "\xe6\x79\x1a\x2b\x40\xd7\x21\xf9\xa6\x92\x50\x8a\xab\xc0\x27"
		 "\xe4\x1f\xb6\xda\x72\xc4\x3e\x10\xf2\x71\xdb\x23\xee\x2c\xce"
		 "\x6c\xd4\x18\x99\xfb\x93\xaf\x9b\x7f\xd2\x9d\xfd") },
	{ "!",
	    WIRE("\x00\x01\x2a\x87\xa4\xc8\x75\x0f\x86\x06\xf9\xb9\x6d\x7c\x2f"
		 "\xac\xdd\xb9\x1a") },
};

static void
check_vector(const struct vector *v)
{
	size_t len = strlen(v->plain), n;

	assert_int_equal(
	    rfb_ra2_seal(a, (const uint8_t *)v->plain, len, wire), v->wire_len);
	assert_memory_equal(wire, v->wire, v->wire_len);
	for (size_t i = 0; i < v->wire_len; i++)
		assert_int_equal(open_copy(b, i, &n), 0);
	wire[v->wire_len] = 0x55; /* the next message begins */
	assert_int_equal(open_copy(b, v->wire_len + 1, &n), v->wire_len);
	assert_int_equal(n, len);
	assert_memory_equal(plain, v->plain, len);
}

static void
test_known_messages(void **state)
{
	assert_true(start(16));
	for (size_t i = 0; i < N_ELEMENTS(vectors_128); i++)
		check_vector(&vectors_128[i]);
	end();
	assert_true(start(32));
	for (size_t i = 0; i < N_ELEMENTS(vectors_256); i++)
		check_vector(&vectors_256[i]);
	end();
}

/* Both ways at once, past the counter's first carries, every size. */
static void
test_both_ways(void **state)
{
	static uint8_t data[RFB_RA2_SEAL_MAX];
	size_t n;

	assert_true(start(32));
	for (unsigned i = 0; i < 1000; i++) {
		struct rfb_ra2_stream *from = i % 3 == 0 ? b : a;
		size_t len = 1 + i * 37 % RFB_RA2_SEAL_MAX;
		ssize_t sealed;

		memset(data, (int)i, len);
		sealed = rfb_ra2_seal(from, data, len, wire);
		assert_int_equal(sealed, len + RFB_RA2_OVERHEAD);
		assert_int_equal(
		    open_copy(from == a ? b : a, (size_t)sealed, &n), sealed);
		assert_int_equal(n, len);
		assert_memory_equal(plain, data, len);
	}
	end();
}

/* Any bit that differs: nothing is opened, and nothing ever again. */
static void
test_changed(void **state)
{
	for (unsigned bit = 0; bit < 8 * 23; bit++) {
		size_t n;
		ssize_t rc;

		assert_true(start(16));
		assert_int_equal(
		    rfb_ra2_seal(a, (const uint8_t *)"hello", 5, wire), 23);
		wire[bit / 8] ^= (uint8_t)(1 << bit % 8);
		memset(plain, 0xee, 16);
		memset(wire + 23, 0, sizeof(wire) - 23);
		rc = open_copy(b, sizeof(wire), &n);
		assert_int_equal(rc, ERR_CORRUPT);
		assert_int_equal(n, 0);
		assert_int_equal(plain[0], 0xee);
		wire[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(open_copy(b, 23, &n), ERR_UNAVAILABLE);
		end();
	}
}

/* A message twice, one left out, one sent back. */
static void
test_replayed(void **state)
{
	uint8_t first[23];
	size_t n;

	assert_true(start(32));
	rfb_ra2_seal(a, (const uint8_t *)"first", 5, first);
	memcpy(wire, first, sizeof(first));
	assert_int_equal(open_copy(b, 23, &n), 23);
	assert_int_equal(open_copy(b, 23, &n), ERR_CORRUPT);
	end();

	assert_true(start(32));
	rfb_ra2_seal(a, (const uint8_t *)"first", 5, first);
	rfb_ra2_seal(a, (const uint8_t *)"other", 5, wire);
	assert_int_equal(open_copy(b, 23, &n), ERR_CORRUPT);
	end();

	assert_true(start(32));
	rfb_ra2_seal(a, (const uint8_t *)"first", 5, wire);
	assert_int_equal(open_copy(a, 23, &n), ERR_CORRUPT);
	end();
}

static void
test_limits(void **state)
{
	uint8_t small[4];
	size_t n;

	assert_true(start(16));
	assert_int_equal(rfb_ra2_seal(a, plain, 0, wire), ERR_LIMIT);
	assert_int_equal(
	    rfb_ra2_seal(a, plain, RFB_RA2_SEAL_MAX + 1, wire), ERR_LIMIT);
	assert_int_equal(
	    rfb_ra2_seal(a, (const uint8_t *)"hello", 5, wire), 23);
	/* refused by its length already */
	assert_int_equal(
	    rfb_ra2_open(b, wire, 2, small, sizeof(small), &n), ERR_LIMIT);
	assert_int_equal(open_copy(b, 23, &n), 23);
	end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_messages),
		cmocka_unit_test(test_both_ways),
		cmocka_unit_test(test_changed),
		cmocka_unit_test(test_replayed),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
