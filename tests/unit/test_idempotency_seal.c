/* What is kept of an Idempotency-Key: it differs by person, key and request,
 * and the answer opens for the same person and key alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sodium.h>

#include "console/api/idempotency_seal.h"

static const uint8_t seal_key[SEAL_KEY_LEN] = { 1, 2, 3 };

static struct idempotency_keys
keys(int64_t person, const char *key, const char *uri, const char *body)
{
	struct idempotency_keys k;

	idempotency_keys_make(
	    &k, seal_key, person, key, uri, body, body ? strlen(body) : 0);
	return k;
}

static bool
same(const uint8_t a[32], const uint8_t b[32])
{
	return memcmp(a, b, 32) == 0;
}

static void
ids_differ_by_person_and_key(void **state)
{
	struct idempotency_keys a = keys(1, "key", "/a", "{}");
	struct idempotency_keys b = keys(1, "key", "/b", "{}");

	assert_true(same(a.id, b.id));
	assert_true(same(a.answer, b.answer));
	b = keys(2, "key", "/a", "{}");
	assert_false(same(a.id, b.id));
	assert_false(same(a.answer, b.answer));
	b = keys(1, "Key", "/a", "{}");
	assert_false(same(a.id, b.id));
	/* person and key are not run together */
	a = keys(1, "23", "/a", "{}");
	b = keys(12, "3", "/a", "{}");
	assert_false(same(a.id, b.id));
	assert_false(same(a.id, a.answer));
}

static void
fingerprints_differ_by_request(void **state)
{
	struct idempotency_keys a = keys(1, "key", "/a", "{}");
	struct idempotency_keys b = keys(1, "key", "/a", "{}");

	assert_true(same(a.fingerprint, b.fingerprint));
	b = keys(1, "key", "/a?x=1", "{}");
	assert_false(same(a.fingerprint, b.fingerprint));
	b = keys(1, "key", "/a", "{ }");
	assert_false(same(a.fingerprint, b.fingerprint));
	b = keys(1, "key", "/a", NULL);
	assert_false(same(a.fingerprint, b.fingerprint));
	/* nobody guesses a password in the body with the hash alone */
	b = keys(1, "other", "/a", "{}");
	assert_false(same(a.fingerprint, b.fingerprint));
}

static void
answers_open_with_the_same_key(void **state)
{
	struct idempotency_keys a = keys(1, "key", "/a", "{}");
	struct idempotency_keys b = keys(1, "kez", "/a", "{}");
	char *hex = idempotency_seal(&a, "{\"token\":\"x\"}", 13), *text;
	size_t len;

	assert_non_null(hex);
	assert_null(strstr(hex, "746f6b656e")); /* "token" */
	text = idempotency_open(&a, hex, &len);
	assert_int_equal(len, 13);
	assert_string_equal(text, "{\"token\":\"x\"}");
	free(text);
	assert_null(idempotency_open(&b, hex, &len));
	hex[20] = hex[20] == '0' ? '1' : '0';
	assert_null(idempotency_open(&a, hex, &len));
	free(hex);
}

static void
empty_answers_and_broken_ones(void **state)
{
	struct idempotency_keys a = keys(1, "key", "/a", NULL);
	char *hex = idempotency_seal(&a, "", 0), *text;
	size_t len = 1;

	text = idempotency_open(&a, hex, &len);
	assert_non_null(text);
	assert_int_equal(len, 0);
	free(text);
	hex[strlen(hex) - 2] = '\0';
	assert_null(idempotency_open(&a, hex, &len));
	assert_null(idempotency_open(&a, "", &len));
	assert_null(idempotency_open(&a, "zz", &len));
	free(hex);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_differ_by_person_and_key),
		cmocka_unit_test(fingerprints_differ_by_request),
		cmocka_unit_test(answers_open_with_the_same_key),
		cmocka_unit_test(empty_answers_and_broken_ones),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
