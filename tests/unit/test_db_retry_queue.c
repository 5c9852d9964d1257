/* Order, retries and losses of rows that must be written, against a database
 * that is played here. X4, X7. */
#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/db.h"
#include "common/err.h"
#include "relay/db_retry_queue.h"
#include "relay/db_retry_class.h"
#include "relay/relay.h"

/* ---- the database ---- */

static struct {
	char sql[200], params[200]; /* of the query under way, "" none */
	db_result_cb *cb;
	void *arg;
	const char *sqlstate; /* of the answer that is given now */
	int rc;               /* of db_query */
} db;

int
db_query(struct db *unused, const char *sql, int n, const char *const *params,
    db_result_cb *cb, void *arg)
{
	if (db.rc != 0)
		return db.rc;
	assert_string_equal(db.sql, "");
	snprintf(db.sql, sizeof(db.sql), "%s", sql);
	db.params[0] = '\0';
	for (int i = 0; i < n; i++)
		snprintf(db.params + strlen(db.params), 60, "%s%s",
		    i > 0 ? " " : "", params[i] != NULL ? params[i] : "-");
	db.cb = cb;
	db.arg = arg;
	return 0;
}

const char *
db_sqlstate(const PGresult *res)
{
	return res != NULL ? db.sqlstate : "";
}

bool
db_ok(PGresult *res, const char *what)
{
	return res != NULL && *db.sqlstate == '\0';
}

static struct loop l;

static void
expect(const char *sql, const char *params)
{
	assert_string_equal(db.sql, sql);
	assert_string_equal(db.params, params);
}

/* sqlstate "": it was done; NULL: the connection broke. */
static void
answer(const char *sqlstate)
{
	PGresult *some = (PGresult *)&db;

	assert_string_not_equal(db.sql, "");
	db.sql[0] = '\0';
	db.sqlstate = sqlstate;
	db.cb(db.arg, sqlstate != NULL ? some : NULL);
}

static void
turn(void)
{
	event_base_loop(l.base, EVLOOP_NONBLOCK);
}

/* Lets the pauses pass: their timers are due, and the clock says so. */
static void
pass(int64_t seconds)
{
	static int64_t offset;

	offset += seconds * (int64_t)NS_PER_S;
	clock_offset_set(offset);
	event_active(l.retry_queue.timer, EV_TIMEOUT, 1);
	turn();
}

static void
write_row(const char *sql, const char *object, const char *more)
{
	const char *params[] = { object, more };

	db_retry_write(&l, "test", sql, 2, params);
}

static void
write_state(const char *sql, const char *object, const char *more)
{
	const char *params[] = { object, more };

	db_retry_write_state(&l, "test", sql, 2, params);
}

static int
begin(void **state)
{
	memset(&l, 0, sizeof(l));
	memset(&db, 0, sizeof(db));
	l.base = event_base_new();
	assert_int_equal(db_retry_init(&l), 0);
	return 0;
}

static int
end(void **state)
{
	assert_int_equal(l.retry_queue.n, 0);
	assert_int_equal(l.n_refs, 0);
	db_retry_release(&l);
	event_base_free(l.base);
	return 0;
}

/* ---- tests ---- */

static void
test_in_order(void **state)
{
	write_row("A", "1", "x");
	write_row("B", "1", NULL);
	write_row("C", "2", "y");
	expect("A", "1 x");
	answer("");
	expect("B", "1 -");
	answer("");
	expect("C", "2 y");
	answer("");
	expect("", "2 y");
}

/* The answer was lost: the same again, before what followed it. */
static void
test_a_lost_answer(void **state)
{
	write_row("A", "1", "x");
	write_row("B", "1", "x");
	answer(NULL);
	turn();
	expect("A", "1 x");
	answer("");
	expect("B", "1 x");
	answer("");
}

/* What cannot be written now holds back its object, not the others. */
static void
test_a_pause_is_the_objects(void **state)
{
	write_row("A", "1", "x");
	write_row("B", "1", "x");
	write_row("C", "2", "x");
	answer("55P03");
	expect("C", "2 x");
	answer("");
	assert_string_equal(db.sql, "");
	pass(2);
	expect("A", "1 x");
	answer("53100");
	assert_string_equal(db.sql, "");
	pass(1); /* this pause is longer */
	assert_string_equal(db.sql, "");
	pass(2);
	expect("A", "1 x");
	answer("");
	expect("B", "1 x");
	answer("");
}

/* The last state counts, unless something else lies in between. */
static void
test_states_replace_each_other(void **state)
{
	static const char sql[] = "STATE", other[] = "OTHER";

	write_row("A", "9", "x");
	write_state(sql, "1", "a");
	write_state(sql, "2", "a");
	for (int i = 0; i < 5000; i++)
		write_state(sql, "1", "b");
	assert_int_equal(l.retry_queue.n, 3);
	write_row(other, "1", "x");
	write_state(sql, "1", "c");
	write_state(sql, "1", "d");
	assert_false(db_retry_is_full(&l));
	answer("");
	expect("STATE", "1 b");
	answer("");
	expect("STATE", "2 a");
	answer("");
	expect("OTHER", "1 x");
	answer("");
	expect("STATE", "1 d");
	/* one that was sent stays */
	write_state(sql, "1", "e");
	answer(NULL);
	turn();
	expect("STATE", "1 d");
	answer("");
	expect("STATE", "1 e");
	answer("");
}

/* All that it said is kept, once, and what follows is written. */
static void
test_what_will_never_be_taken(void **state)
{
	write_row("A", "1", "x \"y\"");
	write_row("B", "1", "x");
	answer("23514");
	expect("B", "1 x");
	answer("");
	assert_non_null(strstr(db.sql, "INSERT INTO audit"));
	assert_string_equal(db.params, "test [\"1\",\"x \\\"y\\\"\"] 23514");
	answer("23514"); /* not even that */
	assert_string_equal(db.sql, "");
}

static void
test_a_full_queue_below(void **state)
{
	db.rc = ERR_LIMIT;
	write_row("A", "1", "x");
	assert_int_equal(l.retry_queue.n, 1);
	db.rc = 0;
	pass(2);
	expect("A", "1 x");
	answer("");
}

static void
test_many(void **state)
{
	char object[16];
	int n = 0;

	for (int i = 0; i < DB_RETRY_HIGH; i++) {
		snprintf(object, sizeof(object), "%d", i % 100);
		write_row("A", object, "x");
	}
	assert_true(db_retry_is_full(&l));
	for (; db.sql[0] != '\0'; n++)
		answer("");
	assert_int_equal(n, DB_RETRY_HIGH);
}

/* What is left when the relay ends is logged, nothing is sent any more. */
static void
test_the_end(void **state)
{
	write_row("A", "1", "x");
	write_row("B", "1", "x");
	l.is_closing = true;
	answer(NULL);
	assert_string_equal(db.sql, "");
	db_retry_release(&l);
	assert_int_equal(l.retry_queue.n, 0);
	assert_int_equal(db_retry_init(&l), 0);
}

static void
test_classes(void **state)
{
	const struct {
		const char *sqlstate;
		enum db_retry_class class;
	} cases[] = { { "", DB_RETRY_DONE }, { "08006", DB_RETRY_AGAIN },
		{ "25006", DB_RETRY_AGAIN }, { "40P01", DB_RETRY_AGAIN },
		{ "53100", DB_RETRY_AGAIN }, { "53300", DB_RETRY_AGAIN },
		{ "55P03", DB_RETRY_AGAIN }, { "57014", DB_RETRY_AGAIN },
		{ "57P01", DB_RETRY_AGAIN }, { "58030", DB_RETRY_AGAIN },
		{ "XX000", DB_RETRY_AGAIN }, { "42501", DB_RETRY_AGAIN },
		{ "42P01", DB_RETRY_AGAIN }, { "22021", DB_RETRY_NEVER },
		{ "22P02", DB_RETRY_NEVER }, { "23503", DB_RETRY_NEVER },
		{ "23514", DB_RETRY_NEVER }, { "42601", DB_RETRY_NEVER },
		{ "P0001", DB_RETRY_NEVER } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(
		    db_retry_classify(cases[i].sqlstate), cases[i].class);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_in_order),
		TEST(test_a_lost_answer),
		TEST(test_a_pause_is_the_objects),
		TEST(test_states_replace_each_other),
		TEST(test_what_will_never_be_taken),
		TEST(test_a_full_queue_below),
		TEST(test_many),
		TEST(test_the_end),
		cmocka_unit_test(test_classes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
