/* GET login/methods: what the login page offers. */
#include <jansson.h>

#include "console/api/handlers.h"
#include "console/api/request.h"
#include "console/conf.h"
#include "console/worker.h"

static void
on_methods(struct request *r, PGresult *res)
{
	json_t *sso = json_loads(PQgetvalue(res, 0, 0), 0, NULL);

	request_json(r, 200,
	    json_pack("{s:b,s:o,s:b}", "password", 1, "single_sign_on", sso,
		"passkeys", r->worker->rp.is_usable));
}

void
login_methods_run(struct request *r)
{
	char team[64];
	const char *params[] = { NULL, NULL };

	if (request_param(r, "team", team, sizeof(team)))
		params[0] = team;
	/* without an address to come back to, there is none */
	params[1] = r->worker->conf->console.public_url;
	request_query(r,
	    "SELECT CASE WHEN $2::text IS NULL THEN '[]' ELSE "
	    "console_login_methods($1) END",
	    2, params, on_methods);
}
