/* disk-space: bytes of the team's recordings, by endpoint, and what is free
 * where the store's files are (M5). A thread asks the disk, as a network disk
 * may take long to answer. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "common/worker.h"
#include "console/api/handlers.h"
#include "console/api/request.h"
#include "console/conf.h"
#include "console/worker.h"

/* Sums that triggers keep (schema/034_list_speed.sql): segments whose files are
 * gone are left out; of those that are being written, bytes is what the last
 * report said. */
static const char used_sql[] =
    "SELECT json_build_object('used_bytes', coalesce(sum(u.bytes), 0), "
    "'recordings', coalesce(sum(u.recordings), 0), 'free_bytes', $2::bigint, "
    "'total_bytes', $3::bigint, 'quota_bytes', "
    "(SELECT quota_bytes FROM team_quota($1::bigint)), 'quota_percent', "
    "(SELECT percent FROM team_quota($1::bigint)), 'quota_state', "
    "(SELECT state FROM team_quota($1::bigint)), 'endpoints', coalesce(json_agg("
    "json_build_object('id', e.id::text, 'endpoint', e.name, 'used_bytes', "
    "u.bytes, 'recordings', u.recordings) ORDER BY u.bytes DESC, e.id), "
    "'[]'))::text FROM disk_use u JOIN endpoints e ON e.id = u.endpoint_id "
    "WHERE u.team_id = $1::bigint AND u.recordings > 0";

struct disk_job {
	struct job job;
	struct request *request;
	const char *folder; /* of the settings */
	char free_bytes[24], total_bytes[24];
	bool is_known;
};

static void
on_used(struct request *r, PGresult *res)
{
	request_json_text(r, 200, PQgetvalue(res, 0, 0));
}

static void
ask(struct request *r, const char *free_bytes, const char *total_bytes)
{
	const char *params[] = { r->person.team_text, free_bytes, total_bytes };

	request_query(r, used_sql, 3, params, on_used);
}

static void
run(struct job *j)
{
	struct disk_job *d = (struct disk_job *)j;
	struct statvfs v;

	d->is_known = statvfs(d->folder, &v) == 0;
	if (!d->is_known)
		return;
	snprintf(d->free_bytes, sizeof(d->free_bytes), "%" PRIu64,
	    (uint64_t)v.f_bavail * v.f_frsize);
	snprintf(d->total_bytes, sizeof(d->total_bytes), "%" PRIu64,
	    (uint64_t)v.f_blocks * v.f_frsize);
}

static void
done(struct job *j)
{
	struct disk_job *d = (struct disk_job *)j;

	ask(d->request, d->is_known ? d->free_bytes : NULL,
	    d->is_known ? d->total_bytes : NULL);
	free(d);
}

void
disk_space_run(struct request *r)
{
	const struct conf_store *store = &r->worker->conf->store;
	struct disk_job *d;

	if (strcmp(store->kind, "folder") != 0) {
		ask(r, NULL, NULL);
		return;
	}
	d = calloc(1, sizeof(*d));
	if (d == NULL) {
		request_problem(r, 503, "unavailable", "Out of memory.");
		return;
	}
	d->job = (struct job){
		.run = run, .done = done, .inbox = &r->worker->inbox
	};
	d->request = r;
	d->folder = store->folder;
	worker_submit(r->worker->disk, &d->job);
}
