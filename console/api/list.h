/*
 * Lists of the API, each a const table: what a row shows, which parameters
 * filter it, how it is sorted. Pages are found by key (the sort key and id of
 * the last row), so that a page far down costs what the first one does. Every
 * value goes to the database as a parameter.
 *
 * A list with a `table` can have a million rows. Its statement reads at most
 * LIST_READ_MAX of them in the order of one index, looks for the filters
 * without an index among these, and a page that is not full then has a cursor
 * that continues behind the last one that was read. So no filter, alone or
 * with others, makes a request read the whole table.
 */
#ifndef CONSOLE_API_LIST_H
#define CONSOLE_API_LIST_H

#include <stddef.h>

struct request;

#define LIST_LIMIT       50 /* rows of a page, unless `limit` says otherwise */
#define LIST_LIMIT_MAX   200
#define LIST_READ_MAX    2000 /* rows that a statement reads for a page */
#define LIST_MINE_MAX    200 /* endpoints of a member that are read one by one */
#define LIST_DEVICES_MAX 20  /* endpoints of a part of a name, the same */
#define LIST_FILTERS     16

/* SQL: ids of the team's endpoints with the value in name or title, upper and
 * lower case alike. A team has thousands of them at most. */
#define LIST_DEVICES                                                           \
	"SELECT e.id FROM endpoints e WHERE e.team_id = $2::bigint AND "       \
	"position(lower(?) IN lower(concat_ws(' ', e.name, e.title))) > 0"

enum list_access {
	LIST_READ,     /* no index: looked for in the rows that are read */
	LIST_RANGE,    /* bounds of the key */
	LIST_INDEX,    /* an index of its own, which finds few rows */
	LIST_WIDE,     /* an index of its own, which may find many */
	LIST_ENDPOINT, /* the same: the index by endpoint, for each of a name */
	LIST_DEVICE,   /* as LIST_ENDPOINT for up to LIST_DEVICES_MAX; else as
			* LIST_READ */
};

/* "?" in sql stands for the value; $1 is the person, $2 the team, $3 the
 * team's time zone. */
struct list_filter {
	const char *name, *sql;
	const char *choices; /* "a|b": anything else is refused; NULL: any */
	enum list_access access;
	/* LIST_WIDE of which only this value has an index, and the condition
	 * that the index is made for; NULL: all values have one */
	const char *index_value, *index_sql;
};

struct list {
	const char *row; /* SQL: the row as JSON */
	/* SQL: the row as a line of CSV, and the line above all; NULL: there
	 * is no such export */
	const char *csv_row, *csv_head;
	const char *from;  /* FROM and what joins it; behind `table`: joins */
	const char *where; /* what a person may see of it; NULL: all of it */
	const struct list_filter *filters;
	size_t n_filters;
	/* the columns that pages are sorted by, the last first unless `order`
	 * is "asc", and their types: both together are unique, and an index
	 * has them */
	const char *key, *key_type, *id, *id_type;

	/* Lists that can be long; NULL: statements are made of from and
	 * where. The table and its alias; the condition of the team, which has
	 * an index in the order of pages. */
	const char *table, *alias, *team;
	/* The endpoints whose rows a member may see, a SELECT of their ids;
	 * which rows are the person's own besides. Either may be NULL. */
	const char *mine, *own;
};

/* Answers a request for a page of it: {"items": [...], "cursor": ...}. */
void list_run(struct request *r, const struct list *l);

/* Answers with all rows as CSV (RFC 4180), streamed; the filters are those of
 * list_run(). Notes the export in the audit log (X7). */
void list_csv_run(struct request *r, const struct list *l);

#endif
