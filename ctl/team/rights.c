/* relaycam user grant and revoke: rights of members on endpoints (M7, C1). */
#include <stdio.h>
#include <string.h>

#include "ctl/names.h"
#include "ctl/pg.h"
#include "ctl/team/rights.h"

static const char *const rights[] = { "control", "record", "manage" };

struct right_set {
	bool has[3];
};

static int
parse(const struct args *a, struct right_set *set)
{
	memset(set, 0, sizeof(*set));
	for (size_t i = 2; i < a->n_words; i++) {
		size_t k = 0;

		while (k < 3 && strcmp(a->words[i], rights[k]) != 0)
			k++;
		if (k == 3)
			return ctl_usage("there is no right \"%s\": use "
					 "control, record, manage",
			    a->words[i]);
		set->has[k] = true;
	}
	return 0;
}

/* Person and endpoint of one team. */
static int
find_both(struct ctl *c, const struct args *a, struct person_ref *p,
    char endpoint_id[ID_TEXT_MAX])
{
	PGresult *res;
	int rc = person_find(c, a->words[0], p);

	if (rc != 0)
		return rc;
	/* the person says which team's endpoint is meant */
	res = PG_QUERY(c,
	    "SELECT id FROM endpoints WHERE name = $1 AND team_id = $2 "
	    "AND deleted_at IS NULL",
	    a->words[1], p->team_id);
	if (res == NULL)
		return STATUS_FAILED;
	if (PQntuples(res) == 0)
		rc = ctl_error("the team of %s has no endpoint \"%s\"; "
			       "\"relaycam endpoint list\" lists them",
		    p->name, a->words[1]);
	else
		snprintf(endpoint_id, ID_TEXT_MAX, "%s", PQgetvalue(res, 0, 0));
	PQclear(res);
	return rc;
}

static json_t *
right_detail(const struct args *a, const struct right_set *set)
{
	json_t *list = json_array();

	for (size_t k = 0; k < 3; k++)
		if (set->has[k])
			json_array_append_new(list, json_string(rights[k]));
	return json_pack("{s:s,s:o}", "endpoint", a->words[1], "rights", list);
}

static const char *
yes(bool b)
{
	return b ? "t" : "f";
}

static int
store(struct ctl *c, const struct args *a, const struct right_set *set,
    const struct person_ref *p, const char *endpoint, const char *sql,
    const char *action)
{
	int rc = PG_RUN(c, sql, p->id, endpoint, yes(set->has[0]),
	    yes(set->has[1]), yes(set->has[2]));

	if (rc == 0)
		rc = pg_audit(
		    c, p->team_id, action, p->name, right_detail(a, set));
	return rc;
}

static int
change(struct ctl *c, const struct args *a, const struct right_set *set,
    const char *sql, const char *action)
{
	struct person_ref p;
	char endpoint[ID_TEXT_MAX];
	int rc = PG_RUN(c, "BEGIN");

	if (rc == 0)
		rc = find_both(c, a, &p, endpoint);
	if (rc == 0)
		rc = store(c, a, set, &p, endpoint, sql, action);
	if (rc == 0)
		rc = PG_RUN(c,
		    "DELETE FROM endpoint_rights WHERE person_id = $1 "
		    "AND endpoint_id = $2 "
		    "AND NOT (control OR record OR manage)",
		    p.id, endpoint);
	if (rc == 0)
		rc = PG_RUN(c, "COMMIT");
	if (rc == 0 && strcmp(p.role, "member") != 0)
		fprintf(stderr, "note: %s is %s and has all rights anyway\n",
		    p.name, p.role);
	if (rc == 0)
		printf("rights of %s on %s changed\n", p.name, a->words[1]);
	return rc;
}

int
user_run_grant(struct ctl *c, const struct args *a)
{
	struct right_set set;
	int rc = parse(a, &set);

	return rc != 0
	    ? rc
	    : change(c, a, &set,
		  "INSERT INTO endpoint_rights AS r "
		  "(person_id, endpoint_id, control, record, manage) "
		  "VALUES ($1, $2, $3, $4, $5) "
		  "ON CONFLICT (person_id, endpoint_id) DO UPDATE SET "
		  "control = r.control OR excluded.control, "
		  "record = r.record OR excluded.record, "
		  "manage = r.manage OR excluded.manage",
		  "right_grant");
}

int
user_run_revoke(struct ctl *c, const struct args *a)
{
	struct right_set set;
	int rc = parse(a, &set);

	if (a->n_words == 2)
		set = (struct right_set){ { true, true, true } };
	return rc != 0 ? rc
		       : change(c, a, &set,
			     "UPDATE endpoint_rights SET control = control AND "
			     "NOT $3::boolean, "
			     "record = record AND NOT $4::boolean, "
			     "manage = manage AND NOT $5::boolean "
			     "WHERE person_id = $1 AND endpoint_id = $2",
			     "right_revoke");
}
