/* doctor: daemons as they run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/doctor/doctor.h"
#include "ctl/ctl_http.h"
#include "ctl/pg.h"

#define TIMEOUT_S 5

/* A wildcard address is asked on the loopback interface. */
void
doctor_health_url(const char *listen, const char *path, char *url, size_t len)
{
	const char *colon = strrchr(listen, ':');

	if (colon != NULL &&
	    (strncmp(listen, "0.0.0.0:", 8) == 0 ||
		strncmp(listen, "[::]:", 5) == 0 || colon == listen))
		snprintf(url, len, "http://127.0.0.1%s%s", colon, path);
	else
		snprintf(url, len, "http://%s%s", listen, path);
}

/* How many of these daemons, on any machine, were alive a minute ago. */
static int
nodes_alive(struct ctl *c, const char *program)
{
	PGresult *res;
	int n = 0;

	if (c->db == NULL)
		return 0;
	res = PG_TRY(c,
	    "SELECT count(*) FROM nodes WHERE program = $1 "
	    "AND stopped_at IS NULL "
	    "AND heartbeat_at > now() - interval '1 minute'",
	    program);
	if (PQresultStatus(res) == PGRES_TUPLES_OK)
		n = atoi(PQgetvalue(res, 0, 0));
	PQclear(res);
	return n;
}

void
doctor_no_answer(struct doctor *d, const char *check, const char *program,
    const char *url, const char *why)
{
	int elsewhere = nodes_alive(d->ctl, program);

	if (elsewhere > 0)
		doctor_warn(d, check,
		    "fine when it is meant to run on other machines only",
		    "no answer at %s here (%s); %d alive elsewhere", url, why,
		    elsewhere);
	else
		doctor_fail(d, check,
		    "start the daemon; its log says why it stopped",
		    "no answer at %s: %s", url, why);
}

void
doctor_daemon(
    struct doctor *d, const char *program, const struct conf_daemon *conf)
{
	char url[300], why[CTL_HTTP_WHY_MAX];
	long status;

	if (conf->metrics_listen == NULL || *conf->metrics_listen == '\0') {
		doctor_warn(d, program, "set metrics_listen",
		    "its health cannot be asked for");
		return;
	}
	doctor_health_url(conf->metrics_listen, "/healthz", url, sizeof(url));
	status = ctl_http_probe("GET", url, NULL, NULL, 0, TIMEOUT_S, why);
	if (status < 0) {
		doctor_no_answer(d, program, program, url, why);
		return;
	}
	if (status != 200) {
		doctor_fail(d, program, "its log says what is wrong",
		    "%s answers with status %ld", url, status);
		return;
	}
	doctor_health_url(conf->metrics_listen, "/readyz", url, sizeof(url));
	status = ctl_http_probe("GET", url, NULL, NULL, 0, TIMEOUT_S, why);
	if (status == 200)
		doctor_ok(d, program, "runs and is ready");
	else
		doctor_fail(d, program,
		    "it waits for something: look at the other lines here, "
		    "then at its log",
		    "runs but is not ready (%s: status %ld)", url, status);
}

void
doctor_daemons(struct doctor *d)
{
	doctor_daemon(d, "relay", &d->ctl->relay);
	doctor_daemon(d, "storage", &d->ctl->storage);
}
