/*
 * me/reauthentication: who is logged in shows again that it is them, before
 * they change credentials (routes.h, needs_confirmed). By single sign-on that
 * is a new login, which sso_start.c begins.
 */
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "console/api/body.h"
#include "console/api/change.h"
#include "console/api/enter.h"
#include "console/api/handlers.h"
#include "console/api/login_again.h"
#include "console/api/passkey_check.h"
#include "console/api/password_change.h"
#include "console/api/request.h"
#include "console/api/second_factor.h"

static const struct member members[] = {
	{ "password", .kind = MEMBER_TEXT, .lo = 1, .hi = PASSWORD_MAX },
	{ "code", .kind = MEMBER_TEXT, .lo = 1, .hi = 64 },
};

static const char confirm_sql[] =
    "WITH l AS (UPDATE logins SET confirmed_at = now() WHERE hash = "
    "decode($1, 'hex') RETURNING person_id) INSERT INTO audit (team_id, "
    "actor, action, object, detail) SELECT $2::bigint, $3, "
    "'reauthenticated', $3, $4::jsonb || jsonb_build_object('by', $5::text) "
    "FROM l";

void
reauthentication_get_run(struct request *r)
{
	const char *params[] = { r->person.id_text,
		r->person.is_confirmed ? "t" : "f" };

	request_query(r,
	    "SELECT (console_reauthentication($1::bigint) || "
	    "jsonb_build_object('is_confirmed', $2::boolean))::text",
	    2, params, change_show);
}

static void
on_confirmed(struct request *r, PGresult *res)
{
	request_empty(r, 204);
}

static void
confirm(struct request *r, const char *how)
{
	char hash[CREDENTIAL_HASH_MAX], origin[REQUEST_ORIGIN_MAX];
	const char *params[] = { credential_hash(&r->person, hash),
		r->person.team_text, r->person.name, request_origin(r, origin),
		how };

	request_query(r, confirm_sql, 5, params, on_confirmed);
}

static void
by_password(struct request *r)
{
	confirm(r, "password");
}

static void
by_code(struct request *r)
{
	confirm(r, "code");
}

static void
on_passkey(struct request *r, const struct person *owner)
{
	if (owner != NULL && strcmp(owner->id_text, r->person.id_text) == 0) {
		confirm(r, "passkey");
		return;
	}
	request_audit(r, "refused", r->person.name,
	    json_pack("{s:s,s:s}", "request", "confirm this login", "why",
		"another person's passkey, or a wrong one"));
	request_problem(r, 403, "wrong-passkey",
	    "This passkey is not yours, or was not asked for.");
}

/* Takes the credential out of the body, which has no other kind of member. */
static void
check_passkey(struct request *r)
{
	if (json_object_size(r->body) == 1)
		passkey_check(r, on_passkey);
	else
		request_invalid(r, "", "One of password, code and credential.");
}

void
reauthentication_run(struct request *r)
{
	if (json_is_object(json_object_get(r->body, "credential"))) {
		check_passkey(r);
		return;
	}
	if (!body_is_right(r, members, N_ELEMENTS(members)))
		return;
	if (json_object_size(r->body) != 1)
		request_invalid(r, "", "One of password, code and credential.");
	else if (request_text(r, "password") != NULL)
		login_again(r, by_password);
	else
		second_factor_ask(r, by_code);
}
