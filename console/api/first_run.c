/* POST first-run: a one-time link of `relaycam console first-run-link` makes
 * an owner, and while there is none, the first team. Wrong tokens are slowed
 * down by the throttle that all doors share, by address. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/login/login_attempt.h"
#include "common/login/login_rows.h"
#include "common/token.h"
#include "console/api/answer.h"
#include "console/api/body.h"
#include "console/api/change.h"
#include "console/api/handlers.h"
#include "console/api/login_open.h"
#include "console/api/password_change.h"
#include "console/api/request.h"
#include "console/worker.h"

#define ACTOR "first-run link" /* in the audit log; no person's name */

static const struct member members[] = {
	{ "token", .kind = MEMBER_TEXT, .lo = 1, .hi = 128, .is_needed = true },
	{ "team", .kind = MEMBER_NAME },
	{ "name", .kind = MEMBER_NAME, .is_needed = true },
	PASSWORD_MEMBER(true),
	{ "time_zone", .kind = MEMBER_TEXT, .lo = 1, .hi = 64 },
};

static const char look_sql[] =
    "SELECT first_run_is_open(decode($1, 'hex')), coalesce(max(failed), 0), "
    "coalesce(max(extract(epoch FROM now() - last_at)), 0) "
    "FROM login_failures WHERE client_addr = $2";

struct first_run {
	struct request *request;
	struct login_attempt attempt;
	char prefix[LOGIN_PREFIX_LEN];
	bool is_open;
};

static void
release(struct request *r)
{
	struct first_run *f = r->state;

	login_attempt_release(&f->attempt);
	free(f);
}

static void
on_made(struct request *r, const char *answer)
{
	login_take_person(r, answer);
	login_open(r, LOGIN_FIRST_RUN);
}

static void
make(struct request *r)
{
	change_then(r, "console_first_run", on_made);
}

static void
refuse(struct request *r)
{
	struct first_run *f = r->state;
	const char *params[] = { ACTOR, f->prefix, r->client, "console", "f",
		"f" };

	atomic_fetch_add(&r->worker->place->counters.logins_failed, 1);
	request_write(r, login_wrong_statement, 6, params);
	login_attempt_end(&f->attempt, LOGIN_WRONG);
	request_problem(r, 403, "dead-link",
	    "This link was used, is too old, or never was one.");
}

static void
check(void *arg)
{
	struct first_run *f = arg;

	if (!f->is_open) {
		refuse(f->request);
		return;
	}
	login_attempt_end(&f->attempt, LOGIN_RIGHT);
	if (f->request->http == NULL) /* it left: the link stays good */
		request_free(f->request);
	else
		password_change(f->request, make);
}

static void
on_look(struct request *r, PGresult *res)
{
	struct first_run *f = r->state;
	struct login_throttle *throttle = r->worker->throttle;

	f->is_open = PQgetvalue(res, 0, 0)[0] == 't';
	login_attempt_set(&f->attempt, throttle, r->worker->base, r->client,
	    "first run", NULL, false);
	login_throttle_learn(throttle, &f->attempt.who, LOGIN_KEY_ADDRESS,
	    strtoull(PQgetvalue(res, 0, 1), NULL, 10),
	    strtod(PQgetvalue(res, 0, 2), NULL), clock_mono_ns());
	if (login_attempt_wait(&f->attempt, check, f) != 0)
		request_problem(r, 503, "unavailable", "Out of memory.");
}

void
first_run_run(struct request *r)
{
	const char *token;
	char hash[TOKEN_HASH_MAX];
	struct first_run *f;
	const char *params[] = { hash + 2, NULL };

	if (!body_is_right(r, members, N_ELEMENTS(members)))
		return;
	f = calloc(1, sizeof(*f));
	if (f == NULL) {
		request_problem(r, 503, "unavailable", "Out of memory.");
		return;
	}
	f->request = r;
	r->state = f;
	r->release = release;
	token = request_text(r, "token");
	token_hash(token, strlen(token), hash);
	body_wipe(r->body, "token");
	json_object_set_new(r->body, "hash", json_string(hash + 2));
	login_prefix(f->prefix, r->client);
	params[1] = f->prefix;
	request_query(r, look_sql, 2, params, on_look);
}
