/*
 * A statement that waits for its turn on a connection (db.c), and lists of
 * them. No I/O.
 */
#ifndef COMMON_DB_QUERY_H
#define COMMON_DB_QUERY_H

#include <sys/queue.h>

#include "common/db.h"

struct db_query {
	TAILQ_ENTRY(db_query) link;
	char *sql;
	char **params; /* one block with the pointers, strings after them */
	int n;
	bool is_now; /* somebody waits: it does not survive the connection */
	/* the text as the caller has it, static: to be kept prepared */
	const char *prepared;
	bool is_preparing, is_by_name; /* what was sent of it */
	db_result_cb *cb;
	void *arg;
};
TAILQ_HEAD(db_query_list, db_query);

/*
 * Copies sql and params; what is not UTF-8 in a parameter becomes '?', as
 * PostgreSQL would refuse the whole statement (SQLSTATE 22021), and with it
 * the rest of what it says. NULL for memory.
 */
struct db_query *db_query_new(const char *sql, int n, const char *const *params,
    db_result_cb *cb, void *arg);
/* Answers with res (borrowed; NULL: there is none) and frees. */
void db_query_done(struct db_query *q, PGresult *res);
/* Frees without an answer. */
void db_query_free(struct db_query *q);

#endif
