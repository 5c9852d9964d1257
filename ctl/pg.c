#include "ctl/pg.h"

#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/doctor/remedy.h"

#define SQLSTATE_NO_TABLE "42P01"

/* libpq ends its sentences with a line feed and may have several. */
static void
one_line(char *s)
{
	size_t len = strlen(s);

	while (len > 0 && s[len - 1] == '\n')
		s[--len] = '\0';
	for (; *s != '\0'; s++)
		if (*s == '\n' || *s == '\t')
			*s = ' ';
}

const char *
pg_state(const PGresult *res)
{
	const char *s =
	    res != NULL ? PQresultErrorField(res, PG_DIAG_SQLSTATE) : NULL;

	return s != NULL ? s : "";
}

int
pg_explain(struct ctl *c, const PGresult *res)
{
	const char *text = res != NULL
	    ? PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY)
	    : NULL;
	const char *remedy = remedy_of_sqlstate(pg_state(res));
	char why[512];

	if (strcmp(pg_state(res), SQLSTATE_NO_TABLE) == 0)
		return ctl_error("the database lacks Relaycam's tables (%s): "
				 "run \"relaycam migrate\"",
		    text);
	snprintf(why, sizeof(why), "%s",
	    text != NULL ? text : PQerrorMessage(c->db));
	one_line(why);
	if (PQstatus(c->db) != CONNECTION_OK)
		remedy = "the connection is lost: look whether PostgreSQL "
			 "runs, then try again";
	return ctl_error("database: %s%s%s", why, remedy != NULL ? "; " : "",
	    remedy != NULL ? remedy : "");
}

static bool
is_ok(const PGresult *res)
{
	ExecStatusType s = PQresultStatus(res);

	return s == PGRES_TUPLES_OK || s == PGRES_COMMAND_OK;
}

PGresult *
pg_query(struct ctl *c, const char *sql, int n, const char *const *params)
{
	PGresult *res;

	if (pg_open(c) != 0)
		return NULL;
	res = pg_try(c, sql, n, params);
	if (is_ok(res))
		return res;
	pg_explain(c, res);
	PQclear(res);
	return NULL;
}

int
pg_run(struct ctl *c, const char *sql, int n, const char *const *params)
{
	PGresult *res = pg_query(c, sql, n, params);

	PQclear(res);
	return res != NULL ? 0 : STATUS_FAILED;
}

const char *
pg_text(const PGresult *res, int row, int col)
{
	return PQgetisnull(res, row, col) ? NULL : PQgetvalue(res, row, col);
}

char *
pg_copy(const PGresult *res)
{
	const char *s = PQntuples(res) > 0 ? pg_text(res, 0, 0) : NULL;

	return s != NULL ? strdup(s) : NULL;
}

/* "relaycam@host" */
static void
actor_name(char *out, size_t len)
{
	char host[200] = "localhost";

	gethostname(host, sizeof(host) - 1);
	snprintf(out, len, "relaycam@%s", host);
}

static const char *
account_name(void)
{
	struct passwd *pw = getpwuid(getuid());

	return pw != NULL ? pw->pw_name : "?";
}

int
pg_introduce(struct ctl *c)
{
	char actor[220];

	actor_name(actor, sizeof(actor));
	return PG_RUN(c,
	    "SELECT set_config('relaycam.actor', $1, false), "
	    "set_config('relaycam.system_account', $2, false)",
	    actor, account_name());
}

int
pg_audit(struct ctl *c, const char *team, const char *action,
    const char *object, json_t *detail)
{
	char actor[220];
	char *text;
	int rc;

	if (detail == NULL)
		detail = json_object();
	json_object_set_new(
	    detail, "system_account", json_string(account_name()));
	text = json_dumps(detail, JSON_COMPACT);
	json_decref(detail);
	if (text == NULL)
		return ctl_error("out of memory");
	actor_name(actor, sizeof(actor));
	rc = PG_RUN(c,
	    "INSERT INTO audit (team_id, actor, action, object, detail) "
	    "VALUES ($1, $2, $3, $4, $5)",
	    team, actor, action, object, text);
	free(text);
	return rc;
}
