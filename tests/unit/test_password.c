/* Hashes (Argon2id) and sealed secrets: good cases and their bad siblings. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/password.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1 /* clang's way of saying it */
#endif
#endif

static const uint8_t key[SEAL_KEY_LEN] = "0123456789abcdef0123456789abcde";

static void
test_hash_is_argon2id(void **state)
{
	char a[PASSWORD_HASH_MAX], b[PASSWORD_HASH_MAX];

	assert_int_equal(password_hash("correct horse", 13, a), 0);
	assert_int_equal(password_hash("correct horse", 13, b), 0);
	assert_memory_equal(a, "$argon2id$v=19$m=65536,t=3,p=1$", 31);
	assert_string_not_equal(a, b); /* salted */
	assert_int_equal(password_check(a, "correct horse", 13), 0);
	assert_int_equal(password_check(b, "correct horse", 13), 0);
}

static void
test_hash_refuses(void **state)
{
	char a[PASSWORD_HASH_MAX];

	assert_int_equal(password_hash("secret\0tail", 11, a), 0);
	assert_int_equal(password_check(a, "secret\0tail", 11), 0);
	assert_int_equal(password_check(a, "secret", 6), ERR_DENIED);
	assert_int_equal(password_check(a, "secret\0tai", 10), ERR_DENIED);
	assert_int_equal(password_check(a, "secret\0tail!", 12), ERR_DENIED);
	assert_int_equal(password_check(a, "", 0), ERR_DENIED);
	a[40] ^= 1;
	assert_int_equal(password_check(a, "secret\0tail", 11), ERR_DENIED);
}

static void
test_hash_text_is_no_hash(void **state)
{
	assert_int_equal(password_check("", "x", 1), ERR_DENIED);
	assert_int_equal(password_check("plain", "plain", 5), ERR_DENIED);
	assert_int_equal(
	    password_check("$argon2id$v=19$m=65536,t=3,p=1$", "", 0),
	    ERR_DENIED);
}

/* Somebody who does not exist costs as much as somebody who does. */
static void
test_unknown_person_costs_the_same(void **state)
{
	char a[PASSWORD_HASH_MAX];
	uint64_t t0, t1, t2;

	assert_int_equal(password_hash("x", 1, a), 0);
	t0 = clock_mono_ns();
	assert_int_equal(password_check(a, "y", 1), ERR_DENIED);
	t1 = clock_mono_ns();
	assert_int_equal(password_check(NULL, "y", 1), ERR_DENIED);
	t2 = clock_mono_ns();
	/* a missing computation is a thousand times faster, noise is not */
	assert_true(t2 - t1 > (t1 - t0) / 20);
}

/* Without memory the answer is ERR_NOMEM, never a yes or a "wrong". */
static void
test_out_of_memory(void **state)
{
	struct rlimit limit = { 48u << 20, 48u << 20 };
	char a[PASSWORD_HASH_MAX];
	int status;
	pid_t pid;

#ifdef __SANITIZE_ADDRESS__
	skip(); /* the sanitizer's shadow does not fit below any limit */
#endif
	assert_int_equal(password_hash("x", 1, a), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		setrlimit(RLIMIT_AS, &limit);
		if (password_check(a, "x", 1) != ERR_NOMEM)
			_exit(1);
		_exit(password_hash("x", 1, a) == ERR_NOMEM ? 0 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void
test_seal_round_trip(void **state)
{
	static const char *const secrets[] = { "", "a", "eight ch" };
	uint8_t box[64], box2[64], open[64];

	for (size_t i = 0; i < 3; i++) {
		size_t len = strlen(secrets[i]);

		seal(key, secrets[i], len, box);
		seal(key, secrets[i], len, box2);
		assert_memory_not_equal(box, box2, 24); /* fresh nonce */
		assert_int_equal(
		    seal_open(key, box, len + SEAL_OVERHEAD, open), len);
		assert_memory_equal(open, secrets[i], len);
	}
}

static void
test_seal_refuses_each_changed_byte(void **state)
{
	uint8_t box[48], open[48], other[SEAL_KEY_LEN];

	seal(key, "password", 8, box);
	for (size_t i = 0; i < sizeof(box); i++) {
		box[i] ^= 0x80;
		assert_int_equal(seal_open(key, box, 48, open), ERR_CORRUPT);
		box[i] ^= 0x80;
	}
	memcpy(other, key, sizeof(other));
	other[31] ^= 1;
	assert_int_equal(seal_open(other, box, 48, open), ERR_CORRUPT);
	assert_int_equal(seal_open(key, box, 48, open), 8);
}

static void
test_seal_refuses_each_length(void **state)
{
	uint8_t box[48] = { 0 }, open[48];

	seal(key, "password", 8, box);
	for (size_t len = 0; len < 48; len++)
		assert_int_equal(seal_open(key, box, len, open), ERR_CORRUPT);
	assert_int_equal(seal_open(key, box, (size_t)-1, open), ERR_CORRUPT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hash_is_argon2id),
		cmocka_unit_test(test_hash_refuses),
		cmocka_unit_test(test_hash_text_is_no_hash),
		cmocka_unit_test(test_unknown_person_costs_the_same),
		cmocka_unit_test(test_out_of_memory),
		cmocka_unit_test(test_seal_round_trip),
		cmocka_unit_test(test_seal_refuses_each_changed_byte),
		cmocka_unit_test(test_seal_refuses_each_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
