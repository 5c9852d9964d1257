/*
 * PostgreSQL on a libevent loop: queued queries, one at a time a connection,
 * answered by callback; LISTEN; reconnecting with back-off, each attempt at
 * the next host (db_hosts.h). Nothing blocks. One loop owns it. Source: libpq
 * chapter 34.4, "Asynchronous Command Processing".
 *
 * A server that is connected and does not answer is given up: each query has
 * [database] answer_seconds, and an idle connection is probed that often.
 */
#ifndef COMMON_DB_H
#define COMMON_DB_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/conf.h"

struct event_base;
struct db;

#define DB_QUEUE_MAX 10000 /* queries waiting */

/*
 * res: NULL when the connection was lost or db_free came first; otherwise
 * borrowed for the call, PGRES_TUPLES_OK, PGRES_COMMAND_OK or an error
 * (then db_sqlstate tells). A query whose answer was lost may have run, or
 * may run later.
 */
typedef void db_result_cb(void *arg, PGresult *res);

/* Payload of a NOTIFY, borrowed. */
typedef void db_notify_cb(void *arg, const char *channel, const char *payload);

/* Connection came (true) or went (false). */
typedef void db_state_cb(void *arg, bool connected);

/*
 * Starts to connect at once. conf: borrowed for the life of db. NULL only for
 * memory. When all hosts were tried, they are tried again after 0.2 s,
 * growing to 5 s.
 */
struct db *db_new(struct event_base *base, const struct conf_database *conf,
    db_state_cb *on_state, void *arg);
/* Calls back all waiting queries with NULL. */
void db_free(struct db *db);

bool db_is_connected(const struct db *db);
/* Why it is not connected, for people: "cannot be reached", "does not answer",
 * "is read-only", static; follows "the database". NULL: it is connected. */
const char *db_trouble(const struct db *db);
/* Milliseconds since the running query was sent; 0: none runs. */
uint64_t db_waiting_ms(const struct db *db);

/*
 * Queues one statement with n text parameters (copied; NULL is SQL NULL; what
 * is not UTF-8 becomes '?'). cb may be NULL. Waiting queries survive until
 * connected; the one that was under way when the connection broke is answered
 * with NULL. Returns 0, ERR_NOMEM, or ERR_LIMIT when DB_QUEUE_MAX wait.
 */
int db_query(struct db *db, const char *sql, int n, const char *const *params,
    db_result_cb *cb, void *arg);

/*
 * The same for what a person waits for: refused with ERR_UNAVAILABLE (cb is
 * not called) when not connected, and answered with NULL when the connection
 * breaks before its turn.
 */
int db_query_now(struct db *db, const char *sql, int n,
    const char *const *params, db_result_cb *cb, void *arg);

/*
 * As db_query_now, of a statement that each connection keeps prepared: for
 * what is asked often and found by keys, where planning costs more than the
 * rest. Its plan does not know the parameters. sql: static, told apart by its
 * address; 8 on a connection, others are sent with their text.
 */
int db_query_prepared(struct db *db, const char *sql, int n,
    const char *const *params, db_result_cb *cb, void *arg);

/* As db_query, of a statement that is kept prepared in that way. */
int db_queue_prepared(struct db *db, const char *sql, int n,
    const char *const *params, db_result_cb *cb, void *arg);

/* LISTEN on channel (static string), again after each reconnect. Up to 8. */
int db_listen(struct db *db, const char *channel, db_notify_cb *cb, void *arg);

/* The five characters of a result's SQLSTATE, "" when there is none. */
const char *db_sqlstate(const PGresult *res);
/* True when res holds rows or a finished command; logs `what` otherwise. */
bool db_ok(PGresult *res, const char *what);
/*
 * Why res (NULL: no answer) is no success, for people: "does not answer",
 * "is full", "is read-only", "refused it"; follows "the database".
 */
const char *db_why(const PGresult *res);
/* Whether that is the database's trouble, which may pass, and not the
 * statement's: the same may be asked again. */
bool db_is_trouble(const PGresult *res);

#endif
