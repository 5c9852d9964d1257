/* relaycam recordings review and unreview: that a person has looked at a file,
 * by the same rules as at the console. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "ctl/names.h"
#include "ctl/pg.h"
#include "ctl/recordings/ctl_recordings.h"

/* Calls the schema's function, which writes the audit log in the person's
 * name. Returns 0 or a status after a message. */
static int
change(struct ctl *c, const char *sql, const char *recording,
    const struct person_ref *person, const char *remark)
{
	json_t *o = json_pack("{s:s,s:s}", "id", recording, "remark",
	    remark != NULL ? remark : "");
	char *body = o != NULL ? json_dumps(o, JSON_COMPACT) : NULL;
	PGresult *res = NULL;
	int rc;

	json_decref(o);
	if (body == NULL)
		return ctl_error("out of memory, or the remark is not UTF-8");
	rc = pg_introduce(c);
	if (rc == 0)
		res = PG_QUERY(c, sql, person->id, body);
	free(body);
	if (res == NULL)
		return STATUS_FAILED;
	if (pg_text(res, 0, 0) != NULL)
		rc = ctl_error("recording %.8s, %s: %s", recording,
		    person->name,
		    pg_text(res, 0, 1) != NULL ? pg_text(res, 0, 1)
					       : "it belongs to another team");
	PQclear(res);
	return rc;
}

#define ORIGIN                                                                 \
	"jsonb_build_object('door', current_setting('relaycam.actor'), "       \
	"'system_account', current_setting('relaycam.system_account'))"

static int
run(struct ctl *c, const struct args *a, const char *sql, const char *remark,
    const char *says)
{
	const char *by = args_get(a, "by");
	struct person_ref person;
	char id[UUID_TEXT_MAX];
	int rc;

	if (by == NULL)
		return ctl_usage(
		    "--by is needed: the login name of the person");
	rc = uuid_find(c, "segments", "recording", a->words[0], id);
	if (rc == 0)
		rc = person_find(c, by, &person);
	if (rc == 0)
		rc = change(c, sql, id, &person, remark);
	if (rc == 0)
		printf("recording %.8s: %s %s\n", id, says, person.name);
	return rc;
}

int
recordings_run_review(struct ctl *c, const struct args *a)
{
	return run(c, a,
	    "SELECT problem, detail FROM console_review($1::bigint, " ORIGIN
	    ", $2::jsonb)",
	    args_get(a, "remark"), "reviewed by");
}

int
recordings_run_unreview(struct ctl *c, const struct args *a)
{
	return run(c, a,
	    "SELECT problem, detail FROM "
	    "console_review_undo($1::bigint, " ORIGIN ", $2::jsonb)",
	    NULL, "the review was taken back by");
}
