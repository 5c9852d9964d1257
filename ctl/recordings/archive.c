/*
 * relaycam recordings zip: all stored recordings of a session as one ZIP (M6),
 * which the storage daemon makes while it is sent.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/recordings/link.h"
#include "ctl/pg.h"
#include "ctl/recordings/ctl_recordings.h"

struct archive_order {
	struct recording r; /* object_key: of the ZIP */
	char files_url[512];
	int n_files;
	long long bytes;
	int n_left_out;
};

/* Notes in the database, and in the audit log, who wants it. */
static int
order(struct ctl *c, const char *session, struct archive_order *o)
{
	PGresult *res;
	int rc = pg_introduce(c);

	if (rc != 0)
		return rc;
	res = PG_QUERY(c,
	    "SELECT problem IS NULL, coalesce(detail, 'this session has no "
	    "recordings'), answer->>'id', answer->>'files', answer->>'bytes', "
	    "jsonb_array_length(answer->'left_out'), "
	    "coalesce(answer->>'node_url', answer->>'files_url', '') "
	    "FROM sessions s, archive_new(s.team_id, NULL, "
	    "current_setting('relaycam.actor'), jsonb_build_object("
	    "'system_account', current_setting('relaycam.system_account')), "
	    "NULL, s.id) WHERE s.id = $1",
	    session);
	if (res == NULL)
		return STATUS_FAILED;
	if (PQntuples(res) != 1) { /* it went meanwhile */
		PQclear(res);
		return ctl_error("There is no session %s.", session);
	}
	if (PQgetvalue(res, 0, 0)[0] != 't')
		rc = ctl_error("%s", PQgetvalue(res, 0, 1));
	snprintf(o->r.object_key, sizeof(o->r.object_key), "archive/%s.zip",
	    PQgetvalue(res, 0, 2));
	o->n_files = atoi(PQgetvalue(res, 0, 3));
	o->bytes = strtoll(PQgetvalue(res, 0, 4), NULL, 10);
	o->n_left_out = atoi(PQgetvalue(res, 0, 5));
	snprintf(
	    o->files_url, sizeof(o->files_url), "%s", PQgetvalue(res, 0, 6));
	PQclear(res);
	return rc;
}

int
recordings_run_zip(struct ctl *c, const struct args *a)
{
	const char *output = args_get(a, "output");
	struct archive_order o = { .n_files = 0 };
	char session[UUID_TEXT_MAX];
	struct signed_link link;
	int rc;

	if (output == NULL || output[0] == '\0')
		return ctl_usage("--output: expected a file name");
	if (access(output, F_OK) == 0)
		return ctl_error("%s is there already", output);
	rc = uuid_find(c, "sessions", "session", a->words[0], session);
	if (rc == 0)
		rc = order(c, session, &o);
	if (rc == 0)
		rc = link_to_daemon(c, &o.r, o.files_url, &link);
	if (rc == 0)
		rc = link_save(&link, args_get(a, "ca"), output, "the ZIP");
	if (rc != 0)
		return rc;
	printf("%s: %d recordings, %lld bytes", output, o.n_files, o.bytes);
	if (o.n_left_out > 0)
		printf("; %d are not stored and were left out", o.n_left_out);
	printf("\n");
	return STATUS_OK;
}
