/* pg.h: the connection, and waiting for its answers. */
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/db_hosts.h"
#include "common/db_url.h"
#include "ctl/doctor/remedy.h"
#include "ctl/pg.h"

#define CONNECT_SECONDS 10 /* a host, unless url says how long */

/* PostgreSQL's notices are for its own log, not for ours. */
static void
ignore_notice(void *arg, const char *text)
{
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
