/* tokens: a person's own bearer tokens for programs. */
#include <openssl/sha.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/http.h"
#include "console/api/enter.h"
#include "console/api/handlers.h"
#include "console/api/request.h"
#include "console/routes.h"

#define NAME_MAX_LEN 100
#define DAYS_MAX     366
#define TOKEN_COLUMNS                                                          \
	"json_build_object('id', id::text, 'name', name, 'scopes', scopes, "   \
	"'created_at', utc_text(created_at), 'expires_at', "                   \
	"utc_text(expires_at), 'last_used_at', utc_text(last_used_at))"

static const char new_sql[] =
    "WITH t AS (INSERT INTO api_tokens (person_id, hash, name, scopes, "
    "expires_at) VALUES ($1, decode($2, 'hex'), $3, $4::text[], now() + "
    "$5::integer * interval '1 day') ON CONFLICT (person_id, name) DO NOTHING "
    "RETURNING *), a AS (INSERT INTO audit (team_id, actor, action, object, "
    "detail) SELECT $6::bigint, $7, 'token_new', name, $8::jsonb || "
    "jsonb_build_object('scopes', scopes) FROM t) "
    "SELECT " TOKEN_COLUMNS "::text FROM t";

static const char delete_sql[] =
    "WITH t AS (DELETE FROM api_tokens WHERE person_id = $1 AND id = "
    "$2::bigint RETURNING name), a AS (INSERT INTO audit (team_id, actor, "
    "action, object, detail) SELECT $3::bigint, $4, 'token_deleted', name, "
    "$5::jsonb "
    "FROM t) SELECT name FROM t";

static void
on_list(struct request *r, PGresult *res)
{
	request_json_text(r, 200, PQgetvalue(res, 0, 0));
}

void
tokens_list_run(struct request *r)
{
	const char *params[] = { r->person.id_text };

	request_query(r,
	    "SELECT json_build_object('items', coalesce(json_agg(" TOKEN_COLUMNS
	    " ORDER BY id), '[]')) FROM api_tokens "
	    "WHERE person_id = $1",
	    1, params, on_list);
}

/* ---- a new one ---- */

static bool
is_scope(const char *s)
{
	if (s == NULL)
		return false;
	for (size_t i = 0; i < n_routes; i++)
		if (routes[i].scope != NULL && strcmp(routes[i].scope, s) == 0)
			return true;
	return strcmp(s, "*") == 0;
}

/* As an array of PostgreSQL; false: it is no list of scopes. */
static bool
scopes_text(const json_t *list, char *out, size_t len)
{
	size_t i, at = 0;
	json_t *s;

	if (!json_is_array(list) || json_array_size(list) == 0)
		return false;
	json_array_foreach(list, i, s) {
		if (!is_scope(json_string_value(s)) || at + 64 > len)
			return false;
		at += (size_t)snprintf(out + at, len - at, "%c%s",
		    i == 0 ? '{' : ',', json_string_value(s));
	}
	snprintf(out + at, len - at, "}");
	return true;
}

/* The token itself is in this answer and nowhere else. */
static void
on_new(struct request *r, PGresult *res)
{
	char token[sizeof(BEARER_PREFIX) + 2 * CREDENTIAL_LEN];
	json_t *o;

	if (PQntuples(res) == 0) {
		request_problem(r, 409, "exists",
		    "There is a token of that name; take it back first.");
		return;
	}
	o = json_loads(PQgetvalue(res, 0, 0), 0, NULL);
	snprintf(token, sizeof(token), BEARER_PREFIX);
	http_hex(r->state, CREDENTIAL_LEN, token + strlen(BEARER_PREFIX));
	json_object_set_new(o, "token", json_string(token));
	request_json(r, 201, o);
	wipe(token, sizeof(token));
}

static void
forget(struct request *r)
{
	wipe(r->state, CREDENTIAL_LEN);
	free(r->state);
}

static bool
make_token(struct request *r, char hex[2 * SHA256_DIGEST_LENGTH + 1])
{
	uint8_t hash[SHA256_DIGEST_LENGTH];

	r->state = malloc(CREDENTIAL_LEN);
	if (r->state == NULL)
		return false;
	r->release = forget;
	randombytes_buf(r->state, CREDENTIAL_LEN);
	SHA256(r->state, CREDENTIAL_LEN, hash);
	http_hex(hash, sizeof(hash), hex);
	return true;
}

void
tokens_new_run(struct request *r)
{
	const char *name = request_text(r, "name");
	const json_t *days = json_object_get(r->body, "days");
	char hex[2 * SHA256_DIGEST_LENGTH + 1], scopes[1024], days_text[24];
	char origin[REQUEST_ORIGIN_MAX];
	const char *params[] = { r->person.id_text, hex, name, scopes,
		days_text, r->person.team_text, r->person.name,
		request_origin(r, origin) };

	if (name == NULL || *name == '\0' || strlen(name) > NAME_MAX_LEN) {
		request_invalid(r, "/name", "1 to 100 bytes are expected.");
	} else if (!scopes_text(json_object_get(r->body, "scopes"), scopes,
		       sizeof(scopes))) {
		request_invalid(r, "/scopes",
		    "A list of scopes is expected; docs/rights.md has them.");
	} else if (!json_is_integer(days) || json_integer_value(days) < 1 ||
	    json_integer_value(days) > DAYS_MAX) {
		request_invalid(r, "/days", "1 to 366 are expected.");
	} else if (!make_token(r, hex)) {
		request_problem(r, 503, "unavailable", "Out of memory.");
	} else {
		snprintf(days_text, sizeof(days_text), "%lld",
		    (long long)json_integer_value(days));
		request_query(r, new_sql, 8, params, on_new);
	}
}

static void
on_deleted(struct request *r, PGresult *res)
{
	if (PQntuples(res) == 0) {
		request_not_found(r);
		return;
	}
	request_empty(r, 204);
}

void
tokens_delete_run(struct request *r)
{
	char origin[REQUEST_ORIGIN_MAX];
	const char *params[] = { r->person.id_text, r->id, r->person.team_text,
		r->person.name, request_origin(r, origin) };

	request_query(r, delete_sql, 5, params, on_deleted);
}
