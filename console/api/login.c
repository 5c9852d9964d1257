/* POST login: a password, checked in the worker's queue behind the throttle
 * that all doors share, and the code of people who have a second factor. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/login/recent_passwords.h"
#include "common/login/password_queue.h"
#include "console/api/person_attempt.h"
#include "console/api/handlers.h"
#include "console/api/login_again.h"
#include "console/api/login_open.h"
#include "console/api/passkey_check.h"
#include "console/api/password_change.h"
#include "console/api/request.h"
#include "console/api/second_factor.h"
#include "console/worker.h"

#define CODE_MAX 64

enum col { ID, TEAM_ID, TEAM, ZONE, ROLE, HASH, HAS_FACTOR, FAILURES };

static const char account_sql[] =
    "SELECT p.id, p.team_id, t.name, t.time_zone, p.role, "
    "CASE WHEN p.disabled THEN NULL ELSE p.password_hash END, "
    "second_factor_is_asked(p.id), " ATTEMPT_COLUMNS " FROM " ATTEMPT_FROM
    " LEFT JOIN people p ON p.name = $1 LEFT JOIN teams t ON t.id = p.team_id";

struct login {
	struct password_job job;
	struct request *request;
	struct person_attempt attempt;
	char *hash, *password;
	bool has_factor;                 /* a code is asked for */
	void (*then)(struct request *r); /* login_again; NULL: it logs in */
	int result;                      /* of password_check */
};

static void
forget(char **s)
{
	if (*s != NULL)
		wipe(*s, strlen(*s));
	free(*s);
	*s = NULL;
}

static void
release(struct request *r)
{
	struct login *l = r->state;

	login_attempt_release(&l->attempt.attempt);
	forget(&l->hash);
	forget(&l->password);
	free(l);
}

/* ---- the password was right ---- */

static void
let_in(struct request *r, const char *how)
{
	struct login *l = r->state;

	person_attempt_right(&l->attempt, r);
	login_open(r, how);
}

static void
on_code(struct request *r, bool is_right)
{
	struct login *l = r->state;

	if (is_right) {
		let_in(r, "password and code");
		return;
	}
	person_attempt_wrong(&l->attempt, r);
	request_problem(
	    r, 401, "wrong-code", "The code is wrong, too old, or was used.");
}

/* It has to be the same person's. */
static void
on_passkey(struct request *r, const struct person *owner)
{
	struct login *l = r->state;

	if (owner != NULL && strcmp(owner->id_text, r->person.id_text) == 0) {
		let_in(r, "password and passkey");
		return;
	}
	person_attempt_wrong(&l->attempt, r);
	request_problem(r, 401, "wrong-passkey",
	    "This passkey is not this person's, or was not asked for.");
}

/* The password alone neither counts as a failure nor takes any back. */
static void
on_password(struct request *r)
{
	struct login *l = r->state;
	const char *code = request_text(r, "code");

	if (l->then != NULL) {
		person_attempt_right(&l->attempt, r);
		l->then(r);
	} else if (!l->has_factor) {
		let_in(r, LOGIN_PASSWORD);
	} else if (json_object_get(r->body, "credential") != NULL) {
		passkey_check(r, on_passkey);
	} else if (code != NULL) {
		second_factor_check(r, code, on_code);
	} else {
		login_attempt_end(&l->attempt.attempt, LOGIN_ABANDONED);
		request_problem(r, 401, "second-factor", LOGIN_FACTOR_ASKED);
	}
}

/* ---- it was wrong ---- */

static void
refuse(struct request *r)
{
	struct login *l = r->state;

	person_attempt_wrong(&l->attempt, r);
	if (l->then != NULL)
		request_problem(
		    r, 403, "wrong-password", "The password is wrong.");
	else
		request_problem(r, 401, "wrong-password",
		    "User name or password is wrong.");
}

/* ---- the check ---- */

static void
run_check(struct job *j)
{
	struct login *l = (struct login *)j;

	l->result = recent_password_check(
	    l->job.thread, l->hash, l->password, strlen(l->password));
}

static void
checked(struct job *j)
{
	struct login *l = (struct login *)j;
	struct request *r = l->request;

	if (l->job.state != PASSWORD_CHECKED)
		password_too_busy(r);
	else if (l->result == 0 && r->http != NULL)
		on_password(r);
	else if (l->result == ERR_NOMEM)
		request_problem(r, 503, "unavailable", "Out of memory.");
	else
		refuse(r);
}

static void
check(void *arg)
{
	struct login *l = arg;

	l->job.job = (struct job){ .run = run_check,
		.done = checked,
		.inbox = &l->request->worker->inbox };
	l->job.address = l->attempt.attempt.who.keys[LOGIN_KEY_ADDRESS];
	l->job.lane = l->attempt.attempt.who.lane;
	/* NOLINTNEXTLINE: the request stays as long as the login */
	if (password_queue_submit(l->request->worker->passwords, &l->job) != 0)
		password_too_busy(l->request);
}

static void
copy(const PGresult *res, int col, char *out, size_t len)
{
	snprintf(out, len, "%s", PQgetvalue(res, 0, col));
}

static void
on_account(struct request *r, PGresult *res)
{
	struct login *l = r->state;
	struct person *p = &r->person;

	copy(res, ID, p->id_text, sizeof(p->id_text));
	copy(res, TEAM_ID, p->team_text, sizeof(p->team_text));
	copy(res, TEAM, p->team, sizeof(p->team));
	copy(res, ZONE, p->zone, sizeof(p->zone));
	copy(res, ROLE, p->role, sizeof(p->role));
	if (!PQgetisnull(res, 0, HASH))
		l->hash = strdup(PQgetvalue(res, 0, HASH));
	l->has_factor = PQgetvalue(res, 0, HAS_FACTOR)[0] == 't';
	person_attempt_learn(&l->attempt, r, res, FAILURES);
	if (login_attempt_wait(&l->attempt.attempt, check, l) != 0)
		request_problem(r, 503, "unavailable", "Out of memory.");
}

/* As people type it; names are lower case. */
static bool
take_name(struct request *r, const char *name)
{
	size_t n = name != NULL ? strlen(name) : 0;

	if (n == 0 || n >= sizeof(r->person.name))
		return false;
	for (size_t i = 0; i <= n; i++)
		r->person.name[i] = (char)tolower((unsigned char)name[i]);
	return true;
}

/* False: the request is answered with what is wrong. */
static bool
is_right(struct request *r)
{
	const char *password = request_text(r, "password");
	const json_t *code = json_object_get(r->body, "code");

	if (!take_name(r, request_text(r, "user")))
		request_invalid(r, "/user", "1 to 63 characters are expected.");
	else if (password == NULL || strlen(password) > PASSWORD_MAX)
		request_invalid(
		    r, "/password", "At most 1024 bytes are expected.");
	else if (code != NULL &&
	    (!json_is_string(code) || json_string_length(code) > CODE_MAX))
		request_invalid(r, "/code", "At most 64 bytes are expected.");
	else
		return true;
	return false;
}

/* With the name and the password of r. */
static void
start(struct request *r, void (*then)(struct request *r))
{
	struct login *l = calloc(1, sizeof(*l));
	const char *params[3] = { r->person.name };

	if (l == NULL ||
	    (l->password = strdup(request_text(r, "password"))) == NULL) {
		free(l);
		request_problem(r, 503, "unavailable", "Out of memory.");
		return;
	}
	l->request = r;
	l->then = then;
	r->state = l;
	r->release = release;
	person_attempt_set(&l->attempt, r);
	params[1] = l->attempt.prefix;
	params[2] = l->attempt.known;
	request_query(r, account_sql, 3, params, on_account);
}

void
login_again(struct request *r, void (*then)(struct request *r))
{
	start(r, then);
}

void
login_run(struct request *r)
{
	if (is_right(r))
		start(r, NULL);
}
