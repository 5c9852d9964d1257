/*
 * PostgreSQL on a libevent loop: queued queries, one at a time a connection,
 * answered by callback; LISTEN; reconnecting with back-off. Nothing blocks.
 * One loop owns it. Source: libpq chapter 34.4, "Asynchronous Command
 * Processing".
 */
#ifndef COMMON_DB_H
#define COMMON_DB_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;
struct db;

#define DB_QUEUE_MAX 10000 /* queries waiting */

/*
 * res: NULL when the connection was lost or db_free came first; otherwise
 * borrowed for the call, PGRES_TUPLES_OK, PGRES_COMMAND_OK or an error
 * (then db_sqlstate tells). A query whose answer was lost may have run.
 */
typedef void db_result_cb(void *arg, PGresult *res);

/* Payload of a NOTIFY, borrowed. */
typedef void db_notify_cb(void *arg, const char *channel, const char *payload);

/* Connection came (true) or went (false). */
typedef void db_state_cb(void *arg, bool connected);

/*
 * Starts to connect to url (borrowed) at once. NULL only for memory.
 * A lost connection is tried again after 0.2 s, growing to 5 s.
 */
struct db *db_new(
    struct event_base *base, const char *url, db_state_cb *on_state, void *arg);
/* Calls back all waiting queries with NULL. */
void db_free(struct db *db);

bool db_is_connected(const struct db *db);

/*
 * Queues one statement with n text parameters (copied; NULL is SQL NULL).
 * cb may be NULL. Waiting queries survive until connected; the one that was
 * under way when the connection broke is answered with NULL.
 * Returns 0, ERR_NOMEM, or ERR_LIMIT when DB_QUEUE_MAX wait.
 */
int db_query(struct db *db, const char *sql, int n, const char *const *params,
    db_result_cb *cb, void *arg);

/*
 * The same for what a person waits for: refused with ERR_UNAVAILABLE (cb is
 * not called) when not connected.
 */
int db_query_now(struct db *db, const char *sql, int n,
    const char *const *params, db_result_cb *cb, void *arg);

/* LISTEN on channel (static string), again after each reconnect. Up to 8. */
int db_listen(struct db *db, const char *channel, db_notify_cb *cb, void *arg);

/* The five characters of a result's SQLSTATE, "" when there is none. */
const char *db_sqlstate(const PGresult *res);
/* True when res holds rows or a finished command; logs `what` otherwise. */
bool db_ok(PGresult *res, const char *what);

#endif
