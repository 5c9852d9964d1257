#include "console/api/guess_person.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/login/login_rows.h"
#include "console/api/request.h"
#include "console/db_pool.h"
#include "console/worker.h"

void
guess_person_set(struct guess_person *g, const struct request *r)
{
	guess_prefix(g->prefix, r->client);
	known_login_id(
	    g->known, r->worker->seal_key, r->person.name, r->client);
}

static void
learn(struct guess *g, const PGresult *res, enum guess_key key, int col)
{
	guesses_learn(g->guesses, &g->who, key,
	    strtoull(PQgetvalue(res, 0, col), NULL, 10),
	    strtod(PQgetvalue(res, 0, col + 1), NULL), clock_mono_ns());
}

void
guess_person_learn(struct guess_person *g, const struct request *r,
    const PGresult *res, int col)
{
	guess_set(&g->guess, r->worker->guesses, r->worker->base, r->client,
	    "person", r->person.name, false);
	learn(&g->guess, res, GUESS_ADDRESS, col);
	learn(&g->guess, res, GUESS_NAME, col + 2);
	if (PQgetvalue(res, 0, col + 4)[0] == 't')
		guesses_know(g->guess.guesses, &g->guess.who, clock_mono_ns());
}

void
guess_person_right(struct guess_person *g, struct request *r)
{
	const char *params[] = { r->person.name, g->prefix, g->known };

	guess_end(&g->guess, GUESS_RIGHT);
	db_pool_query(
	    r->worker->db, known_login_statement, 3, params, NULL, NULL);
}

void
guess_person_wrong(struct guess_person *g, struct request *r)
{
	const char *params[] = { r->person.name, g->prefix, r->client,
		"console", "t", "f" };

	atomic_fetch_add(&r->worker->place->counters.logins_failed, 1);
	request_write(r, login_wrong_statement, 6, params);
	guess_end(&g->guess, GUESS_WRONG);
}
