/* relaycam endpoint: the computers that technicians connect to. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/command.h"
#include "ctl/endpoint/endpoint_args.h"
#include "ctl/endpoint/endpoint_list.h"
#include "ctl/endpoint/endpoint_set.h"
#include "ctl/endpoint/endpoint_test.h"
#include "ctl/endpoint/endpoint_access.h"
#include "ctl/names.h"
#include "ctl/pg.h"

/* Stores the row; id gets its number. */
static int
add_row(struct ctl *c, const char *name, const struct team_ref *team,
    const struct endpoint_args *e, char id[ID_TEXT_MAX])
{
	PGresult *res = PG_QUERY(c,
	    "INSERT INTO endpoints (team_id, name, title, access, host, port, "
	    "username, secret_sealed, tls_ca_pem, tls_pin_sha256, allow_clear,"
	    " kind, consent, tls_name, capture)"
	    " VALUES ($1, $2, coalesce($3, ''), coalesce($4, 'unattended'), "
	    "$5, CASE WHEN $12 = 'direct' THEN coalesce($6::integer, 5900) "
	    "END, $7, $8, $9, $10, coalesce($11::boolean, false), $12, $13, "
	    "$14, coalesce($15, 'relay')) "
	    "ON CONFLICT DO NOTHING RETURNING id",
	    team->id, name, e->title, e->access, e->host, e->port, e->username,
	    e->sealed, e->ca_pem, e->pin, e->allow_clear, e->kind, e->consent,
	    e->tls_name, e->capture);
	int rc = 0;

	if (res == NULL)
		return STATUS_FAILED;
	if (PQntuples(res) == 0)
		rc = ctl_error("team %s has an endpoint \"%s\" already; "
			       "\"relaycam endpoint set\" changes it",
		    team->name, name);
	else
		snprintf(id, ID_TEXT_MAX, "%s", PQgetvalue(res, 0, 0));
	PQclear(res);
	return rc;
}

static int
check_new_name(const char *name)
{
	int rc = name_check("endpoint", name);

	if (rc == 0 && name_is_code(name))
		rc = ctl_usage("\"%s\" would be taken for a session code; "
			       "use another name",
		    name);
	return rc;
}

static int
add(struct ctl *c, const struct team_ref *team, const struct endpoint_args *e,
    struct endpoint_access *w)
{
	char id[ID_TEXT_MAX];
	int rc = PG_RUN(c, "BEGIN");

	if (rc == 0)
		rc = add_row(c, w->name, team, e, id);
	if (rc == 0)
		rc = endpoint_check_trust(c, id);
	if (rc == 0)
		rc = endpoint_access_new(c, id, e->client_cert, w);
	if (rc == 0)
		rc = pg_audit(c, team->id, "endpoint_add", w->name,
		    endpoint_args_detail(e));
	if (rc == 0)
		rc = PG_RUN(c, "COMMIT");
	return rc;
}

static int
run_add(struct ctl *c, const struct args *a)
{
	struct endpoint_args e = { 0 };
	const struct endpoint_had nothing = { 0 };
	struct endpoint_access w = { 0 };
	struct team_ref team;
	int rc = check_new_name(a->words[0]);

	if (rc == 0)
		rc = endpoint_args_read(c, a, &e);
	if (e.kind == NULL)
		e.kind = "direct";
	w.kind = e.kind;
	if (rc == 0)
		rc = endpoint_args_check(&e, e.kind, &nothing);
	if (rc == 0)
		rc = endpoint_access_prepare(c, a, &w);
	if (rc == 0)
		rc = team_find(c, a, &team);
	if (rc == 0)
		rc = add(c, &team, &e, &w);
	if (rc == 0 && !args_has(a, "json"))
		printf("endpoint %s added to team %s; \"relaycam endpoint "
		       "test %s\" tries it\n",
		    w.name, team.name, w.name);
	if (rc == 0)
		rc = endpoint_access_print(c, a, &w);
	endpoint_access_wipe(&w);
	endpoint_args_release(&e);
	return rc;
}

static int
run_remove(struct ctl *c, const struct args *a)
{
	char id[ID_TEXT_MAX], team[ID_TEXT_MAX];
	int rc = PG_RUN(c, "BEGIN");

	if (rc == 0)
		rc = endpoint_find(c, a, a->words[0], id, team);
	/* sessions keep pointing at the row; the database takes all secrets
	 * and rights from it */
	if (rc == 0)
		rc = PG_RUN(c,
		    "UPDATE endpoints SET deleted_at = now() WHERE id = $1",
		    id);
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

#define OPTS_ENDPOINT                                                          \
	OPT_TEAM, { "host", "HOST[:PORT]", "name or address" },                \
	    { "port", "N", "TCP port (default: 5900)" },                       \
	    { "username", "NAME", "for servers that ask for one" },            \
	    OPTS_SECRET,                                                       \
	    { "ca", "FILE",                                                    \
		    "PEM: its certificate must chain "                         \
		    "to one of these" },                                       \
	    { "tls-name", "NAME",                                              \
		    "that its certificate must carry (default: --host)" },     \
	    { "pin", "SHA256", "of its certificate, 64 hex digits" },          \
	    { "allow-clear", NULL,                                             \
		    "connect even without TLS (private networks only)" },      \
	    { "access", "KIND", "attended or unattended" },                    \
	    { "kind", "KIND", "direct, agent or reverse" },                    \
	    { "valid", "TIME",                                                 \
		    "agent: how long its token is good (default: 24h)" },      \
	    { "client-cert", "FILE",                                           \
		    "reverse: the certificate its stunnel shows, PEM" },       \
	    { "client-cert-sha256", "SHA256", "the same by its hash" },        \
	    { "consent", "WHAT", "off, ask, or team (the default)" },          \
	    { "capture", "WHO",                                                \
		    "records: relay (the default), device, both" },            \
	    OPT_JSON,                                                          \
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
	{ "no-tls-name", NULL, "forget the name; --host is demanded again" },
	{ "no-pin", NULL, "forget the pin" },
};
static const struct arg_opt list_opts[] = {
	{ "team", "NAME", "only this team" },
	{ "kind", "KIND", "only direct, agent, reverse or attended ones" },
	OPT_JSON,
	OPT_UTC,
};
static const struct arg_opt show_opts[] = { OPT_TEAM, OPT_JSON, OPT_UTC };
static const struct arg_opt remove_opts[] = { OPT_TEAM };
static const struct arg_opt token_opts[] = {
	OPT_TEAM,
	{ "valid", "TIME", "agent: how long it is good (default: 24h)" },
	OPT_JSON,
};
static const struct arg_opt test_opts[] = {
	OPT_TEAM,
	{ "timeout", "S", "seconds to wait for each step (default: 10)" },
	OPT_JSON,
};

static const struct command commands[] = {
	{ "add", "NAME", 1, 1, OPTS(add_opts),
	    "Adds an endpoint: a VNC server.\n\nKinds: direct, the relay "
	    "dials --host; agent, relaycam-agent dials in; reverse, an\n"
	    "unmodified VNC server dials in. For the last two it prints, "
	    "once, what to run on the\nendpoint.\n\n"
	    "Its password is sealed with the key of [secrets] seal_key_file; "
	    "only the relay opens\nit. Without --ca and --pin the first "
	    "session "
	    "pins the certificate that it meets.\n\n"
	    "With --ca the certificate must chain to that CA and carry "
	    "--tls-name, or else the\nname in --host. Agents and servers that "
	    "dial in have no --host: --ca needs\n--tls-name or --pin there.",
	    run_add },
	{ "list", "", 0, 0, OPTS(list_opts), "Lists endpoints.",
	    endpoint_run_list },
	{ "show", "NAME", 1, 1, OPTS(show_opts),
	    "Shows all of one endpoint: kind, agent, connected or parked.",
	    endpoint_run_show },
	{ "set", "NAME", 1, 1, OPTS(set_opts),
	    "Changes an endpoint, for sessions that start afterwards.\n\n"
	    "Another --kind takes away how it got in until now and prints "
	    "the new way.",
	    endpoint_run_set },
	{ "token", "NAME", 1, 1, OPTS(token_opts),
	    "Makes a new enrolment token, or a new ID for kind reverse.\n\n"
	    "It is printed once. Unused tokens made before, and the ID used "
	    "until now, are void.",
	    endpoint_run_token },
	{ "revoke", "NAME", 1, 1, OPTS(remove_opts),
	    "Shuts an agent or a server that dials in out.\n\nIts "
	    "certificate, ID and tokens are void at once.",
	    endpoint_run_revoke },
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
	"endpoints: the computers that are connected to", commands, 8 };
