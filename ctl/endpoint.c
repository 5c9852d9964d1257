/* relaycam endpoint: the computers that technicians connect to. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/command.h"
#include "ctl/endpoint_args.h"
#include "ctl/endpoint_test.h"
#include "ctl/names.h"
#include "ctl/pg.h"
#include "ctl/table.h"

static const struct column cols[] = {
	{ "id", NULL, COLUMN_INT, "e.id" },
	{ "name", "NAME", COLUMN_TEXT, "e.name" },
	{ "title", NULL, COLUMN_TEXT, "e.title" },
	{ "team", "TEAM", COLUMN_TEXT, "t.name" },
	{ "access", "ACCESS", COLUMN_TEXT, "e.access" },
	{ "host", "HOST", COLUMN_TEXT, "e.host" },
	{ "port", "PORT", COLUMN_INT, "e.port" },
	{ "username", "USER NAME", COLUMN_TEXT, "e.username" },
	{ "has_password", "PASSWORD", COLUMN_BOOL,
	    "(e.secret_sealed IS NOT NULL)" },
	{ "has_ca", "CA", COLUMN_BOOL, "(e.tls_ca_pem IS NOT NULL)" },
	{ "pin_sha256", NULL, COLUMN_TEXT, "encode(e.tls_pin_sha256, 'hex')" },
	{ "has_pin", "PIN", COLUMN_BOOL, "(e.tls_pin_sha256 IS NOT NULL)" },
	{ "allow_clear", "CLEAR", COLUMN_BOOL, "e.allow_clear" },
	{ "last_session_at", "LAST SESSION", COLUMN_TIME,
	    "(SELECT max(s.started_at) FROM sessions s "
	    "WHERE s.endpoint_id = e.id)" },
	{ "created_at", NULL, COLUMN_TIME, "e.created_at" },
};
#define N_COLS (int)(sizeof(cols) / sizeof(cols[0]))

/* What of an endpoint is in the audit log: never the password. */
static json_t *
detail(const struct endpoint_args *e)
{
	return json_pack("{s:s?,s:s?,s:b,s:b,s:b}", "host", e->host, "port",
	    e->port, "password", e->sealed != NULL, "ca", e->ca_pem != NULL,
	    "pin", e->pin != NULL);
}

static int
add_row(struct ctl *c, const char *name, const struct team_ref *team,
    const struct endpoint_args *e)
{
	PGresult *res = PG_QUERY(c,
	    "INSERT INTO endpoints (team_id, name, title, access, host, port, "
	    "username, secret_sealed, tls_ca_pem, tls_pin_sha256, allow_clear)"
	    " VALUES ($1, $2, coalesce($3, ''), coalesce($4, 'unattended'), "
	    "$5, coalesce($6::integer, 5900), $7, $8, $9, $10, "
	    "coalesce($11::boolean, false)) ON CONFLICT DO NOTHING "
	    "RETURNING id",
	    team->id, name, e->title, e->access, e->host, e->port, e->username,
	    e->sealed, e->ca_pem, e->pin, e->allow_clear);
	int rc;

	if (res == NULL)
		return STATUS_FAILED;
	if (PQntuples(res) == 0)
		rc = ctl_error("team %s has an endpoint \"%s\" already; "
			       "\"relaycam endpoint set\" changes it",
		    team->name, name);
	else
		rc = pg_audit(c, team->id, "endpoint_add", name, detail(e));
	PQclear(res);
	return rc;
}

static int
run_add(struct ctl *c, const struct args *a)
{
	struct endpoint_args e = { 0 };
	struct team_ref team;
	int rc = name_check("endpoint", a->words[0]);

	if (rc == 0 && !args_has(a, "host"))
		rc = ctl_usage("say where it is: --host HOST[:PORT]");
	if (rc == 0)
		rc = team_find(c, a, &team);
	if (rc == 0)
		rc = endpoint_args_read(c, a, &e);
	if (rc == 0)
		rc = PG_RUN(c, "BEGIN");
	if (rc == 0)
		rc = add_row(c, a->words[0], &team, &e);
	if (rc == 0)
		rc = PG_RUN(c, "COMMIT");
	if (rc == 0)
		printf("endpoint %s added to team %s; \"relaycam endpoint "
		       "test %s\" tries it\n",
		    a->words[0], team.name, a->words[0]);
	endpoint_args_release(&e);
	return rc;
}

static int
run_list(struct ctl *c, const struct args *a)
{
	struct sql q;

	if (sql_init(&q) != 0)
		return STATUS_FAILED;
	table_select(&q, cols, N_COLS, "t.time_zone");
	sql_add(&q,
	    "FROM endpoints e JOIN teams t ON t.id = e.team_id "
	    "WHERE e.deleted_at IS NULL");
	q.has_where = true;
	sql_filter(&q, "t.name = ?", args_get(a, "team"));
	sql_add(&q, " ORDER BY t.name, e.name");
	return table_list(c, a, &q, cols, N_COLS, args_has(a, "utc"),
	    "no endpoints; \"relaycam endpoint add NAME\" makes one");
}

/* Sessions keep pointing at the row; secrets and rights go at once. */
static int
remove_row(struct ctl *c, const char *id)
{
	int rc = PG_RUN(c,
	    "UPDATE endpoints SET deleted_at = now(), secret_sealed = NULL "
	    "WHERE id = $1",
	    id);

	if (rc == 0)
		rc = PG_RUN(c,
		    "DELETE FROM endpoint_rights WHERE endpoint_id = $1", id);
	return rc;
}

static int
run_remove(struct ctl *c, const struct args *a)
{
	char id[ID_TEXT_MAX], team[ID_TEXT_MAX];
	int rc = PG_RUN(c, "BEGIN");

	if (rc == 0)
		rc = endpoint_find(c, a, a->words[0], id, team);
	if (rc == 0)
		rc = remove_row(c, id);
	if (rc == 0)
		rc = pg_audit(c, team, "endpoint_remove", a->words[0], NULL);
	if (rc == 0)
		rc = PG_RUN(c, "COMMIT");
	if (rc == 0)
		printf("endpoint %s removed; its sessions and recordings stay "
		       "listed\n",
		    a->words[0]);
	return rc;
}

static int
set_row(struct ctl *c, const char *id, const struct endpoint_args *e)
{
	return PG_RUN(c,
	    "UPDATE endpoints SET title = coalesce($2, title), "
	    "access = coalesce($3, access), host = coalesce($4, host), "
	    "port = coalesce($5::integer, port), "
	    "username = CASE WHEN $6::boolean THEN NULL "
	    "ELSE coalesce($7, username) END, "
	    "secret_sealed = CASE WHEN $8::boolean THEN NULL "
	    "ELSE coalesce($9, secret_sealed) END, "
	    "tls_ca_pem = CASE WHEN $10::boolean THEN NULL "
	    "ELSE coalesce($11, tls_ca_pem) END, "
	    "tls_pin_sha256 = CASE WHEN $12::boolean THEN NULL "
	    "ELSE coalesce($13, tls_pin_sha256) END, "
	    "allow_clear = coalesce($14::boolean, allow_clear) WHERE id = $1",
	    id, e->title, e->access, e->host, e->port,
	    e->no_username ? "t" : "f", e->username, e->no_password ? "t" : "f",
	    e->sealed, e->no_ca ? "t" : "f", e->ca_pem, e->no_pin ? "t" : "f",
	    e->pin, e->allow_clear);
}

/* Any option besides --team, which only says where to look. */
static bool
has_change(const struct args *a)
{
	for (size_t i = 0; i < a->n_opts; i++)
		if (a->values[i] != NULL &&
		    strcmp(a->opts[i].name, "team") != 0)
			return true;
	return false;
}

static int
run_set(struct ctl *c, const struct args *a)
{
	char id[ID_TEXT_MAX], team[ID_TEXT_MAX];
	struct endpoint_args e = { 0 };
	int rc;

	if (!has_change(a))
		return ctl_usage("nothing to change; --help lists what can "
				 "be set");
	rc = endpoint_args_read(c, a, &e);
	if (rc == 0)
		rc = PG_RUN(c, "BEGIN");
	if (rc == 0)
		rc = endpoint_find(c, a, a->words[0], id, team);
	if (rc == 0)
		rc = set_row(c, id, &e);
	if (rc == 0)
		rc = pg_audit(c, team, "endpoint_set", a->words[0], detail(&e));
	if (rc == 0)
		rc = PG_RUN(c, "COMMIT");
	if (rc == 0)
		printf("endpoint %s changed\n", a->words[0]);
	endpoint_args_release(&e);
	return rc;
}

#define OPTS_ENDPOINT                                                          \
	OPT_TEAM, { "host", "HOST[:PORT]", "name or address" },                \
	    { "port", "N", "TCP port (default: 5900)" },                       \
	    { "username", "NAME", "for servers that ask for one" },            \
	    OPTS_SECRET,                                                       \
	    { "ca", "FILE",                                                    \
		    "PEM: its certificate must chain "                         \
		    "to one of these" },                                       \
	    { "pin", "SHA256", "of its certificate, 64 hex digits" },          \
	    { "allow-clear", NULL,                                             \
		    "connect even without TLS (private networks only)" },      \
	    { "access", "KIND", "attended or unattended" },                    \
	{                                                                      \
		"title", "TEXT", "a name for people"                           \
	}

static const struct arg_opt add_opts[] = { OPTS_ENDPOINT };
static const struct arg_opt set_opts[] = {
	OPTS_ENDPOINT,
	{ "no-allow-clear", NULL, "demand TLS again" },
	{ "no-username", NULL, "forget the user name" },
	{ "no-password", NULL, "forget the password" },
	{ "no-ca", NULL, "forget the CA" },
	{ "no-pin", NULL, "forget the pin" },
};
static const struct arg_opt list_opts[] = {
	{ "team", "NAME", "only this team" },
	OPT_JSON,
	OPT_UTC,
};
static const struct arg_opt remove_opts[] = { OPT_TEAM };
static const struct arg_opt test_opts[] = {
	OPT_TEAM,
	{ "timeout", "S", "seconds to wait for each step (default: 10)" },
	OPT_JSON,
};

static const struct command commands[] = {
	{ "add", "NAME", 1, 1, OPTS(add_opts),
	    "Adds an endpoint: a VNC server that the relay can reach.\n\n"
	    "Its password is sealed with the key of [secrets] seal_key_file; "
	    "only the relay opens\nit. Without --ca and --pin the first "
	    "session "
	    "pins the certificate that it meets.",
	    run_add },
	{ "list", "", 0, 0, OPTS(list_opts), "Lists endpoints.", run_list },
	{ "set", "NAME", 1, 1, OPTS(set_opts),
	    "Changes an endpoint, for sessions that start afterwards.",
	    run_set },
	{ "remove", "NAME", 1, 1, OPTS(remove_opts),
	    "Removes an endpoint.\n\nThe stored password and all rights on it "
	    "go; sessions and recordings stay.",
	    run_remove },
	{ "test", "NAME", 1, 1, OPTS(test_opts),
	    "Connects to an endpoint from here and says what the relay would "
	    "do.\n\nRun it on the relay's machine. No session is made and no "
	    "password is sent.",
	    endpoint_run_test },
};

const struct command_group group_endpoint = { "endpoint",
	"endpoints: the computers that are connected to", commands, 5 };
