#include "ctl/recordings/captions.h"

#include <errno.h>
#include <stdio.h>

#include "ctl/command.h"
#include "ctl/pg.h"
#include "ctl/recordings/ctl_recordings.h"

static int
write_text(const char *path, const char *text)
{
	FILE *f;
	bool is_written;

	if (path == NULL) {
		fputs(text, stdout);
		return STATUS_OK;
	}
	f = fopen(path, "we");
	if (f == NULL)
		return ctl_failed(errno, "%s", path);
	is_written = fputs(text, f) >= 0;
	if (fclose(f) != 0 || !is_written)
		return ctl_failed(errno, "%s", path);
	return STATUS_OK;
}

int
captions_run(struct ctl *c, const struct args *a)
{
	struct recording r;
	PGresult *res;
	int rc = recording_find(c, a->words[0], &r);

	if (rc != 0)
		return rc;
	res = PG_QUERY(c, "SELECT segment_captions($1::uuid)", r.id);
	if (res == NULL)
		return STATUS_FAILED;
	if (PQgetisnull(res, 0, 0))
		rc = ctl_error("recording %s has not ended; its captions are "
			       "made then",
		    r.id);
	else
		rc = pg_audit(c, r.team_id, "captions", r.id, NULL);
	if (rc == 0)
		rc = write_text(args_get(a, "output"), PQgetvalue(res, 0, 0));
	PQclear(res);
	return rc;
}
