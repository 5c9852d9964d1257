/* doctor: teams whose recordings have used up their quota, or most of it. */
#include <string.h>

#include "ctl/doctor/doctor.h"
#include "ctl/pg.h"

void
doctor_quotas(struct doctor *d)
{
	static const char remedy[] =
	    "raise it (\"relaycam team set NAME --quota SIZE\"), keep "
	    "recordings for fewer days, or delete some";
	PGresult *res;
	int n, n_ok = 0;

	if (d->ctl->db == NULL) /* doctor_database() has said so */
		return;
	res = PG_TRY(d->ctl,
	    "SELECT t.name, q.state, q.percent, "
	    "pg_size_pretty(q.quota_bytes) FROM teams t, team_quota(t.id) q "
	    "WHERE q.state <> 'none' ORDER BY t.name");
	n = PQntuples(res);
	for (int i = 0; i < n; i++) {
		const char *team = PQgetvalue(res, i, 0);
		const char *state = PQgetvalue(res, i, 1);
		const char *percent = PQgetvalue(res, i, 2);
		const char *quota = PQgetvalue(res, i, 3);

		if (strcmp(state, "full") == 0)
			doctor_fail(d, "quotas", remedy,
			    "team %s has used up its quota of %s (%s %%): no "
			    "new recording begins",
			    team, quota, percent);
		else if (strcmp(state, "warning") == 0)
			doctor_warn(d, "quotas", remedy,
			    "team %s has used %s %% of its quota of %s", team,
			    percent, quota);
		else
			n_ok++;
	}
	if (n > 0 && n_ok == n)
		doctor_ok(d, "quotas", "%d teams are well below theirs", n);
	PQclear(res);
}
