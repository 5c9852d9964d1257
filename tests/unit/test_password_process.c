/* Password checks in child processes: what they answer, that they have an
 * address space of their own, and what happens when they are killed. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/err.h"
#include "common/login/password_process.h"
#include "common/login/password_queue.h"
#include "common/password.h"

#define N 2

static const char password[] = "correct horse";
static char hash[PASSWORD_HASH_MAX];

/* pids of our children; returns how many. */
static unsigned
children(pid_t out[PASSWORD_PROCESSES_MAX])
{
	char path[64];
	unsigned n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	f = fopen(path, "r");
	assert_non_null(f);
	while (n < PASSWORD_PROCESSES_MAX && fscanf(f, "%d", &out[n]) == 1)
		n++;
	fclose(f);
	return n;
}

static int
check(unsigned i, const char *p)
{
	return password_process_check(i, hash, p, strlen(p));
}

static int
start(void **state)
{
	return password_processes_start(1, N - 1, NULL);
}

static int
stop(void **state)
{
	pid_t pids[PASSWORD_PROCESSES_MAX];

	password_processes_stop();
	return (int)children(pids);
}

static long
peak_kb(int who)
{
	struct rusage u;

	getrusage(who, &u);
	return u.ru_maxrss;
}

static void
test_answers(void **state)
{
	char longest[8192];

	for (unsigned i = 0; i < N; i++) {
		assert_int_equal(check(i, password), 0);
		assert_int_equal(check(i, "correct horsf"), ERR_DENIED);
		assert_int_equal(
		    password_process_check(i, NULL, password, 13), ERR_DENIED);
	}
	memset(longest, 'x', sizeof(longest));
	assert_int_equal(
	    password_process_check(0, hash, longest, sizeof(longest)),
	    ERR_DENIED);
}

static void
test_priorities(void **state)
{
	pid_t pids[PASSWORD_PROCESSES_MAX];
	int own = getpriority(PRIO_PROCESS, 0);

	assert_int_equal(children(pids), N);
	for (unsigned i = 0; i < N; i++) {
		/* it has set its priority when it answers */
		assert_int_equal(check(i, password), 0);
		assert_int_equal(getpriority(PRIO_PROCESS, (id_t)pids[i]),
		    i == 0 ? own : own + PASSWORD_STRANGER_NICE);
	}
}

static void
test_killed(void **state)
{
	pid_t pids[PASSWORD_PROCESSES_MAX];

	assert_int_equal(children(pids), N);
	kill(pids[1], SIGKILL);
	assert_int_equal(check(1, password), 0);
	assert_int_equal(check(1, "wrong"), ERR_DENIED);
	assert_int_equal(children(pids), N - 1);
	assert_int_equal(check(0, password), 0);
}

/* Signals for the whole group, as systemd and terminals send them. */
static void
test_signals_are_for_the_parent(void **state)
{
	pid_t pids[PASSWORD_PROCESSES_MAX];

	assert_int_equal(children(pids), N);
	for (unsigned i = 0; i < N; i++) {
		assert_int_equal(check(i, password), 0);
		kill(pids[i], SIGTERM);
		kill(pids[i], SIGINT);
		assert_int_equal(check(i, password), 0);
	}
	assert_int_equal(children(pids), N);
}

static void
test_hashes(void **state)
{
	char longest[8192], made[PASSWORD_HASH_MAX];
	pid_t pids[PASSWORD_PROCESSES_MAX];

	memset(longest, 'x', sizeof(longest));
	for (unsigned i = 0; i < N; i++) {
		assert_int_equal(
		    password_process_hash(i, password, 13, made), 0);
		assert_int_equal(password_check(made, password, 13), 0);
		assert_int_equal(
		    password_check(made, password, 12), ERR_DENIED);
	}
	assert_int_equal(
	    password_process_hash(0, longest, sizeof(longest), made), 0);
	assert_int_equal(password_check(made, longest, sizeof(longest)), 0);
	assert_int_equal(children(pids), N);
	kill(pids[0], SIGKILL);
	assert_int_equal(password_process_hash(0, password, 13, made), 0);
	assert_int_equal(password_check(made, password, 13), 0);
}

/* First of all: the 64 MB of a check or a hash are not in this process. */
static void
test_memory_is_the_childs(void **state)
{
	char made[PASSWORD_HASH_MAX];

	assert_int_equal(
	    password_process_check(0, NULL, password, 13), ERR_DENIED);
	assert_int_equal(password_process_hash(1, password, 13, made), 0);
	assert_true(peak_kb(RUSAGE_SELF) < 64 * 1024);
}

static void
test_without_processes(void **state)
{
	char made[PASSWORD_HASH_MAX];

	assert_int_equal(check(0, password), 0);
	assert_int_equal(check(7, "wrong"), ERR_DENIED);
	assert_int_equal(check(PASSWORD_PROCESSES_MAX, password), 0);
	assert_int_equal(password_process_hash(0, password, 13, made), 0);
	assert_int_equal(password_check(made, password, 13), 0);
}

int
main(void)
{
	const struct CMUnitTest first[] = {
		cmocka_unit_test_setup_teardown(
		    test_memory_is_the_childs, start, stop),
	};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_answers, start, stop),
		cmocka_unit_test_setup_teardown(test_hashes, start, stop),
		cmocka_unit_test_setup_teardown(test_priorities, start, stop),
		cmocka_unit_test_setup_teardown(test_killed, start, stop),
		cmocka_unit_test_setup_teardown(
		    test_signals_are_for_the_parent, start, stop),
		cmocka_unit_test(test_without_processes),
	};
	int failed = cmocka_run_group_tests(first, NULL, NULL);

	if (password_hash(password, strlen(password), hash) != 0)
		return 1;
	return failed + cmocka_run_group_tests(tests, NULL, NULL);
}
