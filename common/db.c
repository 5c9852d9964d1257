#include "common/db.h"

#include <event2/event.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/db_hosts.h"
#include "common/db_query.h"
#include "common/db_threads.h"
#include "common/err.h"
#include "common/log.h"

#define RETRY_FIRST_MS  200
#define RETRY_MAX_MS    5000
#define CONNECT_SECONDS 5 /* for one attempt, unless url says how long */
#define LISTEN_MAX      8
#define WHY_LEN         300

struct listener {
	const char *channel;
	db_notify_cb *cb;
	void *arg;
};

/*
 *  DOWN -> [RESOLVING ->] CONNECTING -> UP -> (BROKEN ->) DOWN
 */
enum db_state {
	DB_DOWN, /* until the next attempt */
	DB_RESOLVING,
	DB_CONNECTING,
	DB_UP,
	DB_BROKEN, /* found inside of a caller's call: ends a turn later */
};

struct db {
	struct event_base *base;
	const struct conf_database *conf;
	db_state_cb *on_state;
	void *arg;
	struct db_hosts *hosts;
	size_t n_tried; /* of this round */
	struct db_resolve *resolve;
	struct db_addresses addresses; /* of the host that is tried */
	size_t address;                /* in there */
	PGconn *conn;
	struct event *io;    /* on the connection's socket */
	struct event *timer; /* of the state; of the query, or the next probe */
	struct db_query_list waiting;
	size_t n_waiting;
	struct db_query *running;
	uint64_t sent_ns;
	PGresult *result; /* of it, until libpq says that no other follows */
	struct listener listeners[LISTEN_MAX];
	unsigned n_listeners;
	unsigned n_listened; /* of them on this connection */
	bool has_limits;     /* this connection was told its time limits */
	unsigned retry_ms;
	enum db_state state;
	uint64_t lost_ns;    /* when it went; 0: it was never there */
	const char *trouble; /* of db_trouble */
};

static void db_start(struct db *db);
static void db_connect(struct db *db);
static void db_run_next(struct db *db);
static void on_io(evutil_socket_t fd, short what, void *arg);

static void
set_timer(struct db *db, unsigned ms)
{
	struct timeval tv = { ms / 1000, (suseconds_t)(ms % 1000) * 1000 };

	evtimer_add(db->timer, &tv);
}

/* What is wrong, for people. */
static const char away[] = "cannot be reached";
static const char silent[] = "does not answer";
static const char read_only[] = "is read-only";

static unsigned
answer_ms(const struct db *db)
{
	return (unsigned)db->conf->answer_seconds * 1000;
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

/* libpq ends its sentences with a line feed and may have several. */
static void
one_line(char *out, size_t len, const char *text)
{
	size_t n;

	snprintf(out, len, "%s", text);
	for (n = strlen(out); n > 0 && out[n - 1] == '\n'; n--)
		out[n - 1] = '\0';
	for (; *out != '\0'; out++)
		if (*out == '\n' || *out == '\t')
			*out = ' ';
}

/* The next address of this host, else the next host; after a round a pause
 * that grows. */
static void
plan_attempt(struct db *db)
{
	db->state = DB_DOWN;
	if (++db->address < db->addresses.n) {
		set_timer(db, 0);
		return;
	}
	db->address = db->addresses.n = 0;
	db_hosts_next(db->hosts);
	if (++db->n_tried < db_hosts_count(db->hosts)) {
		set_timer(db, 0);
		return;
	}
	db->n_tried = 0;
	set_timer(db, db->retry_ms);
	db->retry_ms =
	    db->retry_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : db->retry_ms * 2;
}

static void
drop_connection(struct db *db)
{
	PQclear(db->result);
	db->result = NULL;
	if (db->io != NULL)
		event_free(db->io);
	db->io = NULL;
	PQfinish(db->conn);
	db->conn = NULL;
	db_resolve_stop(db->resolve);
	db->resolve = NULL;
}

/* Nobody is kept waiting who was told "now". */
static void
take_impatient(struct db *db, struct db_query_list *out)
{
	struct db_query *q, *next;

	TAILQ_INIT(out);
	for (q = TAILQ_FIRST(&db->waiting); q != NULL; q = next) {
		next = TAILQ_NEXT(q, link);
		if (!q->is_now)
			continue;
		TAILQ_REMOVE(&db->waiting, q, link);
		db->n_waiting--;
		TAILQ_INSERT_TAIL(out, q, link);
	}
}

/* The connection is gone: tell, answer what was under way, try again. */
static void
db_lost(struct db *db, const char *trouble, const char *why)
{
	struct db_query_list refused;
	struct db_query *q = db->running;
	bool was_up = db->state == DB_UP || db->state == DB_BROKEN;
	char text[WHY_LEN];

	db->trouble = trouble;
	one_line(text, sizeof(text), why);
	take_impatient(db, &refused);
	log_warn(was_up ? "database_lost" : "database_unreachable",
	    LOG_S("host", db_hosts_name(db->hosts)), LOG_S("why", text),
	    LOG_U("waiting", db->n_waiting));
	if (was_up)
		db->lost_ns = clock_mono_ns();
	db->running = NULL;
	drop_connection(db);
	plan_attempt(db);
	if (was_up && db->on_state != NULL)
		db->on_state(db->arg, false);
	if (q != NULL)
		db_query_done(q, NULL);
	while ((q = TAILQ_FIRST(&refused)) != NULL) {
		TAILQ_REMOVE(&refused, q, link);
		db_query_done(q, NULL);
	}
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
	uint64_t away_ms =
	    db->lost_ns != 0 ? (clock_mono_ns() - db->lost_ns) / NS_PER_MS : 0;

	log_info("database_connected", LOG_S("host", PQhost(db->conn)),
	    LOG_S("database", PQdb(db->conn)), LOG_U("away_ms", away_ms));
	PQsetnonblocking(db->conn, 1);
	db->state = DB_UP;
	db->n_tried = 0;
	db->n_listened = 0;
	db->has_limits = false;
	set_timer(db, answer_ms(db));
	if (watch(db, EV_READ) != 0) {
		db_lost(db, away, "out of memory");
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
			db_lost(db, away, "out of memory");
		break;
	case PGRES_POLLING_WRITING:
		if (watch(db, EV_WRITE) != 0)
			db_lost(db, away, "out of memory");
		break;
	case PGRES_POLLING_OK:
		db_came(db);
		break;
	default:
		db_lost(db, away, conn_why(db));
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
		db->retry_ms = RETRY_FIRST_MS;
}

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
		judge_result(db, res);
		is_useless = is_read_only(res);
		set_timer(db, answer_ms(db)); /* until the next probe */
		db_query_done(q, res);
		PQclear(res);
		if (is_useless && db->state == DB_UP) {
			/* other hosts at once, the same one later */
			db->retry_ms = RETRY_MAX_MS;
			db_lost(db, read_only, "the server is read-only");
			return;
		}
		db_run_next(db);
	}
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
		db_lost(db, away, conn_why(db));
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
 * for silent.
 */
static struct db_query *
set_limits(struct db *db)
{
	char lock[16], statement[16];
	const char *params[] = { lock, statement };

	db->has_limits = true;
	snprintf(lock, sizeof(lock), "%u", answer_ms(db) / 2);
	snprintf(statement, sizeof(statement), "%u", answer_ms(db) / 5 * 4);
	return db_query_new("SELECT set_config('lock_timeout', $1, false), "
			    "set_config('statement_timeout', $2, false)",
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
	set_timer(db, answer_ms(db));
	if (PQsendQueryParams(db->conn, q->sql, q->n, NULL,
		(const char *const *)q->params, NULL, NULL, 0) != 1)
		db_break(db);
	else
		flush(db);
}

static void
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
	db_lost(db, silent, "a query was not answered in time");
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
		db_lost(db, away, "no answer from the name service");
		break;
	case DB_CONNECTING:
		db_lost(db, silent, "no answer while connecting");
		break;
	case DB_BROKEN:
		db_lost(db, away, conn_why(db));
		break;
	case DB_UP:
		if (db->running != NULL)
			db_silent(db);
		else
			db_send(db, db_query_new("", 0, NULL, NULL, NULL));
		break;
	}
}

static void
on_resolved(void *arg, const struct db_addresses *a)
{
	struct db *db = arg;

	db->addresses = *a;
	db_resolve_stop(db->resolve);
	db->resolve = NULL;
	if (db->addresses.error != 0)
		db_lost(db, away, gai_strerror(db->addresses.error));
	else
		db_connect(db);
}

static void
db_connect(struct db *db)
{
	const char *address =
	    db->addresses.n > 0 ? db->addresses.list[db->address] : NULL;

	db->conn = db_hosts_start(db->hosts, address, answer_ms(db));
	db->state = DB_CONNECTING;
	if (db->conn == NULL || PQstatus(db->conn) == CONNECTION_BAD)
		db_lost(db, away, conn_why(db));
	else if (watch(db, EV_WRITE) != 0)
		db_lost(db, away, "out of memory");
}

static void
db_start(struct db *db)
{
	const char *name = db_hosts_to_resolve(db->hosts);

	set_timer(db, 1000 * db_hosts_timeout(db->hosts, CONNECT_SECONDS));
	if (name == NULL || db->addresses.n > 0) {
		db_connect(db);
		return;
	}
	db->state = DB_RESOLVING;
	db->resolve = db_resolve_start(db->base, name, on_resolved, db);
	if (db->resolve == NULL)
		db_lost(db, away, "out of memory");
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
	db->retry_ms = RETRY_FIRST_MS;
	db->trouble = away;
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
	drop_connection(db);
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

int
db_query(struct db *db, const char *sql, int n, const char *const *params,
    db_result_cb *cb, void *arg)
{
	if (db->n_waiting >= DB_QUEUE_MAX)
		return ERR_LIMIT;
	return enqueue(db, db_query_new(sql, n, params, cb, arg));
}

int
db_query_now(struct db *db, const char *sql, int n, const char *const *params,
    db_result_cb *cb, void *arg)
{
	struct db_query *q;

	if (db->state != DB_UP)
		return ERR_UNAVAILABLE;
	if (db->n_waiting >= DB_QUEUE_MAX)
		return ERR_LIMIT;
	q = db_query_new(sql, n, params, cb, arg);
	if (q != NULL)
		q->is_now = true;
	return enqueue(db, q);
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
	if (strncmp(state, "57", 2) == 0 || strncmp(state, "55", 2) == 0)
		return "is too slow";
	return "refused it";
}
