#include "console/api/login_open.h"

#include <openssl/sha.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "common/bytes.h"
#include "common/http.h"
#include "console/api/enter.h"
#include "console/api/me.h"
#include "console/api/request.h"
#include "console/conf.h"
#include "console/worker.h"

static const char login_sql[] =
    "WITH old AS (DELETE FROM logins WHERE expires_at < now()), "
    "l AS (INSERT INTO logins (hash, person_id, client_addr, expires_at, "
    "is_limited, is_one_factor, confirmed_at) SELECT decode($1, 'hex'), id, "
    "$3, "
    "now() + $4::integer * interval '1 second', $8::boolean AND "
    "second_factor_is_missing(id), $8::boolean, least(now(), "
    "to_timestamp(nullif($9, '')::bigint)) "
    "FROM people WHERE id = $2 AND NOT disabled AND "
    "($5::boolean OR password_login_is_open(id)) AND "
    "NOT ($8::boolean AND second_factor_is_asked(id)) RETURNING person_id, "
    "is_limited), "
    "a AS (INSERT INTO audit (team_id, actor, action, object, detail) "
    "SELECT p.team_id, p.name, 'login', p.name, $6::jsonb || "
    "jsonb_build_object('by', $7::text) FROM l JOIN people p ON p.id = "
    "l.person_id) SELECT l.is_limited, $8::boolean AND "
    "second_factor_is_asked($2) FROM (VALUES (1)) one LEFT JOIN l ON true";

/* The teams' own ways in, when a team closes the others. */
static bool
is_always_open(const char *how)
{
	return strcmp(how, LOGIN_SINGLE_SIGN_ON) == 0 ||
	    strcmp(how, LOGIN_FIRST_RUN) == 0;
}

/* Of which a team may ask for more. */
static bool
is_one_factor(const char *how)
{
	return strcmp(how, LOGIN_PASSWORD) == 0 ||
	    strcmp(how, LOGIN_FIRST_RUN) == 0;
}

/* A second factor may have been set up while the password was checked. */
static void
refuse(struct request *r, bool is_factor_asked)
{
	if (is_factor_asked) {
		request_problem(r, 401, "second-factor", LOGIN_FACTOR_ASKED);
		return;
	}
	request_audit(r, "login_failed", "console",
	    json_pack("{s:s,s:s}", "by", r->login_how, "why",
		"the team logs in by single sign-on"));
	request_problem(r, 403, "single-sign-on-needed",
	    "You cannot log in this way: your team uses single sign-on, or "
	    "you were disabled.");
}

static void
on_login(struct request *r, PGresult *res)
{
	char hex[2 * CREDENTIAL_LEN + 1], cookie[256];

	if (PQgetisnull(res, 0, 0)) {
		refuse(r, PQgetvalue(res, 0, 1)[0] == 't');
		return;
	}
	r->person.is_limited = PQgetvalue(res, 0, 0)[0] == 't';
	http_hex(r->person.credential, CREDENTIAL_LEN, hex);
	snprintf(cookie, sizeof(cookie),
	    COOKIE_NAME "=%s; Path=/; Secure; HttpOnly; SameSite=Strict; "
			"Max-Age=%lld",
	    hex, (long long)r->worker->conf->console.login_seconds);
	request_field(r, "Set-Cookie", cookie);
	wipe(hex, sizeof(hex));
	wipe(cookie, sizeof(cookie));
	if (r->login_done != NULL)
		r->login_done(r);
	else
		request_json(r, 200, me_json(r));
}

static void
take_text(const json_t *o, const char *name, char *out, size_t len)
{
	const char *s = json_string_value(json_object_get(o, name));

	snprintf(out, len, "%s", s != NULL ? s : "");
}

void
login_take_person(struct request *r, const char *answer)
{
	struct person *p = &r->person;
	json_t *o = json_loads(answer, 0, NULL);

	take_text(o, "id", p->id_text, sizeof(p->id_text));
	take_text(o, "user", p->name, sizeof(p->name));
	take_text(o, "role", p->role, sizeof(p->role));
	take_text(o, "team_id", p->team_text, sizeof(p->team_text));
	take_text(o, "team", p->team, sizeof(p->team));
	take_text(o, "time_zone", p->zone, sizeof(p->zone));
	json_decref(o);
}

void
login_open(struct request *r, const char *how)
{
	uint8_t hash[SHA256_DIGEST_LENGTH];
	char hex[2 * SHA256_DIGEST_LENGTH + 1], seconds[24];
	char origin[REQUEST_ORIGIN_MAX];
	const char *params[] = { hex, r->person.id_text, r->client, seconds,
		is_always_open(how) ? "t" : "f", request_origin(r, origin), how,
		is_one_factor(how) ? "t" : "f", r->login_proved_at };

	r->login_how = how;
	atomic_fetch_add(&r->worker->place->counters.logins, 1);
	randombytes_buf(r->person.credential, CREDENTIAL_LEN);
	SHA256(r->person.credential, CREDENTIAL_LEN, hash);
	http_hex(hash, sizeof(hash), hex);
	snprintf(seconds, sizeof(seconds), "%lld",
	    (long long)r->worker->conf->console.login_seconds);
	request_query(r, login_sql, 9, params, on_login);
}
