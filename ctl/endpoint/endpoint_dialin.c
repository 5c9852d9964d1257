#include "ctl/endpoint/endpoint_dialin.h"

#include <stdio.h>
#include <string.h>

#include "ctl/pg.h"

enum col { NAME, KIND, KNOWN, VERSION, HOST, NODE, IS_ALIVE, SINCE };

static const char query[] =
    "SELECT e.name, e.kind, e.agent_cert_sha256 IS NOT NULL "
    "OR e.reverse_cert_sha256 IS NOT NULL "
    "OR e.reverse_secret_sha256 IS NOT NULL OR e.kind = 'attended', "
    "e.agent_version, e.agent_host, n.host, "
    "n.stopped_at IS NULL AND n.heartbeat_at > now() - interval '5 minutes', "
    "to_char(coalesce(e.agent_seen_at, e.parked_at) AT TIME ZONE t.time_zone,"
    " 'YYYY-MM-DD HH24:MI') "
    "FROM endpoints e JOIN teams t ON t.id = e.team_id LEFT JOIN nodes n "
    "ON n.id = CASE e.kind WHEN 'reverse' THEN e.parked_node "
    "ELSE e.agent_node END WHERE e.id = $1";

/* Why nothing can be reached, and what to do about it; NULL: it can. */
static const char *
problem_of(const PGresult *res, char *out, size_t len)
{
	const char *name = PQgetvalue(res, 0, NAME);
	const char *since = pg_text(res, 0, SINCE);
	bool is_reverse = strcmp(PQgetvalue(res, 0, KIND), "reverse") == 0;

	if (*PQgetvalue(res, 0, KNOWN) != 't')
		snprintf(out, len,
		    "it was never enrolled, or shut out since: \"relaycam "
		    "endpoint token %s\" prints what to run there",
		    name);
	else if (pg_text(res, 0, NODE) == NULL && is_reverse)
		snprintf(out, len,
		    "no connection of its VNC server waits at a relay (last "
		    "one: %s); is it running, with its stunnel, and trying "
		    "again by itself?",
		    since != NULL ? since : "never");
	else if (pg_text(res, 0, NODE) == NULL)
		snprintf(out, len,
		    "its agent is not connected (last seen: %s); is the "
		    "computer on, and relaycam-agent running?",
		    since != NULL ? since : "never");
	else if (*PQgetvalue(res, 0, IS_ALIVE) != 't')
		snprintf(out, len,
		    "the relay on %s that held its connection is gone; it "
		    "comes back by itself once a relay runs",
		    PQgetvalue(res, 0, NODE));
	else
		return NULL;
	return out;
}

static json_t *
choice_of(const PGresult *res)
{
	const char *version = pg_text(res, 0, VERSION);
	const char *host = pg_text(res, 0, HOST);

	if (strcmp(PQgetvalue(res, 0, KIND), "reverse") == 0)
		return json_sprintf("the connection that waits at %s since %s",
		    PQgetvalue(res, 0, NODE), PQgetvalue(res, 0, SINCE));
	return json_sprintf("relaycam-agent %s on %s, by way of %s",
	    version != NULL ? version : "?", host != NULL ? host : "?",
	    PQgetvalue(res, 0, NODE));
}

static json_t *
facts_of(const PGresult *res)
{
	char text[512];
	const char *problem = problem_of(res, text, sizeof(text));

	return json_pack("{s:s,s:s,s:b,s:s?,s:s?,s:o,s:o}", "endpoint",
	    PQgetvalue(res, 0, NAME), "kind", PQgetvalue(res, 0, KIND), "ok",
	    problem == NULL, "agent_version", pg_text(res, 0, VERSION),
	    "agent_host", pg_text(res, 0, HOST), "choice",
	    problem == NULL ? choice_of(res) : json_null(), "problems",
	    problem == NULL ? json_array() : json_pack("[s]", problem));
}

json_t *
endpoint_dialin_probe(struct ctl *c, const char *id)
{
	PGresult *res = PG_QUERY(c, query, id);
	json_t *facts = NULL;

	if (res != NULL && PQntuples(res) == 1)
		facts = facts_of(res);
	PQclear(res);
	return facts;
}
