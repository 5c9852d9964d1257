/* Attempts to connect, one host and address after the other, and the loss of
 * a connection. */
#include <event2/event.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/db_internal.h"
#include "common/err.h"
#include "common/log.h"

#define CONNECT_SECONDS 5 /* for one attempt, unless url says how long */
#define WHY_LEN         300

static void on_io(evutil_socket_t fd, short what, void *arg);

/* (Re)arms the socket event; libpq may change the socket while connecting. */
int
db_watch(struct db *db, short what)
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
		db_set_timer(db, 0);
		return;
	}
	db->address = db->addresses.n = 0;
	db_hosts_next(db->hosts);
	if (++db->n_tried < db_hosts_count(db->hosts)) {
		db_set_timer(db, 0);
		return;
	}
	db->n_tried = 0;
	db_set_timer(db, db->retry_ms);
	db->retry_ms = db->retry_ms * 2 > DB_RETRY_MAX_MS ? DB_RETRY_MAX_MS
							  : db->retry_ms * 2;
}

void
db_drop(struct db *db)
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
void
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
	db_drop(db);
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

const char *
db_conn_why(struct db *db)
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
	db->n_prepared = 0;
	db->keeps_none = false;
	db_set_timer(db, db_answer_ms(db));
	if (db_watch(db, EV_READ) != 0) {
		db_lost(db, DB_TROUBLE_AWAY, "out of memory");
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
		if (db_watch(db, EV_READ) != 0)
			db_lost(db, DB_TROUBLE_AWAY, "out of memory");
		break;
	case PGRES_POLLING_WRITING:
		if (db_watch(db, EV_WRITE) != 0)
			db_lost(db, DB_TROUBLE_AWAY, "out of memory");
		break;
	case PGRES_POLLING_OK:
		db_came(db);
		break;
	case PGRES_POLLING_ACTIVE:
	case PGRES_POLLING_FAILED:
	default:
		db_lost(db, DB_TROUBLE_AWAY, db_conn_why(db));
		break;
	}
}

static void
on_io(evutil_socket_t fd, short what, void *arg)
{
	struct db *db = arg;

	if (db->state == DB_CONNECTING)
		poll_connect(db);
	else
		db_on_ready(db, what);
}

static void
db_connect(struct db *db)
{
	const char *address =
	    db->addresses.n > 0 ? db->addresses.list[db->address] : NULL;

	db->conn = db_hosts_start(db->hosts, address, db_answer_ms(db));
	db->state = DB_CONNECTING;
	if (db->conn == NULL || PQstatus(db->conn) == CONNECTION_BAD)
		db_lost(db, DB_TROUBLE_AWAY, db_conn_why(db));
	else if (db_watch(db, EV_WRITE) != 0)
		db_lost(db, DB_TROUBLE_AWAY, "out of memory");
}

static void
on_resolved(void *arg, const struct db_addresses *a)
{
	struct db *db = arg;

	db->addresses = *a;
	db_resolve_stop(db->resolve);
	db->resolve = NULL;
	if (db->addresses.error != 0)
		db_lost(db, DB_TROUBLE_AWAY, gai_strerror(db->addresses.error));
	else
		db_connect(db);
}

void
db_start(struct db *db)
{
	const char *name = db_hosts_to_resolve(db->hosts);

	db_set_timer(db, 1000 * db_hosts_timeout(db->hosts, CONNECT_SECONDS));
	if (name == NULL || db->addresses.n > 0) {
		db_connect(db);
		return;
	}
	db->state = DB_RESOLVING;
	db->resolve = db_resolve_start(db->base, name, on_resolved, db);
	if (db->resolve == NULL)
		db_lost(db, DB_TROUBLE_AWAY, "out of memory");
}
