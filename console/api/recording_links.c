/* recordings/{id}/links: signed links, also to what is still being written
 * (T6, X1). The audit entry is there before the link is (X7). */
#include <string.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "console/api/body.h"
#include "console/api/file_link.h"
#include "console/api/handlers.h"
#include "console/api/request.h"

static const char link_sql[] =
    "WITH g AS (SELECT g.id, g.object_key, g.status, " FILE_LINK_NODE
    " AS node_url FROM segments g "
    "LEFT JOIN nodes n ON n.id = g.spool_node WHERE g.id = $1::uuid AND "
    "g.object_key IS NOT NULL), "
    "a AS (INSERT INTO audit (team_id, actor, action, object, detail) "
    "SELECT $2::bigint, $3, 'link', id::text, jsonb_build_object("
    "'object_key', object_key, 'client', $4::text, 'door', $5::text) || "
    "CASE WHEN $6::boolean THEN '{\"ahead\": true}'::jsonb ELSE '{}' END "
    "FROM g WHERE status = 'available' OR node_url IS NOT NULL) "
    "SELECT object_key, node_url FROM g "
    "WHERE status = 'available' OR node_url IS NOT NULL";

static const struct member members[] = {
	{ "disposition", .kind = MEMBER_CHOICE,
	    .choices = "inline|attachment" },
	{ "ahead", .kind = MEMBER_BOOL },
};

/* Are browsers to save it, not to show it? */
static bool
is_download(const struct request *r)
{
	const char *disposition = request_text(r, "disposition");

	return disposition != NULL && strcmp(disposition, "attachment") == 0;
}

static void
on_key(struct request *r, PGresult *res)
{
	char url[LINK_URL_MAX], at[CLOCK_TEXT_MAX];
	uint64_t expires_s;

	if (PQntuples(res) == 0) {
		request_problem(r, 409, "not-done",
		    "The recording is not stored, and cannot be watched "
		    "while it is written.");
		return;
	}
	if (file_link_make(r, PQgetvalue(res, 0, 0),
		PQgetisnull(res, 0, 1) ? NULL : PQgetvalue(res, 0, 1),
		is_download(r), url, &expires_s) != 0) {
		request_problem(r, 500, "internal",
		    "No link can be made; the console's log says why.");
		return;
	}
	clock_format_utc(expires_s * NS_PER_S, at);
	request_json(
	    r, 201, json_pack("{s:s,s:s}", "url", url, "expires_at", at));
}

void
recordings_link_run(struct request *r)
{
	const char *params[] = { r->id, r->person.team_text, r->person.name,
		r->client, r->person.is_token ? "api_token" : "console",
		json_is_true(json_object_get(r->body, "ahead")) ? "t" : "f" };

	if (json_object_size(r->body) == 0 ||
	    body_is_right(r, members, N_ELEMENTS(members)))
		request_query_prepared(
		    r, link_sql, N_ELEMENTS(params), params, on_key);
}
