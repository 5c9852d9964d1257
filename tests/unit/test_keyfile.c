#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/err.h"
#include "common/keyfile.h"
#include "common/protect.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

static const uid_t daemon_uid = 4711, stranger = 1001;

static int
judge(uid_t owner, mode_t mode, uid_t euid, char why[KEYFILE_WHY_MAX])
{
	return keyfile_judge(owner, S_IFREG | mode, euid, "link key",
	    "/etc/link.key", why, KEYFILE_WHY_MAX);
}

/* Before any account is trusted. */
static void
test_modes(void **state)
{
	static const mode_t open_to_others[] = { 0640, 0620, 0610, 0604, 0602,
		0601, 0644, 0666, 0777, 0440, 0404 };
	char why[KEYFILE_WHY_MAX];

	assert_int_equal(judge(stranger, 0600, stranger, why), 0);
	assert_int_equal(judge(stranger, 0400, stranger, why), 0);
	assert_int_equal(judge(0, 0600, 0, why), 0);
	for (size_t i = 0; i < N(open_to_others); i++) {
		assert_int_equal(
		    judge(stranger, open_to_others[i], stranger, why),
		    ERR_CONFIG);
		assert_int_equal(
		    judge(0, open_to_others[i], 0, why), ERR_CONFIG);
	}
	judge(stranger, 0644, stranger, why);
	assert_string_equal(why,
	    "link key /etc/link.key has mode 0644 and is open to every "
	    "account; run \"chmod 0600 /etc/link.key\"");
	judge(stranger, 0640, stranger, why);
	assert_non_null(strstr(why, "open to its group"));
}

/* A daemon that is not root reads root's file by its group only. */
static void
test_group_of_root(void **state)
{
	char why[KEYFILE_WHY_MAX];

	assert_int_equal(judge(0, 0640, stranger, why), 0);
	assert_int_equal(judge(0, 0440, stranger, why), 0);
	assert_int_equal(judge(0, 0660, stranger, why), ERR_CONFIG);
	assert_int_equal(judge(0, 0644, stranger, why), ERR_CONFIG);
}

static void
test_owner(void **state)
{
	char why[KEYFILE_WHY_MAX];

	assert_int_equal(judge(stranger, 0600, 0, why), ERR_CONFIG);
	assert_string_equal(why,
	    "link key /etc/link.key belongs to user 1001, who could replace "
	    "it; run \"chown 0 /etc/link.key\" as root");
	assert_int_equal(judge(daemon_uid, 0600, 0, why), ERR_CONFIG);
	keyfile_trust_name("no-such-account");
	keyfile_trust_name("");
	keyfile_trust_name(NULL);
	assert_int_equal(judge(daemon_uid, 0600, 0, why), ERR_CONFIG);
	keyfile_trust(daemon_uid);
	assert_int_equal(judge(daemon_uid, 0600, 0, why), 0);
	assert_int_equal(judge(daemon_uid, 0640, 0, why), ERR_CONFIG);
	/* the daemon's group, once it is no longer root */
	assert_int_equal(judge(0, 0640, 0, why), 0);
	assert_int_equal(judge(stranger, 0600, 0, why), ERR_CONFIG);
	assert_non_null(strstr(why, "chown 4711"));
}

static void
test_kind_of_file(void **state)
{
	char folder[] = "/tmp/test-keyfile-XXXXXX", path[64], ln[64];
	char why[KEYFILE_WHY_MAX] = "";
	uint8_t key[4] = { 0 };
	FILE *f;

	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/fifo", folder);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(
	    keyfile_open("seal key", path, why, sizeof(why)), ERR_CONFIG);
	assert_non_null(strstr(why, "regular file"));
	unlink(path);
	assert_int_equal(
	    keyfile_open("seal key", folder, why, sizeof(why)), ERR_CONFIG);
	assert_int_equal(
	    keyfile_open("seal key", path, why, sizeof(why)), ERR_NOTFOUND);
	assert_non_null(strstr(why, path));
	assert_int_equal(
	    keyfile_open("seal key", "/dev/null/x", why, sizeof(why)), ERR_IO);

	f = fopen(path, "w");
	assert_int_equal(fwrite("abcd", 1, 4, f), 4);
	fclose(f);
	assert_int_equal(chmod(path, 0600), 0);
	snprintf(ln, sizeof(ln), "%s/link", folder);
	assert_int_equal(symlink("fifo", ln), 0);
	assert_int_equal(
	    keyfile_read("seal key", ln, key, 4, why, sizeof(why)), 0);
	assert_memory_equal(key, "abcd", 4);
	assert_int_equal(
	    keyfile_read("seal key", path, key, 3, why, sizeof(why)),
	    ERR_CONFIG);
	assert_non_null(strstr(why, "exactly 3 bytes"));
	assert_int_equal(
	    keyfile_read("seal key", path, key, 5, why, sizeof(why)),
	    ERR_CONFIG);
	/* what counts is the file, not the link to it */
	assert_int_equal(chmod(path, 0604), 0);
	assert_int_equal(
	    keyfile_read("seal key", ln, key, 4, why, sizeof(why)), ERR_CONFIG);
	assert_memory_equal(key, "abcd", 4);
	unlink(ln);
	unlink(path);
	rmdir(folder);
}

static void
test_protect(void **state)
{
	struct rlimit core;

	assert_int_equal(prctl(PR_GET_DUMPABLE), 1);
	protect_process();
	assert_int_equal(prctl(PR_GET_DUMPABLE), 0);
	assert_int_equal(getrlimit(RLIMIT_CORE, &core), 0);
	assert_int_equal(core.rlim_cur, 0);
	assert_int_equal(core.rlim_max, 0);
	prctl(PR_SET_DUMPABLE, 1); /* for the leak checker */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_group_of_root),
		cmocka_unit_test(test_owner),
		cmocka_unit_test(test_kind_of_file),
		cmocka_unit_test(test_protect),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
