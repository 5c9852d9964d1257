/* relaycam endpoint: the computers that technicians connect to. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/command.h"
#include "ctl/endpoint_args.h"
#include "ctl/endpoint_list.h"
#include "ctl/endpoint_test.h"
#include "ctl/endpoint_way.h"
#include "ctl/names.h"
#include "ctl/pg.h"

/* What of an endpoint is in the audit log: never the password. */
static json_t *
detail(const struct endpoint_args *e)
{
	return json_pack("{s:s?,s:s?,s:s?,s:b,s:b,s:b,s:b}", "kind", e->kind,
	    "host", e->host, "port", e->port, "password", e->sealed != NULL,
	    "ca", e->ca_pem != NULL, "pin", e->pin != NULL, "client_cert",
	    e->client_cert != NULL);
}

/* Stores the row; id gets its number. */
static int
add_row(struct ctl *c, const char *name, const struct team_ref *team,
    const struct endpoint_args *e, char id[ID_TEXT_MAX])
{
	PGresult *res = PG_QUERY(c,
	    "INSERT INTO endpoints (team_id, name, title, access, host, port, "
	    "username, secret_sealed, tls_ca_pem, tls_pin_sha256, allow_clear,"
	    " kind, consent)"
	    " VALUES ($1, $2, coalesce($3, ''), coalesce($4, 'unattended'), "
	    "$5, CASE WHEN $12 = 'direct' THEN coalesce($6::integer, 5900) "
	    "END, $7, $8, $9, $10, coalesce($11::boolean, false), $12, $13) "
	    "ON CONFLICT DO NOTHING RETURNING id",
	    team->id, name, e->title, e->access, e->host, e->port, e->username,
	    e->sealed, e->ca_pem, e->pin, e->allow_clear, e->kind, e->consent);
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

/* Which options go with which kind. had_host: it has one already. */
static int
check_kind(const struct endpoint_args *e, const char *kind, bool had_host)
{
	bool is_direct = strcmp(kind, "direct") == 0;

	if (is_direct && e->host == NULL && !had_host)
		return ctl_usage("say where it is: --host HOST[:PORT]");
	if (!is_direct && (e->host != NULL || e->port != NULL))
		return ctl_usage("an endpoint of kind %s dials in and has no "
				 "--host and --port",
		    kind);
	if (e->client_cert != NULL && strcmp(kind, "reverse") != 0)
		return ctl_usage("--client-cert goes with --kind reverse");
	return 0;
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

/* Settings that the lines for the endpoint need; --valid. */
static int
prepare_way(struct ctl *c, const struct args *a, struct way *w)
{
	int rc = args_seconds(
	    a, "valid", 60, ENROL_SECONDS_MAX, ENROL_SECONDS, &w->seconds);

	w->name = a->words[0];
	if (rc == 0 && args_has(a, "valid") && strcmp(w->kind, "agent") != 0)
		rc = ctl_usage("--valid goes with --kind agent");
	if (rc == 0 && strcmp(w->kind, "direct") != 0)
		rc = relay_address_read(c, &w->relay);
	return rc;
}

static int
add(struct ctl *c, const struct team_ref *team, const struct endpoint_args *e,
    struct way *w)
{
	char id[ID_TEXT_MAX];
	int rc = PG_RUN(c, "BEGIN");

	if (rc == 0)
		rc = add_row(c, w->name, team, e, id);
	if (rc == 0)
		rc = endpoint_way_new(c, id, e->client_cert, w);
	if (rc == 0)
		rc = pg_audit(c, team->id, "endpoint_add", w->name, detail(e));
	if (rc == 0)
		rc = PG_RUN(c, "COMMIT");
	return rc;
}

static int
run_add(struct ctl *c, const struct args *a)
{
	struct endpoint_args e = { 0 };
	struct way w = { 0 };
	struct team_ref team;
	int rc = check_new_name(a->words[0]);

	if (rc == 0)
		rc = endpoint_args_read(c, a, &e);
	if (e.kind == NULL)
		e.kind = "direct";
	w.kind = e.kind;
	if (rc == 0)
		rc = check_kind(&e, e.kind, false);
	if (rc == 0)
		rc = prepare_way(c, a, &w);
	if (rc == 0)
		rc = team_find(c, a, &team);
	if (rc == 0)
		rc = add(c, &team, &e, &w);
	if (rc == 0 && !args_has(a, "json"))
		printf("endpoint %s added to team %s; \"relaycam endpoint "
		       "test %s\" tries it\n",
		    w.name, team.name, w.name);
	if (rc == 0)
		rc = endpoint_way_print(c, a, &w);
	endpoint_way_wipe(&w);
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

/* What it is now; *had_host: it has an address. Locks the row. */
static int
read_kind(struct ctl *c, const char *id, char kind[16], bool *had_host)
{
	PGresult *res = PG_QUERY(c,
	    "SELECT kind, host IS NOT NULL FROM endpoints WHERE id = $1 "
	    "FOR UPDATE",
	    id);

	if (res == NULL || PQntuples(res) != 1) {
		PQclear(res);
		return STATUS_FAILED;
	}
	snprintf(kind, 16, "%s", PQgetvalue(res, 0, 0));
	*had_host = *PQgetvalue(res, 0, 1) == 't';
	PQclear(res);
	if (strcmp(kind, "attended") == 0)
		return ctl_error("this endpoint belongs to a session code: it "
				 "cannot be changed, only removed");
	return 0;
}

/* Takes from the row what belonged to its kind until now. */
static int
change_kind(struct ctl *c, const char *id, const struct endpoint_args *e)
{
	int rc =
	    PG_RUN(c, "DELETE FROM enrol_tokens WHERE endpoint_id = $1", id);

	if (rc == 0)
		rc = PG_RUN(c,
		    "UPDATE endpoints SET kind = $2, host = $3, port = "
		    "CASE WHEN $2 = 'direct' THEN coalesce($4::integer, 5900) "
		    "END, agent_cert_sha256 = NULL, agent_version = NULL, "
		    "agent_host = NULL, agent_displays = NULL, agent_node = "
		    "NULL, agent_channel = NULL, agent_seen_at = NULL, "
		    "reverse_secret_sha256 = NULL, reverse_cert_sha256 = NULL,"
		    " parked_node = NULL, parked_at = NULL WHERE id = $1",
		    id, e->kind, e->host, e->port);
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
	    "allow_clear = coalesce($14::boolean, allow_clear), "
	    "consent = CASE WHEN $15::boolean THEN NULL "
	    "ELSE coalesce($16, consent) END WHERE id = $1",
	    id, e->title, e->access, e->host, e->port,
	    e->no_username ? "t" : "f", e->username, e->no_password ? "t" : "f",
	    e->sealed, e->no_ca ? "t" : "f", e->ca_pem, e->no_pin ? "t" : "f",
	    e->pin, e->allow_clear, e->team_consent ? "t" : "f", e->consent);
}

/* Any option besides those that only say where to look and how to answer. */
static bool
has_change(const struct args *a)
{
	for (size_t i = 0; i < a->n_opts; i++)
		if (a->values[i] != NULL &&
		    strcmp(a->opts[i].name, "team") != 0 &&
		    strcmp(a->opts[i].name, "json") != 0)
			return true;
	return false;
}

/*
 * Changes the row. w->kind: what it is afterwards; a kind that is new to it
 * gets a new way in, which is to be shown.
 */
static int
set(struct ctl *c, const struct args *a, const char *id,
    const struct endpoint_args *e, struct way *w)
{
	char was[16];
	bool had_host, is_new;
	int rc = read_kind(c, id, was, &had_host);

	if (rc != 0)
		return rc;
	is_new = e->kind != NULL && strcmp(e->kind, was) != 0;
	rc = check_kind(e, e->kind != NULL ? e->kind : was, had_host);
	w->kind = is_new ? e->kind : "direct"; /* nothing to show */
	if (rc == 0 && !is_new && e->client_cert != NULL)
		w->kind = "reverse";
	if (rc == 0)
		rc = prepare_way(c, a, w);
	if (rc == 0 && is_new)
		rc = change_kind(c, id, e);
	if (rc == 0)
		rc = set_row(c, id, e);
	if (rc == 0)
		rc = endpoint_way_new(c, id, e->client_cert, w);
	return rc;
}

static int
run_set(struct ctl *c, const struct args *a)
{
	char id[ID_TEXT_MAX], team[ID_TEXT_MAX];
	struct endpoint_args e = { 0 };
	struct way w = { 0 };
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
		rc = set(c, a, id, &e, &w);
	if (rc == 0)
		rc = pg_audit(c, team, "endpoint_set", a->words[0], detail(&e));
	if (rc == 0)
		rc = PG_RUN(c, "COMMIT");
	if (rc == 0 && !args_has(a, "json"))
		printf("endpoint %s changed\n", a->words[0]);
	if (rc == 0)
		rc = endpoint_way_print(c, a, &w);
	endpoint_way_wipe(&w);
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
	    { "kind", "KIND", "direct, agent or reverse" },                    \
	    { "valid", "TIME",                                                 \
		    "agent: how long its token is good (default: 24h)" },      \
	    { "client-cert", "FILE",                                           \
		    "reverse: the certificate its stunnel shows, PEM" },       \
	    { "client-cert-sha256", "SHA256", "the same by its hash" },        \
	    { "consent", "WHAT", "off, ask, or team (the default)" },          \
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
	    "pins the certificate that it meets.",
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
	    run_set },
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
