#include "ctl/endpoint/endpoint_list.h"

#include "ctl/names.h"
#include "ctl/pg.h"
#include "ctl/table.h"

/* Agents and servers that dial in hold a connection to some relay; one that
 * died without a word is not believed. */
#define ALIVE(node)                                                            \
	"EXISTS (SELECT 1 FROM nodes n WHERE n.id = " node                     \
	" AND n.stopped_at IS NULL "                                           \
	"AND n.heartbeat_at > now() - interval '5 minutes')"

static const struct column cols[] = {
	{ "id", NULL, COLUMN_INT, "e.id" },
	{ "name", "NAME", COLUMN_TEXT, "e.name" },
	{ "title", NULL, COLUMN_TEXT, "e.title" },
	{ "team", "TEAM", COLUMN_TEXT, "t.name" },
	{ "kind", "KIND", COLUMN_TEXT, "e.kind" },
	{ "access", "ACCESS", COLUMN_TEXT, "e.access" },
	{ "host", "HOST", COLUMN_TEXT, "e.host" },
	{ "port", "PORT", COLUMN_INT, "e.port" },
	{ "state", "STATE", COLUMN_TEXT,
	    "CASE e.kind WHEN 'direct' THEN NULL "
	    "WHEN 'reverse' THEN CASE WHEN " ALIVE(
		"e.parked_node") " "
				 "THEN 'parked' ELSE 'away' END "
				 "WHEN 'agent' THEN CASE WHEN " ALIVE(
				     "e.agent_node") " "
						     "THEN 'connected' WHEN "
						     "e.agent_cert_sha256 IS "
						     "NULL "
						     "THEN 'not_enrolled' ELSE "
						     "'away' END "
						     "ELSE CASE WHEN " ALIVE(
							 "e.agent_node") " "
									 "THEN "
									 "'conn"
									 "ected"
									 "' "
									 "ELSE "
									 "'away"
									 "' "
									 "END "
									 "EN"
									 "D" },
	{ "agent_version", "AGENT", COLUMN_TEXT, "e.agent_version" },
	{ "agent_host", NULL, COLUMN_TEXT, "e.agent_host" },
	{ "agent_displays", NULL, COLUMN_JSON, "to_json(e.agent_displays)" },
	{ "agent_seen_at", NULL, COLUMN_TIME, "e.agent_seen_at" },
	{ "agent_cert_sha256", NULL, COLUMN_TEXT,
	    "encode(e.agent_cert_sha256, 'hex')" },
	{ "client_cert_sha256", NULL, COLUMN_TEXT,
	    "encode(e.reverse_cert_sha256, 'hex')" },
	{ "has_id", NULL, COLUMN_BOOL,
	    "(e.reverse_secret_sha256 IS NOT NULL)" },
	{ "parked_at", NULL, COLUMN_TIME,
	    "CASE WHEN e.parked_node IS NOT NULL THEN e.parked_at END" },
	{ "consent", "CONSENT", COLUMN_TEXT, "coalesce(e.consent, 'team')" },
	{ "capture", NULL, COLUMN_TEXT, "e.capture" },
	{ "username", "USER NAME", COLUMN_TEXT, "e.username" },
	{ "has_password", "PASSWORD", COLUMN_BOOL,
	    "(e.secret_sealed IS NOT NULL)" },
	{ "has_ca", "CA", COLUMN_BOOL, "(e.tls_ca_pem IS NOT NULL)" },
	{ "tls_name", NULL, COLUMN_TEXT, "e.tls_name" },
	{ "pin_sha256", NULL, COLUMN_TEXT, "encode(e.tls_pin_sha256, 'hex')" },
	{ "has_pin", "PIN", COLUMN_BOOL, "(e.tls_pin_sha256 IS NOT NULL)" },
	{ "allow_clear", "CLEAR", COLUMN_BOOL, "e.allow_clear" },
	{ "last_session_at", "LAST SESSION", COLUMN_TIME,
	    "(SELECT max(s.started_at) FROM sessions s "
	    "WHERE s.endpoint_id = e.id)" },
	{ "created_at", NULL, COLUMN_TIME, "e.created_at" },
	{ "last_test", NULL, COLUMN_JSON,
	    "console_endpoint_test_of(e.id)::json" },
};
#define N_COLS (int)(sizeof(cols) / sizeof(cols[0]))

static int
begin(struct sql *q)
{
	if (sql_init(q) != 0)
		return STATUS_FAILED;
	table_select(q, cols, N_COLS, "t.time_zone");
	sql_add(q,
	    "FROM endpoints e JOIN teams t ON t.id = e.team_id "
	    "WHERE e.deleted_at IS NULL");
	q->has_where = true;
	return 0;
}

int
endpoint_run_list(struct ctl *c, const struct args *a)
{
	struct sql q;

	if (begin(&q) != 0)
		return STATUS_FAILED;
	sql_filter(&q, "t.name = ?", args_get(a, "team"));
	sql_filter(&q, "e.kind = ?", args_get(a, "kind"));
	sql_add(&q, " ORDER BY t.name, e.name");
	return table_list(c, a, &q, cols, N_COLS, args_has(a, "utc"),
	    "no endpoints; \"relaycam endpoint add NAME\" makes one");
}

int
endpoint_run_show(struct ctl *c, const struct args *a)
{
	char id[ID_TEXT_MAX], team[ID_TEXT_MAX];
	struct sql q;
	PGresult *res;
	int rc = endpoint_find(c, a, a->words[0], id, team);

	if (rc != 0)
		return rc;
	if (begin(&q) != 0)
		return STATUS_FAILED;
	sql_filter(&q, "e.id = ?", id);
	res = table_query(c, &q);
	sql_release(&q);
	if (res == NULL)
		return STATUS_FAILED;
	if (args_has(a, "json"))
		rc = print_json(table_row_json(res, 0, cols, N_COLS));
	else
		table_print_row(res, 0, cols, N_COLS, args_has(a, "utc"));
	PQclear(res);
	return rc;
}
