#include "ctl/pg.h"

#include <poll.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/db_hosts.h"
#include "common/db_url.h"
#include "ctl/doctor/remedy.h"

#define SQLSTATE_NO_TABLE "42P01"
#define CONNECT_SECONDS   10 /* a host, unless url says how long */

/* PostgreSQL's notices are for its own log, not for ours. */
static void
ignore_notice(void *arg, const char *text)
{
}

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

int
pg_try_open(struct ctl *c, char *why, size_t why_len)
{
	struct db_hosts *hosts;
	char *url;

	if (c->db != NULL)
		return 0;
	url = db_url_as(c->database.url, c->db_user);
	hosts = url != NULL ? db_hosts_new(url, "relaycam") : NULL;
	free(url);
	snprintf(why, why_len, "out of memory");
	if (hosts != NULL)
		c->db = db_hosts_connect(hosts, CONNECT_SECONDS, why, why_len);
	db_hosts_free(hosts);
	if (PQstatus(c->db) == CONNECTION_OK) {
		PQsetNoticeProcessor(c->db, ignore_notice, NULL);
		return 0;
	}
	PQfinish(c->db);
	c->db = NULL;
	return STATUS_FAILED;
}

int
pg_open(struct ctl *c)
{
	char why[512];

	if (pg_try_open(c, why, sizeof(why)) == 0)
		return 0;
	return ctl_error("no database: %s; %s ([database] url is in %s)", why,
	    remedy_of_connection(why),
	    c->config_path != NULL ? c->config_path : "the settings");
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

/* Takes what came within the time of an answer. False: nothing did, and no
 * answer is there. */
static bool
hear(struct ctl *c)
{
	struct pollfd p = { PQsocket(c->db), POLLIN, 0 };

	return PQisBusy(c->db) == 0 ||
	    (poll(&p, 1, (int)c->database.answer_seconds * 1000) != 0 &&
		PQconsumeInput(c->db) == 1) ||
	    PQstatus(c->db) != CONNECTION_OK;
}

/* Waits for an answer, without end; whoever waits is told so once. */
static void
wait_for_answer(struct ctl *c)
{
	bool was_told = false;

	while (PQisBusy(c->db) != 0 && PQstatus(c->db) == CONNECTION_OK)
		if (!hear(c) && !was_told) {
			was_told = true;
			ctl_error("the database has not answered for %d s; "
				  "still waiting",
			    (int)c->database.answer_seconds);
		}
}

/* The last result, as PQexecParams has it. */
static PGresult *
take_results(struct ctl *c)
{
	PGresult *res = NULL, *next;

	for (;;) {
		wait_for_answer(c);
		next = PQgetResult(c->db);
		if (next == NULL)
			return res;
		PQclear(res);
		res = next;
	}
}

PGresult *
pg_try(struct ctl *c, const char *sql, int n, const char *const *params)
{
	if (PQsendQueryParams(c->db, sql, n, NULL, params, NULL, NULL, 0) != 1)
		return NULL;
	return take_results(c);
}

bool
pg_answers(struct ctl *c)
{
	if (PQsendQuery(c->db, "SELECT 1") == 1)
		while (PQisBusy(c->db) != 0 && PQstatus(c->db) == CONNECTION_OK)
			if (!hear(c)) {
				PQfinish(c->db);
				c->db = NULL;
				return false;
			}
	PQclear(take_results(c));
	return true;
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
