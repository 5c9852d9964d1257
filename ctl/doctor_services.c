/* doctor: relay and storage as they run, and the object store. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "ctl/doctor.h"
#include "ctl/http.h"
#include "ctl/link.h"
#include "ctl/pg.h"

#define TIMEOUT_S 5
#define MIB       (1 << 20)

/* A wildcard address is asked on the loopback interface. */
static void
health_url(const char *listen, const char *path, char *url, size_t len)
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

static void
check_daemon(
    struct doctor *d, const char *program, const struct conf_daemon *conf)
{
	char url[300], why[HTTP_WHY_MAX];
	long status;

	if (conf->metrics_listen == NULL || *conf->metrics_listen == '\0') {
		doctor_warn(d, program, "set metrics_listen",
		    "its health cannot be asked for");
		return;
	}
	health_url(conf->metrics_listen, "/healthz", url, sizeof(url));
	status = http_probe("GET", url, NULL, NULL, 0, TIMEOUT_S, why);
	if (status < 0) {
		doctor_no_answer(d, program, program, url, why);
		return;
	}
	if (status != 200) {
		doctor_fail(d, program, "its log says what is wrong",
		    "%s answers with status %ld", url, status);
		return;
	}
	health_url(conf->metrics_listen, "/readyz", url, sizeof(url));
	status = http_probe("GET", url, NULL, NULL, 0, TIMEOUT_S, why);
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
	check_daemon(d, "relay", &d->ctl->relay);
	check_daemon(d, "storage", &d->ctl->storage);
}

/* --- store --------------------------------------------------------------- */

static void
check_folder(struct doctor *d)
{
	const char *dir = d->ctl->store.folder;
	struct statvfs vfs;
	struct stat st;

	errno = 0;
	if (stat(dir, &st) != 0 || !S_ISDIR(st.st_mode))
		doctor_fail(d, "store",
		    "make the folder, owned by the account of the daemons, or "
		    "set [store] folder",
		    "%s: %s", dir,
		    errno != 0 ? strerror(errno) : "not a folder");
	else if (access(dir, R_OK | W_OK | X_OK) != 0)
		doctor_fail(d, "store",
		    "give it to the account of the daemons, and run doctor as "
		    "that account",
		    "%s cannot be written by this account", dir);
	else if (statvfs(dir, &vfs) == 0)
		doctor_ok(d, "store", "folder %s, %lld MiB free", dir,
		    (long long)vfs.f_bavail * (long long)vfs.f_frsize / MIB);
}

static void
check_bucket(struct doctor *d)
{
	const struct conf_store *s = &d->ctl->store;
	char why[HTTP_WHY_MAX];
	long status = link_probe_bucket(d->ctl, why);

	if (status == 200)
		doctor_ok(d, "store", "S3 bucket %s at %s", s->s3_bucket,
		    s->s3_endpoint);
	else if (status == 403)
		doctor_fail(d, "store",
		    "check s3_access_key_file, s3_region, the rights on the "
		    "bucket, and the clock",
		    "%s refuses our key for bucket %s", s->s3_endpoint,
		    s->s3_bucket);
	else if (status == 404)
		doctor_fail(d, "store", "make the bucket, or set s3_bucket",
		    "%s has no bucket %s", s->s3_endpoint, s->s3_bucket);
	else if (status > 0)
		doctor_fail(d, "store", "look at the S3 server's log",
		    "%s answers with status %ld", s->s3_endpoint, status);
	else
		doctor_fail(d, "store",
		    "check s3_endpoint, s3_bucket, s3_access_key_file and "
		    "s3_ca_file",
		    "%s", why);
}

void
doctor_store(struct doctor *d)
{
	if (strcmp(d->ctl->store.kind, "s3") == 0)
		check_bucket(d);
	else
		check_folder(d);
}
