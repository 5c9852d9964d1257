#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <libpq-fe.h>

#include "common/db_url.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

/* A libpq option of a connection string; "" when it is not there. */
static const char *
option(PQconninfoOption *list, const char *key)
{
	for (PQconninfoOption *o = list; o->keyword != NULL; o++)
		if (strcmp(o->keyword, key) == 0 && o->val != NULL)
			return o->val;
	return "";
}

static void
test_another_user(void **state)
{
	static const struct {
		const char *url, *dbname, *host, *password;
	} rows[] = {
		{ "relaycam", "relaycam", "", "" },
		{ "it's", "it's", "", "" },
		{ "dbname=a user=old", "a", "", "" },
		{ "host='/a b' dbname=x password='it\\'s' user=old", "x",
		    "/a b", "it's" },
		{ "postgresql://old:p%27w%5C@h1:1,h2:2/x?sslmode=require", "x",
		    "h1,h2", "p'w\\" },
		{ "postgresql:///relaycam?host=/run/x&user=old", "relaycam",
		    "/run/x", "" },
	};

	for (size_t i = 0; i < N(rows); i++) {
		char *text = db_url_as(rows[i].url, "new'er \\ user");
		PQconninfoOption *list;

		assert_non_null(text);
		list = PQconninfoParse(text, NULL);
		assert_non_null(list);
		assert_string_equal(option(list, "user"), "new'er \\ user");
		assert_string_equal(option(list, "dbname"), rows[i].dbname);
		assert_string_equal(option(list, "host"), rows[i].host);
		assert_string_equal(option(list, "password"), rows[i].password);
		PQconninfoFree(list);
		free(text);
	}
}

static void
test_as_it_is(void **state)
{
	static const char *const urls[] = { "relaycam", "", "host=h user=u",
		"postgresql://u@h/x", "host=h nonsense", "no such=option" };
	char *text;

	for (size_t i = 0; i < N(urls); i++) {
		text = db_url_as(urls[i], NULL);
		assert_string_equal(text, urls[i]);
		free(text);
		text = db_url_as(urls[i], "");
		assert_string_equal(text, urls[i]);
		free(text);
	}
	/* what libpq does not understand, it has to explain itself */
	text = db_url_as("no such=option", "new");
	assert_string_equal(text, "no such=option");
	free(text);
}

static void
test_in_place(void **state)
{
	char *url = strdup("host=h user=u"), *none = NULL;
	char *user;

	assert_int_equal(db_url_set_user(&url, NULL), 0);
	assert_string_equal(url, "host=h user=u");
	assert_int_equal(db_url_set_user(&url, "v"), 0);
	user = db_url_user(url);
	assert_string_equal(user, "v");
	free(user);
	free(url);
	assert_int_equal(db_url_set_user(&none, "v"), 0);
	assert_null(none);
}

static void
test_user(void **state)
{
	char *user = db_url_user("postgresql://alice@h/x");

	assert_string_equal(user, "alice");
	free(user);
	unsetenv("PGUSER");
	assert_null(db_url_user("host=h"));
	assert_null(db_url_user("no such=option"));
	setenv("PGUSER", "bob", 1);
	user = db_url_user("host=h");
	assert_string_equal(user, "bob");
	free(user);
	unsetenv("PGUSER");
}

static void
test_judge(void **state)
{
	static const struct {
		const char *url;
		enum db_url_tls want;
		const char *mode;
	} rows[] = {
		{ "", DB_URL_LOCAL, "prefer" },
		{ "relaycam", DB_URL_LOCAL, "prefer" },
		{ "postgresql:///x", DB_URL_LOCAL, "prefer" },
		{ "host=/run/postgresql", DB_URL_LOCAL, "prefer" },
		{ "host=@abstract", DB_URL_LOCAL, "prefer" },
		{ "host=/a,/b", DB_URL_LOCAL, "prefer" },
		{ "host=localhost", DB_URL_UNVERIFIED, "prefer" },
		{ "host=127.0.0.1 sslmode=disable", DB_URL_UNVERIFIED,
		    "disable" },
		{ "hostaddr=192.0.2.1 sslmode=verify-ca", DB_URL_UNVERIFIED,
		    "verify-ca" },
		{ "host=/a,h sslmode=require", DB_URL_UNVERIFIED, "require" },
		{ "host=h sslmode=verify-full", DB_URL_VERIFIED,
		    "verify-full" },
		{ "postgresql://h1,h2/x?sslmode=verify-full", DB_URL_VERIFIED,
		    "verify-full" },
		{ "no such=option", DB_URL_LOCAL, "prefer" },
	};
	char mode[32];

	unsetenv("PGHOST");
	unsetenv("PGSSLMODE");
	for (size_t i = 0; i < N(rows); i++) {
		assert_int_equal(db_url_judge(rows[i].url, mode, sizeof(mode)),
		    rows[i].want);
		assert_string_equal(mode, rows[i].mode);
	}
	setenv("PGHOST", "db.example", 1);
	assert_int_equal(
	    db_url_judge("dbname=x", mode, sizeof(mode)), DB_URL_UNVERIFIED);
	setenv("PGSSLMODE", "verify-full", 1);
	assert_int_equal(
	    db_url_judge("dbname=x", mode, sizeof(mode)), DB_URL_VERIFIED);
	assert_int_equal(
	    db_url_judge("host=h sslmode=allow", mode, sizeof(mode)),
	    DB_URL_UNVERIFIED);
	unsetenv("PGHOST");
	unsetenv("PGSSLMODE");
}

/* What libpq reads from the section, in a file of its own. */
static PQconninfoOption *
read_service(const char *text)
{
	char path[] = "/tmp/relaycam-service.XXXXXX";
	int fd = mkstemp(path);
	PQconninfoOption *list;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	setenv("PGSERVICEFILE", path, 1);
	setenv("PGSERVICE", "relaycam", 1);
	list = PQconndefaults();
	assert_non_null(list);
	unsetenv("PGSERVICE");
	unlink(path);
	return list;
}

static void
test_service(void **state)
{
	static const char url[] = "postgresql://old:p%27w%5C%20%23=x@h1:1,h2:2/"
				  "db?sslmode=require&sslpassword=key";
	const char *why;
	char *text = db_url_service(url, "owner", "relaycam", &why);
	PQconninfoOption *list;

	assert_non_null(text);
	list = read_service(text);
	assert_string_equal(option(list, "user"), "owner");
	assert_string_equal(option(list, "password"), "p'w\\ #=x");
	assert_string_equal(option(list, "host"), "h1,h2");
	assert_string_equal(option(list, "port"), "1,2");
	assert_string_equal(option(list, "dbname"), "db");
	assert_string_equal(option(list, "sslmode"), "require");
	assert_string_equal(option(list, "sslpassword"), "key");
	PQconninfoFree(list);
	free(text);
}

/* A url that names a service is what that says, less what it says itself. */
static void
test_service_of_a_service(void **state)
{
	char path[] = "/tmp/relaycam-service.XXXXXX";
	static const char theirs[] =
	    "[prod]\nhost=db.example\nuser=old\npassword=secret\n";
	int fd = mkstemp(path);
	const char *why;
	PQconninfoOption *list;
	char *text;

	assert_int_equal(write(fd, theirs, strlen(theirs)), strlen(theirs));
	close(fd);
	setenv("PGSERVICEFILE", path, 1);
	text =
	    db_url_service("service=prod dbname=x", "owner", "relaycam", &why);
	unlink(path);
	assert_non_null(text);
	list = read_service(text);
	assert_string_equal(option(list, "host"), "db.example");
	assert_string_equal(option(list, "password"), "secret");
	assert_string_equal(option(list, "user"), "owner");
	assert_string_equal(option(list, "dbname"), "x");
	PQconninfoFree(list);
	free(text);
}

/* libpq has defaults for all of it, which are no answer. */
static void
test_service_that_is_not_defined(void **state)
{
	static const char undefined[] =
	    "no service file that libpq reads defines its service "
	    "(PGSERVICEFILE, ~/.pg_service.conf, pg_service.conf)";
	char path[] = "/tmp/relaycam-service.XXXXXX";
	static const char theirs[] = "[prod]\nhost=db.example\n[empty]\n";
	const char *why = NULL;
	int fd = mkstemp(path);
	char *text;

	assert_int_equal(write(fd, theirs, strlen(theirs)), strlen(theirs));
	close(fd);
	setenv("PGSERVICEFILE", path, 1);
	assert_null(db_url_service("service=prd dbname=x", "owner", "r", &why));
	assert_string_equal(why, undefined);
	text = db_url_service("service=empty dbname=x", "owner", "r", &why);
	assert_non_null(strstr(text, "dbname=x\n"));
	free(text);
	unlink(path);
	assert_null(
	    db_url_service("service=prod dbname=x", "owner", "r", &why));
	assert_string_equal(why, undefined);
}

static void
test_no_service(void **state)
{
	const char *why = NULL;

	assert_null(db_url_service("nonsense=1", "o", "relaycam", &why));
	assert_string_equal(why, "libpq does not understand it");
	assert_null(
	    db_url_service("dbname='a\nhost=evil'", "o", "relaycam", &why));
	assert_string_equal(
	    why, "a value of it has a line feed or ends with a space");
	/* libpq would read another password */
	assert_null(
	    db_url_service("password='secret '", "o", "relaycam", &why));
	assert_string_equal(
	    why, "a value of it has a line feed or ends with a space");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_another_user),
		cmocka_unit_test(test_as_it_is),
		cmocka_unit_test(test_in_place),
		cmocka_unit_test(test_user),
		cmocka_unit_test(test_judge),
		cmocka_unit_test(test_service),
		cmocka_unit_test(test_service_of_a_service),
		cmocka_unit_test(test_service_that_is_not_defined),
		cmocka_unit_test(test_no_service),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
