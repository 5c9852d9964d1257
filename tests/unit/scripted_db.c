#include "scripted_db.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/err.h"

#define WAITING_MAX 64
#define PARAMS_MAX  24
#define DBS_MAX     8

struct db {
	db_state_cb *on_state;
	void *arg;
};

struct waiting {
	char *sql, *params[PARAMS_MAX];
	int n;
	db_result_cb *cb;
	void *arg;
};

char db_script_transactions[256];

static struct db *dbs[DBS_MAX];
static struct waiting waiting[WAITING_MAX];
static size_t n_dbs, n_waiting;
static const struct db_ask *script;
static bool is_connected;

/* ---- common/db.h ---- */

struct db *
db_new(struct event_base *base, const struct conf_database *conf,
    db_state_cb *on_state, void *arg)
{
	struct db *db = calloc(1, sizeof(*db));

	assert_in_range(n_dbs, 0, DBS_MAX - 1);
	db->on_state = on_state;
	db->arg = arg;
	dbs[n_dbs++] = db;
	return db;
}

void
db_free(struct db *db)
{
	size_t kept = 0;

	for (size_t i = 0; i < n_dbs; i++)
		if (dbs[i] != db)
			dbs[kept++] = dbs[i];
	n_dbs = kept;
	free(db);
}

bool
db_is_connected(const struct db *db)
{
	return is_connected;
}

const char *
db_trouble(const struct db *db)
{
	return is_connected ? NULL : "cannot be reached";
}

uint64_t
db_waiting_ms(const struct db *db)
{
	return 0;
}

int
db_query(struct db *db, const char *sql, int n, const char *const *params,
    db_result_cb *cb, void *arg)
{
	struct waiting *w;

	assert_in_range(n_waiting, 0, WAITING_MAX - 1);
	assert_in_range(n, 0, PARAMS_MAX);
	w = &waiting[n_waiting];
	w->sql = strdup(sql);
	for (int i = 0; i < n; i++)
		w->params[i] = params[i] != NULL ? strdup(params[i]) : NULL;
	w->n = n;
	w->cb = cb;
	w->arg = arg;
	n_waiting++;
	return 0;
}

int
db_query_now(struct db *db, const char *sql, int n, const char *const *params,
    db_result_cb *cb, void *arg)
{
	return is_connected ? db_query(db, sql, n, params, cb, arg)
			    : ERR_UNAVAILABLE;
}

int
db_query_prepared(struct db *db, const char *sql, int n,
    const char *const *params, db_result_cb *cb, void *arg)
{
	return db_query_now(db, sql, n, params, cb, arg);
}

int
db_queue_prepared(struct db *db, const char *sql, int n,
    const char *const *params, db_result_cb *cb, void *arg)
{
	return db_query(db, sql, n, params, cb, arg);
}

int
db_listen(struct db *db, const char *channel, db_notify_cb *cb, void *arg)
{
	return 0;
}

const char *
db_sqlstate(const PGresult *res)
{
	return "";
}

bool
db_ok(PGresult *res, const char *what)
{
	return PQresultStatus(res) == PGRES_TUPLES_OK ||
	    PQresultStatus(res) == PGRES_COMMAND_OK;
}

const char *
db_why(const PGresult *res)
{
	return res == NULL ? "does not answer" : "refused it";
}

bool
db_is_trouble(const PGresult *res)
{
	return res == NULL;
}

/* ---- the script ---- */

void
db_script(const struct db_ask *asks)
{
	script = asks;
	db_script_transactions[0] = '\0';
}

void
db_script_connect(bool connected)
{
	is_connected = connected;
	for (size_t i = 0; i < n_dbs; i++)
		if (dbs[i]->on_state != NULL)
			dbs[i]->on_state(dbs[i]->arg, connected);
}

size_t
db_script_waiting(void)
{
	return n_waiting;
}

static PGresult *
answer_to(const struct waiting *w)
{
	size_t len = strlen(db_script_transactions);
	char text[1024];

	if (is_transaction(w->sql)) {
		snprintf(db_script_transactions + len,
		    sizeof(db_script_transactions) - len, "%s%s",
		    len > 0 ? " " : "", w->sql);
		return result_make(w->sql, "");
	}
	if (ask_matches(script, w->sql, w->n, (const char *const *)w->params))
		return result_make(w->sql, (script++)->rows);
	params_text(w->n, (const char *const *)w->params, text, sizeof(text));
	fail_msg("expected \"%s\" with %s, not with %s: %s",
	    script->has != NULL ? script->has : "nothing",
	    script->params != NULL ? script->params : "*", text, w->sql);
	return NULL;
}

bool
db_script_step(void)
{
	struct waiting w = waiting[0];
	PGresult *res;

	if (n_waiting == 0)
		return false;
	n_waiting--;
	memmove(waiting, waiting + 1, n_waiting * sizeof(waiting[0]));
	res = answer_to(&w);
	free(w.sql);
	for (int i = 0; i < w.n; i++)
		free(w.params[i]);
	if (w.cb != NULL)
		w.cb(w.arg, res);
	PQclear(res);
	return true;
}

void
db_script_run(void)
{
	while (db_script_step())
		continue;
	if (script->has != NULL)
		fail_msg("nobody asked \"%s\"", script->has);
}
