#include "common/db.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/db_internal.h"
#include "common/err.h"
#include "common/log.h"

void
db_set_timer(struct db *db, unsigned ms)
{
	struct timeval tv = { ms / 1000, (suseconds_t)(ms % 1000) * 1000 };

	evtimer_add(db->timer, &tv);
}

unsigned
db_answer_ms(const struct db *db)
{
	return (unsigned)db->conf->answer_seconds * 1000;
}

static void
take_notifies(struct db *db)
{
	PGnotify *n;

	while (db->conn != NULL && (n = PQnotifies(db->conn)) != NULL) {
		for (unsigned i = 0; i < db->n_listeners; i++)
			if (strcmp(db->listeners[i].channel, n->relname) == 0)
				db->listeners[i].cb(
				    db->listeners[i].arg, n->relname, n->extra);
		PQfreemem(n);
	}
}

/*
 * Found broken inside a caller's db_query: the loss is handled from the
 * loop, so that no callback runs before db_query has returned.
 */
static void
db_break(struct db *db)
{
	db->state = DB_BROKEN;
	db_set_timer(db, 0);
}

/*
 * A server that became a standby, or is kept from writing, is of no use: the
 * next host may be the one, or this one when it is asked again.
 */
static bool
is_read_only(const PGresult *res)
{
	return strcmp(db_sqlstate(res), "25006") == 0;
}

static void
judge_result(struct db *db, const PGresult *res)
{
	ExecStatusType st = PQresultStatus(res);

	if (st != PGRES_FATAL_ERROR && st != PGRES_BAD_RESPONSE)
		db->retry_ms = DB_RETRY_FIRST_MS;
}

static void db_send(struct db *db, struct db_query *q);

/* Collects the answer of the running query: one result, then NULL. */
static void
take_results(struct db *db)
{
	while (
	    db->state == DB_UP && db->running != NULL && !PQisBusy(db->conn)) {
		PGresult *res = PQgetResult(db->conn);
		struct db_query *q = db->running;
		bool is_useless;

		if (res != NULL) {
			PQclear(db->result);
			db->result = res;
			continue;
		}
		res = db->result;
		db->result = NULL;
		db->running = NULL;
		if (db_must_send_again(db, q, res)) {
			PQclear(res);
			db_send(db, q);
			continue;
		}
		judge_result(db, res);
		is_useless = is_read_only(res);
		db_set_timer(db, db_answer_ms(db)); /* until the next probe */
		db_query_done(q, res);
		PQclear(res);
		if (is_useless && db->state == DB_UP) {
			/* other hosts at once, the same one later */
			db->retry_ms = DB_RETRY_MAX_MS;
			db_lost(db, DB_TROUBLE_READ_ONLY,
			    "the server is read-only");
			return;
		}
		db_run_next(db);
	}
}

static void
flush(struct db *db)
{
	int rc = PQflush(db->conn);

	if (rc < 0 || db_watch(db, rc > 0 ? EV_READ | EV_WRITE : EV_READ) != 0)
		db_break(db);
}

void
db_on_ready(struct db *db, short what)
{
	if ((what & EV_READ) != 0 && PQconsumeInput(db->conn) == 0) {
		db_lost(db, DB_TROUBLE_AWAY, db_conn_why(db));
		return;
	}
	take_results(db);
	if (db->state == DB_UP)
		take_notifies(db);
	if (db->state == DB_UP && (what & EV_WRITE) != 0)
		flush(db);
}

/* Sends LISTEN for a channel as an ordinary query, ahead of the others. */
static struct db_query *
next_listen(struct db *db)
{
	char sql[96];
	const char *channel = db->listeners[db->n_listened].channel;

	snprintf(sql, sizeof(sql), "LISTEN \"%s\"", channel);
	db->n_listened++;
	return db_query_new(sql, 0, NULL, NULL, NULL);
}

/*
 * The server ends what is slow or waits for a lock before we take the server
 * for silent. It compiles no statement to machine code: a list of a million
 * rows of which a page is read would be estimated to be worth that.
 */
static struct db_query *
set_limits(struct db *db)
{
	char lock[16], statement[16];
	const char *params[] = { lock, statement };

	db->has_limits = true;
	snprintf(lock, sizeof(lock), "%u", db_answer_ms(db) / 2);
	snprintf(statement, sizeof(statement), "%u", db_answer_ms(db) / 5 * 4);
	return db_query_new("SELECT set_config('lock_timeout', $1, false), "
			    "set_config('statement_timeout', $2, false), "
			    "set_config('jit', 'off', false)",
	    2, params, NULL, NULL);
}

static void
db_send(struct db *db, struct db_query *q)
{
	if (q == NULL) {
		db_break(db);
		return;
	}
	db->running = q;
	db->sent_ns = clock_mono_ns();
	db_set_timer(db, db_answer_ms(db));
	if (!db_send_query(db, q))
		db_break(db);
	else
		flush(db);
}

void
db_run_next(struct db *db)
{
	struct db_query *q;

	if (db->state != DB_UP || db->running != NULL)
		return;
	if (!db->has_limits) {
		db_send(db, set_limits(db));
	} else if (db->n_listened < db->n_listeners) {
		db_send(db, next_listen(db));
	} else if ((q = TAILQ_FIRST(&db->waiting)) != NULL) {
		TAILQ_REMOVE(&db->waiting, q, link);
		db->n_waiting--;
		db_send(db, q);
	}
}

/* Connected, and no answer: it is given up, and what it runs there too. */
static void
db_silent(struct db *db)
{
	log_error("database_silent", LOG_S("host", db_hosts_name(db->hosts)),
	    LOG_U("ms", db_waiting_ms(db)), LOG_S("query", db->running->sql),
	    LOG_U("waiting", db->n_waiting));
	db_cancel(db->conn);
	db_lost(db, DB_TROUBLE_SILENT, "a query was not answered in time");
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct db *db = arg;

	switch (db->state) {
	case DB_DOWN:
		db_start(db);
		break;
	case DB_RESOLVING:
		db_lost(db, DB_TROUBLE_AWAY, "no answer from the name service");
		break;
	case DB_CONNECTING:
		db_lost(db, DB_TROUBLE_SILENT, "no answer while connecting");
		break;
	case DB_BROKEN:
		db_lost(db, DB_TROUBLE_AWAY, db_conn_why(db));
		break;
	case DB_UP:
		if (db->running != NULL)
			db_silent(db);
		else
			db_send(db, db_query_new("", 0, NULL, NULL, NULL));
		break;
	}
}

struct db *
db_new(struct event_base *base, const struct conf_database *conf,
    db_state_cb *on_state, void *arg)
{
	struct db *db = calloc(1, sizeof(*db));

	if (db == NULL)
		return NULL;
	db->base = base;
	db->conf = conf;
	db->on_state = on_state;
	db->arg = arg;
	db->retry_ms = DB_RETRY_FIRST_MS;
	db->trouble = DB_TROUBLE_AWAY;
	TAILQ_INIT(&db->waiting);
	db->timer = evtimer_new(base, on_timer, db);
	db->hosts = db_hosts_new(conf->url, log_program_name());
	if (db->timer == NULL || db->hosts == NULL) {
		db_hosts_free(db->hosts);
		if (db->timer != NULL)
			event_free(db->timer);
		free(db);
		return NULL;
	}
	db_start(db);
	return db;
}

void
db_free(struct db *db)
{
	struct db_query *q;

	if (db == NULL)
		return;
	db->on_state = NULL;
	db->state = DB_DOWN;
	q = db->running;
	db->running = NULL;
	if (q != NULL)
		db_query_done(q, NULL);
	while ((q = TAILQ_FIRST(&db->waiting)) != NULL) {
		TAILQ_REMOVE(&db->waiting, q, link);
		db_query_done(q, NULL);
	}
	db_drop(db);
	event_free(db->timer);
	db_hosts_free(db->hosts);
	free(db);
}

bool
db_is_connected(const struct db *db)
{
	return db->state == DB_UP;
}

const char *
db_trouble(const struct db *db)
{
	return db->state == DB_UP ? NULL : db->trouble;
}

uint64_t
db_waiting_ms(const struct db *db)
{
	return db->running != NULL ? (clock_mono_ns() - db->sent_ns) / NS_PER_MS
				   : 0;
}

static int
enqueue(struct db *db, struct db_query *q)
{
	if (q == NULL)
		return ERR_NOMEM;
	TAILQ_INSERT_TAIL(&db->waiting, q, link);
	db->n_waiting++;
	db_run_next(db);
	return 0;
}

/* How a statement is queued. */
enum { QUERY_NOW = 1, QUERY_PREPARED = 2 };

static int
query(struct db *db, unsigned how, const char *sql, int n,
    const char *const *params, db_result_cb *cb, void *arg)
{
	struct db_query *q;

	if ((how & QUERY_NOW) && db->state != DB_UP)
		return ERR_UNAVAILABLE;
	if (db->n_waiting >= DB_QUEUE_MAX)
		return ERR_LIMIT;
	q = db_query_new(sql, n, params, cb, arg);
	if (q != NULL) {
		q->is_now = (how & QUERY_NOW) != 0;
		q->prepared = how & QUERY_PREPARED ? sql : NULL;
	}
	return enqueue(db, q);
}

int
db_query(struct db *db, const char *sql, int n, const char *const *params,
    db_result_cb *cb, void *arg)
{
	return query(db, 0, sql, n, params, cb, arg);
}

int
db_query_now(struct db *db, const char *sql, int n, const char *const *params,
    db_result_cb *cb, void *arg)
{
	return query(db, QUERY_NOW, sql, n, params, cb, arg);
}

int
db_query_prepared(struct db *db, const char *sql, int n,
    const char *const *params, db_result_cb *cb, void *arg)
{
	return query(db, QUERY_NOW | QUERY_PREPARED, sql, n, params, cb, arg);
}

int
db_queue_prepared(struct db *db, const char *sql, int n,
    const char *const *params, db_result_cb *cb, void *arg)
{
	return query(db, QUERY_PREPARED, sql, n, params, cb, arg);
}

int
db_listen(struct db *db, const char *channel, db_notify_cb *cb, void *arg)
{
	if (db->n_listeners == DB_LISTEN_MAX)
		return ERR_LIMIT;
	db->listeners[db->n_listeners++] =
	    (struct db_listener){ channel, cb, arg };
	db_run_next(db);
	return 0;
}

const char *
db_sqlstate(const PGresult *res)
{
	const char *s =
	    res != NULL ? PQresultErrorField(res, PG_DIAG_SQLSTATE) : NULL;

	return s != NULL ? s : "";
}

bool
db_ok(PGresult *res, const char *what)
{
	ExecStatusType st = PQresultStatus(res);

	if (res != NULL && (st == PGRES_TUPLES_OK || st == PGRES_COMMAND_OK))
		return true;
	log_warn("query_failed", LOG_S("what", what),
	    LOG_S("sqlstate", db_sqlstate(res)),
	    LOG_S("why",
		res != NULL ? PQresultErrorMessage(res) : "connection lost"));
	return false;
}

#define REFUSED "refused it"

bool
db_is_trouble(const PGresult *res)
{
	return strcmp(db_why(res), REFUSED) != 0;
}

const char *
db_why(const PGresult *res)
{
	const char *state = db_sqlstate(res);

	if (res == NULL)
		return "does not answer";
	if (strncmp(state, "53", 2) == 0)
		return "is full";
	if (strcmp(state, "25006") == 0)
		return "is read-only";
	/* also a deadlock, which the server ended */
	if (strncmp(state, "57", 2) == 0 || strncmp(state, "55", 2) == 0 ||
	    strncmp(state, "40", 2) == 0)
		return "is too slow";
	return REFUSED;
}
