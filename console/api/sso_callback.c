/* GET login/single-sign-on/callback: the provider sends the browser back. */
#include <event2/http.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/http.h"
#include "console/api/enter.h"
#include "console/api/handlers.h"
#include "console/api/login_open.h"
#include "console/api/request.h"
#include "console/api/sso.h"
#include "console/oidc/id_token.h"
#include "console/worker.h"

/* ---- the person ---- */

static void
on_open(struct request *r)
{
	sso_go_to(r, ((struct sso *)r->state)->state.return_to);
}

/* A provider that knows the person may have asked nothing now: the login is as
 * old as it says, or of no age that counts. */
static void
take_proof(struct request *r)
{
	const struct sso *s = r->state;
	double at = json_number_value(json_object_get(s->claims, "auth_time"));

	if (!s->state.is_again)
		snprintf(r->login_proved_at, sizeof(r->login_proved_at), "%.0f",
		    at > 0 && at < 1e12 ? at : 0.0);
}

enum col { PROBLEM, DETAIL, ANSWER };

static void
on_person(struct request *r, PGresult *res)
{
	if (!PQgetisnull(res, 0, PROBLEM)) {
		sso_fail(r, 403, "forbidden", PQgetvalue(res, 0, DETAIL),
		    PQgetvalue(res, 0, DETAIL));
		return;
	}
	login_take_person(r, PQgetvalue(res, 0, ANSWER));
	take_proof(r);
	r->login_done = on_open;
	login_open(r, LOGIN_SINGLE_SIGN_ON);
}

static bool
has_items(const struct sso *s, const char *name)
{
	return json_array_size(json_object_get(s->settings, name)) > 0;
}

static struct claim_names
claim_names(const struct sso *s)
{
	return (struct claim_names){ .name = sso_text(s, "name_claim"),
		.groups = sso_text(s, "groups_claim"),
		.needs_email = has_items(s, "email_domains") ||
		    strcmp(sso_text(s, "name_claim"), "email") == 0,
		.needs_groups = has_items(s, "owner_groups") ||
		    has_items(s, "admin_groups") ||
		    has_items(s, "member_groups") };
}

static void
find_person(struct sso *s)
{
	struct request *r = s->request;
	const struct claim_names names = claim_names(s);
	json_t *person = oidc_claims_person(s->claims, &names);
	char *text = json_dumps(person, JSON_COMPACT);
	char origin[REQUEST_ORIGIN_MAX];
	const char *params[] = { r->person.team_text, sso_text(s, "issuer"),
		text, request_origin(r, origin) };

	json_decref(person);
	if (text == NULL) {
		request_problem(r, 503, "unavailable", "Out of memory.");
		return;
	}
	request_query(r,
	    "SELECT problem, detail, answer::text FROM console_single_sign_on("
	    "$1::bigint, $2, $3::jsonb, $4::jsonb)",
	    4, params, on_person);
	free(text);
}

/* ---- what the provider says ---- */

/* A token that is not what it should be may be an attack: the team's audit log
 * has it too. */
static void
refuse_token(struct sso *s, const char *why)
{
	struct request *r = s->request;

	snprintf(r->person.name, sizeof(r->person.name), "unknown");
	request_audit(r, "login_failed", "console",
	    json_pack("{s:s,s:s,s:s}", "by", LOGIN_SINGLE_SIGN_ON, "issuer",
		sso_text(s, "issuer"), "why", why));
	sso_fail_provider(s, why);
}

static void
on_userinfo(void *arg, const struct fetch_answer *a)
{
	struct sso *s = arg;
	char why[OIDC_WHY_MAX] = "out of memory";
	int rc = oidc_claims_add(s->claims, a->body, a->len, why);

	if (rc == ERR_DENIED)
		refuse_token(s, why);
	else if (rc != 0)
		sso_fail_provider(s, why);
	else
		find_person(s);
}

static void
ask_userinfo(struct sso *s)
{
	const struct claim_names names = claim_names(s);
	struct fetch rq = { .url = s->discovery.userinfo_endpoint,
		.max = OIDC_USERINFO_MAX };
	char bearer[OIDC_ACCESS_MAX + 8];

	if (rq.url == NULL || !oidc_claims_lack(s->claims, &names)) {
		find_person(s);
		return;
	}
	snprintf(bearer, sizeof(bearer), "Bearer %s", s->tokens.access_token);
	rq.authorization = bearer;
	sso_fetch(s, &rq, "userinfo", on_userinfo);
	wipe(bearer, sizeof(bearer));
}

static void
check_token(struct sso *s)
{
	const struct id_token_want want = { .issuer = sso_text(s, "issuer"),
		.client_id = sso_text(s, "client_id"),
		.nonce = s->state.nonce,
		.algorithm = sso_text(s, "algorithm"),
		.access_token = s->tokens.access_token,
		.now_s = clock_wall_ns() / NS_PER_S,
		.asked_s = s->state.is_again
		    ? s->state.expires_s - LOGIN_STATE_SECONDS
		    : 0 };
	char why[OIDC_WHY_MAX] = "out of memory";
	int rc =
	    id_token_check(s->tokens.id_token, s->keys, &want, &s->claims, why);

	if (rc == 0)
		ask_userinfo(s);
	else if (rc == ERR_NOTFOUND)
		sso_read_new_keys(s, check_token);
	else if (rc == ERR_DENIED)
		refuse_token(s, why);
	else
		sso_fail_provider(s, why);
}

static void
on_tokens(void *arg, const struct fetch_answer *a)
{
	struct sso *s = arg;
	char why[OIDC_WHY_MAX];

	if (oidc_tokens_read(&s->tokens, a->body, a->len, why) != 0)
		sso_fail_provider(s, why);
	else
		sso_read_keys(s, check_token);
}

static void
ask_tokens(struct sso *s)
{
	char uri[OIDC_URL_MAX] = "", form[OIDC_REQUEST_MAX];
	char authorization[8 * OIDC_SECRET_MAX];
	struct oidc_client client = { .id = sso_text(s, "client_id"),
		.secret = s->secret,
		.redirect_uri = uri };
	struct fetch rq = { .url = s->discovery.token_endpoint,
		.body = form,
		.max = OIDC_TOKENS_MAX };
	int rc;

	sso_redirect_uri(s->request->worker, uri);
	rc = oidc_token_request(&s->discovery, &client, s->code,
	    s->state.verifier, form, sizeof(form), authorization,
	    sizeof(authorization));
	if (*authorization != '\0')
		rq.authorization = authorization;
	if (rc == 0)
		sso_fetch(s, &rq, "token endpoint", on_tokens);
	else
		sso_fail_provider(s, "its code is too long");
	wipe(form, sizeof(form));
	wipe(authorization, sizeof(authorization));
}

/* ---- the answer in the URL ---- */

/* RFC 9207: an answer of another provider is no answer. */
static bool
is_of_issuer(const struct sso *s)
{
	return *s->iss == '\0' ? !s->discovery.sends_iss
			       : strcmp(s->iss, sso_text(s, "issuer")) == 0;
}

static void
take_answer(struct sso *s)
{
	char error[64], text[160];

	if (!is_of_issuer(s)) {
		refuse_token(s, "its answer in the URL is of another issuer");
	} else if (*s->code != '\0') {
		ask_tokens(s);
	} else {
		/* of a known form (RFC 6749 section 4.1.2.1), or unnamed */
		if (!request_param(s->request, "error", error, sizeof(error)) ||
		    strspn(error, "abcdefghijklmnopqrstuvwxyz_") !=
			strlen(error))
			snprintf(error, sizeof(error), "no reason");
		snprintf(text, sizeof(text),
		    "The single sign-on of your team did not let you in (%s).",
		    error);
		sso_fail(s->request, 403, "forbidden", text, error);
	}
}

static void
on_settings(struct request *r, PGresult *res)
{
	struct sso *s = r->state;

	if (!sso_load(s, res))
		return;
	if (PQgetvalue(res, 0, PQnfields(res) - 1)[0] != 't')
		sso_fail(r, 400, "login-expired", SSO_EXPIRED,
		    "its answer in the URL came a second time");
	else
		sso_discover(s, take_answer);
}

/* Marks the login as used, and reads the team's settings. */
static void
use_once(struct sso *s)
{
	char sql[2048], hex[2 * SHA256_DIGEST_LENGTH + 1], until[24], team[24];
	uint8_t hash[SHA256_DIGEST_LENGTH];
	const char *params[] = { team, hex, until };

	SHA256((const uint8_t *)s->state.state, strlen(s->state.state), hash);
	http_hex(hash, sizeof(hash), hex);
	snprintf(until, sizeof(until), "%llu",
	    (unsigned long long)s->state.expires_s);
	snprintf(team, sizeof(team), "%lld", (long long)s->state.team_id);
	snprintf(sql, sizeof(sql),
	    "WITH old AS (DELETE FROM single_sign_on_states WHERE expires_at < "
	    "now() - interval '1 hour'), used AS (INSERT INTO "
	    "single_sign_on_states (hash, expires_at) VALUES (decode($2, "
	    "'hex'), to_timestamp($3)) ON CONFLICT DO NOTHING RETURNING 1) "
	    "%s, EXISTS (SELECT FROM used) %ss.team_id = $1::bigint",
	    sso_columns, sso_tables);
	request_query(s->request, sql, 3, params, on_settings);
}

/* The value of our cookie; *len is its length. NULL: there is none. */
static const char *
find_cookie(const struct request *r, size_t *len)
{
	const char *at = evhttp_find_header(
	    evhttp_request_get_input_headers(r->http), "Cookie");

	while (at != NULL) {
		at += strspn(at, " ");
		if (strncmp(at, SSO_COOKIE "=", sizeof(SSO_COOKIE)) == 0) {
			at += sizeof(SSO_COOKIE);
			*len = strcspn(at, ";");
			return at;
		}
		at = strchr(at, ';');
		if (at != NULL)
			at++;
	}
	return NULL;
}

/* The browser that began this login brings its cookie; an address that
 * somebody else made (login CSRF) has another state. */
static bool
is_begun_here(struct sso *s)
{
	struct request *r = s->request;
	char given[OIDC_BASE64_32];
	size_t len = 0;
	const char *cookie = find_cookie(r, &len);

	return cookie != NULL &&
	    login_state_open(&s->state, r->worker->seal_key, cookie, len,
		clock_wall_ns() / NS_PER_S) == 0 &&
	    request_param(r, "state", given, sizeof(given)) &&
	    strlen(given) == strlen(s->state.state) &&
	    equal_constant_time(given, s->state.state, strlen(given));
}

/* "" when it is not there; `broken` when it is not as it can be. */
static void
take_param(const struct request *r, const char *name, char *out, size_t len,
    const char *broken)
{
	long n = http_query_value(r->query, name, out, len);

	if (n < 0)
		snprintf(out, len, "%s", n == ERR_NOTFOUND ? "" : broken);
}

void
sso_callback_run(struct request *r)
{
	struct sso *s;

	if (evhttp_request_get_command(r->http) != EVHTTP_REQ_GET) {
		request_problem(r, 405, "method-not-allowed",
		    "This resource does not take that method.");
		return;
	}
	if (!sso_new(r))
		return;
	s = r->state;
	take_param(r, "code", s->code, sizeof(s->code), "");
	take_param(r, "iss", s->iss, sizeof(s->iss), "?"); /* nobody's */
	if (!is_begun_here(s)) {
		/* an address that somebody else made ends no login here */
		sso_fail(r, 400, "login-expired", SSO_EXPIRED, NULL);
		return;
	}
	request_field(r, "Set-Cookie",
	    SSO_COOKIE "=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0");
	use_once(s);
}
