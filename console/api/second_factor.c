#include "console/api/second_factor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/http.h"
#include "common/password.h"
#include "console/api/answer.h"
#include "console/api/body.h"
#include "console/api/person_attempt.h"
#include "console/api/request.h"
#include "console/login/recovery_code.h"
#include "console/worker.h"

#define SEALED_LEN (TOTP_SECRET_LEN + SEAL_OVERHEAD)

static const char use_sql[] =
    "SELECT second_factor_use($1::bigint, $2::bigint, decode($3, 'hex'))";

int
second_factor_open(const struct request *r, const PGresult *res, int col,
    uint8_t secret[TOTP_SECRET_LEN])
{
	const char *text = PQgetvalue(res, 0, col); /* "\x..." */
	uint8_t sealed[SEALED_LEN];

	return strlen(text) == 2 + 2 * SEALED_LEN &&
		http_unhex(text + 2, sealed, SEALED_LEN) == 0 &&
		seal_open(r->worker->seal_key, sealed, SEALED_LEN, secret) ==
		    TOTP_SECRET_LEN
	    ? 0
	    : ERR_CORRUPT;
}

static void
on_used(struct request *r, PGresult *res)
{
	r->factor_checked(r, PQgetvalue(res, 0, 0)[0] == 't');
}

static void
use(struct request *r, const char *step, const char *hash)
{
	const char *params[] = { r->person.id_text, step, hash };

	request_query(r, use_sql, 3, params, on_used);
}

static void
on_secret(struct request *r, PGresult *res)
{
	uint8_t secret[TOTP_SECRET_LEN];
	char step_text[24];
	int64_t step = ERR_DENIED;

	if (PQntuples(res) == 1 && second_factor_open(r, res, 0, secret) == 0)
		step = totp_check(secret, r->factor_code,
		    (int64_t)(clock_wall_ns() / NS_PER_S),
		    strtoll(PQgetvalue(res, 0, 1), NULL, 10));
	wipe(secret, sizeof(secret));
	wipe(r->factor_code, sizeof(r->factor_code));
	if (step < 0) {
		r->factor_checked(r, false);
		return;
	}
	snprintf(step_text, sizeof(step_text), "%lld", (long long)step);
	use(r, step_text, NULL);
}

void
second_factor_check(struct request *r, const char *code,
    void (*then)(struct request *r, bool is_right))
{
	const char *params[] = { r->person.id_text };
	char hash[RECOVERY_HASH_MAX];

	r->factor_checked = then;
	if (recovery_code_hash(code, hash)) {
		use(r, NULL, hash);
	} else if (totp_is_code(code)) {
		snprintf(r->factor_code, sizeof(r->factor_code), "%s", code);
		request_query(r,
		    "SELECT secret_sealed, last_step FROM "
		    "totp_try($1::bigint)",
		    1, params, on_secret);
	} else {
		then(r, false);
	}
}

/* ---- of people who are logged in ---- */

struct asking {
	struct person_attempt attempt;
	struct request *request;
	void (*then)(struct request *r);
};

static void
release(struct request *r)
{
	struct asking *a = r->state;

	login_attempt_release(&a->attempt.attempt);
	free(a);
}

static void
on_checked(struct request *r, bool is_right)
{
	struct asking *a = r->state;

	body_wipe(r->body, "code");
	if (is_right) {
		person_attempt_right(&a->attempt, r);
		a->then(r);
		return;
	}
	person_attempt_wrong(&a->attempt, r);
	request_problem(
	    r, 403, "wrong-code", "The code is wrong, too old, or was used.");
}

static void
check(void *arg)
{
	struct asking *a = arg;
	struct request *r = a->request;

	if (r->http == NULL)
		request_free(r);
	else
		second_factor_check(r, request_text(r, "code"), on_checked);
}

static void
on_failures(struct request *r, PGresult *res)
{
	struct asking *a = r->state;

	person_attempt_learn(&a->attempt, r, res, 0);
	if (login_attempt_wait(&a->attempt.attempt, check, a) != 0)
		request_problem(r, 503, "unavailable", "Out of memory.");
}

void
second_factor_ask(struct request *r, void (*then)(struct request *r))
{
	struct asking *a = calloc(1, sizeof(*a));
	const char *params[3] = { r->person.name };

	if (a == NULL) {
		request_problem(r, 503, "unavailable", "Out of memory.");
		return;
	}
	a->request = r;
	a->then = then;
	r->state = a;
	r->release = release;
	person_attempt_set(&a->attempt, r);
	params[1] = a->attempt.prefix;
	params[2] = a->attempt.known;
	request_query(r, "SELECT " ATTEMPT_COLUMNS " FROM " ATTEMPT_FROM, 3,
	    params, on_failures);
}
