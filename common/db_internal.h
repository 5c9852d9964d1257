/*
 * A connection as its own files see it. db.c: queries and their answers, time
 * limits; db_prepared.c: prepared statements; db_connect.c: hosts, attempts,
 * the loss. All on its loop.
 */
#ifndef COMMON_DB_INTERNAL_H
#define COMMON_DB_INTERNAL_H

#include "common/db.h"
#include "common/db_hosts.h"
#include "common/db_query.h"
#include "common/db_threads.h"

#define DB_RETRY_FIRST_MS 200
#define DB_RETRY_MAX_MS   5000
#define DB_LISTEN_MAX     8
#define DB_PREPARED_MAX   8

/* What is wrong, for people. */
#define DB_TROUBLE_AWAY      "cannot be reached"
#define DB_TROUBLE_SILENT    "does not answer"
#define DB_TROUBLE_READ_ONLY "is read-only"

struct db_listener {
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
	struct db_listener listeners[DB_LISTEN_MAX];
	unsigned n_listeners;
	unsigned n_listened; /* of them on this connection */
	bool has_limits;     /* this connection was told its time limits */
	const char *prepared[DB_PREPARED_MAX]; /* on this connection */
	unsigned n_prepared;
	bool keeps_none; /* it failed once on this connection */
	unsigned retry_ms;
	enum db_state state;
	uint64_t lost_ns;    /* when it went; 0: it was never there */
	const char *trouble; /* of db_trouble */
};

/* ---- db.c ---- */

/* The timer of the state. */
void db_set_timer(struct db *db, unsigned ms);
/* [database] answer_seconds. */
unsigned db_answer_ms(const struct db *db);
/* The connection is there: what waits is sent. */
void db_run_next(struct db *db);
/* The connection's socket after it was connected. */
void db_on_ready(struct db *db, short what);

/* ---- db_prepared.c ---- */

/* Sends q, or PREPARE for it. False: the connection is broken. */
bool db_send_query(struct db *db, struct db_query *q);
/* res answers what was sent of q. True: q is sent (again) now, as its
 * statement was prepared only, or cannot be run by its name. */
bool db_must_send_again(struct db *db, struct db_query *q, const PGresult *res);

/* ---- db_connect.c ---- */

/* The next attempt: resolves, connects. */
void db_start(struct db *db);
/* Frees the connection, or what was to become one. */
void db_drop(struct db *db);
/* The connection is gone: tells, answers what was under way, plans the next
 * attempt. trouble: for people, static; why: for the log. */
void db_lost(struct db *db, const char *trouble, const char *why);
/* What libpq says about it, borrowed. */
const char *db_conn_why(struct db *db);
/* (Re)arms the socket event for EV_READ, EV_WRITE. 0 or ERR_NOMEM. */
int db_watch(struct db *db, short what);

#endif
