/* recordings/{id}/links: signed links, also to what is still being written
 * (T6, X1). The audit entry is there before the link is (X7). */
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/links.h"
#include "common/log.h"
#include "console/api/enter.h"
#include "console/api/handlers.h"
#include "console/api/request.h"
#include "console/conf.h"
#include "console/worker.h"

static const char link_sql[] =
    "WITH g AS (SELECT g.id, g.object_key, g.status, coalesce(g.store, '') AS "
    "store, CASE WHEN NOT g.is_capture AND g.status IN ('recording', "
    "'transfer') THEN n.files_url END AS node_url FROM segments g "
    "LEFT JOIN nodes n ON n.id = g.spool_node WHERE g.id = $1::uuid AND "
    "g.object_key IS NOT NULL), "
    "a AS (INSERT INTO audit (team_id, actor, action, object, detail) "
    "SELECT $2::bigint, $3, 'link', id::text, jsonb_build_object("
    "'object_key', object_key, 'client', $4::text, 'door', $5::text) "
    "FROM g WHERE status = 'available' OR node_url IS NOT NULL) "
    "SELECT object_key, store, node_url FROM g "
    "WHERE status = 'available' OR node_url IS NOT NULL";

/* Returns 0 and the link, or an error. */
static int
make(struct request *r, const PGresult *res, char url[LINK_URL_MAX],
    uint64_t *expires_s)
{
	struct conf_store store = r->worker->conf->store;
	struct link_signer *signer;
	char err[512];
	int rc;

	if (!PQgetisnull(res, 0, 2)) { /* at the node that writes it */
		store.kind = (char *)(uintptr_t) "folder";
		store.public_url = PQgetvalue(res, 0, 2);
	}
	rc = link_signer_new(&signer, &store, err, sizeof(err));
	if (rc != 0) {
		log_error("link_not_made", LOG_S("why", err));
		return rc;
	}
	link_signer_set_person(signer, r->person.id);
	rc = link_make(signer, PQgetvalue(res, 0, 0),
	    clock_wall_ns() / NS_PER_S, url, LINK_URL_MAX, expires_s);
	link_signer_free(signer);
	return rc;
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
	if (make(r, res, url, &expires_s) != 0) {
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
		r->client, r->person.is_token ? "api_token" : "console" };

	request_query(r, link_sql, 5, params, on_key);
}
