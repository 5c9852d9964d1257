/* POST login: a password, checked in the worker's queue behind the throttle
 * that all doors share. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/login/guess.h"
#include "common/login/known_login.h"
#include "common/login/login_rows.h"
#include "common/login/password_process.h"
#include "common/login/password_queue.h"
#include "console/api/handlers.h"
#include "console/api/login_open.h"
#include "console/api/request.h"
#include "console/db_pool.h"
#include "console/worker.h"

#define PASSWORD_MAX 1024

/* Failures as guesses_learn takes them: of the address, and of the name. */
static const char account_sql[] =
    "SELECT p.id, p.team_id, t.name, t.time_zone, p.role, "
    "CASE WHEN p.disabled THEN NULL ELSE p.password_hash END, f.n[1], "
    "f.age[1], f.n[2], f.age[2], EXISTS (SELECT FROM known_logins WHERE id = "
    "decode($3, 'hex') AND last_at > now() - interval '30 days') "
    "FROM (SELECT array_agg(l.failed ORDER BY k.at) AS n, array_agg("
    "extract(epoch FROM now() - l.last_at) ORDER BY k.at) AS age "
    "FROM unnest(ARRAY[$2, 'name tried: ' || $1]) WITH ORDINALITY k(what, at) "
    "LEFT JOIN login_failures l ON l.client_addr = k.what) f "
    "LEFT JOIN people p ON p.name = $1 LEFT JOIN teams t ON t.id = p.team_id";

struct login {
	struct password_job job;
	struct request *request;
	struct guess guess;
	char prefix[GUESS_PREFIX_LEN], known[KNOWN_LOGIN_ID_LEN];
	char *hash, *password;
	int result; /* of password_check */
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

	guess_release(&l->guess);
	forget(&l->hash);
	forget(&l->password);
	free(l);
}

/* ---- it was right ---- */

static void
let_in(struct request *r)
{
	struct login *l = r->state;
	const char *known[] = { r->person.name, l->prefix, l->known };

	guess_end(&l->guess, GUESS_RIGHT);
	db_pool_query(
	    r->worker->db, known_login_statement, 3, known, NULL, NULL);
	login_open(r, "password");
}

/* ---- it was wrong ---- */

static void
refuse(struct request *r)
{
	struct login *l = r->state;
	const char *params[] = { r->person.name, l->prefix, r->client,
		"console", "t", "f" };

	atomic_fetch_add(&r->worker->place->counters.logins_failed, 1);
	db_pool_query(
	    r->worker->db, login_wrong_statement, 6, params, NULL, NULL);
	guess_end(&l->guess, GUESS_WRONG);
	request_problem(
	    r, 401, "wrong-password", "User name or password is wrong.");
}

static void
too_busy(struct request *r)
{
	request_field(r, "Retry-After", "5");
	request_problem(r, 429, "busy",
	    "As many passwords are being checked as can be; try again.");
}

/* ---- the check ---- */

static void
run_check(struct job *j)
{
	struct login *l = (struct login *)j;

	l->result = password_process_check(
	    l->job.thread, l->hash, l->password, strlen(l->password));
}

static void
checked(struct job *j)
{
	struct login *l = (struct login *)j;
	struct request *r = l->request;

	if (l->job.state != PASSWORD_CHECKED)
		too_busy(r);
	else if (l->result == 0 && r->http != NULL)
		let_in(r);
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
	l->job.address = l->guess.who.keys[GUESS_ADDRESS];
	l->job.lane = l->guess.who.lane;
	if (password_queue_submit(l->request->worker->passwords, &l->job) != 0)
		too_busy(l->request);
}

static void
learn(struct login *l, const PGresult *res, enum guess_key key, int col)
{
	guesses_learn(l->guess.guesses, &l->guess.who, key,
	    strtoull(PQgetvalue(res, 0, col), NULL, 10),
	    strtod(PQgetvalue(res, 0, col + 1), NULL), clock_mono_ns());
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

	copy(res, 0, p->id_text, sizeof(p->id_text));
	copy(res, 1, p->team_text, sizeof(p->team_text));
	copy(res, 2, p->team, sizeof(p->team));
	copy(res, 3, p->zone, sizeof(p->zone));
	copy(res, 4, p->role, sizeof(p->role));
	if (!PQgetisnull(res, 0, 5))
		l->hash = strdup(PQgetvalue(res, 0, 5));
	guess_set(&l->guess, r->worker->guesses, r->worker->base, r->client,
	    "person", p->name, false);
	learn(l, res, GUESS_ADDRESS, 6);
	learn(l, res, GUESS_NAME, 8);
	if (PQgetvalue(res, 0, 10)[0] == 't')
		guesses_know(l->guess.guesses, &l->guess.who, clock_mono_ns());
	if (guess_wait(&l->guess, check, l) != 0)
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

void
login_run(struct request *r)
{
	const char *password = request_text(r, "password");
	struct login *l;
	const char *params[3] = { r->person.name };

	if (!take_name(r, request_text(r, "user"))) {
		request_invalid(r, "/user", "1 to 63 characters are expected.");
		return;
	}
	if (password == NULL || strlen(password) > PASSWORD_MAX) {
		request_invalid(
		    r, "/password", "At most 1024 bytes are expected.");
		return;
	}
	l = calloc(1, sizeof(*l));
	if (l == NULL || (l->password = strdup(password)) == NULL) {
		free(l);
		request_problem(r, 503, "unavailable", "Out of memory.");
		return;
	}
	l->request = r;
	r->state = l;
	r->release = release;
	guess_prefix(l->prefix, r->client);
	known_login_id(
	    l->known, r->worker->seal_key, r->person.name, r->client);
	params[1] = l->prefix;
	params[2] = l->known;
	request_query(r, account_sql, 3, params, on_account);
}
