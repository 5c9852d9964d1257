/* settings/single-sign-on: a team's provider of OpenID Connect, and
 * users/{id}/identity: who somebody is there. */
#include <stdio.h>
#include <string.h>

#include "common/bytes.h"
#include "console/api/body.h"
#include "console/api/change.h"
#include "console/api/handlers.h"
#include "console/api/request.h"
#include "console/api/sso.h"
#include "console/conf.h"
#include "console/oidc/authorize.h"
#include "console/oidc/url.h"
#include "console/worker.h"

#define GROUPS(member_name)                                                    \
	{                                                                      \
		member_name, .kind = MEMBER_TEXTS, .hi = 100                   \
	}
#define FLAG(member_name)                                                      \
	{                                                                      \
		member_name, .kind = MEMBER_BOOL                               \
	}
#define TEXT(member_name, max)                                                 \
	{                                                                      \
		member_name, .kind = MEMBER_TEXT, .lo = 1, .hi = max           \
	}

/* As the CHECK constraints of the schema have it. */
static const struct member members[] = {
	FLAG("enabled"),
	FLAG("listed"),
	TEXT("title", 100),
	TEXT("issuer", 500),
	TEXT("client_id", 500),
	{ "client_secret", .kind = MEMBER_TEXT, .lo = 1, .hi = OIDC_SECRET_MAX,
	    .may_be_null = true },
	{ "algorithm", .kind = MEMBER_CHOICE,
	    .choices =
		"RS256|RS384|RS512|PS256|PS384|PS512|ES256|ES384|ES512" },
	TEXT("scopes", 500),
	TEXT("name_claim", 200),
	TEXT("groups_claim", 200),
	GROUPS("owner_groups"),
	GROUPS("admin_groups"),
	GROUPS("member_groups"),
	GROUPS("email_domains"),
	FLAG("create_people"),
	FLAG("link_people"),
	FLAG("password_login"),
	{ "password_owner", .kind = MEMBER_NAME },
};

static const struct member identity[] = {
	{ "subject", .kind = MEMBER_TEXT, .lo = 1, .hi = 255,
	    .is_needed = true },
};

/* The answer says besides which address the provider has to know. */
static void
show(struct request *r, const char *text)
{
	json_t *o = json_loads(text, 0, NULL);
	char uri[OIDC_URL_MAX];

	json_object_set_new(o, "redirect_uri",
	    sso_redirect_uri(r->worker, uri) ? json_string(uri) : json_null());
	request_json(r, 200, o);
}

static void
on_settings(struct request *r, PGresult *res)
{
	if (PQgetisnull(res, 0, 0))
		request_not_found(r);
	else
		show(r, PQgetvalue(res, 0, 0));
}

void
sso_settings_get_run(struct request *r)
{
	const char *params[] = { r->person.team_text };

	request_query(r, "SELECT single_sign_on_show($1::bigint)::text", 1,
	    params, on_settings);
}

/* "openid" and other words with one space between them. */
static bool
are_scopes(const char *s)
{
	size_t n;

	if (strncmp(s, "openid", 6) != 0 || (s[6] != '\0' && s[6] != ' '))
		return false;
	for (s += 6; *s == ' '; s += n + 1) {
		for (n = 0; s[n + 1] > ' ' && s[n + 1] < 0x7f &&
		     s[n + 1] != '"' && s[n + 1] != '\\';
		     n++)
			;
		if (n == 0)
			return false;
	}
	return *s == '\0';
}

/* What the table of members cannot say. NULL: it is right. */
static const char *
wrong_member(const json_t *body, const char **detail)
{
	const char *issuer = json_string_value(json_object_get(body, "issuer"));
	const char *scopes = json_string_value(json_object_get(body, "scopes"));

	if (issuer != NULL && !oidc_issuer_is_right(issuer)) {
		*detail = "An https URL without query and fragment is "
			  "expected, as the provider writes it.";
		return "/issuer";
	}
	if (scopes != NULL && !are_scopes(scopes)) {
		*detail = "openid and further scopes with one space between "
			  "them are expected.";
		return "/scopes";
	}
	return NULL;
}

void
sso_settings_patch_run(struct request *r)
{
	const char *pointer, *detail = NULL;

	if (!body_is_right(r, members, N_ELEMENTS(members)))
		return;
	pointer = wrong_member(r->body, &detail);
	if (pointer != NULL)
		request_invalid(r, pointer, detail);
	else if (!body_seal(r, "client_secret", "client_secret_sealed"))
		request_problem(r, 503, "unavailable", "Out of memory.");
	else
		change_then(r, "console_single_sign_on_set", show);
}

void
sso_settings_delete_run(struct request *r)
{
	json_object_clear(r->body);
	change_run(r, "console_single_sign_on_remove", 204);
}

void
identities_get_run(struct request *r)
{
	const char *params[] = { r->id, r->person.team_text };

	request_query(r,
	    "SELECT identity_show(i)::text FROM identities i "
	    "WHERE i.person_id = $1::bigint AND i.team_id = $2::bigint",
	    2, params, change_show);
}

void
identities_put_run(struct request *r)
{
	if (body_is_right(r, identity, N_ELEMENTS(identity)))
		change_run(r, "console_identity_set", 200);
}

void
identities_delete_run(struct request *r)
{
	json_object_clear(r->body);
	change_run(r, "console_identity_set", 204);
}
