/* doctor: webhooks whose receivers do not take what is sent. */
#include "ctl/doctor/doctor.h"
#include "ctl/pg.h"

void
doctor_webhooks(struct doctor *d)
{
	PGresult *res;
	int n, n_ok = 0;

	if (d->ctl->db == NULL) /* doctor_database() has said so */
		return;
	res = PG_TRY(d->ctl,
	    "SELECT w.id, t.name, w.url, w.last_error, w.n_lost, (SELECT "
	    "count(*) FROM webhook_deliveries d WHERE d.webhook_id = w.id) "
	    "FROM webhooks w JOIN teams t ON t.id = w.team_id ORDER BY w.id");
	n = PQntuples(res);
	for (int i = 0; i < n; i++) {
		if (PQgetisnull(res, i, 3)) {
			n_ok++;
			continue;
		}
		doctor_warn(d, "webhooks",
		    "see to its receiver, then try it with \"relaycam webhook "
		    "test\"; docs/webhooks.md has the rules for addresses",
		    "%s of team %s (%s): %s; %s wait, %s were given up",
		    PQgetvalue(res, i, 0), PQgetvalue(res, i, 1),
		    PQgetvalue(res, i, 2), PQgetvalue(res, i, 3),
		    PQgetvalue(res, i, 5), PQgetvalue(res, i, 4));
	}
	if (n > 0 && n_ok == n)
		doctor_ok(d, "webhooks", "%d deliver what they are sent", n);
	PQclear(res);
}
