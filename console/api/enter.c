#include "console/api/enter.h"

#include <event2/http.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/http.h"
#include "console/api/answer.h"
#include "console/api/idempotency.h"
#include "console/api/request.h"
#include "console/api/write.h"
#include "console/conf.h"
#include "console/db_pool.h"
#include "console/routes.h"
#include "console/server.h"
#include "console/worker.h"

static const char enter_sql[] =
    "SELECT person_id, person, role, team_id, team, time_zone, "
    "' ' || array_to_string(scopes, ' ') || ' ', is_found, is_visible, "
    "control, record, manage, playback FROM console_enter("
    "decode($1, 'hex'), $2::boolean, $3, $4)";

static const char used_sql[] =
    "UPDATE api_tokens SET last_used_at = now() WHERE hash = "
    "decode($1, 'hex') AND (last_used_at IS NULL OR last_used_at < now() - "
    "interval '1 minute')";

static const char *
header(const struct request *r, const char *name)
{
	return evhttp_find_header(
	    evhttp_request_get_input_headers(r->http), name);
}

/* ---- credentials ---- */

/* 64 hex digits behind prefix in text, ended by nothing or ";". */
static bool
read_hex(struct request *r, const char *text, const char *prefix)
{
	size_t n = strlen(prefix);
	const char *at = text;
	char hex[2 * CREDENTIAL_LEN + 1];

	if (at == NULL || strncmp(at, prefix, n) != 0)
		return false;
	snprintf(hex, sizeof(hex), "%s", at + n);
	at += n + strlen(hex);
	return strlen(hex) == 2 * CREDENTIAL_LEN &&
	    (*at == '\0' || *at == ';') &&
	    http_unhex(hex, r->person.credential, CREDENTIAL_LEN) == 0;
}

/* Cookies are separated by "; " (RFC 6265 section 4.2.1). */
static bool
read_cookie(struct request *r)
{
	const char *at = header(r, "Cookie");

	while (at != NULL) {
		at += strspn(at, " ");
		if (read_hex(r, at, COOKIE_NAME "="))
			return true;
		at = strchr(at, ';');
		if (at != NULL)
			at++;
	}
	return false;
}

static bool
read_credential(struct request *r)
{
	r->person.is_token =
	    read_hex(r, header(r, "Authorization"), "Bearer " BEARER_PREFIX);
	return r->person.is_token || read_cookie(r);
}

char *
credential_hash(const struct person *p, char out[CREDENTIAL_HASH_MAX])
{
	uint8_t hash[SHA256_DIGEST_LENGTH];

	SHA256(p->credential, CREDENTIAL_LEN, hash);
	return http_hex(hash, sizeof(hash), out);
}

char *
csrf_text(const uint8_t *credential, char out[CSRF_TEXT_MAX])
{
	uint8_t text[5 + CREDENTIAL_LEN] = "csrf:";
	uint8_t hash[SHA256_DIGEST_LENGTH];

	memcpy(text + 5, credential, CREDENTIAL_LEN);
	SHA256(text, sizeof(text), hash);
	wipe(text, sizeof(text));
	return http_hex(hash, sizeof(hash), out);
}

/* A page of another site can send our cookie, not this field. */
static bool
has_csrf(const struct request *r)
{
	const char *given = header(r, "X-CSRF-Token");
	char want[CSRF_TEXT_MAX];

	if (r->person.is_token || r->route->method == EVHTTP_REQ_GET)
		return true;
	csrf_text(r->person.credential, want);
	return given != NULL && strlen(given) == strlen(want) &&
	    equal_constant_time(given, want, strlen(want));
}

static bool
has_scope(const struct request *r)
{
	char word[64];

	if (!r->person.is_token)
		return true;
	if (r->route->cookie_only)
		return false;
	if (r->route->scope == NULL)
		return true;
	snprintf(word, sizeof(word), " %s ", r->route->scope);
	return strstr(r->person.scopes, word) != NULL ||
	    strstr(r->person.scopes, " * ") != NULL;
}

/* ---- rights ---- */

static bool
has_right(const struct request *r)
{
	const struct object_rights *o = &r->rights;
	bool is_owner = strcmp(r->person.role, "owner") == 0;

	switch (r->route->right) {
	case RIGHT_ANYBODY:
	case RIGHT_PERSON:
		return true;
	case RIGHT_VISIBLE:
		return o->is_visible;
	case RIGHT_CONTROL:
		return o->control;
	case RIGHT_PLAYBACK:
		return o->playback;
	case RIGHT_KEEP:
		return o->playback && o->manage;
	case RIGHT_MANAGE:
		return o->manage;
	case RIGHT_COMMAND: /* session_command() has the last word */
		return o->manage || o->is_visible;
	case RIGHT_ADMIN:
		return is_owner || strcmp(r->person.role, "admin") == 0;
	case RIGHT_OWNER:
		return is_owner;
	case N_RIGHTS:
	default:
		return false;
	}
}

char *
request_origin(const struct request *r, char out[REQUEST_ORIGIN_MAX])
{
	/* an address has no character that JSON escapes */
	snprintf(out, REQUEST_ORIGIN_MAX, "{\"client\":\"%s\",\"door\":\"%s\"}",
	    r->client, r->person.is_token ? "api_token" : "console");
	return out;
}

static const char audit_sql[] =
    "INSERT INTO audit (team_id, actor, action, object, detail) VALUES "
    "($1, $2, $3, $4, $5::jsonb || coalesce($6::jsonb, '{}'))";

/* Detail as text, taken; NULL: there is none. */
static char *
detail_text(struct json_t *detail)
{
	char *text = detail != NULL ? json_dumps(detail, JSON_COMPACT) : NULL;

	json_decref(detail);
	return text;
}

void
request_audit(struct request *r, const char *action, const char *object,
    struct json_t *detail)
{
	char origin[REQUEST_ORIGIN_MAX], *text = detail_text(detail);
	const char *team = r->person.team_text;
	const char *params[] = { *team != '\0' ? team : NULL, r->person.name,
		action, object, request_origin(r, origin), text };

	request_write(r, audit_sql, 6, params);
	free(text);
}

void
request_audit_first(struct request *r, const char *action, const char *object,
    void (*then)(struct request *r, PGresult *res))
{
	char origin[REQUEST_ORIGIN_MAX];
	const char *params[] = { r->person.team_text, r->person.name, action,
		object, request_origin(r, origin), NULL };

	request_query(r, audit_sql, 6, params, then);
}

void
request_refuse(struct request *r, const char *detail)
{
	request_audit(
	    r, "refused", r->id, json_pack("{s:s}", "request", r->route->what));
	request_problem(r, 403, "forbidden", detail);
}

/* A page of another site may have sent it. */
static void
refuse_csrf(struct request *r)
{
	request_audit(r, "refused", r->id,
	    json_pack("{s:s,s:s}", "request", r->route->what, "why",
		"X-CSRF-Token is missing or wrong"));
	request_problem(r, 403, "csrf",
	    "X-CSRF-Token is missing or wrong; GET /api/v1/me has it.");
}

/* The team requires a second factor, and the person has none yet. */
static void
refuse_limited(struct request *r)
{
	request_audit(r, "refused", r->id,
	    json_pack("{s:s,s:s}", "request", r->route->what, "why",
		"a second factor is missing"));
	request_problem(r, 403, "second-factor-missing",
	    "Your team requires a second factor; set one up first.");
}

/* A cookie alone may be stolen. */
static void
refuse_unconfirmed(struct request *r)
{
	request_audit(r, "refused", r->id,
	    json_pack("{s:s,s:s}", "request", r->route->what, "why",
		"the login was not confirmed lately"));
	request_problem(r, 403, "reauthentication-required",
	    "Show that it is you: POST /api/v1/me/reauthentication, then send "
	    "this again.");
}

static void
copy(const PGresult *res, int col, char *out, size_t len)
{
	snprintf(out, len, "%s", PQgetvalue(res, 0, col));
}

static bool
truth(const PGresult *res, int col)
{
	return PQgetvalue(res, 0, col)[0] == 't';
}

/* scopes: of a cookie, " confirmed:SECONDS ". */
static bool
was_confirmed(const struct request *r, const char *scopes)
{
	static const char word[] = " confirmed:";
	const char *at = strstr(scopes, word);

	return !r->person.is_token && at != NULL &&
	    strtoll(at + sizeof(word) - 1, NULL, 10) <
	    r->worker->conf->console.reauthentication_seconds;
}

static void
take_person(struct request *r, const PGresult *res)
{
	struct person *p = &r->person;

	copy(res, 0, p->id_text, sizeof(p->id_text));
	copy(res, 1, p->name, sizeof(p->name));
	copy(res, 2, p->role, sizeof(p->role));
	copy(res, 3, p->team_text, sizeof(p->team_text));
	copy(res, 4, p->team, sizeof(p->team));
	copy(res, 5, p->zone, sizeof(p->zone));
	p->id = strtoll(p->id_text, NULL, 10);
	p->team_id = strtoll(p->team_text, NULL, 10);
	p->scopes = strdup(PQgetvalue(res, 0, 6));
	p->is_limited = !p->is_token &&
	    strstr(PQgetvalue(res, 0, 6), " second-factor-missing ") != NULL;
	p->is_confirmed = was_confirmed(r, PQgetvalue(res, 0, 6));
	r->rights = (struct object_rights){ .is_found = truth(res, 7),
		.is_visible = truth(res, 8),
		.control = truth(res, 9),
		.record = truth(res, 10),
		.manage = truth(res, 11),
		.playback = truth(res, 12) };
}

static void
note_use(struct request *r)
{
	char hash[CREDENTIAL_HASH_MAX];
	const char *params[] = { hash };

	credential_hash(&r->person, hash);
	db_pool_query(r->worker->db, used_sql, 1, params, NULL, NULL);
}

/* May a limited login ask this? It lacks the second factor that its team
 * requires, and is for setting one up. */
static bool
is_for_limited(const struct route *route)
{
	static const char me[] = "/api/v1/me";

	return strncmp(route->path, me, sizeof(me) - 1) == 0 ||
	    strcmp(route->path, "/api/v1/logout") == 0;
}

static void
on_entered(struct request *r, PGresult *res)
{
	if (PQntuples(res) != 1) {
		request_problem(
		    r, 401, "not-logged-in", "Log in, or give a valid token.");
		return;
	}
	take_person(r, res);
	if (r->person.is_token)
		note_use(r);
	if (r->person.scopes == NULL ||
	    !server_promote(r->worker->server, r->http))
		request_problem(
		    r, 503, "unavailable", "Too many connections; try again.");
	else if (!has_csrf(r))
		refuse_csrf(r);
	else if (r->person.is_limited && !is_for_limited(r->route))
		refuse_limited(r);
	else if (r->route->object != OBJECT_NONE && !r->rights.is_found)
		request_not_found(r);
	else if (!has_scope(r))
		request_refuse(
		    r, "This token does not have the scope for that.");
	else if (!has_right(r))
		request_refuse(r, "You may not do that.");
	else if (r->route->needs_confirmed && !r->person.is_token &&
	    !r->person.is_confirmed)
		refuse_unconfirmed(r);
	else if (idempotency_take(r))
		r->route->run(r);
}

void
request_enter(struct request *r)
{
	char hash[CREDENTIAL_HASH_MAX];
	const char *params[] = { hash, "f", object_name(r->route->object),
		r->id };

	if (r->route->right == RIGHT_ANYBODY) {
		r->route->run(r);
		return;
	}
	if (!read_credential(r)) {
		request_problem(
		    r, 401, "not-logged-in", "Log in, or give a valid token.");
		return;
	}
	credential_hash(&r->person, hash);
	params[1] = r->person.is_token ? "t" : "f";
	request_query_prepared(r, enter_sql, 4, params, on_entered);
}
