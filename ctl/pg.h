/*
 * PostgreSQL for the command line: libpq, one connection, blocking. Errors
 * are printed here, once, with the remedy.
 */
#ifndef CTL_PG_H
#define CTL_PG_H

#include <jansson.h>
#include <libpq-fe.h>

#include "ctl/ctl.h"

/* Connects once, trying each host of [database] url (common/db_hosts.h).
 * Returns 0 or STATUS_FAILED after a message. */
int pg_open(struct ctl *c);

/* The same without a message: why gets the reason. For doctor. */
int pg_try_open(struct ctl *c, char *why, size_t why_len);

/* After pg_try_open: false when nothing is answered within [database]
 * answer_seconds; then it is not connected any more. For doctor. */
bool pg_answers(struct ctl *c);

/*
 * One statement with n text parameters (NULL is SQL NULL). Connects first.
 * Returns the result (PQclear) or NULL after a message.
 */
PGresult *pg_query(
    struct ctl *c, const char *sql, int n, const char *const *params);

/* The same; a failure is the caller's to explain (pg_state). */
PGresult *pg_try(
    struct ctl *c, const char *sql, int n, const char *const *params);

#define PG_LIST(...)                                                           \
	(int)(sizeof((const char *const[]){ NULL, ##__VA_ARGS__ }) /           \
	    sizeof(char *)) -                                                  \
	    1,                                                                 \
	    (const char *const[]){ NULL, ##__VA_ARGS__ } + 1
#define PG_QUERY(c, sql, ...) pg_query((c), (sql), PG_LIST(__VA_ARGS__))
#define PG_TRY(c, sql, ...)   pg_try((c), (sql), PG_LIST(__VA_ARGS__))

/* For statements whose rows do not matter. 0 or STATUS_FAILED. */
int pg_run(struct ctl *c, const char *sql, int n, const char *const *params);
#define PG_RUN(c, sql, ...) pg_run((c), (sql), PG_LIST(__VA_ARGS__))

/* SQLSTATE of a result; "" without one. */
const char *pg_state(const PGresult *res);
/* Prints why res failed. Returns STATUS_FAILED. */
int pg_explain(struct ctl *c, const PGresult *res);

/* A field's text, borrowed; NULL for SQL NULL. */
const char *pg_text(const PGresult *res, int row, int col);
/* A copy of field 0,0 (heap); NULL without rows, for SQL NULL, no memory. */
char *pg_copy(const PGresult *res);

/*
 * Adds a row to the audit log: who (program, host, system account), what.
 * team: id as text, or NULL. detail: stolen, may be NULL.
 * Returns 0 or STATUS_FAILED. Belongs into the transaction of the change.
 */
int pg_audit(struct ctl *c, const char *team, const char *action,
    const char *object, json_t *detail);

/*
 * The same for what SQL functions put into the audit log themselves: who we
 * are, until the connection ends. Returns 0 or STATUS_FAILED.
 */
int pg_introduce(struct ctl *c);

#endif
