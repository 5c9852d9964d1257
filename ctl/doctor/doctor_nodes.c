/* doctor: the daemons of the whole site, as their rows say. */
#include <stdlib.h>
#include <string.h>

#include "ctl/doctor/doctor.h"
#include "ctl/pg.h"

#define SILENT_S 60

/* A machine that is gone for good is named for a day. */
static const char nodes_sql[] =
    "SELECT program, host, version, greatest(0, extract(epoch FROM now() - "
    "heartbeat_at))::bigint FROM nodes WHERE stopped_at IS NULL AND "
    "heartbeat_at > now() - interval '1 day' ORDER BY program, host, id";

enum { PROGRAM, HOST, VERSION, SILENT };

static bool
is_silent(struct doctor *d, const PGresult *res, int row)
{
	long long silent_s = atoll(PQgetvalue(res, row, SILENT));

	if (silent_s < SILENT_S)
		return false;
	doctor_warn(d, "nodes",
	    "start it again, so that what lies in its spool is stored; a "
	    "machine that is gone for good is not named any more after a day",
	    "%s on %s has given no sign of life for %lld s",
	    PQgetvalue(res, row, PROGRAM), PQgetvalue(res, row, HOST),
	    silent_s);
	return true;
}

static void
check_version(struct doctor *d, const PGresult *res, int row)
{
	const char *version = PQgetvalue(res, row, VERSION);

	if (strcmp(version, RELAYCAM_VERSION) != 0)
		doctor_warn(d, "nodes",
		    "finish the upgrade (docs/backup-and-upgrade.md)",
		    "%s on %s is version %s, this is %s",
		    PQgetvalue(res, row, PROGRAM), PQgetvalue(res, row, HOST),
		    version, RELAYCAM_VERSION);
}

void
doctor_nodes(struct doctor *d)
{
	PGresult *res;
	int n_alive = 0;

	if (d->ctl->db == NULL)
		return; /* said elsewhere */
	res = PG_TRY(d->ctl, nodes_sql);
	for (int i = 0; i < PQntuples(res); i++) {
		if (is_silent(d, res, i))
			continue;
		n_alive++;
		check_version(d, res, i);
	}
	if (PQresultStatus(res) == PGRES_TUPLES_OK && n_alive > 0)
		doctor_ok(
		    d, "nodes", "%d daemons of this site are alive", n_alive);
	PQclear(res);
}
