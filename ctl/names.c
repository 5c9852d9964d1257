#include "ctl/names.h"

#include <stdio.h>
#include <string.h>

#include "ctl/pg.h"

static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";

int
name_check(const char *what, const char *name)
{
	size_t len = strlen(name);

	/* the same rule as the CHECK constraints of schema/001_init.sql */
	if (len >= 1 && len <= 63 && strchr(letters, name[0]) != NULL &&
	    strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-") == len)
		return 0;
	return ctl_usage("%s name \"%s\": use 1 to 63 of a-z 0-9 . _ - and "
			 "begin with a letter or digit",
	    what, name);
}

/* Copies field col of row 0 into out; the schema bounds its length. */
bool
name_is_code(const char *name)
{
	return strlen(name) == 9 && strspn(name, "0123456789") == 9;
}

static void
take(const PGresult *res, int col, char *out, size_t len)
{
	snprintf(out, len, "%s", PQgetvalue(res, 0, col));
}

int
team_find(struct ctl *c, const struct args *a, struct team_ref *team)
{
	const char *name = args_get(a, "team");
	PGresult *res = PG_QUERY(c,
	    "SELECT id, name, time_zone FROM teams "
	    "WHERE $1::text IS NULL OR name = $1 LIMIT 2",
	    name);
	int rc = 0;

	if (res == NULL)
		return STATUS_FAILED;
	if (PQntuples(res) == 1) {
		take(res, 0, team->id, sizeof(team->id));
		take(res, 1, team->name, sizeof(team->name));
		take(res, 2, team->zone, sizeof(team->zone));
	} else if (PQntuples(res) > 1) {
		rc = ctl_usage("there are several teams: say --team NAME "
			       "(\"relaycam team list\" lists them)");
	} else if (name != NULL) {
		rc = ctl_error("there is no team \"%s\"; \"relaycam team "
			       "list\" lists them",
		    name);
	} else {
		rc = ctl_error("there is no team yet; make one with "
			       "\"relaycam team add NAME\"");
	}
	PQclear(res);
	return rc;
}

int
person_find(struct ctl *c, const char *name, struct person_ref *p)
{
	PGresult *res = PG_QUERY(c,
	    "SELECT id, team_id, name, role, disabled FROM people "
	    "WHERE name = $1",
	    name);
	int rc = 0;

	if (res == NULL)
		return STATUS_FAILED;
	if (PQntuples(res) == 1) {
		take(res, 0, p->id, sizeof(p->id));
		take(res, 1, p->team_id, sizeof(p->team_id));
		take(res, 2, p->name, sizeof(p->name));
		take(res, 3, p->role, sizeof(p->role));
		p->disabled = *PQgetvalue(res, 0, 4) == 't';
	} else {
		rc = ctl_error("there is no user \"%s\"; \"relaycam user "
			       "list\" lists them",
		    name);
	}
	PQclear(res);
	return rc;
}

int
endpoint_find(struct ctl *c, const struct args *a, const char *name,
    char id[ID_TEXT_MAX], char team_id[ID_TEXT_MAX])
{
	PGresult *res = PG_QUERY(c,
	    "SELECT e.id, e.team_id FROM endpoints e "
	    "JOIN teams t ON t.id = e.team_id WHERE e.name = $1 "
	    "AND ($2::text IS NULL OR t.name = $2) "
	    "AND e.deleted_at IS NULL LIMIT 2",
	    name, args_get(a, "team"));
	int rc = 0;

	if (res == NULL)
		return STATUS_FAILED;
	if (PQntuples(res) == 1) {
		take(res, 0, id, ID_TEXT_MAX);
		take(res, 1, team_id, ID_TEXT_MAX);
	} else if (PQntuples(res) > 1) {
		rc = ctl_usage("several teams have an endpoint \"%s\": say "
			       "--team NAME",
		    name);
	} else {
		rc = ctl_error("there is no endpoint \"%s\"; \"relaycam "
			       "endpoint list\" lists them",
		    name);
	}
	PQclear(res);
	return rc;
}

int
uuid_find(struct ctl *c, const char *table, const char *what, const char *text,
    char out[UUID_TEXT_MAX])
{
	char sql[160];
	PGresult *res;
	int rc = 0;

	if (strlen(text) < 4 || strlen(text) > 36 ||
	    strspn(text, "0123456789abcdef-") != strlen(text))
		return ctl_usage("%s \"%s\": expected its id, or the first 4 "
				 "characters or more of it",
		    what, text);
	/* a whole id goes through the index; a start of one reads the table */
	snprintf(sql, sizeof(sql), "SELECT id FROM %s WHERE %s LIMIT 2", table,
	    strlen(text) == 36 ? "id = $1::uuid" : "id::text LIKE $1 || '%'");
	res = PG_QUERY(c, sql, text);
	if (res == NULL)
		return STATUS_FAILED;
	if (PQntuples(res) == 1)
		take(res, 0, out, UUID_TEXT_MAX);
	else if (PQntuples(res) > 1)
		rc = ctl_usage("several %ss begin with \"%s\": give more of "
			       "the id",
		    what, text);
	else
		rc = ctl_error("there is no %s \"%s\"; \"relaycam %ss list\" "
			       "lists them",
		    what, text,
		    strcmp(what, "session") == 0 ? what : "recording");
	PQclear(res);
	return rc;
}
