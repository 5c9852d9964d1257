/* What the database knows, read from a result: each column absent, alone and
 * with all others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/err.h"
#include "relay/login/authorization.h"

#define COLUMNS_MAX 64
#define NONE        -1
#define ALL         -2

static const uint8_t key[SEAL_KEY_LEN];

/* Columns of the query: commas of its list outside of parentheses. */
static int
n_columns(void)
{
	const char *p = strstr(authorization_query, "SELECT p.id");
	const char *end = strstr(p, " FROM (SELECT 1) one");
	int n = 1, depth = 0;

	if (end == NULL)
		end = strstr(p, "FROM (SELECT 1) one");
	assert_non_null(end);
	for (; p < end; p++) {
		depth += (*p == '(') - (*p == ')');
		n += *p == ',' && depth == 0;
	}
	return n;
}

/* A row of "1"s, which are numbers, text and hex; absent: NULL there. */
static PGresult *
row(int n, int absent)
{
	PGresult *res = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
	PGresAttDesc desc[COLUMNS_MAX] = { 0 };
	char one[] = "1", name[] = "c";

	for (int i = 0; i < n; i++)
		desc[i].name = name;
	assert_int_equal(PQsetResultAttrs(res, n, desc), 1);
	for (int i = 0; i < n; i++)
		assert_int_equal(PQsetvalue(res, 0, i,
				     absent == i || absent == ALL ? NULL : one,
				     absent == i || absent == ALL ? -1 : 1),
		    1);
	return res;
}

static void
each_column_absent(void **state)
{
	int n = n_columns();

	assert_in_range(n, 30, COLUMNS_MAX);
	for (int absent = ALL; absent < n; absent++) {
		PGresult *res = row(n, absent);
		struct authorization a;

		assert_int_equal(authorization_read(&a, res, key), 0);
		if (absent == NONE) {
			assert_int_equal(a.person_id, 1);
			assert_string_equal(a.tls_name, "1");
			assert_true(a.holder_silent_s == 1);
		}
		if (absent == ALL) {
			assert_int_equal(a.endpoint_id, 0);
			assert_null(a.host);
			assert_null(a.password_hash);
			assert_null(a.tls_name);
			assert_false(a.has_pin);
			assert_false(a.allow_clear);
			assert_true(a.holder_silent_s == 0);
		}
		authorization_forget_secrets(&a);
		authorization_release(&a);
		PQclear(res);
	}
}

static void
no_row(void **state)
{
	PGresult *res = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
	struct authorization a;

	assert_int_equal(authorization_read(&a, res, key), ERR_NOTFOUND);
	authorization_release(&a);
	PQclear(res);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_column_absent),
		cmocka_unit_test(no_row),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
