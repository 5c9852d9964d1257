/* X3: the files of a signing key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/err.h"
#include "manifest/evidence_keyfile.h"

#define PATH_MAX_ 100
#define RACERS    8

static char why[256];
static char folder[] = "/tmp/test_evidence_keyfile_XXXXXX";

static char *
name(const char *file, char out[PATH_MAX_])
{
	snprintf(out, PATH_MAX_, "%s/%s", folder, file);
	return out;
}

static size_t
read_text(const char *file, char *out, size_t len)
{
	char path[PATH_MAX_];
	FILE *f = fopen(name(file, path), "r");
	size_t n;

	assert_non_null(f);
	n = fread(out, 1, len - 1, f);
	out[n] = '\0';
	fclose(f);
	return n;
}

static mode_t
mode_of(const char *file)
{
	char path[PATH_MAX_];
	struct stat st;

	assert_int_equal(stat(name(file, path), &st), 0);
	return st.st_mode & 07777;
}

static int
n_files(void)
{
	DIR *d = opendir(folder);
	struct dirent *e;
	int n = 0;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL)
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

static int
setup(void **state)
{
	(void)state;
	umask(077); /* as a careful daemon has it */
	assert_non_null(mkdtemp(folder));
	return 0;
}

static void
empty(void)
{
	DIR *d = opendir(folder);
	struct dirent *e;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			unlinkat(dirfd(d), e->d_name, 0);
	closedir(d);
}

static int
teardown(void **state)
{
	(void)state;
	empty();
	return rmdir(folder);
}

static void
made_once(void **state)
{
	struct evidence_key k, again, list[EVIDENCE_KEYS_MAX];
	struct evidence_signer s;
	char path[PATH_MAX_], text[1000];
	unsigned line;

	(void)state;
	empty();
	assert_int_equal(evidence_keyfile_create(name("key", path), &k), 0);
	assert_int_equal(mode_of("key"), 0600);
	assert_int_equal(mode_of("key.pub"), 0644);
	assert_int_equal(n_files(), 2);
	assert_int_equal(evidence_signer_read(&s, path, why, sizeof(why)), 0);
	assert_memory_equal(&s.key, &k, sizeof(k));
	read_text("key.pub", text, sizeof(text));
	assert_int_equal(evidence_keys_parse(text, list, &line), 1);
	assert_memory_equal(&list[0], &k, sizeof(k));
	/* what is there stays */
	errno = 0;
	assert_int_equal(evidence_keyfile_create(path, &again), ERR_IO);
	assert_int_equal(errno, EEXIST);
	assert_int_equal(evidence_signer_read(&s, path, why, sizeof(why)), 0);
	assert_memory_equal(&s.key, &k, sizeof(k));
	assert_int_equal(n_files(), 2);
}

/* A key that is replaced stays among the public ones. */
static void
replaced(void **state)
{
	struct evidence_key k[3], list[EVIDENCE_KEYS_MAX];
	char path[PATH_MAX_], text[1000];
	unsigned line;

	(void)state;
	empty();
	for (int i = 0; i < 3; i++) {
		assert_int_equal(
		    evidence_keyfile_create(name("key", path), &k[i]), 0);
		assert_int_equal(unlink(path), 0);
	}
	read_text("key.pub", text, sizeof(text));
	assert_int_equal(evidence_keys_parse(text, list, &line), 3);
	for (int i = 0; i < 3; i++)
		assert_memory_equal(&list[i], &k[2 - i], sizeof(list[i]));
	/* nothing is told twice, what was lost is told again */
	assert_int_equal(evidence_keyfile_publish(path, &k[0]), 0);
	read_text("key.pub", text, sizeof(text));
	assert_int_equal(evidence_keys_parse(text, list, &line), 3);
	empty();
	assert_int_equal(evidence_keyfile_publish(path, &k[0]), 0);
	read_text("key.pub", text, sizeof(text));
	assert_int_equal(evidence_keys_parse(text, list, &line), 1);
	assert_int_equal(n_files(), 1);
}

static void
race(const char *path, int go, int i)
{
	struct evidence_key k;
	char c;
	int rc;

	if (read(go, &c, 1) != 0)
		_exit(9);
	rc = evidence_keyfile_create(path, &k);
	_exit(rc == 0 ? 0 : rc == ERR_IO && errno == EEXIST ? 1 : 2 + i);
}

/* Daemons that are started together agree on one key. */
static void
one_of_several_makes_it(void **state)
{
	struct evidence_signer s;
	char path[PATH_MAX_], text[1000];
	int go[2], status, made = 0;

	(void)state;
	empty();
	name("key", path);
	assert_int_equal(pipe(go), 0);
	for (int i = 0; i < RACERS; i++) {
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0) {
			close(go[1]);
			race(path, go[0], i);
		}
	}
	close(go[1]); /* all at once */
	close(go[0]);
	for (int i = 0; i < RACERS; i++) {
		assert_true(wait(&status) > 0);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) <= 1);
		made += WEXITSTATUS(status) == 0;
	}
	assert_int_equal(made, 1);
	assert_int_equal(evidence_signer_read(&s, path, why, sizeof(why)), 0);
	read_text("key.pub", text, sizeof(text));
	assert_non_null(strstr(text, s.key.id));
	assert_int_equal(n_files(), 2);
}

static void
impossible_places(void **state)
{
	char path[PATH_MAX_], longer[EVIDENCE_KEYFILE_PATH_MAX + 10];
	struct evidence_key k;

	(void)state;
	empty();
	errno = 0;
	assert_int_equal(
	    evidence_keyfile_create(name("no/key", path), &k), ERR_IO);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(evidence_keyfile_publish(path, &k), ERR_IO);
	memset(longer, 'x', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(evidence_keyfile_create(longer, &k), ERR_LIMIT);
	assert_int_equal(evidence_keyfile_publish(longer, &k), ERR_LIMIT);
	assert_int_equal(n_files(), 0);
}

/* The secret is what counts: without FILE.pub it is made all the same. */
static void
public_half_that_cannot_be_written(void **state)
{
	char path[PATH_MAX_], other[PATH_MAX_];
	struct evidence_signer s;
	struct evidence_key k;

	(void)state;
	empty();
	assert_int_equal(mkdir(name("key.pub", other), 0700), 0);
	assert_int_equal(evidence_keyfile_create(name("key", path), &k), 0);
	assert_int_equal(evidence_signer_read(&s, path, why, sizeof(why)), 0);
	assert_int_equal(evidence_keyfile_publish(path, &k), ERR_IO);
	assert_int_equal(n_files(), 2);
	assert_int_equal(rmdir(other), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(made_once),
		cmocka_unit_test(replaced),
		cmocka_unit_test(one_of_several_makes_it),
		cmocka_unit_test(impossible_places),
		cmocka_unit_test(public_half_that_cannot_be_written),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
