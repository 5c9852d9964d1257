#include "ctl/endpoint/endpoint_access.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "ctl/names.h"
#include "ctl/pg.h"
#include "ctl/table.h"

void
endpoint_access_wipe(struct endpoint_access *w)
{
	token_wipe(&w->token);
}

int
endpoint_access_prepare(
    struct ctl *c, const struct args *a, struct endpoint_access *w)
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

/* --- rows ---------------------------------------------------------------- */

static int
drop_tokens(struct ctl *c, const char *id)
{
	return PG_RUN(c,
	    "DELETE FROM enrol_tokens WHERE endpoint_id = $1 "
	    "AND used_at IS NULL",
	    id);
}

static int
new_enrolment(struct ctl *c, const char *id, struct endpoint_access *w)
{
	char valid[24];
	int rc = drop_tokens(c, id);

	snprintf(valid, sizeof(valid), "%lld", (long long)w->seconds);
	token_new(&w->token, "rce_");
	if (rc == 0)
		rc = PG_RUN(c,
		    "INSERT INTO enrol_tokens (hash, endpoint_id, created_by, "
		    "expires_at) VALUES ($1, $2, 'relaycam', "
		    "now() + $3::integer * interval '1 second')",
		    w->token.hash, id, valid);
	return rc;
}

static int
set_reverse(struct ctl *c, const char *id, const char *secret, const char *cert)
{
	PGresult *res;
	int rc;

	if (pg_open(c) != 0)
		return STATUS_FAILED;
	res = PG_TRY(c,
	    "UPDATE endpoints SET reverse_secret_sha256 = $2, "
	    "reverse_cert_sha256 = $3 WHERE id = $1",
	    id, secret, cert);
	if (strcmp(pg_state(res), "23505") == 0)
		rc = ctl_error("another endpoint has this client certificate; "
			       "each needs its own");
	else if (PQresultStatus(res) != PGRES_COMMAND_OK)
		rc = pg_explain(c, res);
	else
		rc = 0;
	PQclear(res);
	return rc;
}

int
endpoint_access_new(struct ctl *c, const char *id, const char *client_cert,
    struct endpoint_access *w)
{
	w->by_certificate = client_cert != NULL;
	if (strcmp(w->kind, "agent") == 0)
		return new_enrolment(c, id, w);
	if (strcmp(w->kind, "reverse") != 0)
		return 0;
	if (client_cert != NULL)
		return set_reverse(c, id, NULL, client_cert);
	token_new_base32(&w->token);
	return set_reverse(c, id, w->token.hash, NULL);
}

/* --- what to do on the endpoint ------------------------------------------ */

/* "host", or "host:port" when it is not the usual one. */
static void
relay_for_agent(const struct relay_address *r, char *out, size_t len)
{
	if (r->web_port[0] == '\0' || strcmp(r->web_port, "443") == 0)
		snprintf(out, len, "%s", r->host);
	else
		relay_address_print(r->host, r->web_port, out, len);
}

static void
agent_line(const struct endpoint_access *w, char *out, size_t len)
{
	char relay[HOST_MAX + 16];

	relay_for_agent(&w->relay, relay, sizeof(relay));
	snprintf(out, len, "relaycam-agent enroll --relay %s%s%s --token %s",
	    relay, w->relay.pin[0] != '\0' ? " --pin " : "", w->relay.pin,
	    w->token.text);
}

/* "PC-7-ABCD...": upper case, because some servers send it so anyway. */
static void
id_text(const struct endpoint_access *w, char *out, size_t len)
{
	snprintf(out, len, "%s-%s", w->name, w->token.text);
	for (char *p = out; *p != '\0'; p++)
		*p = (char)toupper((unsigned char)*p);
}

static void
stunnel_lines(const struct endpoint_access *w, char *out, size_t len)
{
	char relay[HOST_MAX + 16];
	const char *port = w->relay.reverse_port;

	relay_address_print(w->relay.host, port[0] != '\0' ? port : "5500",
	    relay, sizeof(relay));
	snprintf(out, len,
	    "[relaycam]\nclient = yes\naccept = 127.0.0.1:5500\n"
	    "connect = %s\nverifyChain = yes\nCAfile = %s\ncheckHost = %s\n%s",
	    relay,
	    w->relay.ca_file[0] != '\0' ? "/etc/stunnel/relay.pem"
					: "/etc/ssl/certs/ca-certificates.crt",
	    w->relay.host,
	    w->by_certificate ? "cert = /etc/stunnel/client.pem\n"
				"key = /etc/stunnel/client.key\n"
			      : "");
}

static void
x11vnc_line(const struct endpoint_access *w, char *out, size_t len)
{
	char id[NAME_TEXT_MAX + TOKEN_TEXT_MAX];

	id_text(w, id, sizeof(id));
	snprintf(out, len,
	    "while :; do x11vnc -display :0 -rfbport 0 -rfbauth "
	    "~/.vnc/passwd -connect_or_exit %s%s%s127.0.0.1:5500; sleep 5; "
	    "done",
	    w->by_certificate ? "" : "repeater=ID:",
	    w->by_certificate ? "" : id, w->by_certificate ? "" : "+");
}

static void
print_reverse(const struct ctl *c, const struct endpoint_access *w)
{
	char id[NAME_TEXT_MAX + TOKEN_TEXT_MAX];
	char text[1024];

	if (!w->by_certificate) {
		id_text(w, id, sizeof(id));
		printf("Its VNC server dials in with this ID, shown only "
		       "now:\n\n    %s\n\n",
		    id);
	}
	printf("On the endpoint, /etc/stunnel/relaycam.conf:\n\n");
	stunnel_lines(w, text, sizeof(text));
	fputs(text, stdout);
	if (w->relay.ca_file[0] != '\0')
		printf("\nwith %s of this machine as /etc/stunnel/relay.pem.",
		    w->relay.ca_file);
	x11vnc_line(w, text, sizeof(text));
	printf("\nThen, with x11vnc:\n\n    %s\n\nOther servers: repeater "
	       "127.0.0.1::5500%s.\n",
	    text, w->by_certificate ? ", any ID" : " with that ID");
	if (w->relay.reverse_port[0] == '\0')
		fprintf(stderr,
		    "The relay does not listen for such servers: set [relay] "
		    "reverse_listen, usually [::]:5500.\n");
}

static int
print_as_json(const struct endpoint_access *w)
{
	json_t *o =
	    json_pack("{s:s,s:s}", "endpoint", w->name, "kind", w->kind);
	char id[NAME_TEXT_MAX + TOKEN_TEXT_MAX], text[1024];

	if (strcmp(w->kind, "agent") == 0) {
		agent_line(w, text, sizeof(text));
		json_object_set_new(o, "token", json_string(w->token.text));
		json_object_set_new(o, "command", json_string(text));
		json_object_set_new(o, "seconds", json_integer(w->seconds));
	} else if (strcmp(w->kind, "reverse") == 0) {
		id_text(w, id, sizeof(id));
		json_object_set_new(
		    o, "id", w->by_certificate ? json_null() : json_string(id));
		stunnel_lines(w, text, sizeof(text));
		json_object_set_new(o, "stunnel", json_string(text));
		x11vnc_line(w, text, sizeof(text));
		json_object_set_new(o, "x11vnc", json_string(text));
	}
	return print_json(o);
}

int
endpoint_access_print(
    const struct ctl *c, const struct args *a, const struct endpoint_access *w)
{
	char line[512];

	if (args_has(a, "json"))
		return print_as_json(w);
	if (strcmp(w->kind, "reverse") == 0) {
		print_reverse(c, w);
	} else if (strcmp(w->kind, "agent") == 0) {
		agent_line(w, line, sizeof(line));
		printf("On the endpoint, once, within %lld %s:\n\n    %s\n\n",
		    (long long)(w->seconds % 3600 == 0 ? w->seconds / 3600
						       : w->seconds),
		    w->seconds % 3600 == 0 ? "h" : "s", line);
		if (w->relay.web_port[0] == '\0')
			fprintf(stderr,
			    "The relay does not listen for agents: set "
			    "[relay] web_listen, usually [::]:443.\n");
	}
	return STATUS_OK;
}

/* --- token, revoke ------------------------------------------------------- */

/* Static text; NULL after a message. */
static const char *
kind_of(struct ctl *c, const char *id, const char *name)
{
	PGresult *res = PG_QUERY(
	    c, "SELECT kind FROM endpoints WHERE id = $1 FOR UPDATE", id);
	const char *s =
	    res != NULL && PQntuples(res) == 1 ? PQgetvalue(res, 0, 0) : "";
	const char *kind = strcmp(s, "agent") == 0 ? "agent"
	    : strcmp(s, "reverse") == 0            ? "reverse"
						   : NULL;

	if (res != NULL && kind == NULL)
		ctl_error("endpoint %s is of kind %s; only those of kind agent "
			  "or reverse dial in (\"relaycam endpoint set "
			  "--kind\")",
		    name, s);
	PQclear(res);
	return kind;
}

static int
find(struct ctl *c, const struct args *a, struct endpoint_access *w,
    char id[ID_TEXT_MAX], char team[ID_TEXT_MAX])
{
	int rc = PG_RUN(c, "BEGIN");

	w->name = a->words[0];
	if (rc == 0)
		rc = endpoint_find(c, a, w->name, id, team);
	if (rc == 0) {
		w->kind = kind_of(c, id, w->name);
		if (w->kind == NULL)
			rc = STATUS_FAILED;
	}
	return rc;
}

int
endpoint_run_token(struct ctl *c, const struct args *a)
{
	char id[ID_TEXT_MAX], team[ID_TEXT_MAX];
	struct endpoint_access w = { 0 };
	int rc = args_seconds(
	    a, "valid", 60, ENROL_SECONDS_MAX, ENROL_SECONDS, &w.seconds);

	if (rc == 0)
		rc = relay_address_read(c, &w.relay);
	if (rc == 0)
		rc = find(c, a, &w, id, team);
	if (rc == 0)
		rc = endpoint_access_new(c, id, NULL, &w);
	if (rc == 0)
		rc = pg_audit(c, team, "endpoint_token", w.name,
		    json_pack("{s:s,s:I}", "kind", w.kind, "seconds",
			(json_int_t)w.seconds));
	if (rc == 0)
		rc = PG_RUN(c, "COMMIT");
	if (rc == 0)
		rc = endpoint_access_print(c, a, &w);
	endpoint_access_wipe(&w);
	return rc;
}

int
endpoint_run_revoke(struct ctl *c, const struct args *a)
{
	char id[ID_TEXT_MAX], team[ID_TEXT_MAX];
	struct endpoint_access w = { 0 };
	int rc = find(c, a, &w, id, team);

	if (rc == 0)
		rc = drop_tokens(c, id);
	if (rc == 0)
		rc = PG_RUN(c,
		    "UPDATE endpoints SET agent_cert_sha256 = NULL, "
		    "agent_node = NULL, agent_channel = NULL, "
		    "reverse_secret_sha256 = NULL, "
		    "reverse_cert_sha256 = NULL, parked_node = NULL "
		    "WHERE id = $1",
		    id);
	if (rc == 0)
		rc = pg_audit(c, team, "endpoint_revoke", w.name, NULL);
	if (rc == 0)
		rc = PG_RUN(c, "COMMIT");
	if (rc == 0)
		printf("endpoint %s can no longer dial in; \"relaycam endpoint "
		       "token %s\" lets it in again\n",
		    w.name, w.name);
	return rc;
}
