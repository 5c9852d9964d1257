/*
 * A SELECT put together from columns and filters. Text is only ever from
 * constants of this program; values go in as parameters ("?").
 */
#ifndef CTL_SQL_H
#define CTL_SQL_H

#include <stdbool.h>
#include <stdio.h>

#include "ctl/args.h"

#define SQL_PARAMS_MAX 16

struct sql {
	char *text; /* heap, complete after sql_text */
	size_t len;
	FILE *f;
	const char *params[SQL_PARAMS_MAX]; /* borrowed */
	int n;
	bool has_where;
};

/* Starts empty. Returns 0, or STATUS_FAILED without memory. */
int sql_init(struct sql *q);
void sql_release(struct sql *q);

/* Appends text; each '?' becomes the next parameter's number. */
void sql_add(struct sql *q, const char *text);
/* The same with one value for the '?' in it. */
void sql_value(struct sql *q, const char *text, const char *value);
/* "WHERE cond" or "AND cond"; without a value (NULL) nothing is added. */
void sql_filter(struct sql *q, const char *cond, const char *value);

/* The finished statement, NUL-terminated, borrowed. */
const char *sql_text(struct sql *q);

/* Filters by options: rows of { option, condition }. */
struct sql_option {
	const char *option, *cond;
};
void sql_options(struct sql *q, const struct args *a,
    const struct sql_option *rows, size_t n);

/*
 * A point in time from an option: "2026-11-21" or "2026-11-21 09:15" is in
 * the team's zone (T7), with Z or an offset it is what it says. column and
 * op make the condition "column op time"; zone is an SQL expression.
 * Returns 0, or STATUS_USAGE after a message.
 */
int sql_time(struct sql *q, const struct args *a, const char *option,
    const char *column, const char *op, const char *zone);

#endif
