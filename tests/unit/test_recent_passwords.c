/* Passwords that were right a short while ago: for how long, for whom, and
 * that Argon2id is spared. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/err.h"
#include "common/login/password_process.h"
#include "common/login/recent_passwords.h"

#define T0 (1000 * NS_PER_S)

static int
forget(void **state)
{
	(void)state;
	recent_passwords_wipe();
	return 0;
}

static bool
finds(const char *hash, const char *password, uint64_t ns)
{
	return recent_passwords_find(hash, password, strlen(password), ns);
}

static void
add(const char *hash, const char *password, uint64_t ns)
{
	recent_passwords_add(hash, password, strlen(password), ns);
}

static void
test_for_ten_minutes(void **state)
{
	(void)state;
	assert_false(finds("hash", "secret", T0));
	add("hash", "secret", T0);
	assert_true(finds("hash", "secret", T0));
	/* finding it does not prolong it */
	assert_true(finds("hash", "secret", T0 + RECENT_PASSWORD_NS - 1));
	assert_false(finds("hash", "secret", T0 + RECENT_PASSWORD_NS));
	assert_false(finds("hash", "secret", T0));
	add("hash", "secret", T0);
	recent_passwords_wipe();
	assert_false(finds("hash", "secret", T0));
}

static void
test_of_one_person_and_hash(void **state)
{
	(void)state;
	add("hash", "secret", T0);
	assert_false(finds("hash", "secrets", T0));
	assert_false(finds("hash", "secre", T0));
	assert_false(finds("hash", "", T0));
	assert_false(finds("hasher", "secret", T0)); /* a new password */
	/* the border between the two is hashed as well */
	assert_false(finds("hashs", "ecret", T0));
	assert_false(finds("has", "hsecret", T0));
	assert_false(recent_passwords_find("hash", "secret\0", 7, T0));
}

/* More than there is room for: old ones go, none fits what it is not. */
static void
test_many(void **state)
{
	unsigned n = 0;
	char hash[32];

	(void)state;
	for (unsigned i = 0; i < 10000; i++) {
		snprintf(hash, sizeof(hash), "hash %u", i);
		add(hash, "secret", T0 + i);
		assert_true(finds(hash, "secret", T0 + i));
	}
	for (unsigned i = 0; i < 10000; i++) {
		snprintf(hash, sizeof(hash), "hash %u", i);
		n += finds(hash, "secret", T0 + 10000);
		assert_false(finds(hash, "other", T0 + 10000));
	}
	assert_in_range(n, 1000, 2048);
}

static pid_t
first_child(void)
{
	char path[64];
	pid_t pid = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	f = fopen(path, "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%d", &pid), 1);
	fclose(f);
	return pid;
}

/* With its process stopped, a check by Argon2id would wait for ever. */
static void
test_spares_argon2(void **state)
{
	char hash[PASSWORD_HASH_MAX];

	(void)state;
	assert_int_equal(password_hash("secret", 6, hash), 0);
	assert_int_equal(password_processes_start(1, 0, NULL), 0);
	assert_int_equal(
	    recent_password_check(0, hash, "secrets", 7), ERR_DENIED);
	assert_int_equal(
	    recent_password_check(0, NULL, "secret", 6), ERR_DENIED);
	assert_int_equal(recent_password_check(0, hash, "secret", 6), 0);
	assert_int_equal(kill(first_child(), SIGSTOP), 0);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(
		    recent_password_check(0, hash, "secret", 6), 0);
	assert_int_equal(kill(first_child(), SIGCONT), 0);
	/* what is wrong is never kept */
	assert_int_equal(
	    recent_password_check(0, hash, "secrets", 7), ERR_DENIED);
	password_processes_stop();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_for_ten_minutes, forget),
		cmocka_unit_test_setup(test_of_one_person_and_hash, forget),
		cmocka_unit_test_setup(test_many, forget),
		cmocka_unit_test_setup(test_spares_argon2, forget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
