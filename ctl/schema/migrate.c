/*
 * relaycam migrate: brings the database to the newest schema. Each migration
 * runs in a transaction of its own; an advisory lock keeps two runs apart;
 * what was applied once may neither change nor disappear.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/db_url.h"
#include "ctl/command.h"
#include "ctl/pg.h"
#include "ctl/schema/schema.h"
#include "ctl/table.h"

/* "rcam", "schm" as two 32-bit numbers: our key among advisory locks */
#define LOCK_KEY "1919115629, 1935894637"

static const struct column status_cols[] = {
	{ "version", "VERSION", COLUMN_INT, "version" },
	{ "name", "NAME", COLUMN_TEXT, "name" },
	{ "applied_at", "APPLIED", COLUMN_TIME, "applied_at" },
	{ "sha256", "SHA-256", COLUMN_TEXT, "sha256" },
};
#define N_STATUS 4

static int
make_table(struct ctl *c)
{
	return PG_RUN(c,
	    "CREATE TABLE IF NOT EXISTS schema_migrations ("
	    "version integer PRIMARY KEY CHECK (version >= 1), "
	    "name text NOT NULL, sha256 text NOT NULL, "
	    "applied_at timestamptz NOT NULL DEFAULT now())");
}

static PGresult *
applied(struct ctl *c)
{
	return PG_QUERY(c,
	    "SELECT version, name, sha256 FROM schema_migrations "
	    "ORDER BY version");
}

/* Row `row` of the database against what we have. */
static int
check_row(const PGresult *res, int row, const struct schema *s)
{
	int version = atoi(PQgetvalue(res, row, 0));
	const char *name = PQgetvalue(res, row, 1);
	const struct migration *m;

	if (version != row + 1)
		return ctl_error("the database lacks migration %d but has %s; "
				 "restore it from a backup",
		    row + 1, name);
	if ((size_t)version > s->n)
		return ctl_error("the database has migration %s, which this "
				 "relaycam %s does not know: use the newer "
				 "programs",
		    name, RELAYCAM_VERSION);
	m = &s->list[version - 1];
	if (strcmp(m->name, name) != 0 ||
	    strcmp(m->sha256, PQgetvalue(res, row, 2)) != 0)
		return ctl_error("migration %s was changed after it was "
				 "applied (as %s): restore the file, and add "
				 "the change with the next number",
		    m->name, name);
	return 0;
}

/* Checks all that was applied; *n_applied: how many. */
static int
check_applied(struct ctl *c, const struct schema *s, size_t *n_applied)
{
	PGresult *res = applied(c);
	int rc = 0;

	if (res == NULL)
		return STATUS_FAILED;
	for (int row = 0; row < PQntuples(res) && rc == 0; row++)
		rc = check_row(res, row, s);
	*n_applied = (size_t)PQntuples(res);
	PQclear(res);
	return rc;
}

/* A migration has several statements, so no parameters: PQexec. */
static int
run_script(struct ctl *c, const struct migration *m)
{
	PGresult *res = PQexec(c->db, m->sql);
	ExecStatusType s = PQresultStatus(res);
	int rc = 0;

	if (s != PGRES_COMMAND_OK && s != PGRES_TUPLES_OK) {
		const char *at =
		    PQresultErrorField(res, PG_DIAG_STATEMENT_POSITION);

		rc = ctl_error("migration %s failed%s%s: nothing of it stays",
		    m->name, at != NULL ? " at character " : "",
		    at != NULL ? at : "");
		pg_explain(c, res);
	}
	PQclear(res);
	return rc;
}

static int
apply(struct ctl *c, const struct migration *m)
{
	char version[16];
	int rc;

	snprintf(version, sizeof(version), "%d", m->version);
	rc = PG_RUN(c, "BEGIN");
	/* or a table could not be altered behind an update of its rows */
	if (rc == 0)
		rc = PG_RUN(c, "SET CONSTRAINTS ALL IMMEDIATE");
	if (rc == 0)
		rc = run_script(c, m);
	if (rc == 0 && PQtransactionStatus(c->db) != PQTRANS_INTRANS)
		rc = ctl_error(
		    "migration %s ends the transaction itself", m->name);
	if (rc == 0)
		rc = PG_RUN(c,
		    "INSERT INTO schema_migrations (version, name, sha256) "
		    "VALUES ($1, $2, $3)",
		    version, m->name, m->sha256);
	if (rc != 0) {
		PG_RUN(c, "ROLLBACK");
		return rc;
	}
	rc = PG_RUN(c, "COMMIT");
	if (rc == 0)
		printf("applied %s\n", m->name);
	return rc;
}

/*
 * Whoever runs this, tables belong to relaycam_owner once it may have them
 * (schema/roles.sql): a superuser, for example, becomes that role. In a
 * database that was made otherwise they stay with their owner.
 */
static int
become_owner(struct ctl *c)
{
	PGresult *res = PG_QUERY(c,
	    "SELECT 1 FROM pg_roles r LEFT JOIN pg_class t "
	    "ON t.oid = to_regclass('schema_migrations') "
	    "WHERE r.rolname = 'relaycam_owner' "
	    "AND pg_has_role(r.oid, 'MEMBER') "
	    "AND has_schema_privilege(r.oid, current_schema(), 'CREATE') "
	    "AND coalesce(t.relowner = r.oid, true)");
	int rc = res != NULL ? 0 : STATUS_FAILED;

	if (rc == 0 && PQntuples(res) == 1)
		rc = PG_RUN(c, "SET ROLE relaycam_owner");
	PQclear(res);
	return rc;
}

/* All rights anew, in one transaction: nobody sees a part of it. */
static int
grant(struct ctl *c, const struct schema *s)
{
	PGresult *res;
	int rc = 0;

	if (s->grants == NULL)
		return 0;
	res = PQexec(c->db, s->grants);
	if (PQresultStatus(res) != PGRES_COMMAND_OK) {
		ctl_error("the rights of grants.sql could not be given; the "
			  "schema is up to date");
		rc = pg_explain(c, res);
	}
	PQclear(res);
	return rc;
}

static int
migrate(struct ctl *c, const struct schema *s)
{
	size_t n = 0;
	int rc;

	rc = PG_RUN(c, "SELECT pg_advisory_lock(" LOCK_KEY ")");
	if (rc == 0)
		rc = become_owner(c);
	if (rc == 0)
		rc = make_table(c);
	if (rc == 0)
		rc = check_applied(c, s, &n);
	if (rc == 0 && n == s->n)
		printf("schema is at version %zu, nothing to do\n", n);
	for (; rc == 0 && n < s->n; n++)
		rc = apply(c, &s->list[n]);
	if (rc == 0)
		rc = grant(c, s);
	return rc; /* the lock goes with the connection */
}

static bool
has_table(struct ctl *c)
{
	PGresult *res = PG_QUERY(c, "SELECT to_regclass('schema_migrations')");
	bool has = res != NULL && pg_text(res, 0, 0) != NULL;

	PQclear(res);
	return has;
}

static int
print_status(struct ctl *c, const struct args *a, const struct schema *s)
{
	struct sql q;
	size_t n = 0;
	int rc;

	if (pg_open(c) != 0)
		return STATUS_FAILED;
	if (!has_table(c))
		return ctl_error("the database lacks Relaycam's tables: run "
				 "\"relaycam migrate\"");
	if (sql_init(&q) != 0)
		return STATUS_FAILED;
	table_select(&q, status_cols, N_STATUS, "'UTC'");
	sql_add(&q, "FROM schema_migrations ORDER BY version");
	rc = table_list(c, a, &q, status_cols, N_STATUS, true, "nothing yet");
	if (rc == 0)
		rc = check_applied(c, s, &n);
	if (rc == 0 && n < s->n)
		return ctl_error("%zu migrations are missing, the next is %s: "
				 "run \"relaycam migrate\"",
		    s->n - n, s->list[n].name);
	return rc;
}

static int
print_service(const struct ctl *c)
{
	const char *why;
	char *text = db_url_service(
	    c->database.url, c->database.owner_user, "relaycam", &why);

	if (text == NULL)
		return ctl_config("[database] url: %s", why);
	fputs(text, stdout);
	wipe(text, strlen(text));
	free(text);
	return STATUS_OK;
}

static int
run(struct ctl *c, const struct args *a)
{
	struct schema s;
	int rc;

	if (args_has(a, "roles")) {
		fputs((const char *)schema_roles, stdout);
		return STATUS_OK;
	}
	if (args_has(a, "service"))
		return print_service(c);
	rc = schema_load(&s, args_get(a, "schema"));
	if (!args_has(a, "status"))
		c->db_user = c->database.owner_user;
	if (rc == 0 && args_has(a, "status"))
		rc = print_status(c, a, &s);
	else if (rc == 0 && args_has(a, "json"))
		rc = ctl_usage("--json goes with --status");
	else if (rc == 0)
		rc = migrate(c, &s);
	schema_release(&s);
	return rc;
}

static const struct arg_opt opts[] = {
	{ "status", NULL, "list what was applied; fails when some is missing" },
	{ "schema", "DIR", "migrations from this folder, not the built-in" },
	{ "roles", NULL, "print the SQL that a superuser runs first, once" },
	{ "service", NULL,
	    "print how it connects as the section [relaycam] of a libpq "
	    "service file" },
	OPT_JSON,
};

static const struct command commands[] = {
	{ NULL, "", 0, 0, OPTS(opts),
	    "Brings the database to this version's schema.\n\n"
	    "May be run again at any time, and by several at once: what is "
	    "applied is left alone,\neach migration runs whole or not at "
	    "all. Rights of the programs' roles are given anew each time.\n"
	    "\nLogs in as [database] owner_user. Before the first time: "
	    "relaycam migrate --roles |\npsql -X -v ON_ERROR_STOP=1 -d "
	    "DATABASE, as a superuser.",
	    run },
};

const struct command_group group_migrate = { "migrate",
	"create or update the database's tables", commands, 1 };
