/*
 * What storage does with rows, over a scripted database and store: expiry and
 * removal (T12, M6), legal holds, and its own row in nodes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <event2/event.h>

#include "common/bytes.h"
#include "common/err.h"
#include "scripted_db.h"
#include "storage/daemon.h"
#include "storage/expiry.h"
#include "storage/hold.h"
#include "storage/node.h"
#include "storage/store/store.h"

#define ID(n) "00000000-0000-4000-8000-00000000000" #n
#define FIRST "-infinity|00000000-0000-0000-0000-000000000000"

/* ---- the store ---- */

static char calls[1024];    /* "remove KEY ok; ..." */
static const char *failing; /* a key that the store is in trouble with */
static const char *absent;  /* a key that is not there */

static int
answer(const char *what, const char *key, store_done_cb *cb, void *arg)
{
	struct store_result r = { .err = 0 };
	size_t len = strlen(calls);

	if (failing != NULL && strcmp(key, failing) == 0)
		store_fail(&r, ERR_IO, "out of order");
	if (absent != NULL && strcmp(key, absent) == 0)
		store_fail(&r, ERR_NOTFOUND, "not there");
	snprintf(calls + len, sizeof(calls) - len, "%s%s %s",
	    len > 0 ? "; " : "", what, key);
	cb(arg, &r);
	return 0;
}

static int
do_remove(struct store *s, const char *key, store_done_cb *cb, void *arg)
{
	return answer("remove", key, cb, arg);
}

static int
do_hold(
    struct store *s, const char *key, bool is_on, store_done_cb *cb, void *arg)
{
	return answer(is_on ? "hold" : "release", key, cb, arg);
}

static const struct store_ops ops = {
	.name = "s3", .remove = do_remove, .hold = do_hold
};
static struct store store = { &ops };
static struct daemon d;

static int
set_up(void **state)
{
	d = (struct daemon){ .base = event_base_new(),
		.store = &store,
		.actor = "storage@test" };
	d.conf.expiry_seconds = 3600;
	d.conf.retention_day_seconds = 86400;
	d.store_conf.s3_endpoint = (char *)(uintptr_t) "https://s3";
	d.store_conf.s3_bucket = (char *)(uintptr_t) "b";
	d.db = db_new(d.base, &d.database, NULL, NULL);
	calls[0] = '\0';
	failing = absent = NULL;
	return 0;
}

static int
tear_down(void **state)
{
	d.exiting = true;
	expiry_free(d.expiry);
	hold_free(d.hold);
	node_free(d.node);
	db_free(d.db);
	event_base_free(d.base);
	return 0;
}

/* ---- expiry ---- */

#define APPLIED                                                                \
	{                                                                      \
		"retention_apply", "86400|1000|storage@test", "~\n"            \
	}
#define NO_MORE(from)                                                          \
	{                                                                      \
		"status = 'available' AND NOT locked", "s3|" from, ""          \
	}
#define NONE_GONE                                                              \
	{                                                                      \
		"'missing', 'corrupted', 'deleted'", "s3|" FIRST, ""           \
	}

/* The timer that the database's coming sets. */
static void
begin_expiry(const struct db_ask *asks)
{
	assert_int_equal(expiry_new(&d), 0);
	db_script(asks);
	db_script_connect(true);
	event_base_loop(d.base, EVLOOP_ONCE);
	db_script_run();
}

static void
test_expired(void **state)
{
	static const struct db_ask asks[] = {
		APPLIED,
		{ "status = 'available'", "s3|" FIRST,
		    ID(1) "|2026-01-01\n" ID(2) "|2026-01-02\n" },
		{ "FOR UPDATE OF g SKIP LOCKED", "s3|" ID(1),
		    "t/1.webm|available|7|t/1.jpg|t/1.json\n" },
		{ "INSERT INTO audit",
		    ID(1) "|7|storage@test|available|t/1.webm", "" },
		/* it was locked meanwhile, or another daemon has it */
		{ "FOR UPDATE OF g SKIP LOCKED", "s3|" ID(2), "" },
		NO_MORE("2026-01-02|" ID(2)),
		NONE_GONE,
		{ 0 },
	};

	begin_expiry(asks);
	/* the recording first: a poster without one is no harm */
	assert_string_equal(
	    calls, "remove t/1.webm; remove t/1.jpg; remove t/1.json");
	assert_string_equal(
	    db_script_transactions, "BEGIN COMMIT BEGIN COMMIT");
	assert_int_equal(d.counters.expired, 1);
	assert_int_equal(d.counters.expiry_failed, 0);
}

/* One that the store cannot remove stays as it is and bars no other. */
static void
test_not_removed(void **state)
{
	static const struct db_ask asks[] = {
		APPLIED,
		{ "status = 'available'", "s3|" FIRST,
		    ID(1) "|2026-01-01\n" ID(2) "|2026-01-02\n" },
		{ "FOR UPDATE", "s3|" ID(1), "t/1.webm|available|7||\n" },
		{ "FOR UPDATE", "s3|" ID(2), "t/2.webm|deleted|7||\n" },
		{ "recording_removed", ID(2) "|7|storage@test|deleted|t/2.webm",
		    "" },
		NO_MORE("2026-01-02|" ID(2)),
		NONE_GONE,
		{ 0 },
	};

	failing = "t/1.webm";
	begin_expiry(asks);
	assert_string_equal(calls, "remove t/1.webm; remove t/2.webm");
	assert_string_equal(
	    db_script_transactions, "BEGIN ROLLBACK BEGIN COMMIT");
	assert_int_equal(d.counters.deleted, 1);
	assert_int_equal(d.counters.expiry_failed, 1);
}

/* The object is gone and the row cannot be written: the row is as before, and
 * the next run removes it again, which is no harm. */
static void
test_not_noted(void **state)
{
	static const struct db_ask asks[] = {
		APPLIED,
		{ "status = 'available'", "s3|" FIRST, ID(1) "|2026-01-01\n" },
		{ "FOR UPDATE", "s3|" ID(1), "t/1.webm|available|7||\n" },
		{ "INSERT INTO audit", NULL, NULL },
		NO_MORE("2026-01-01|" ID(1)),
		NONE_GONE,
		{ 0 },
	};

	begin_expiry(asks);
	assert_string_equal(db_script_transactions, "BEGIN ROLLBACK");
	assert_int_equal(d.counters.expired, 0);
}

/* A change of retention is applied to all before anything is removed. */
static void
test_retention_first(void **state)
{
	static const struct db_ask asks[] = {
		{ "retention_apply", NULL, "1000\n" },
		{ "retention_apply", NULL, "12\n" },
		APPLIED,
		NO_MORE(FIRST),
		NONE_GONE,
		{ 0 },
	};
	static const struct db_ask failed[] = {
		{ "retention_apply", NULL, NULL },
		{ 0 },
	};

	begin_expiry(asks);
	assert_string_equal(calls, "");
	/* where it cannot be applied, nothing is looked for */
	db_script(failed);
	expiry_kick(d.expiry);
	event_base_loop(d.base, EVLOOP_ONCE);
	db_script_run();
}

/* ---- legal holds ---- */

static void
run_hold(const struct db_ask *asks)
{
	db_script_connect(true);
	assert_int_equal(hold_new(&d), 0);
	db_script(asks);
	event_base_loop(d.base, EVLOOP_ONCE);
	db_script_run();
}

static void
test_hold(void **state)
{
	static const struct db_ask asks[] = {
		{ "g.locked <> g.legal_hold",
		    "https://s3|b|00000000-0000-0000-0000-000000000000",
		    ID(1) "|t|1.webm|1.jpg|1.json\n" },
		{ "SET legal_hold", ID(1) "|true|storage@test", "" },
		{ "g.locked <> g.legal_hold", "https://s3|b|" ID(1),
		    ID(2) "|f|2.webm||\n" },
		{ "SET legal_hold", ID(2) "|false|storage@test", "" },
		{ "g.locked <> g.legal_hold", "https://s3|b|" ID(2), "" },
		{ 0 },
	};

	run_hold(asks);
	assert_string_equal(
	    calls, "hold 1.webm; hold 1.jpg; hold 1.json; release 2.webm");
}

/* What cannot be held is not noted as held, and bars no other row; a poster
 * that is not there does not matter, nor a gone object that is released. */
static void
test_hold_fails(void **state)
{
	static const struct db_ask lost[] = {
		{ "g.locked", NULL, ID(1) "|t|1.webm||\n" },
		{ "g.locked", "https://s3|b|" ID(1), ID(2) "|t|2.webm||\n" },
		{ "SET legal_hold", ID(2) "|true|storage@test", "" },
		{ "g.locked", "https://s3|b|" ID(2), "" },
		{ 0 },
	};
	static const struct db_ask poster[] = {
		{ "g.locked", NULL, ID(1) "|t|1.webm|1.jpg|\n" },
		{ "SET legal_hold", ID(1) "|true|storage@test", "" },
		{ "g.locked", NULL, "" },
		{ 0 },
	};

	absent = "1.webm"; /* to be held: there must be something */
	run_hold(lost);
	assert_string_equal(calls, "hold 1.webm; hold 2.webm");
	absent = "1.jpg";
	hold_kick(d.hold);
	db_script(poster);
	event_base_loop(d.base, EVLOOP_ONCE);
	db_script_run();
}

/* ---- nodes ---- */

static void
test_node(void **state)
{
	static const struct db_ask asks[] = {
		{ "INSERT INTO nodes", "*|*|*|~", "41\n" },
		{ 0 },
	};
	static const struct db_ask stop[] = { { "stopped_at", "*", "" },
		{ 0 } };
	static const struct db_ask refused[] = {
		{ "INSERT INTO nodes", NULL, NULL },
		{ 0 },
	};

	db_script_connect(false);
	assert_int_equal(node_new(&d), 0);
	assert_string_equal(node_trouble(d.node), "cannot be reached");
	assert_int_equal(strlen(node_id(d.node)), 36);
	db_script_connect(true);
	/* connected is not written: a heartbeat has to be in it */
	assert_string_equal(node_trouble(d.node), "cannot be reached");
	db_script(asks);
	node_announce(d.node);
	db_script_run();
	assert_null(node_trouble(d.node));
	assert_int_equal(node_audit_writes(d.node), 41);
	db_script(refused);
	node_announce(d.node);
	db_script_run();
	assert_string_equal(node_trouble(d.node), "refused it");
	db_script(stop);
	node_stop(d.node);
	db_script_run();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_expired),
		TEST(test_not_removed),
		TEST(test_not_noted),
		TEST(test_retention_first),
		TEST(test_hold),
		TEST(test_hold_fails),
		TEST(test_node),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
