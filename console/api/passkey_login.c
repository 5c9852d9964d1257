/* login/passkey: a login without a user name. A passkey that verified its
 * user is two factors by itself, so no code is asked for. */
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/login/login_attempt.h"
#include "common/login/known_login.h"
#include "common/login/login_rows.h"
#include "console/api/answer.h"
#include "console/api/handlers.h"
#include "console/api/login_open.h"
#include "console/api/passkey_check.h"
#include "console/api/request.h"
#include "console/db_pool.h"
#include "console/worker.h"

#define ACTOR "passkey login" /* in the audit log; no person's name */

struct passkey_login {
	struct request *request;
	struct login_attempt attempt;
	char prefix[LOGIN_PREFIX_LEN];
};

static void
release(struct request *r)
{
	struct passkey_login *l = r->state;

	login_attempt_release(&l->attempt);
	free(l);
}

/* PublicKeyCredentialRequestOptionsJSON. */
void
passkey_login_options_run(struct request *r)
{
	uint8_t challenge[CHALLENGE_LEN];
	char text[CHALLENGE_TEXT_MAX];

	if (!r->worker->rp.is_usable) {
		request_problem(r, 409, "not-done",
		    "Passkeys need a host name in [console] public_url.");
		return;
	}
	challenge_new(challenge, r->worker->seal_key, CHALLENGE_LOGIN, 0,
	    (int64_t)(clock_wall_ns() / NS_PER_S));
	challenge_text(challenge, text);
	request_json(r, 200,
	    json_pack("{s:{s:s,s:s,s:i,s:s,s:[]}}", "publicKey", "challenge",
		text, "rpId", r->worker->rp.id, "timeout",
		CHALLENGE_SECONDS * 1000, "userVerification", "required",
		"allowCredentials"));
}

static void
refuse(struct request *r)
{
	struct passkey_login *l = r->state;
	const char *params[] = { ACTOR, l->prefix, r->client, "console", "f",
		"f" };

	atomic_fetch_add(&r->worker->place->counters.logins_failed, 1);
	request_write(r, login_wrong_statement, 6, params);
	login_attempt_end(&l->attempt, LOGIN_WRONG);
	request_problem(r, 401, "wrong-passkey",
	    "This passkey is not known here, or was not asked for.");
}

static void
on_checked(struct request *r, const struct person *owner)
{
	struct passkey_login *l = r->state;
	char known[KNOWN_LOGIN_ID_LEN];
	const char *params[] = { r->person.name, l->prefix, known };

	if (owner == NULL) {
		refuse(r);
		return;
	}
	login_attempt_end(&l->attempt, LOGIN_RIGHT);
	r->person = *owner;
	known_login_id(known, r->worker->seal_key, r->person.name, r->client);
	db_pool_query(
	    r->worker->db, known_login_statement, 3, params, NULL, NULL);
	login_open(r, "passkey");
}

static void
check(void *arg)
{
	struct passkey_login *l = arg;

	if (l->request->http == NULL)
		request_free(l->request);
	else
		passkey_check(l->request, on_checked);
}

static void
on_failures(struct request *r, PGresult *res)
{
	struct passkey_login *l = r->state;

	login_attempt_set(&l->attempt, r->worker->throttle, r->worker->base,
	    r->client, "passkey", NULL, false);
	login_throttle_learn(r->worker->throttle, &l->attempt.who,
	    LOGIN_KEY_ADDRESS, strtoull(PQgetvalue(res, 0, 0), NULL, 10),
	    strtod(PQgetvalue(res, 0, 1), NULL), clock_mono_ns());
	if (login_attempt_wait(&l->attempt, check, l) != 0)
		request_problem(r, 503, "unavailable", "Out of memory.");
}

void
passkey_login_run(struct request *r)
{
	struct passkey_login *l;
	const char *params[1];

	if (!json_is_object(json_object_get(r->body, "credential"))) {
		request_invalid(
		    r, "/credential", "A public key credential is expected.");
		return;
	}
	l = calloc(1, sizeof(*l));
	if (l == NULL) {
		request_problem(r, 503, "unavailable", "Out of memory.");
		return;
	}
	l->request = r;
	r->state = l;
	r->release = release;
	login_prefix(l->prefix, r->client);
	params[0] = l->prefix;
	request_query(r, login_address_query, 1, params, on_failures);
}
