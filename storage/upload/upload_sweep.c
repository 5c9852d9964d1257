/* Uploads that no agent is sending: after a start, put there by hand, whole and
 * not checked yet, or past their time. */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/json.h"
#include "common/log.h"
#include "storage/upload/receiver_internal.h"

/* ---- what lies in the folder ---- */

/* What a start has found, or somebody put there by hand (M4). */
void
upload_adopted(struct upload *u, struct upload_facts *facts)
{
	struct receiver *r = u->r;

	u->is_asking = false;
	if (facts == NULL || r->d->exiting)
		return;
	if (!facts->is_ordered || strcmp(facts->session, u->f.session) != 0) {
		log_warn(
		    "capture_upload_not_ordered", LOG_S("capture", u->f.id));
		u->retry_ns = clock_mono_ns() +
		    (uint64_t)r->d->conf.retry_seconds * NS_PER_S;
		return;
	}
	u->is_copy = facts->is_copy;
	if (!u->f.is_kept &&
	    (facts->is_whole ||
		receiver_is_in_spool(r, u->f.session, u->f.id))) {
		upload_file_remove(r->dir, u->f.id);
		receiver_drop(u);
		return;
	}
	if (u->f.is_kept)
		u->is_known = true;
	else
		receiver_register(u);
}

static void
find(struct receiver *r, const char *id)
{
	struct upload_file f;
	struct upload *u;
	int rc = upload_file_load(&f, r->dir, id);

	if (rc == ERR_NOTFOUND) /* its data went: by hand, or into the spool */
		upload_file_remove(r->dir, id);
	else if (rc != 0)
		log_warn("capture_upload_unreadable", LOG_S("capture", id),
		    LOG_ERR(rc));
	if (rc != 0)
		return;
	u = receiver_add(r, &f);
	if (u != NULL)
		log_info("capture_upload_found", LOG_S("capture", id),
		    LOG_U("bytes", u->f.at.have), LOG_U("of", u->f.at.length));
}

void
upload_scan(struct receiver *r)
{
	int copy = openat(r->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
	const struct dirent *e;
	char id[UUID_TEXT_MAX];

	while (dir != NULL && (e = readdir(dir)) != NULL) {
		if (strlen(e->d_name) != UUID_LEN + strlen(".json") ||
		    strcmp(e->d_name + UUID_LEN, ".json") != 0)
			continue;
		memcpy(id, e->d_name, UUID_LEN);
		id[UUID_LEN] = '\0';
		if (is_uuid(id) && receiver_find(r, id) == NULL)
			find(r, id);
	}
	if (dir != NULL)
		closedir(dir);
	else if (copy >= 0)
		close(copy);
}

/* ---- what has had its time ---- */

static uint64_t
kept_until_s(const struct upload *u)
{
	json_int_t days = json_int(u->f.order, "retention_days");

	return upload_expires_s(u->f.last_s,
	    (uint64_t)(days > 0 ? days : 1) *
		(uint64_t)u->r->d->conf.retention_day_seconds);
}

static void
expire(struct upload *u)
{
	log_warn("capture_upload_expired", LOG_S("capture", u->f.id),
	    LOG_U("bytes", u->f.at.have), LOG_U("of", u->f.at.length));
	if (!u->f.is_kept)
		upload_rows_end(u->r, u->f.id, "missing",
		    "its device has not sent the rest of it in time");
	upload_file_remove(u->r->dir, u->f.id);
	receiver_drop(u);
}

static bool
is_there(const struct upload *u)
{
	char name[UPLOAD_NAME_MAX];

	return faccessat(u->r->dir,
		   upload_file_name(
		       u->f.id, u->f.is_kept ? ".kept" : ".data", name),
		   F_OK, 0) == 0;
}

/* One that nobody sends; u may be gone. */
static void
look_at(struct upload *u)
{
	uint64_t now_s = clock_wall_ns() / NS_PER_S;

	if (!is_there(u)) {
		log_warn("capture_upload_vanished", LOG_S("capture", u->f.id));
		if (!u->is_copy)
			upload_rows_end(u->r, u->f.id, "missing",
			    "its upload is gone from the spool");
		upload_file_remove(u->r->dir, u->f.id);
		receiver_drop(u);
	} else if (now_s >=
	    (u->f.is_kept ? kept_until_s(u) : receiver_expires_s(u)))
		expire(u);
	else if (u->retry_ns > clock_mono_ns())
		return;
	else if (!u->is_known)
		u->is_asking = upload_rows_adopt(u) == 0;
	else if (upload_offset_is_whole(&u->f.at) && !u->f.is_kept)
		upload_work_start(u);
}

void
upload_sweep(struct receiver *r)
{
	struct upload *u, *next;

	upload_scan(r);
	upload_rows_overdue(r);
	for (u = TAILQ_FIRST(&r->uploads); u != NULL; u = next) {
		next = TAILQ_NEXT(u, link);
		if (u->conn == NULL && u->job == NULL && !u->is_asking)
			look_at(u);
	}
}
