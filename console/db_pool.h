/*
 * A worker's connections to the database. A statement goes to the connection
 * on which the fewest wait. Statements of lists are sent with their text each
 * time, so that each is planned with its parameters: a prepared one leaves
 * partial indexes at its sixth run. On the worker's loop.
 */
#ifndef CONSOLE_DB_POOL_H
#define CONSOLE_DB_POOL_H

#include "common/db.h"

struct db_pool;
struct worker;

/* NULL only for memory. */
struct db_pool *db_pool_new(struct worker *w);
/* Answers all that wait with NULL. */
void db_pool_free(struct db_pool *p);

/* NULL, or what is wrong with the database; follows "the database". */
const char *db_pool_trouble(const struct db_pool *p);

/* As db_query_now: 0, ERR_UNAVAILABLE, ERR_LIMIT or ERR_NOMEM; cb is called
 * after 0 alone. cb may be NULL. */
int db_pool_query(struct db_pool *p, const char *sql, int n,
    const char *const *params, db_result_cb *cb, void *arg);

/* The same as db_query_prepared: look-ups by keys. sql: static. */
int db_pool_query_prepared(struct db_pool *p, const char *sql, int n,
    const char *const *params, db_result_cb *cb, void *arg);

#endif
