/* What relaycam says beside texts that come from outside. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/bytes.h"
#include "ctl/doctor/remedy.h"

static void
test_errno(void **state)
{
	static const struct {
		int error;
		const char *says;
	} rows[] = {
		{ EACCES, "account" },
		{ EPERM, "account" },
		{ ENOENT, "exists" },
		{ EISDIR, "folder" },
		{ ENOSPC, "free disk space" },
		{ EROFS, "can be written" },
		{ EMFILE, "ulimit" },
		{ EIO, "disk" },
		{ 0, "system's log" },
		{ 9999, "system's log" },
	};

	for (size_t i = 0; i < N_ELEMENTS(rows); i++)
		assert_non_null(
		    strstr(remedy_of_errno(rows[i].error), rows[i].says));
}

/* As PostgreSQL 15 and its libpq write them. */
static void
test_connection(void **state)
{
	static const char *const rows[][2] = {
		{ "connection to server on socket \"/run/.s.PGSQL.5432\" "
		  "failed: FATAL:  Peer authentication failed for user "
		  "\"root\"",
		    "account of the daemons" },
		{ "failed: FATAL:  role \"root\" does not exist",
		    "account of the daemons" },
		{ "failed: FATAL:  database \"relaycam\" does not exist",
		    "createdb" },
		{ "failed: FATAL:  no pg_hba.conf entry for host "
		  "\"192.0.2.1\", user \"a\", database \"relaycam\", no "
		  "encryption",
		    "(pg_hba.conf)" },
		{ "failed: FATAL:  password authentication failed for user "
		  "\"a\"",
		    ".pgpass" },
		{ "failed: fe_sendauth: no password supplied", ".pgpass" },
		{ "could not translate host name \"db\" to address: Name or "
		  "service not known",
		    "DNS" },
		{ "failed: SSL error: certificate verify failed",
		    "sslrootcert" },
		{ "failed: server certificate for \"a\" does not match host "
		  "name \"b\"",
		    "as the certificate" },
		{ "failed: FATAL:  sorry, too many clients already",
		    "max_connections" },
		{ "failed: FATAL:  the database system is starting up",
		    "in a moment" },
		{ "connection to server on socket \"/run/.s.PGSQL.5432\" "
		  "failed: Permission denied",
		    "account of the daemons" },
		{ "failed: Connection refused", "start PostgreSQL" },
		{ "failed: No such file or directory", "start PostgreSQL" },
		{ "", "start PostgreSQL" },
	};

	for (size_t i = 0; i < N_ELEMENTS(rows); i++)
		if (strstr(remedy_of_connection(rows[i][0]), rows[i][1]) ==
		    NULL)
			fail_msg("%s: %s", rows[i][0],
			    remedy_of_connection(rows[i][0]));
}

static void
test_sqlstate(void **state)
{
	assert_non_null(strstr(remedy_of_sqlstate("42501"), "migrate"));
	assert_non_null(strstr(remedy_of_sqlstate("25006"), "standby"));
	assert_non_null(strstr(remedy_of_sqlstate("53100"), "disk space"));
	/* what a statement itself got wrong says so itself */
	assert_null(remedy_of_sqlstate("23505"));
	assert_null(remedy_of_sqlstate(""));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_errno),
		cmocka_unit_test(test_connection),
		cmocka_unit_test(test_sqlstate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
