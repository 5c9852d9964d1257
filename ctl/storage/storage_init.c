#include "ctl/storage/storage_init.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "common/store_mark.h"
#include "ctl/pg.h"
#include "ctl/storage/s3_abilities.h"
#include "ctl/table.h"

static const char *
word(bool yes)
{
	return yes ? "true" : "false";
}

static int
note(struct ctl *c, const struct s3_abilities *can)
{
	static const char sql[] =
	    "INSERT INTO store_abilities (endpoint, bucket, checks_bodies, "
	    "conditional_writes, lifecycle, object_lock) VALUES ($1, $2, $3, "
	    "$4, $5, $6) ON CONFLICT (endpoint, bucket) DO UPDATE SET "
	    "checks_bodies = $3, conditional_writes = $4, lifecycle = $5, "
	    "object_lock = $6, probed_at = now()";

	return PG_RUN(c, sql, c->store.s3_endpoint, c->store.s3_bucket,
		   word(can->checks_bodies), word(can->conditional_writes),
		   word(can->lifecycle), word(can->object_lock)) != 0 ||
		pg_audit(c, NULL, "store_probed", c->store.s3_bucket,
		    json_pack("{s:s,s:b,s:b,s:b,s:b}", "endpoint",
			c->store.s3_endpoint, "checks_bodies",
			can->checks_bodies, "conditional_writes",
			can->conditional_writes, "lifecycle", can->lifecycle,
			"object_lock", can->object_lock)) != 0
	    ? STATUS_FAILED
	    : 0;
}

static int
print(const struct ctl *c, const struct args *a, const struct s3_abilities *can,
    bool has_rule)
{
	if (args_has(a, "json"))
		return print_json(json_pack("{s:s,s:s,s:b,s:b,s:b,s:b,s:b}",
		    "endpoint", c->store.s3_endpoint, "bucket",
		    c->store.s3_bucket, "checks_bodies", can->checks_bodies,
		    "conditional_writes", can->conditional_writes, "lifecycle",
		    can->lifecycle, "lifecycle_rule", has_rule, "object_lock",
		    can->object_lock));
	printf("bucket %s at %s\n", c->store.s3_bucket, c->store.s3_endpoint);
	printf("  refuses damaged uploads:  %s\n",
	    can->checks_bodies ? "yes" : "NO");
	printf("  conditional writes:       %s\n",
	    can->conditional_writes ? "yes, used from now on" : "no");
	printf("  lifecycle rules:          %s\n",
	    has_rule             ? can->object_lock
				? "yes; uploads that were given up end by one, and "
				  "deleted versions"
				: "yes; uploads that were given up end by one"
		: can->lifecycle ? "yes, without ours"
				 : "no");
	printf("  object lock:              %s\n",
	    can->object_lock ? "yes; locked recordings are held by it" : "no");
	return 0;
}

/* Makes the bucket where it is missing and was asked for. */
static int
ready_bucket(const struct s3_server *s, const struct args *a)
{
	char why[CTL_HTTP_WHY_MAX];
	int rc = s3_bucket_exists(s, why);

	if (rc == 0 && !args_has(a, "create-bucket"))
		return ctl_error(
		    "%s has no bucket %s; --create-bucket makes it",
		    s->conf->s3_endpoint, s->conf->s3_bucket);
	if (rc == 0)
		rc = s3_bucket_create(s, args_has(a, "object-lock"), why) == 0
		    ? 1
		    : -1;
	return rc == 1 ? 0 : ctl_error("%s", why);
}

static int
init(struct ctl *c, const struct s3_server *s, const struct args *a)
{
	struct s3_abilities can;
	char why[CTL_HTTP_WHY_MAX];
	bool has_rule;
	int rc = ready_bucket(s, a);

	if (rc != 0)
		return rc;
	if (s3_abilities_probe(s, &can, why) != 0)
		return ctl_error("%s", why);
	if (can.lifecycle && !args_has(a, "no-lifecycle") &&
	    s3_lifecycle_add(s, can.object_lock, why) != 0)
		return ctl_error("%s; or use --no-lifecycle", why);
	has_rule =
	    can.lifecycle && s3_lifecycle_is_there(s, can.object_lock) == 1;
	rc = note(c, &can);
	return rc == 0 ? print(c, a, &can, has_rule) : rc;
}

/* ---- a folder ---- */

/* The folder gets the mark of the store that the database knows; where that
 * knows none, the other way round. 0, or STATUS_FAILED after a message. */
static int
mark_folder(struct ctl *c, int dir, char id[UUID_TEXT_MAX])
{
	const char *path = c->store.folder;
	char found[UUID_TEXT_MAX];
	int rc = store_mark_read(dir, found);
	PGresult *res;

	if (rc == ERR_IO) /* before a query, which has errors of its own */
		return ctl_error(
		    "%s/%s: %s", path, STORE_MARK_NAME, strerror(errno));
	res = PG_QUERY(c,
	    "INSERT INTO folder_store (id) VALUES "
	    "(coalesce($1::uuid, gen_random_uuid())) "
	    "ON CONFLICT (is_one) DO UPDATE SET id = folder_store.id "
	    "RETURNING id",
	    rc == 0 ? found : NULL);
	if (res == NULL)
		return STATUS_FAILED;
	snprintf(id, UUID_TEXT_MAX, "%s", pg_text(res, 0, 0));
	PQclear(res);
	if (rc == ERR_NOTFOUND)
		rc = store_mark_make(dir, id);
	else if (rc == 0 && strcmp(found, id) != 0)
		return ctl_error("%s is the folder of another store, %s; the "
				 "database knows %s: set [store] folder",
		    path, found, id);
	if (rc == ERR_PROTOCOL)
		return ctl_error(
		    "%s/%s has no id: remove it", path, STORE_MARK_NAME);
	return rc == 0
	    ? 0
	    : ctl_error("%s/%s: %s", path, STORE_MARK_NAME, strerror(errno));
}

static int
init_folder(struct ctl *c, const struct args *a)
{
	const char *path = c->store.folder;
	char id[UUID_TEXT_MAX];
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc;

	if (dir < 0)
		return ctl_error("%s: %s", path, strerror(errno));
	rc = mark_folder(c, dir, id);
	close(dir);
	if (rc == 0)
		rc = pg_audit(c, NULL, "store_marked", path,
		    json_pack("{s:s}", "id", id));
	if (rc != 0)
		return STATUS_FAILED;
	if (args_has(a, "json"))
		return print_json(
		    json_pack("{s:s,s:s}", "folder", path, "id", id));
	printf("folder %s has the mark of store %s\n", path, id);
	return 0;
}

int
storage_run_init(struct ctl *c, const struct args *a)
{
	struct s3_server s;
	char why[CTL_HTTP_WHY_MAX];
	int rc;

	if (strcmp(c->store.kind, "s3") != 0)
		return init_folder(c, a);
	if (s3_server_open(&s, &c->store, why) != 0)
		return ctl_config("%s", why);
	rc = init(c, &s, a);
	s3_server_close(&s);
	return rc;
}
