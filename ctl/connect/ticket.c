#include "ctl/connect/ticket.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "ctl/pg.h"
#include "ctl/endpoint/relay_address.h"
#include "ctl/team/secret.h"

#define EXPIRES                                                                \
	"floor(extract(epoch from now() + $4::integer * "                      \
	"interval '1 second') * 1000)::bigint"

void
ticket_wipe(struct ticket *k)
{
	wipe(k, sizeof(*k));
}

static int
note(struct ctl *c, const struct target *t, const char *kind,
    const struct ticket *k, int64_t seconds)
{
	return pg_audit(c, t->person.team_id, "ticket", t->endpoint,
	    json_pack("{s:s,s:s,s:s,s:i,s:I}", "user", t->person.name, "kind",
		kind, "target", t->rest, "port", k->port, "seconds",
		(json_int_t)seconds));
}

/* Columns: why not, when it ends, the port. */
static int
take_row(const PGresult *res, struct ticket *k)
{
	const char *why = pg_text(res, 0, 0);

	if (why != NULL)
		return ctl_error("no ticket: %s", why);
	k->expires_ms = strtoll(PQgetvalue(res, 0, 1), NULL, 10);
	k->port = atoi(PQgetvalue(res, 0, 2));
	return 0;
}

static int
finish(struct ctl *c, PGresult *res, const struct target *t, const char *kind,
    int64_t seconds, struct ticket *k)
{
	int rc = res != NULL ? take_row(res, k) : STATUS_FAILED;

	PQclear(res);
	if (rc == 0)
		rc = note(c, t, kind, k, seconds);
	if (rc == 0)
		rc = PG_RUN(c, "COMMIT");
	if (rc != 0)
		ticket_wipe(k);
	return rc;
}

int
ticket_new(
    struct ctl *c, const struct target *t, int64_t seconds, struct ticket *k)
{
	char valid[24];
	struct token token;
	PGresult *res;

	memset(k, 0, sizeof(*k));
	if (PG_RUN(c, "BEGIN") != 0)
		return STATUS_FAILED;
	snprintf(valid, sizeof(valid), "%lld", (long long)seconds);
	token_new(&token, "rct_");
	memcpy(k->text, token.text, sizeof(k->text));
	res = PG_QUERY(c,
	    "SELECT ticket_new($1, $2, $3, $4::integer, $5), " EXPIRES ", 0",
	    t->person.id, t->endpoint_id, t->rest, valid, token.hash);
	token_wipe(&token);
	return finish(c, res, t, "ticket", seconds, k);
}

static PGresult *
ask_for_port(struct ctl *c, const struct target *t, const char *valid,
    const char *sealed, const char *ports)
{
	return PG_QUERY(c,
	    "SELECT k.refusal, " EXPIRES ", k.taken "
	    "FROM ticket_new_vnc($1, $2, $3, $4::integer, $5, $6) k",
	    t->person.id, t->endpoint_id, t->rest, valid, sealed, ports);
}

int
ticket_new_vnc(
    struct ctl *c, const struct target *t, int64_t seconds, struct ticket *k)
{
	struct session_ports ports;
	struct secret password = { 0 };
	char *sealed, *list;
	char valid[24];
	PGresult *res = NULL;

	memset(k, 0, sizeof(*k));
	if (session_ports_read(c, &ports) != 0)
		return ctl_config("[relay] session_ports = %s: expected "
				  "host:first-last, as 127.0.0.1:5910-5919",
		    c->relay.session_ports);
	if (ports.n == 0)
		return ctl_config("the relay has no ports for viewers without "
				  "VeNCrypt: set [relay] session_ports, such "
				  "as 127.0.0.1:5910-5919");
	snprintf(valid, sizeof(valid), "%lld", (long long)seconds);
	token_new_vnc(password.text);
	password.len = TOKEN_VNC_LEN;
	sealed = secret_seal(c, &password);
	list = session_ports_array(&ports);
	if (sealed != NULL && list != NULL && PG_RUN(c, "BEGIN") == 0)
		res = ask_for_port(c, t, valid, sealed, list);
	memcpy(k->text, password.text, password.len + 1);
	secret_wipe(&password);
	free(list);
	if (sealed == NULL)
		return STATUS_CONFIG;
	free(sealed);
	return finish(c, res, t, "vnc_auth", seconds, k);
}
