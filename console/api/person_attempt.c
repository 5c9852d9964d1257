#include "console/api/person_attempt.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/login/login_rows.h"
#include "console/api/request.h"
#include "console/db_pool.h"
#include "console/worker.h"

void
person_attempt_set(struct person_attempt *g, const struct request *r)
{
	login_prefix(g->prefix, r->client);
	known_login_id(
	    g->known, r->worker->seal_key, r->person.name, r->client);
}

static void
learn(struct login_attempt *g, const PGresult *res, enum login_key key, int col)
{
	login_throttle_learn(g->throttle, &g->who, key,
	    strtoull(PQgetvalue(res, 0, col), NULL, 10),
	    strtod(PQgetvalue(res, 0, col + 1), NULL), clock_mono_ns());
}

void
person_attempt_learn(struct person_attempt *g, const struct request *r,
    const PGresult *res, int col)
{
	login_attempt_set(&g->attempt, r->worker->throttle, r->worker->base,
	    r->client, "person", r->person.name, false);
	learn(&g->attempt, res, LOGIN_KEY_ADDRESS, col);
	learn(&g->attempt, res, LOGIN_KEY_NAME, col + 2);
	if (PQgetvalue(res, 0, col + 4)[0] == 't')
		login_throttle_know(
		    g->attempt.throttle, &g->attempt.who, clock_mono_ns());
}

void
person_attempt_right(struct person_attempt *g, struct request *r)
{
	const char *params[] = { r->person.name, g->prefix, g->known };

	login_attempt_end(&g->attempt, LOGIN_RIGHT);
	db_pool_query(
	    r->worker->db, known_login_statement, 3, params, NULL, NULL);
}

void
person_attempt_wrong(struct person_attempt *g, struct request *r)
{
	const char *params[] = { r->person.name, g->prefix, r->client,
		"console", "t", "f" };

	atomic_fetch_add(&r->worker->place->counters.logins_failed, 1);
	request_write(r, login_wrong_statement, 6, params);
	login_attempt_end(&g->attempt, LOGIN_WRONG);
}
