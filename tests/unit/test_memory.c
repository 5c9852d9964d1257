/* The lowest limit of the control groups that a process is in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/memory.h"

static char mount[] = "/tmp/rc-groups-XXXXXX";

static void
put(const char *group, const char *text)
{
	char path[200];
	FILE *f;

	snprintf(path, sizeof(path), "%s%s", mount, group);
	mkdir(path, 0700);
	strcat(path, "/memory.max");
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void
groups(void **state)
{
	(void)state;
	put("", "max\n");
	put("/a", "5000000000\n");
	put("/a/b", "max\n");
	put("/c", "max\n");
	put("/d", "12345\n");
	assert_int_equal(memory_group_limit("0::/a/b\n", mount), 5000000000);
	assert_int_equal(memory_group_limit("0::/a\n", mount), 5000000000);
	assert_int_equal(memory_group_limit("4:cpu:/x\n0::/d\n", mount), 12345);
	assert_true(memory_group_limit("0::/c\n", mount) == UINT64_MAX);
	assert_true(memory_group_limit("0::/\n", mount) == UINT64_MAX);
	assert_true(memory_group_limit("0::/gone/x\n", mount) == UINT64_MAX);
	/* in a container its own group is the root */
	put("", "777\n");
	assert_int_equal(memory_group_limit("0::/\n", mount), 777);
	assert_int_equal(memory_group_limit("0::/a\n", mount), 777);
	assert_int_equal(memory_group_limit("", mount), 777);
	put("", "nonsense\n");
	assert_true(memory_group_limit("4:cpu:/a", mount) == UINT64_MAX);
}

static void
this_machine(void **state)
{
	(void)state;
	assert_true(memory_total() > 1 << 20);
}

static int
make(void **state)
{
	(void)state;
	return mkdtemp(mount) != NULL ? 0 : -1;
}

static int
drop(void **state)
{
	char command[100];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", mount);
	return system(command);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(groups),
		cmocka_unit_test(this_machine),
	};

	return cmocka_run_group_tests(tests, make, drop);
}
