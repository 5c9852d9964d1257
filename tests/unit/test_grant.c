/* Grants: what a cookie must be to continue with a file whose link died. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/err.h"
#include "storage/files/grant.h"

#define KEY  "acme/desk1/s/monitor-1/2026-11-21T09-15-02+0100.webm"
#define BASE "https://files.example.org:8444"
#define NOW  UINT64_C(1800000000)
#define END  (NOW + 86400)

static const uint8_t key[LINK_KEY_LEN] = { 1, 2, 3 };
static const uint8_t other_key[LINK_KEY_LEN] = { 1, 2, 4 };

/* "name=value" of a new grant's cookie. */
static void
make(int64_t person, char out[GRANT_TEXT_MAX], struct grant *g)
{
	assert_int_equal(grant_new(g, END, person), 0);
	assert_int_equal(grant_write(g, key, BASE, KEY, NOW, out), 0);
	*strchr(out, ';') = '\0';
}

static int
read_back(const char *cookies)
{
	struct grant g;

	return grant_read(&g, key, cookies, KEY, NOW);
}

static void
test_round_trip(void **state)
{
	char cookie[GRANT_TEXT_MAX], field[2 * GRANT_TEXT_MAX];
	struct grant given, g;

	make(42, cookie, &given);
	assert_int_equal(grant_read(&g, key, cookie, KEY, NOW), 0);
	assert_int_equal(g.person, 42);
	assert_true(g.expires_s == END);
	assert_string_equal(g.id, given.id);
	/* beside others, forged ones too */
	snprintf(field, sizeof(field),
	    "a=b; " GRANT_NAME "=1.2.3.4; x" GRANT_NAME "=1; %s ;c=d", cookie);
	assert_int_equal(grant_read(&g, key, field, KEY, NOW), 0);
	assert_string_equal(g.id, given.id);
	assert_int_equal(grant_read(&g, key, cookie, KEY, END - 1), 0);
	assert_int_equal(grant_read(&g, key, cookie, KEY, END), ERR_TIMEOUT);
	assert_int_equal(
	    grant_read(&g, other_key, cookie, KEY, NOW), ERR_DENIED);
	assert_int_equal(
	    grant_read(&g, key, cookie, "acme/x.webm", NOW), ERR_DENIED);
	assert_int_equal(grant_read(&g, key, NULL, KEY, NOW), ERR_NOTFOUND);
	assert_int_equal(grant_read(&g, key, "", KEY, NOW), ERR_NOTFOUND);
}

static void
test_a_changed_byte_is_denied(void **state)
{
	char cookie[GRANT_TEXT_MAX], copy[GRANT_TEXT_MAX];
	struct grant g;
	size_t from = strlen(GRANT_NAME "=");

	make(7, cookie, &g);
	for (size_t i = from; cookie[i] != '\0'; i++) {
		for (int bit = 0; bit < 7; bit++) {
			strcpy(copy, cookie);
			copy[i] ^= (char)(1 << bit);
			if (copy[i] == '\0')
				continue;
			assert_int_not_equal(read_back(copy), 0);
		}
		snprintf(copy, i + 1, "%s", cookie);
		assert_int_not_equal(read_back(copy), 0);
	}
	strcat(strcpy(copy, cookie), "0");
	assert_int_equal(read_back(copy), ERR_DENIED);
}

static void
test_hostile_cookies(void **state)
{
	static const char *const bad[] = {
		GRANT_NAME,
		GRANT_NAME "=",
		GRANT_NAME "=1.",
		GRANT_NAME "=1.1.1.",
		GRANT_NAME "=1.99999999999999999999.1.0123456789abcdef.00",
		GRANT_NAME "=1.-1.1.0123456789abcdef.00",
		GRANT_NAME "=2.1900000000.0.0123456789abcdef.00",
		";;;;;;=;=;",
		"=",
	};
	char *huge = malloc(9000);

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_not_equal(read_back(bad[i]), 0);
	memset(huge, '1', 8999);
	huge[8999] = '\0';
	memcpy(huge, GRANT_NAME "=1.", strlen(GRANT_NAME "=1."));
	assert_int_equal(read_back(huge), ERR_DENIED);
	free(huge);
}

/* Only so many are looked at: each costs a hash. */
static void
test_many_cookies(void **state)
{
	char cookie[GRANT_TEXT_MAX], *field = calloc(1, 20000);
	struct grant g;

	make(0, cookie, &g);
	for (int i = 0; i < GRANT_TRIES - 1; i++)
		strcat(field, GRANT_NAME "=1.2.3; ");
	strcat(field, cookie);
	assert_int_equal(read_back(field), 0);
	snprintf(field, 20000, GRANT_NAME "=1.2.3; ");
	for (int i = 0; i < GRANT_TRIES; i++)
		strcat(field, GRANT_NAME "=1.2.3; ");
	strcat(field, cookie);
	assert_int_equal(read_back(field), ERR_DENIED);
	free(field);
}

static void
test_cookie_belongs_to_one_file(void **state)
{
	char text[GRANT_TEXT_MAX];
	struct grant g;

	assert_int_equal(grant_new(&g, END, 0), 0);
	assert_int_equal(
	    grant_write(&g, key, BASE "/", "a/b+c.webm", NOW, text), 0);
	assert_non_null(strstr(text, "; Path=/files/a/b%2Bc.webm;"));
	assert_non_null(strstr(text, "; Max-Age=86400;"));
	assert_non_null(strstr(text, "; Secure; HttpOnly; SameSite=Lax"));
	assert_null(strstr(text, "Domain"));
	/* behind a proxy that takes a path away */
	assert_int_equal(
	    grant_write(&g, key, BASE "/rec/", "a.webm", NOW, text), 0);
	assert_non_null(strstr(text, "; Path=/rec/files/a.webm;"));
	assert_int_equal(
	    grant_write(&g, key, BASE "/a;Domain=x", "a.webm", NOW, text),
	    ERR_LIMIT);
}

/* A link's signature is no grant's, whatever the fields say. */
static void
test_ids_differ(void **state)
{
	char a[GRANT_TEXT_MAX], b[GRANT_TEXT_MAX];
	struct grant g, h;

	make(0, a, &g);
	make(0, b, &h);
	assert_string_not_equal(g.id, h.id);
	assert_string_not_equal(a, b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_a_changed_byte_is_denied),
		cmocka_unit_test(test_hostile_cookies),
		cmocka_unit_test(test_many_cookies),
		cmocka_unit_test(test_cookie_belongs_to_one_file),
		cmocka_unit_test(test_ids_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
