#include "relay/login/address_failures.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/login/login_rows.h"

int
address_failures_ask(
    struct db *db, const char *client_addr, db_result_cb *cb, void *arg)
{
	char prefix[LOGIN_PREFIX_LEN];
	const char *params[] = { prefix };

	login_prefix(prefix, client_addr);
	return db_query_now(db, login_address_query, 1, params, cb, arg);
}

bool
address_failures_learn(struct login_attempt *t, PGresult *res)
{
	if (!db_ok(res, "failures of an address") || PQntuples(res) != 1)
		return false;
	login_throttle_learn(t->throttle, &t->who, LOGIN_KEY_ADDRESS,
	    strtoull(PQgetvalue(res, 0, 0), NULL, 10),
	    strtod(PQgetvalue(res, 0, 1), NULL), clock_mono_ns());
	return true;
}

void
address_failures_add(struct db *db, const char *client_addr)
{
	char prefix[LOGIN_PREFIX_LEN];
	const char *params[] = { prefix };

	login_prefix(prefix, client_addr);
	db_query(db, login_address_wrong_statement, 1, params, NULL, NULL);
}
