/*
 * Lists of the API, each a const table: what a row shows, which parameters
 * filter it, how it is sorted. Pages are found by key (the sort key and id of
 * the last row), so that a page far down costs what the first one does. Every
 * value goes to the database as a parameter.
 */
#ifndef CONSOLE_API_LIST_H
#define CONSOLE_API_LIST_H

#include <stddef.h>

struct request;

#define LIST_LIMIT     50 /* rows of a page, unless `limit` says otherwise */
#define LIST_LIMIT_MAX 200

/* "?" in sql stands for the value; $1 is the person, $2 the team, $3 the
 * team's time zone. */
struct list_filter {
	const char *name, *sql;
	const char *choices; /* "a|b": anything else is refused; NULL: any */
};

struct list {
	const char *row; /* SQL: the row as JSON */
	/* SQL: the row as a line of CSV, and the line above all; NULL: there
	 * is no such export */
	const char *csv_row, *csv_head;
	const char *from;  /* FROM and what joins it */
	const char *where; /* what a person may see of it */
	const struct list_filter *filters;
	size_t n_filters;
	/* the columns that pages are sorted by, the last first unless `order`
	 * is "asc", and their types: both together are unique, and an index
	 * has them */
	const char *key, *key_type, *id, *id_type;
};

/* Answers a request for a page of it: {"items": [...], "cursor": ...}. */
void list_run(struct request *r, const struct list *l);

/* Answers with all rows as CSV (RFC 4180), streamed; the filters are those of
 * list_run(). Notes the export in the audit log (X7). */
void list_csv_run(struct request *r, const struct list *l);

#endif
