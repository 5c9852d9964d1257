/* doctor: where recordings are kept. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/store_mark.h"
#include "ctl/doctor/doctor.h"
#include "ctl/pg.h"
#include "ctl/storage/s3_abilities.h"
#include "ctl/storage/s3_probe.h"

#define MIB          (1 << 20)
#define CLOCK_WARN_S 60

/* The folder is the one that recordings are in. False: it was said that it is
 * not. */
static bool
check_mark(struct doctor *d)
{
	const char *path = d->ctl->store.folder;
	PGresult *res;
	char why[300];
	int dir;

	if (d->ctl->db == NULL)
		return true;
	res = PG_TRY(d->ctl, "SELECT id FROM folder_store");
	if (PQresultStatus(res) != PGRES_TUPLES_OK) {
		PQclear(res); /* the database's checks say why */
		return true;
	}
	if (PQntuples(res) == 0) {
		PQclear(res);
		doctor_warn(d, "store",
		    "start relaycam-storage, or run \"relaycam storage init\"",
		    "%s has no mark of a store yet", path);
		return false;
	}
	dir = store_mark_open(path, pg_text(res, 0, 0), why, sizeof(why));
	PQclear(res);
	if (dir < 0)
		doctor_fail(d, "store",
		    "mount the file system; if the recordings were moved "
		    "there, "
		    "run \"relaycam storage init\"",
		    "%s", why);
	else
		close(dir);
	return dir >= 0;
}

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
	else if (check_mark(d) && statvfs(dir, &vfs) == 0)
		doctor_ok(d, "store", "folder %s, %lld MiB free", dir,
		    (long long)vfs.f_bavail * (long long)vfs.f_frsize / MIB);
}

/* --- S3 ------------------------------------------------------------------ */

struct bucket_check {
	struct doctor *d;
	int n_wrong;
	const char *last_right; /* that was named: once is enough */
};

/* Not a matter of one right: nothing will work. */
static bool
bucket_refuses(struct doctor *d, const struct s3_probe_result *r)
{
	const struct conf_store *s = &d->ctl->store;

	if (r->status < 0)
		doctor_fail(d, "store",
		    "check s3_endpoint, s3_bucket, s3_access_key_file and "
		    "s3_ca_file",
		    "%s: %s", s->s3_endpoint, r->why);
	else if (strcmp(r->code, "RequestTimeTooSkewed") == 0)
		doctor_fail(d, "store", "set this machine's clock (NTP)",
		    "%s refuses our key: the clocks differ", s->s3_endpoint);
	else if (r->status == 404 || strcmp(r->code, "NoSuchBucket") == 0)
		doctor_fail(d, "store", "make the bucket, or set s3_bucket",
		    "%s has no bucket %s", s->s3_endpoint, s->s3_bucket);
	else if ((r->status == 403 || r->status == 401) &&
	    strcmp(r->code, "AccessDenied") != 0)
		doctor_fail(d, "store",
		    "check s3_access_key_file and s3_region, and that no "
		    "proxy changes requests",
		    "%s refuses our key for bucket %s: %s", s->s3_endpoint,
		    s->s3_bucket, r->code[0] != '\0' ? r->code : "no reason");
	else if (r->status == 301 || r->status == 307)
		doctor_fail(d, "store",
		    "set s3_endpoint and s3_region to those of the bucket",
		    "%s sends us elsewhere for bucket %s", s->s3_endpoint,
		    s->s3_bucket);
	else
		return false;
	return true;
}

static void
on_right(void *arg, const struct s3_probe_result *r)
{
	struct bucket_check *c = arg;
	struct doctor *d = c->d;
	char remedy[200];

	if (r->works)
		return;
	if (c->n_wrong++ == 0 && bucket_refuses(d, r))
		return;
	if (c->last_right != NULL && strcmp(c->last_right, r->right) == 0)
		return;
	c->last_right = r->right;
	snprintf(remedy, sizeof(remedy),
	    r->status == 403 ? "give the key the right %s on bucket %s%s"
			     : "look at the S3 server's log; %s on bucket "
			       "%s%s is needed",
	    r->right, d->ctl->store.s3_bucket,
	    strcmp(r->right, "s3:DeleteObject") == 0
		? ", then remove the objects under relaycam-doctor/"
		: "");
	if (r->is_needed)
		doctor_fail(d, "store", remedy, "%s: HTTP %ld %s: %s", r->right,
		    r->status, r->code, r->without);
	else
		doctor_warn(d, "store", remedy, "%s: HTTP %ld %s: %s", r->right,
		    r->status, r->code, r->without);
}

/* The clocks: links and signatures depend on them. */
static void
check_clock(struct doctor *d, const struct s3_server *s)
{
	struct s3_command *c = calloc(1, sizeof(*c));
	uint64_t now_s;
	long long ahead_s;

	if (c == NULL)
		return;
	c->method = "GET";
	c->key = "";
	s3_command_send(s, c);
	now_s = clock_wall_ns() / NS_PER_S;
	ahead_s = (long long)c->date_s - (long long)now_s;
	if (c->date_s != 0 && llabs(ahead_s) > CLOCK_WARN_S)
		doctor_warn(d, "store", "set the clocks of both by NTP",
		    "the clock of %s is %lld s %s", d->ctl->store.s3_endpoint,
		    llabs(ahead_s), ahead_s > 0 ? "ahead" : "behind");
	free(c);
}

/* What "storage init" noted still holds. */
static void
check_abilities(struct doctor *d, const struct s3_server *s)
{
	const struct conf_store *conf = &d->ctl->store;
	PGresult *res;

	if (d->ctl->db == NULL)
		return;
	res = PG_TRY(d->ctl,
	    "SELECT lifecycle, object_lock FROM store_abilities WHERE endpoint "
	    "= $1 "
	    "AND bucket = $2",
	    conf->s3_endpoint, conf->s3_bucket);
	if (PQresultStatus(res) != PGRES_TUPLES_OK)
		; /* the database's checks say why */
	else if (PQntuples(res) == 0)
		doctor_warn(d, "store", "run \"relaycam storage init\"",
		    "nobody looked yet what %s can do: conditional writes and "
		    "the lifecycle rule are not used",
		    conf->s3_endpoint);
	else if (pg_text(res, 0, 0)[0] == 't' &&
	    s3_lifecycle_is_there(s, pg_text(res, 0, 1)[0] == 't') == 0)
		doctor_warn(d, "store",
		    "run \"relaycam storage init\", which adds it",
		    "bucket %s lacks a lifecycle rule of ours, for uploads "
		    "that "
		    "were given up or for deleted versions",
		    conf->s3_bucket);
	PQclear(res);
}

static void
check_more(struct doctor *d)
{
	struct s3_server s;
	char why[CTL_HTTP_WHY_MAX];

	if (s3_server_open(&s, &d->ctl->store, why) != 0)
		return; /* the probe said so */
	check_clock(d, &s);
	check_abilities(d, &s);
	s3_server_close(&s);
}

static void
check_bucket(struct doctor *d)
{
	const struct conf_store *s = &d->ctl->store;
	struct bucket_check c = { .d = d };
	char why[CTL_HTTP_WHY_MAX];

	if (s3_probe(s, on_right, &c, why) != 0)
		doctor_fail(d, "store",
		    "correct [store] in the settings file; "
		    "docs/configuration.md has its settings",
		    "%s", why);
	else if (c.n_wrong == 0)
		doctor_ok(d, "store",
		    "S3 bucket %s at %s: put, get, list, delete and uploads "
		    "in parts work",
		    s->s3_bucket, s->s3_endpoint);
	if (c.n_wrong == 0)
		check_more(d);
}

void
doctor_store(struct doctor *d)
{
	if (strcmp(d->ctl->store.kind, "s3") == 0)
		check_bucket(d);
	else
		check_folder(d);
}

void
doctor_storage_check(struct doctor *d)
{
	static const char how[] =
	    "\"relaycam storage check\" lists what differs and what can be "
	    "done";
	PGresult *res;

	if (d->ctl->db == NULL)
		return; /* said elsewhere */
	res = PG_TRY(d->ctl,
	    "SELECT (SELECT to_char(max(ended_at) AT TIME ZONE 'UTC', "
	    "'YYYY-MM-DD HH24:MI') FROM storage_checks WHERE store = $1), "
	    "(SELECT max(ended_at) < now() - interval '3 days' FROM "
	    "storage_checks WHERE store = $1), "
	    "(SELECT count(*) FROM storage_findings)",
	    d->ctl->store.kind);
	if (PQntuples(res) == 1 && strcmp(PQgetvalue(res, 0, 2), "0") != 0)
		doctor_warn(d, "stored", how,
		    "%s files are missing, unknown or not as they were",
		    PQgetvalue(res, 0, 2));
	else if (PQntuples(res) == 1 && PQgetvalue(res, 0, 1)[0] == 't')
		doctor_warn(d, "stored", "look at the log of relaycam-storage",
		    "store and rows were last compared at %s UTC",
		    PQgetvalue(res, 0, 0));
	else if (PQntuples(res) == 1 && !PQgetisnull(res, 0, 0))
		doctor_ok(d, "stored", "store and rows agreed at %s UTC",
		    PQgetvalue(res, 0, 0));
	PQclear(res);
}
