/* The mark of a folder store (common/store_mark.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "common/store_mark.h"

#define ONE "00000000-0000-4000-8000-000000000001"
#define TWO "00000000-0000-4000-8000-000000000002"

static char root[] = "/tmp/store-mark-XXXXXX";
static int dir;

static int
setup(void **state)
{
	strcpy(root, "/tmp/store-mark-XXXXXX");
	if (mkdtemp(root) == NULL)
		return -1;
	dir = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir < 0;
}

static int
teardown(void **state)
{
	unlinkat(dir, STORE_MARK_NAME, 0);
	close(dir);
	return rmdir(root);
}

static void
write_mark(const char *text)
{
	int fd = openat(dir, STORE_MARK_NAME,
	    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void
it_is_made_once(void **state)
{
	char id[UUID_TEXT_MAX] = "";

	assert_int_equal(store_mark_read(dir, id), ERR_NOTFOUND);
	assert_int_equal(store_mark_make(dir, ONE), 0);
	assert_int_equal(store_mark_make(dir, TWO), ERR_EXISTS);
	assert_int_equal(store_mark_read(dir, id), 0);
	assert_string_equal(id, ONE);
}

static void
what_is_no_id_is_no_mark(void **state)
{
	static const char *const texts[] = { "", "\n", "x", ONE "x",
		"00000000-0000-4000-8000-00000000000\n" };
	char id[UUID_TEXT_MAX] = "before";

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		write_mark(texts[i]);
		assert_int_equal(store_mark_read(dir, id), ERR_PROTOCOL);
		assert_string_equal(id, "before");
	}
	write_mark(ONE); /* written by hand, without an end of line */
	assert_int_equal(store_mark_read(dir, id), 0);
}

static void
only_the_folder_with_that_id_is_opened(void **state)
{
	char why[300] = "";
	int fd;

	assert_int_equal(store_mark_open("/nonexistent", ONE, why, 300), -1);
	assert_non_null(strstr(why, "/nonexistent: "));
	assert_int_equal(store_mark_open(root, ONE, why, sizeof(why)), -1);
	assert_non_null(strstr(why, "is it mounted?"));
	write_mark(TWO);
	assert_int_equal(store_mark_open(root, ONE, why, sizeof(why)), -1);
	assert_non_null(strstr(why, "the mark of another store, " TWO));
	assert_int_equal(store_mark_open(root, "", why, sizeof(why)), -1);
	write_mark("?");
	assert_int_equal(store_mark_open(root, ONE, why, sizeof(why)), -1);
	assert_non_null(strstr(why, "has no id"));
	write_mark(ONE "\n");
	fd = store_mark_open(root, ONE, why, sizeof(why));
	assert_true(fd >= 0);
	close(fd);
}

int
main(void)
{
#define WITH_FOLDER(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		WITH_FOLDER(it_is_made_once),
		WITH_FOLDER(what_is_no_id_is_no_mark),
		WITH_FOLDER(only_the_folder_with_that_id_is_opened),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
