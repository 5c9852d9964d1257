#include "ctl/endpoint/endpoint_set.h"

#include <stdio.h>
#include <string.h>

#include "ctl/endpoint/endpoint_args.h"
#include "ctl/endpoint/endpoint_access.h"
#include "ctl/names.h"
#include "ctl/pg.h"

/* What it is now. Locks the row. */
static int
read_kind(
    struct ctl *c, const char *id, char kind[16], struct endpoint_had *had)
{
	PGresult *res = PG_QUERY(c,
	    "SELECT kind, host IS NOT NULL, tls_ca_pem IS NOT NULL, "
	    "tls_pin_sha256 IS NOT NULL, allow_clear FROM endpoints "
	    "WHERE id = $1 FOR UPDATE",
	    id);

	if (res == NULL || PQntuples(res) != 1) {
		PQclear(res);
		return STATUS_FAILED;
	}
	snprintf(kind, 16, "%s", PQgetvalue(res, 0, 0));
	had->host = *PQgetvalue(res, 0, 1) == 't';
	had->ca = *PQgetvalue(res, 0, 2) == 't';
	had->pin = *PQgetvalue(res, 0, 3) == 't';
	had->allow_clear = *PQgetvalue(res, 0, 4) == 't';
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
		    "capture = 'relay', "
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
	    "ELSE coalesce($16, consent) END, "
	    "tls_name = CASE WHEN $17::boolean THEN NULL "
	    "ELSE coalesce($18, tls_name) END, "
	    "capture = coalesce($19, capture) WHERE id = $1",
	    id, e->title, e->access, e->host, e->port,
	    e->no_username ? "t" : "f", e->username, e->no_password ? "t" : "f",
	    e->sealed, e->no_ca ? "t" : "f", e->ca_pem, e->no_pin ? "t" : "f",
	    e->pin, e->allow_clear, e->team_consent ? "t" : "f", e->consent,
	    e->no_tls_name ? "t" : "f", e->tls_name, e->capture);
}

int
endpoint_check_trust(struct ctl *c, const char *id)
{
	PGresult *res = PG_QUERY(c,
	    "SELECT kind FROM endpoints WHERE id = $1 AND tls_ca_pem IS NOT "
	    "NULL AND num_nonnulls(host, tls_name, tls_pin_sha256) = 0",
	    id);
	int rc = 0;

	if (res == NULL)
		return STATUS_FAILED;
	if (PQntuples(res) > 0)
		rc = ctl_usage("an endpoint of kind %s has no host that its "
			       "certificate could be checked against, and the "
			       "CA alone vouches for others too: give "
			       "--tls-name NAME or --pin SHA256, or --no-ca "
			       "if the CA is to go",
		    PQgetvalue(res, 0, 0));
	PQclear(res);
	return rc;
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
    const struct endpoint_args *e, struct endpoint_access *w)
{
	struct endpoint_had had;
	char was[16];
	bool is_new;
	int rc = read_kind(c, id, was, &had);

	if (rc != 0)
		return rc;
	is_new = e->kind != NULL && strcmp(e->kind, was) != 0;
	rc = endpoint_args_check(e, e->kind != NULL ? e->kind : was, &had);
	w->kind = is_new ? e->kind : "direct"; /* nothing to show */
	if (rc == 0 && !is_new && e->client_cert != NULL)
		w->kind = "reverse";
	if (rc == 0)
		rc = endpoint_access_prepare(c, a, w);
	if (rc == 0 && is_new)
		rc = change_kind(c, id, e);
	if (rc == 0)
		rc = set_row(c, id, e);
	if (rc == 0)
		rc = endpoint_check_trust(c, id);
	if (rc == 0)
		rc = endpoint_access_new(c, id, e->client_cert, w);
	return rc;
}

int
endpoint_run_set(struct ctl *c, const struct args *a)
{
	char id[ID_TEXT_MAX], team[ID_TEXT_MAX];
	struct endpoint_args e = { 0 };
	struct endpoint_access w = { 0 };
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
		rc = pg_audit(c, team, "endpoint_set", a->words[0],
		    endpoint_args_detail(&e));
	if (rc == 0)
		rc = PG_RUN(c, "COMMIT");
	if (rc == 0 && !args_has(a, "json"))
		printf("endpoint %s changed\n", a->words[0]);
	if (rc == 0)
		rc = endpoint_access_print(c, a, &w);
	endpoint_access_wipe(&w);
	endpoint_args_release(&e);
	return rc;
}
