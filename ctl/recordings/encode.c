/* relaycam recordings encode: has a capture tried again (M3). */
#include <stdio.h>
#include <string.h>

#include "ctl/pg.h"
#include "ctl/recordings/ctl_recordings.h"

/* Only if it still failed. Its storage is told by the row's trigger, or finds
 * no failure in the row when it starts. */
static int
order(struct ctl *c, const char *id)
{
	PGresult *res = PG_QUERY(c,
	    "UPDATE segments SET status = 'downloaded', status_detail = '', "
	    "encode_failures = 0 "
	    "WHERE id = $1::uuid AND is_capture AND status = "
	    "'encoding_failed' RETURNING id",
	    id);
	int n = res != NULL ? PQntuples(res) : -1;

	PQclear(res);
	if (n < 0)
		return STATUS_FAILED;
	return n == 1
	    ? 0
	    : ctl_error("recording %s changed meanwhile; try again", id);
}

int
recordings_run_encode(struct ctl *c, const struct args *a)
{
	struct recording r;
	int rc = PG_RUN(c, "BEGIN");

	if (rc == 0)
		rc = recording_find(c, a->words[0], &r);
	if (rc == 0 &&
	    (!r.is_capture || strcmp(r.status, "encoding_failed") != 0))
		rc = ctl_error("recording %s is %s: only a capture that is "
			       "encoding_failed can be encoded again",
		    r.id, r.status);
	if (rc == 0)
		rc = order(c, r.id);
	if (rc == 0)
		rc = pg_audit(c, r.team_id, "recording_encode", r.id, NULL);
	if (rc == 0)
		rc = PG_RUN(c, "COMMIT");
	if (rc == 0)
		printf("recording %.8s: its storage encodes it again\n", r.id);
	return rc;
}
