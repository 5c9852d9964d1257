/* recordings/{id}/manifest, poster and captions: files that are kept beside a
 * recording or made of its row, and the manifest that checks its bytes (X2, X3,
 * X5). */
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "console/api/file_link.h"
#include "console/api/handlers.h"
#include "console/api/request.h"

/* ---- the poster ---- */

static const char poster_sql[] =
    "SELECT g.poster_key, " FILE_LINK_NODE " FROM segments g "
    "LEFT JOIN nodes n ON n.id = g.spool_node "
    "WHERE g.id = $1::uuid AND g.poster_key IS NOT NULL AND "
    "(g.status = 'available' OR " FILE_LINK_NODE " IS NOT NULL)";

static void
on_poster(struct request *r, PGresult *res)
{
	char url[LINK_URL_MAX];
	uint64_t expires_s;

	if (PQntuples(res) == 0) {
		request_not_found(r);
		return;
	}
	if (file_link_make(r, PQgetvalue(res, 0, 0),
		PQgetisnull(res, 0, 1) ? NULL : PQgetvalue(res, 0, 1), false,
		url, &expires_s) != 0) {
		request_problem(r, 500, "internal",
		    "No link can be made; the console's log says why.");
		return;
	}
	request_field(r, "Location", url);
	request_empty(r, 303);
}

void
recordings_poster_run(struct request *r)
{
	const char *params[] = { r->id };

	request_query(r, poster_sql, 1, params, on_poster);
}

/* ---- the manifest ---- */

enum { KEY, REST };

/* The entry is there before the link is (X7). */
static const char manifest_sql[] =
    "WITH m AS (SELECT g.id, g.status, e.*, k.public_key, k.host, k.added_at "
    "FROM segments g LEFT JOIN evidence e ON e.segment_id = g.id "
    "LEFT JOIN evidence_keys k ON k.id = e.key_id WHERE g.id = $1::uuid), "
    "a AS (INSERT INTO audit (team_id, actor, action, object, detail) "
    "SELECT $2::bigint, $3, 'manifest', id::text, jsonb_build_object("
    "'object_key', object_key, 'client', $4::text, 'door', $5::text) "
    "FROM m WHERE status = 'available' AND object_key IS NOT NULL) "
    "SELECT CASE WHEN status = 'available' THEN object_key END, "
    "json_build_object('recording', id, 'status', status, "
    "'root', encode(root, 'hex'), 'sha256', encode(sha256, 'hex'), "
    "'signature', encode(signature, 'hex'), "
    "'key', CASE WHEN key_id IS NOT NULL THEN json_build_object("
    "'id', key_id, 'public_key', encode(public_key, 'hex'), 'host', host, "
    "'added_at', utc_text(added_at)) END, "
    "'head', CASE WHEN head_to IS NOT NULL THEN json_build_object("
    "'from', head_from, 'to', head_to, 'sha256', encode(head_sha256, 'hex'), "
    "'at', utc_text(head_at)) END)::text FROM m";

static void
on_manifest(struct request *r, PGresult *res)
{
	char url[LINK_URL_MAX], at[CLOCK_TEXT_MAX];
	uint64_t expires_s;
	json_t *root;

	if (PQntuples(res) == 0) {
		request_not_found(r);
		return;
	}
	root = json_loads(PQgetvalue(res, 0, REST), 0, NULL);
	json_object_set_new(root, "url", json_null());
	json_object_set_new(root, "expires_at", json_null());
	if (!PQgetisnull(res, 0, KEY)) {
		if (file_link_make(r, PQgetvalue(res, 0, KEY), NULL, false, url,
			&expires_s) != 0) {
			json_decref(root);
			request_problem(r, 500, "internal",
			    "No link can be made; the console's log says "
			    "why.");
			return;
		}
		clock_format_utc(expires_s * NS_PER_S, at);
		json_object_set_new(root, "url", json_string(url));
		json_object_set_new(root, "expires_at", json_string(at));
	}
	request_json(r, 200, root);
}

void
recordings_manifest_run(struct request *r)
{
	const char *params[] = { r->id, r->person.team_text, r->person.name,
		r->client, r->person.is_token ? "api_token" : "console" };

	request_query(r, manifest_sql, 5, params, on_manifest);
}

/* ---- captions ---- */

/* The entry is there before the answer is (X7). */
static const char captions_sql[] =
    "WITH c AS (SELECT id, coalesce(object_key, id::text) AS key, "
    "segment_captions(id) AS text FROM segments WHERE id = $1::uuid), "
    "a AS (INSERT INTO audit (team_id, actor, action, object, detail) "
    "SELECT $2::bigint, $3, 'captions', id::text, jsonb_build_object("
    "'client', $4::text, 'door', $5::text) FROM c WHERE text IS NOT NULL) "
    "SELECT key, text FROM c";

static void
on_captions(struct request *r, PGresult *res)
{
	char name[256], field[320];

	if (PQntuples(res) == 0) {
		request_not_found(r);
		return;
	}
	if (PQgetisnull(res, 0, 1)) {
		request_problem(r, 409, "not-done",
		    "The recording has not ended; its captions are made then.");
		return;
	}
	link_filename(PQgetvalue(res, 0, 0), name, sizeof(name));
	snprintf(field, sizeof(field), "attachment; filename=\"%.*s.vtt\"",
	    (int)strcspn(name, "."), name);
	request_field(r, "Content-Disposition", field);
	request_bytes(r, 200, "text/vtt; charset=utf-8",
	    (struct request_body){ .data = PQgetvalue(res, 0, 1),
		.len = (size_t)PQgetlength(res, 0, 1) });
}

void
recordings_captions_run(struct request *r)
{
	const char *params[] = { r->id, r->person.team_text, r->person.name,
		r->client, r->person.is_token ? "api_token" : "console" };

	request_query(r, captions_sql, 5, params, on_captions);
}
