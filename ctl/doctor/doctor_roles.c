/*
 * doctor: how programs log in to the database: over which network, and as
 * roles that can do no more than they should (schema/grants.sql, X7).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/db_url.h"
#include "ctl/doctor/doctor.h"
#include "ctl/pg.h"

#define SET_UP                                                                 \
	"set the roles up: \"relaycam migrate --roles | psql -X -v "           \
	"ON_ERROR_STOP=1 -d DATABASE\" as a superuser, \"relaycam migrate\", " \
	"and name them in [database] (docs/hardening.md)"

/* What passes a network in clear, or to somebody who only says so. */
void
doctor_database_tls(struct doctor *d)
{
	char mode[32];

	switch (db_url_judge(d->ctl->database.url, mode, sizeof(mode))) {
	case DB_URL_LOCAL:
		doctor_ok(d, "database TLS", "a Unix socket needs none");
		break;
	case DB_URL_VERIFIED:
		doctor_ok(d, "database TLS", "sslmode=verify-full");
		break;
	case DB_URL_UNVERIFIED:
		doctor_warn(d, "database TLS",
		    "put sslmode=verify-full and sslrootcert=FILE into "
		    "[database] url, or use a Unix socket",
		    "[database] url goes over TCP with sslmode=%s: whoever is "
		    "in between can read it or pose as the database",
		    mode);
		break;
	}
}

/* Why a role could change what is in the audit log; "" when it cannot. */
static const char why_sql[] =
    "SELECT u.name, CASE "
    "WHEN r.rolname IS NULL THEN 'does not exist' "
    "WHEN r.rolsuper THEN 'is a superuser' "
    "WHEN pg_has_role(r.oid, t.relowner, 'MEMBER') THEN 'owns the table' "
    "WHEN pg_has_role(r.oid, s.nspowner, 'MEMBER') THEN 'owns the schema' "
    "WHEN has_any_column_privilege(r.oid, t.oid, 'UPDATE') "
    "OR has_table_privilege(r.oid, t.oid, 'DELETE, TRUNCATE, TRIGGER') "
    "THEN 'has more than INSERT on it' ELSE '' END, "
    "coalesce(has_column_privilege(r.oid, t.oid, 'actor', 'INSERT'), false) "
    "FROM unnest($1::text[]) u (name) "
    "LEFT JOIN pg_roles r ON r.rolname = u.name "
    "JOIN pg_class t ON t.oid = 'audit'::regclass "
    "JOIN pg_namespace s ON s.oid = t.relnamespace";

static void
check_role(struct doctor *d, const char *program, const char *role)
{
	char list[300];
	PGresult *res;
	const char *why;

	/* an array of one text, quoted: names are the site's */
	snprintf(list, sizeof(list), "{\"%s\"}", role);
	res = PG_TRY(d->ctl, why_sql, list);
	why = PQntuples(res) == 1 ? PQgetvalue(res, 0, 1) : "";
	if (PQntuples(res) != 1)
		doctor_fail(d, "roles", "run \"relaycam check\"",
		    "the rights of role %s cannot be asked for", role);
	else if (strcmp(why, "does not exist") == 0)
		doctor_fail(d, "roles", SET_UP, "%s logs in as %s, which %s",
		    program, role, why);
	else if (*why != '\0')
		doctor_fail(d, "roles", SET_UP,
		    "%s logs in as %s, which can change the audit log (it %s)",
		    program, role, why);
	else if (*PQgetvalue(res, 0, 2) != 't')
		doctor_fail(d, "roles", "run \"relaycam migrate\"",
		    "%s logs in as %s, which cannot add to the audit log",
		    program, role);
	else
		doctor_ok(d, "roles",
		    "%s logs in as %s, which can only add to the audit log",
		    program, role);
	PQclear(res);
}

void
doctor_roles(struct doctor *d)
{
	const struct conf_database *conf = &d->ctl->database;
	const struct {
		const char *program, *user;
	} logins[] = {
		{ "the relay", conf->relay_user },
		{ "storage", conf->storage_user },
		{ "the console", conf->console_user },
		{ "relaycam", conf->admin_user },
	};
	char *url_user;

	if (d->ctl->db == NULL)
		return;
	url_user = db_url_user(conf->url);
	for (size_t i = 0; i < N_ELEMENTS(logins); i++) {
		const char *user = logins[i].user;

		if (user == NULL || *user == '\0')
			user = url_user != NULL ? url_user : PQuser(d->ctl->db);
		check_role(d, logins[i].program, user);
	}
	free(url_user);
}
