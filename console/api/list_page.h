/*
 * One page of a list: what a request asks for (list_page.c), and the statement
 * that finds it (list_sql.c), in which each value is a parameter.
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
	const struct list *list;
	/* what is asked for; values by filter, "" where there is none */
	char values[LIST_FILTERS][PAGE_VALUE_MAX];
	unsigned limit;
	bool is_ascending;
	bool has_cursor; /* it continues behind the row of key and id */
	char key[PAGE_VALUE_MAX], id[PAGE_VALUE_MAX];
	/* of a member with few endpoints: these are read, not the team's */
	bool is_mine;
	/* LIST_DEVICE: a part of the name of few endpoints */
	bool has_few_devices;

	/* the statement */
	char sql[PAGE_SQL_MAX];
	size_t len;
	bool is_too_long; /* sql or params; then there is no statement */
	int n;
	const char *params[PAGE_PARAMS_MAX];
	/* rows that it reads at most; 0: as many as the page takes */
	unsigned window;
};

/* ---- list_page.c ---- */

/* Reads the request's parameters. p: zeroed. False: the request is answered
 * with what is wrong. */
bool page_read(struct page *p, struct request *r, const struct list *l);

/* The page goes on behind the row with this key and id. */
void page_continue(struct page *p, const char *key, const char *id);

/* The cursor of the page behind the row with this key and id, at most
 * PAGE_CURSOR_MAX bytes. Returns out. */
#define PAGE_CURSOR_MAX (2 * PAGE_VALUE_MAX + 1)
char *page_cursor(const struct request *r, const struct page *p,
    const char *key, const char *id, char out[PAGE_CURSOR_MAX]);

/* ---- list_sql.c ---- */

/* Whether the statement depends on how many endpoints the person has, or have a
 * part of a name; what counts them, up to one more than matters; and what follows
 * from their number. */
bool page_asks_for_count(const struct page *p, const struct request *r);
void page_write_count(struct page *p, const struct request *r);
void page_take_count(struct page *p, int n);

/* Writes the statement: columns row, key and id of at most n rows. */
void page_write(
    struct page *p, const struct request *r, const char *row, unsigned n);

/* After page_write with a window: key and id of the last row that was read. No
 * row: the list ended sooner. */
void page_write_horizon(struct page *p, const struct request *r);

#endif
