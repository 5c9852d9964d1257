/*
 * The statement of one page of a list: filters, order, limit and cursor of a
 * request, each value as a parameter.
 */
#ifndef CONSOLE_API_LIST_PAGE_H
#define CONSOLE_API_LIST_PAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "console/api/list.h"

#define PAGE_PARAMS_MAX 32
#define PAGE_VALUE_MAX  256 /* bytes of a value, with the NUL */
#define PAGE_SQL_MAX    8192

struct page {
	char sql[PAGE_SQL_MAX];
	size_t len;
	bool is_too_long; /* sql or params; then there is no statement */
	int n;
	const char *params[PAGE_PARAMS_MAX];
	char values[PAGE_PARAMS_MAX][PAGE_VALUE_MAX];
	unsigned limit;
	bool is_ascending;
};

/*
 * Writes the statement as far as the filters: columns row, key and id of l.
 * p: zeroed. False: the request is answered with what is wrong.
 */
bool page_begin(
    struct page *p, struct request *r, const struct list *l, const char *row);

/* Continues behind the row of the request's cursor, if it has one. The same. */
bool page_take_cursor(struct page *p, struct request *r, const struct list *l);

/* Continues behind the row with this key and id. */
void page_after(
    struct page *p, const struct list *l, const char *key, const char *id);

/* Ends the statement: order, and at most n rows. */
void page_end(struct page *p, const struct list *l, unsigned n);

/* What a cursor of this request's list begins with. Returns its length. */
int page_cursor_prefix(
    const struct request *r, bool is_ascending, char *out, size_t len);

#endif
