/*
 * relaycam check: the invariants of schema/check.sql in one snapshot.
 */
#include "ctl/schema/schema_check.h"

#include <stdio.h>

#include "common/json.h"
#include "ctl/command.h"
#include "ctl/pg.h"
#include "ctl/schema/schema.h"
#include "ctl/table.h"

static int
collect_rows(const PGresult *res, json_t *found)
{
	static const struct column cols[] = {
		{ "name", "RULE", COLUMN_TEXT, "" },
		{ "object", "OBJECT", COLUMN_TEXT, "" },
		{ "detail", "DETAIL", COLUMN_TEXT, "" },
	};

	for (int row = 0; row < PQntuples(res); row++)
		if (json_array_append_new(
			found, table_row_json(res, row, cols, 3)) != 0)
			return ctl_error("out of memory");
	return 0;
}

/* All results of the script; *n_rules counts the queries. */
static int
run_rules(struct ctl *c, json_t *found, int *n_rules)
{
	PGresult *res;
	int rc = 0;

	if (PQsendQuery(c->db, (const char *)schema_check) != 1)
		return pg_explain(c, NULL);
	while ((res = PQgetResult(c->db)) != NULL) {
		ExecStatusType s = PQresultStatus(res);

		if (s != PGRES_TUPLES_OK && s != PGRES_COMMAND_OK)
			rc = pg_explain(c, res);
		else if (rc == 0)
			rc = collect_rows(res, found);
		*n_rules += s == PGRES_TUPLES_OK;
		PQclear(res);
	}
	return rc;
}

static void
print_people(const json_t *found, int n_rules)
{
	size_t i;
	json_t *v;

	json_array_foreach(found, i, v)
		printf("%s: %s: %s\n", json_text(v, "name"),
		    json_text(v, "object"), json_text(v, "detail"));
	if (json_array_size(found) == 0)
		printf("%d rules, all is well\n", n_rules);
	else
		fprintf(stderr, "%zu violations of %d rules\n",
		    json_array_size(found), n_rules);
}

int
check_collect(struct ctl *c, json_t *found, int *n_rules)
{
	int rc = PG_RUN(c, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");

	*n_rules = 0;
	if (rc == 0)
		rc = run_rules(c, found, n_rules);
	if (c->db != NULL)
		PG_RUN(c, "ROLLBACK");
	return rc;
}

static int
run(struct ctl *c, const struct args *a)
{
	json_t *found = json_array();
	int n_rules;
	int rc = check_collect(c, found, &n_rules);

	if (rc != 0) {
		json_decref(found);
		return rc;
	}
	rc = json_array_size(found) > 0 ? STATUS_FAILED : STATUS_OK;
	if (!args_has(a, "json")) {
		print_people(found, n_rules);
		json_decref(found);
	} else if (print_json(json_pack("{s:i,s:o}", "rules", n_rules,
		       "violations", found)) != 0) {
		rc = STATUS_FAILED;
	}
	return rc;
}

static const struct arg_opt opts[] = { OPT_JSON };

static const struct command commands[] = {
	{ NULL, "", 0, 0, OPTS(opts),
	    "Checks the database against its invariants (schema/check.sql).\n"
	    "\nReads only. Prints one line a violation; exit status 1 when "
	    "there is any.",
	    run },
};

const struct command_group group_check = { "check",
	"check the database against its invariants", commands, 1 };
