#include "common/db.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/log.h"

#define RETRY_FIRST_MS 200
#define RETRY_MAX_MS   5000
#define CONNECT_MS     5000
#define LISTEN_MAX     8

struct query {
	TAILQ_ENTRY(query) link;
	char *sql;
	char **params; /* one block with the pointers, strings after them */
	int n;
	db_result_cb *cb;
	void *arg;
};
TAILQ_HEAD(query_list, query);

struct listener {
	const char *channel;
	db_notify_cb *cb;
	void *arg;
};

struct db {
	struct event_base *base;
	const char *url;
	db_state_cb *on_state;
	void *arg;
	PGconn *conn;
	struct event *io;    /* on the connection's socket */
	struct event *timer; /* retry, or connect timeout */
	struct query_list waiting;
	size_t n_waiting;
	struct query *running;
	PGresult *result; /* of it, until libpq says that no other follows */
	struct listener listeners[LISTEN_MAX];
	unsigned n_listeners;
	unsigned n_listened; /* of them on this connection */
	unsigned retry_ms;
	enum { DB_DOWN, DB_CONNECTING, DB_UP, DB_BROKEN } state;
};

static void db_start(struct db *db);
static void db_run_next(struct db *db);
static void on_io(evutil_socket_t fd, short what, void *arg);

static struct query *
query_new(const char *sql, int n, const char *const *params, db_result_cb *cb,
    void *arg)
{
	size_t len = (size_t)n * sizeof(char *);
	struct query *q = calloc(1, sizeof(*q));
	char *text;

	if (q == NULL)
		return NULL;
	for (int i = 0; i < n; i++)
		len += params[i] != NULL ? strlen(params[i]) + 1 : 0;
	q->sql = strdup(sql);
	q->params = malloc(len + 1);
	if (q->sql == NULL || q->params == NULL) {
		free(q->sql);
		free(q->params);
		free(q);
		return NULL;
	}
	text = (char *)(q->params + n);
	for (int i = 0; i < n; i++) {
		q->params[i] = params[i] != NULL ? text : NULL;
		if (params[i] != NULL)
			text = stpcpy(text, params[i]) + 1;
	}
	q->n = n;
	q->cb = cb;
	q->arg = arg;
	return q;
}

/* Answers and frees a query. */
static void
query_done(struct query *q, PGresult *res)
{
	if (q->cb != NULL)
		q->cb(q->arg, res);
	free(q->sql);
	free(q->params);
	free(q);
}

static void
set_timer(struct db *db, unsigned ms)
{
	struct timeval tv = { ms / 1000, (suseconds_t)(ms % 1000) * 1000 };

	evtimer_add(db->timer, &tv);
}

/* (Re)arms the socket event; libpq may change the socket while connecting. */
static int
watch(struct db *db, short what)
{
	if (db->io != NULL) {
		if (db->state != DB_CONNECTING &&
		    event_get_fd(db->io) == PQsocket(db->conn) &&
		    event_get_events(db->io) == (what | EV_PERSIST))
			return 0;
		event_free(db->io);
	}
	db->io = event_new(
	    db->base, PQsocket(db->conn), what | EV_PERSIST, on_io, db);
	return db->io != NULL && event_add(db->io, NULL) == 0 ? 0 : ERR_NOMEM;
}

/* The connection is gone: tell, answer what was under way, try again. */
static void
db_lost(struct db *db, const char *why)
{
	struct query *q = db->running;
	bool was_up = db->state == DB_UP || db->state == DB_BROKEN;

	log_warn("database_lost", LOG_S("why", why),
	    LOG_U("retry_ms", db->retry_ms), LOG_U("waiting", db->n_waiting));
	db->running = NULL;
	PQclear(db->result);
	db->result = NULL;
	db->state = DB_DOWN;
	if (db->io != NULL)
		event_free(db->io);
	db->io = NULL;
	PQfinish(db->conn);
	db->conn = NULL;
	set_timer(db, db->retry_ms);
	db->retry_ms =
	    db->retry_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : db->retry_ms * 2;
	if (was_up && db->on_state != NULL)
		db->on_state(db->arg, false);
	if (q != NULL)
		query_done(q, NULL);
}

static const char *
conn_why(struct db *db)
{
	const char *text = db->conn != NULL ? PQerrorMessage(db->conn) : "";

	return *text != '\0' ? text : "connection refused";
}

static void
db_came(struct db *db)
{
	log_info("database_connected", LOG_S("host", PQhost(db->conn)),
	    LOG_S("database", PQdb(db->conn)));
	evtimer_del(db->timer);
	PQsetnonblocking(db->conn, 1);
	db->state = DB_UP;
	db->retry_ms = RETRY_FIRST_MS;
	db->n_listened = 0;
	if (watch(db, EV_READ) != 0) {
		db_lost(db, "out of memory");
		return;
	}
	if (db->on_state != NULL)
		db->on_state(db->arg, true);
	db_run_next(db);
}

static void
poll_connect(struct db *db)
{
	switch (PQconnectPoll(db->conn)) {
	case PGRES_POLLING_READING:
		if (watch(db, EV_READ) != 0)
			db_lost(db, "out of memory");
		break;
	case PGRES_POLLING_WRITING:
		if (watch(db, EV_WRITE) != 0)
			db_lost(db, "out of memory");
		break;
	case PGRES_POLLING_OK:
		db_came(db);
		break;
	default:
		db_lost(db, conn_why(db));
		break;
	}
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

/* Collects the answer of the running query: one result, then NULL. */
static void
take_results(struct db *db)
{
	while (
	    db->state == DB_UP && db->running != NULL && !PQisBusy(db->conn)) {
		PGresult *res = PQgetResult(db->conn);
		struct query *q = db->running;

		if (res != NULL) {
			PQclear(db->result);
			db->result = res;
			continue;
		}
		res = db->result;
		db->result = NULL;
		db->running = NULL;
		query_done(q, res);
		PQclear(res);
		db_run_next(db);
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
	set_timer(db, 0);
}

static void
flush(struct db *db)
{
	int rc = PQflush(db->conn);

	if (rc < 0 || watch(db, rc > 0 ? EV_READ | EV_WRITE : EV_READ) != 0)
		db_break(db);
}

static void
on_io(evutil_socket_t fd, short what, void *arg)
{
	struct db *db = arg;

	if (db->state == DB_CONNECTING) {
		poll_connect(db);
		return;
	}
	if ((what & EV_READ) != 0 && PQconsumeInput(db->conn) == 0) {
		db_lost(db, conn_why(db));
		return;
	}
	take_results(db);
	if (db->state == DB_UP)
		take_notifies(db);
	if (db->state == DB_UP && (what & EV_WRITE) != 0)
		flush(db);
}

/* Sends LISTEN for a channel as an ordinary query, ahead of the others. */
static struct query *
next_listen(struct db *db)
{
	char sql[96];
	const char *channel = db->listeners[db->n_listened].channel;

	snprintf(sql, sizeof(sql), "LISTEN \"%s\"", channel);
	db->n_listened++;
	return query_new(sql, 0, NULL, NULL, NULL);
}

static void
db_run_next(struct db *db)
{
	struct query *q;

	if (db->state != DB_UP || db->running != NULL)
		return;
	if (db->n_listened < db->n_listeners) {
		q = next_listen(db);
		if (q == NULL) {
			db_break(db);
			return;
		}
	} else {
		q = TAILQ_FIRST(&db->waiting);
		if (q == NULL)
			return;
		TAILQ_REMOVE(&db->waiting, q, link);
		db->n_waiting--;
	}
	db->running = q;
	if (PQsendQueryParams(db->conn, q->sql, q->n, NULL,
		(const char *const *)q->params, NULL, NULL, 0) != 1)
		db_break(db);
	else
		flush(db);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct db *db = arg;

	if (db->state == DB_CONNECTING)
		db_lost(db, "no answer while connecting");
	else if (db->state == DB_BROKEN)
		db_lost(db, conn_why(db));
	else if (db->state == DB_DOWN)
		db_start(db);
}

static void
db_start(struct db *db)
{
	db->conn = PQconnectStart(db->url);
	db->state = DB_CONNECTING;
	if (db->conn == NULL || PQstatus(db->conn) == CONNECTION_BAD) {
		db_lost(db, conn_why(db));
		return;
	}
	if (watch(db, EV_WRITE) != 0) {
		db_lost(db, "out of memory");
		return;
	}
	set_timer(db, CONNECT_MS);
}

struct db *
db_new(
    struct event_base *base, const char *url, db_state_cb *on_state, void *arg)
{
	struct db *db = calloc(1, sizeof(*db));

	if (db == NULL)
		return NULL;
	db->base = base;
	db->url = url;
	db->on_state = on_state;
	db->arg = arg;
	db->retry_ms = RETRY_FIRST_MS;
	TAILQ_INIT(&db->waiting);
	db->timer = evtimer_new(base, on_timer, db);
	if (db->timer == NULL) {
		free(db);
		return NULL;
	}
	db_start(db);
	return db;
}

void
db_free(struct db *db)
{
	struct query *q;

	if (db == NULL)
		return;
	db->on_state = NULL;
	db->state = DB_DOWN;
	PQclear(db->result);
	if (db->running != NULL)
		query_done(db->running, NULL);
	while ((q = TAILQ_FIRST(&db->waiting)) != NULL) {
		TAILQ_REMOVE(&db->waiting, q, link);
		query_done(q, NULL);
	}
	if (db->io != NULL)
		event_free(db->io);
	event_free(db->timer);
	PQfinish(db->conn);
	free(db);
}

bool
db_is_connected(const struct db *db)
{
	return db->state == DB_UP;
}

int
db_query(struct db *db, const char *sql, int n, const char *const *params,
    db_result_cb *cb, void *arg)
{
	struct query *q;

	if (db->n_waiting >= DB_QUEUE_MAX)
		return ERR_LIMIT;
	q = query_new(sql, n, params, cb, arg);
	if (q == NULL)
		return ERR_NOMEM;
	TAILQ_INSERT_TAIL(&db->waiting, q, link);
	db->n_waiting++;
	db_run_next(db);
	return 0;
}

int
db_query_now(struct db *db, const char *sql, int n, const char *const *params,
    db_result_cb *cb, void *arg)
{
	if (db->state != DB_UP)
		return ERR_UNAVAILABLE;
	return db_query(db, sql, n, params, cb, arg);
}

int
db_listen(struct db *db, const char *channel, db_notify_cb *cb, void *arg)
{
	if (db->n_listeners == LISTEN_MAX)
		return ERR_LIMIT;
	db->listeners[db->n_listeners++] =
	    (struct listener){ channel, cb, arg };
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
