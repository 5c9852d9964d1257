/* Statements and answers of a scripted database, as text. */
#ifndef TESTS_UNIT_SCRIPTED_ROWS_H
#define TESTS_UNIT_SCRIPTED_ROWS_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>

/* One statement that is expected, and its answer. */
struct db_ask {
	const char *has; /* part of the statement */
	/* all parameters, with "|" between; "~" is NULL, "*" anything. NULL:
	 * not compared */
	const char *params;
	/* rows end with "\n", fields with "|" between; "~" is NULL. NULL: the
	 * statement fails */
	const char *rows;
};

bool ask_matches(const struct db_ask *ask, const char *sql, int n,
    const char *const *params);

/* What a server would answer; PQclear. rows as in struct db_ask. */
PGresult *result_make(const char *sql, const char *rows);

/* "BEGIN" and the other two. */
bool is_transaction(const char *sql);

/* The parameters with "|" between. */
void params_text(int n, const char *const *params, char *out, size_t len);

#endif
