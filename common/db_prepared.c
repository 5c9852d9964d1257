/* Statements that a connection keeps prepared: parsed and, from their sixth
 * run on, mostly planned once. libpq sends PREPARE and the run apart, so that
 * the first run on a connection takes two answers. */
#include <stdio.h>
#include <string.h>

#include "common/db_internal.h"
#include "common/log.h"

#define NAME_LEN 8

/* Its place among those of this connection, or n_prepared. */
static unsigned
find(const struct db *db, const struct db_query *q)
{
	unsigned i = 0;

	while (i < db->n_prepared && db->prepared[i] != q->prepared)
		i++;
	return i;
}

static const char *
name_of(unsigned i, char name[NAME_LEN])
{
	snprintf(name, NAME_LEN, "p%u", i);
	return name;
}

bool
db_send_query(struct db *db, struct db_query *q)
{
	unsigned i = find(db, q);
	char name[NAME_LEN];

	q->is_preparing = q->is_by_name = false;
	if (q->prepared == NULL || db->keeps_none ||
	    (i == db->n_prepared && i == DB_PREPARED_MAX))
		return PQsendQueryParams(db->conn, q->sql, q->n, NULL,
			   (const char *const *)q->params, NULL, NULL, 0) == 1;
	if (i == db->n_prepared) {
		q->is_preparing = true;
		return PQsendPrepare(
			   db->conn, name_of(i, name), q->sql, 0, NULL) == 1;
	}
	q->is_by_name = true;
	return PQsendQueryPrepared(db->conn, name_of(i, name), q->n,
		   (const char *const *)q->params, NULL, NULL, 0) == 1;
}

/* A column has another type since it was prepared (0A000), or the server has
 * forgotten it (26000): nothing was done yet. */
static bool
is_outdated(const PGresult *res)
{
	return strcmp(db_sqlstate(res), "0A000") == 0 ||
	    strcmp(db_sqlstate(res), "26000") == 0;
}

bool
db_must_send_again(struct db *db, struct db_query *q, const PGresult *res)
{
	if (q->is_preparing) {
		if (PQresultStatus(res) == PGRES_COMMAND_OK)
			db->prepared[db->n_prepared++] = q->prepared;
		else
			db->keeps_none = true; /* says what is wrong with it */
		return true;
	}
	if (!q->is_by_name || !is_outdated(res))
		return false;
	log_info(
	    "prepared_statement_outdated", LOG_S("sqlstate", db_sqlstate(res)));
	db->keeps_none = true;
	return true;
}
