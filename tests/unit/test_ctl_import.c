/*
 * relaycam recordings import over a temporary spool: what is refused before
 * anything is written, and what lies in the spool afterwards (M4).
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/bytes.h"
#include "scripted_ctl.h"

#define ID "0123abcd-0000-4000-8000-000000000001"
#define ORDERED(status)                                                        \
	{                                                                      \
		"FROM device_captures d", ID,                                  \
		    "00000000-0000-4000-8000-00000000000a|9|{}|7|" status "\n" \
	}

static char root[] = "/tmp/test_ctl_import.XXXXXX", uploads[64], file[128];

static void
write_text(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_int_equal(fputs(text, f) >= 0, 1);
	assert_int_equal(fclose(f), 0);
}

static size_t
n_uploads(void)
{
	DIR *d = opendir(uploads);
	size_t n = 0;

	for (const struct dirent *e; (e = readdir(d)) != NULL;)
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

static void
run(int status, const char *says, const char *path, struct db_ask ask)
{
	char command[256];
	struct ctl_case k = { command, status, says,
		{ ask,
		    { status == STATUS_OK ? "INSERT INTO audit" : NULL, NULL,
			"" } } };

	snprintf(command, sizeof(command), "recordings import %s", path);
	ctl_run_case(&k);
}

static void
test_refused(void **state)
{
	static const struct db_ask nothing = { 0 };
	char other[128];

	snprintf(other, sizeof(other), "%s/holiday.rcap", root);
	write_text(other, "x");
	run(STATUS_FAILED, "has to begin with the UUID", other, nothing);
	unlink(other);
	write_text(file, "");
	run(STATUS_FAILED, "an empty one", file, nothing);
	unlink(file);
	run(STATUS_FAILED, "No such file", file, nothing);
	write_text(file, "capture");
	run(STATUS_FAILED, "was ordered", file,
	    (struct db_ask){ "FROM device_captures d", ID, "" });
	run(STATUS_FAILED, "is available: there is nothing", file,
	    (struct db_ask)ORDERED("available"));
	assert_int_equal(n_uploads(), 0);
}

/* Room for recorders stays, whichever of the two settings asks for it. */
static void
test_too_little_room(void **state)
{
	static const struct db_ask nothing = { 0 };

	scripted_ctl.storage.capture_free_bytes = INT64_C(1) << 60;
	run(STATUS_FAILED, "storage.capture_free_bytes among them", file,
	    nothing);
	scripted_ctl.storage.capture_free_bytes = 0;
	scripted_ctl.spool.min_free_bytes = INT64_C(1) << 60;
	run(STATUS_FAILED, "make room", file, nothing);
	scripted_ctl.spool.min_free_bytes = 0;
	assert_int_equal(n_uploads(), 0);
}

static void
test_imported(void **state)
{
	static const struct db_ask nothing = { 0 };
	char path[160], text[32] = "";
	struct stat st;
	FILE *f;

	run(STATUS_OK, "storage looks at it", file, (struct db_ask)ORDERED(""));
	assert_int_equal(n_uploads(), 2);
	snprintf(path, sizeof(path), "%s/" ID ".data", uploads);
	f = fopen(path, "re");
	assert_non_null(f);
	assert_non_null(fgets(text, sizeof(text), f));
	fclose(f);
	assert_string_equal(text, "capture");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	run(STATUS_FAILED, "has begun", file, nothing);
	unlink(path);
	snprintf(path, sizeof(path), "%s/" ID ".json", uploads);
	unlink(path);
}

/* Killed between the two files: the one without a description is replaced. */
static void
test_after_a_kill(void **state)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/" ID ".data", uploads);
	write_text(path, "half");
	run(STATUS_OK, "storage looks at it", file, (struct db_ask)ORDERED(""));
	assert_int_equal(n_uploads(), 2);
	unlink(path);
	snprintf(path, sizeof(path), "%s/" ID ".json", uploads);
	unlink(path);
}

static int
set_up(void **state)
{
	if (mkdtemp(root) == NULL)
		return -1;
	snprintf(uploads, sizeof(uploads), "%s/uploads", root);
	snprintf(file, sizeof(file), "%s/" ID ".rcap", root);
	scripted_ctl.spool.dir = root;
	return mkdir(uploads, 0700);
}

static int
tear_down(void **state)
{
	unlink(file);
	rmdir(uploads);
	return rmdir(root);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_too_little_room),
		cmocka_unit_test(test_imported),
		cmocka_unit_test(test_after_a_kill),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
