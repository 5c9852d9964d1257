#include "console/api/change.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "console/api/enter.h"
#include "console/api/request.h"

#define BUSY_S "10"

enum col { PROBLEM, POINTER, DETAIL, ANSWER };

static const struct {
	const char *name;
	unsigned status;
} problems[] = { { "not-found", 404 }, { "forbidden", 403 }, { "exists", 409 },
	{ "not-done", 409 }, { "dead-link", 403 }, { "busy", 429 } };

void
change_show(struct request *r, PGresult *res)
{
	if (PQntuples(res) == 1 && !PQgetisnull(res, 0, 0))
		request_json_text(r, 200, PQgetvalue(res, 0, 0));
	else
		request_not_found(r);
}

/* Why the function left all as it was. */
static void
refuse(struct request *r, PGresult *res)
{
	const char *name = PQgetvalue(res, 0, PROBLEM);
	const char *detail = PQgetvalue(res, 0, DETAIL);

	if (strcmp(name, "invalid") == 0) {
		request_invalid(r, PQgetvalue(res, 0, POINTER), detail);
		return;
	}
	if (strcmp(name, "not-found") == 0) {
		request_not_found(r);
		return;
	}
	for (size_t i = 0; i < sizeof(problems) / sizeof(problems[0]); i++)
		if (strcmp(problems[i].name, name) == 0) {
			if (problems[i].status == 429)
				request_field(r, "Retry-After", BUSY_S);
			request_problem(r, problems[i].status, name, detail);
			return;
		}
	request_problem(r, 500, "internal", NULL);
}

static void
on_changed(struct request *r, PGresult *res)
{
	if (!PQgetisnull(res, 0, PROBLEM))
		refuse(r, res);
	else if (r->change_done != NULL)
		r->change_done(r, PQgetvalue(res, 0, ANSWER));
	else if (r->change_status == 204)
		request_empty(r, 204);
	else
		request_json_text(
		    r, r->change_status, PQgetvalue(res, 0, ANSWER));
}

static void
run(struct request *r, const char *function)
{
	char sql[160], origin[REQUEST_ORIGIN_MAX];
	char *body;
	const char *who = r->person.id_text;
	const char *params[] = { *who != '\0' ? who : NULL, origin, NULL };

	if (r->body == NULL)
		r->body = json_object();
	if (r->id[0] != '\0')
		json_object_set_new(r->body, "id", json_string(r->id));
	body = json_dumps(r->body, JSON_COMPACT);
	if (body == NULL) {
		request_problem(r, 503, "unavailable", "Out of memory.");
		return;
	}
	request_origin(r, origin);
	snprintf(sql, sizeof(sql),
	    "SELECT problem, pointer, detail, answer::text FROM "
	    "%s($1::bigint, $2::jsonb, $3::jsonb)",
	    function);
	params[2] = body;
	request_query(r, sql, 3, params, on_changed);
	free(body);
}

void
change_run(struct request *r, const char *function, unsigned status)
{
	r->change_status = status;
	run(r, function);
}

void
change_then(struct request *r, const char *function,
    void (*on_done)(struct request *, const char *))
{
	r->change_done = on_done;
	run(r, function);
}
