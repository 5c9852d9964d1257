/*
 * Rows that say what runs here, sent to the database again: by a relay that
 * was written off while it could not reach it. On a loop.
 */
#ifndef RELAY_RESTORE_H
#define RELAY_RESTORE_H

#include <jansson.h>

#include "common/db.h"

struct loop;

/*
 * Runs sql with $1: the list as JSON, $2: the id of this relay's node; not
 * for an empty list, nor without memory or a database: it is called again.
 * take: a JSON array, stolen. cb: NULL or as in db_query, its arg is l.
 */
void restore_rows(
    struct loop *l, json_t *take, const char *sql, db_result_cb *cb);

#endif
