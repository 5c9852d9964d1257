/*
 * The lock of a segment that two spools have (storage/spool/transfer_lock.h),
 * with a database whose answers the test gives.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "common/db.h"
#include "storage/daemon.h"
#include "storage/spool/spool.h"
#include "storage/spool/transfer_lock.h"

static struct daemon d = { .n_connects = 1 };
static struct spool_segment sg;
static struct {
	char sql[200], param[40];
	db_result_cb *cb;
	unsigned n_queries, n_syncs, n_retries;
} seen;

int
db_query_now(struct db *x, const char *sql, int n, const char *const *params,
    db_result_cb *cb, void *arg)
{
	assert_int_equal(n, 1);
	snprintf(seen.sql, sizeof(seen.sql), "%s", sql);
	snprintf(seen.param, sizeof(seen.param), "%s", params[0]);
	seen.cb = cb;
	seen.n_queries++;
	return 0;
}

bool
db_ok(PGresult *res, const char *what)
{
	return res != NULL;
}

void
spool_row_sync(struct spool_row *r)
{
	assert_string_equal(r->sent_status, ""); /* so that it is sent */
	seen.n_syncs++;
}

void
spool_row_retry(struct spool_row *r, enum spool_cause cause, const char *detail)
{
	assert_int_equal(cause, CAUSE_LATER);
	seen.n_retries++;
}

static int
setup(void **state)
{
	memset(&seen, 0, sizeof(seen));
	memset(&sg, 0, sizeof(sg));
	d.n_connects = 1;
	sg.row.d = &d;
	strcpy(sg.row.id, "00000000-0000-4000-8000-000000000001");
	strcpy(sg.row.sent_status, "transfer");
	return 0;
}

static void
answer(const char *value)
{
	static char name[] = "x";
	char text[8];
	PGresAttDesc column = { .name = name };
	PGresult *res = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);

	assert_non_null(res);
	assert_int_equal(PQsetResultAttrs(res, 1, &column), 1);
	snprintf(text, sizeof(text), "%s", value);
	PQsetvalue(res, 0, 0, text, (int)strlen(text));
	seen.cb(&sg, res);
	PQclear(res);
}

static void
its_row_is_read_again_behind_the_lock(void **state)
{
	transfer_lock_take(&sg);
	assert_true(sg.row.is_busy);
	assert_non_null(strstr(seen.sql, "pg_try_advisory_lock"));
	assert_string_equal(seen.param, sg.row.id);
	assert_false(transfer_lock_is_held(&sg));
	answer("t");
	assert_false(sg.row.is_busy);
	assert_true(transfer_lock_is_held(&sg));
	assert_int_equal(seen.n_syncs, 1);
	transfer_lock_release(&sg);
	assert_non_null(strstr(seen.sql, "pg_advisory_unlock"));
	assert_false(transfer_lock_is_held(&sg));
	transfer_lock_release(&sg); /* once */
	assert_int_equal(seen.n_queries, 2);
}

static void
another_daemon_has_it(void **state)
{
	transfer_lock_take(&sg);
	answer("f");
	assert_false(transfer_lock_is_held(&sg));
	assert_int_equal(seen.n_retries, 1);
	assert_int_equal(seen.n_syncs, 0);
}

static void
no_answer_is_no_lock(void **state)
{
	transfer_lock_take(&sg);
	seen.cb(&sg, NULL);
	assert_false(sg.row.is_busy);
	assert_false(transfer_lock_is_held(&sg));
	assert_int_equal(seen.n_retries, 1);
}

/* PostgreSQL ended it with the connection. */
static void
a_lock_ends_with_its_connection(void **state)
{
	transfer_lock_take(&sg);
	answer("t");
	d.n_connects++;
	assert_false(transfer_lock_is_held(&sg));
	transfer_lock_release(&sg);
	assert_int_equal(seen.n_queries, 1); /* there is nothing to release */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(
		    its_row_is_read_again_behind_the_lock, setup),
		cmocka_unit_test_setup(another_daemon_has_it, setup),
		cmocka_unit_test_setup(no_answer_is_no_lock, setup),
		cmocka_unit_test_setup(a_lock_ends_with_its_connection, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
