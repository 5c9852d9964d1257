/*
 * Results as aligned tables for people or JSON for programs, from one table
 * of columns. Times are shown in the team's zone (T7), or UTC; JSON always
 * has UTC.
 */
#ifndef CTL_TABLE_H
#define CTL_TABLE_H

#include <jansson.h>
#include <libpq-fe.h>
#include <stdbool.h>

#include "ctl/args.h"
#include "ctl/ctl.h"
#include "ctl/sql.h"

enum column_kind {
	COLUMN_TEXT,
	COLUMN_INT,
	COLUMN_BOOL,  /* yes, no */
	COLUMN_TIME,  /* timestamptz */
	COLUMN_BYTES, /* 12.3 MiB */
	COLUMN_MS,    /* 1:02:03 */
	COLUMN_JSON,  /* an SQL json value */
};

struct column {
	const char *name;  /* key in JSON */
	const char *title; /* for people; NULL: only in "show" and JSON */
	enum column_kind kind;
	const char *expr; /* SQL */
};

/*
 * Begins "SELECT columns..., zone"; the caller adds FROM and the rest.
 * zone: SQL expression of the team's time zone.
 */
void table_select(
    struct sql *q, const struct column *cols, int n, const char *zone);

/* Runs a statement begun by table_select; NULL after a message. */
PGresult *table_query(struct ctl *c, struct sql *q);

/* One row as a JSON object; rows as an array. NULL: no memory. */
json_t *table_row_json(
    const PGresult *res, int row, const struct column *cols, int n);
json_t *table_json(const PGresult *res, const struct column *cols, int n);

/* An aligned table with a head line; nothing: `none` on standard error. */
void table_print(const PGresult *res, const struct column *cols, int n,
    bool utc, const char *none);
/* One row as "title: value" lines. */
void table_print_row(
    const PGresult *res, int row, const struct column *cols, int n, bool utc);

/* Prints and frees a JSON value. Returns STATUS_OK or STATUS_FAILED. */
int print_json(json_t *value);

/*
 * All of it for a list: runs q and prints by --json and, when the command
 * has it, --utc. Releases q. Returns the exit status.
 */
int table_list(struct ctl *c, const struct args *a, struct sql *q,
    const struct column *cols, int n, bool utc, const char *none);

#endif
