#include "storage/upload/receiver_internal.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "storage/rows.h"
#include "storage/spool/spool.h"
#include "storage/upload/site_key.h"
#include "storage/storage_worker.h"

#define UPLOADS_MAX 1024 /* unfinished ones of all endpoints */
#define THREADS     2

/* ---- uploads ---- */

struct upload *
receiver_find(struct receiver *r, const char *id)
{
	struct upload *u;

	TAILQ_FOREACH(u, &r->uploads, link)
		if (strcmp(u->f.id, id) == 0)
			return u;
	return NULL;
}

struct upload *
receiver_add(struct receiver *r, struct upload_file *f)
{
	struct upload *u = calloc(1, sizeof(*u));

	if (u == NULL) {
		upload_file_release(f);
		return NULL;
	}
	u->r = r;
	u->f = *f;
	TAILQ_INSERT_TAIL(&r->uploads, u, link);
	return u;
}

void
receiver_drop(struct upload *u)
{
	if (u->conn != NULL)
		u->conn->u = NULL;
	TAILQ_REMOVE(&u->r->uploads, u, link);
	upload_file_release(&u->f);
	free(u);
}

uint64_t
receiver_expires_s(const struct upload *u)
{
	return upload_expires_s(
	    u->f.last_s, (uint64_t)u->r->d->conf.capture_expiry_seconds);
}

bool
receiver_is_in_spool(
    const struct receiver *r, const char *session, const char *id)
{
	char name[SPOOL_NAME_MAX];

	return faccessat(r->d->spool->dir,
		   spool_name(session, id, ".capture", name), F_OK, 0) == 0;
}

uint64_t
receiver_free_bytes(const struct receiver *r)
{
	struct statvfs st;

	return fstatvfs(r->dir, &st) == 0 ? (uint64_t)st.f_bavail * st.f_frsize
					  : 0;
}

uint64_t
receiver_min_free(const struct receiver *r)
{
	return (uint64_t)r->d->spool_conf.min_free_bytes +
	    (uint64_t)r->d->conf.capture_free_bytes;
}

/* What is decrypted lies beside what came. */
static uint64_t
room_of(uint64_t length, bool is_sealed)
{
	return is_sealed ? 2 * length : length;
}

enum upload_verdict
receiver_may_begin(
    struct receiver *r, int64_t endpoint_id, uint64_t length, bool is_sealed)
{
	const struct upload_limits limits = {
		.length = (uint64_t)r->d->conf.capture_max_bytes,
		.per_peer = (unsigned)r->d->conf.captures_per_endpoint,
		.in_total = UPLOADS_MAX,
		.min_free = receiver_min_free(r),
	};
	struct upload_use use = { .free = receiver_free_bytes(r) };
	const struct upload *u;

	TAILQ_FOREACH(u, &r->uploads, link)
		if (!u->f.is_kept) {
			use.in_total++;
			use.of_peer += u->f.endpoint_id == endpoint_id;
			use.outstanding +=
			    room_of(u->f.at.length, u->f.is_sealed) -
			    u->f.at.have;
		}
	/* the length is looked at first: twice of it is no overflow then */
	return upload_may_begin(&limits, &use, length,
	    room_of(min_u64(length, UPLOAD_LENGTH_MAX), is_sealed));
}

/* ---- rows ---- */

static void
on_registered(void *arg, bool is_written)
{
	struct upload *u = arg;

	u->is_asking = false;
	if (u->r->d->exiting)
		return;
	u->is_known = is_written;
	if (u->conn != NULL)
		upload_conn_created(u->conn, is_written);
	else if (is_written && upload_offset_is_whole(&u->f.at) &&
	    !u->r->d->stopping)
		upload_work_start(u);
}

void
receiver_register(struct upload *u)
{
	int rc;

	u->is_asking = !u->is_copy;
	rc = u->is_copy ? 0 : upload_rows_begin(u, on_registered);
	if (rc != 0 || u->is_copy)
		on_registered(u, rc == 0);
}

/* ---- each second ---- */

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct receiver *r = arg;
	struct upload_conn *c, *next;
	struct upload *u;

	for (c = TAILQ_FIRST(&r->conns); c != NULL; c = next) {
		next = TAILQ_NEXT(c, link);
		upload_conn_tick(c);
	}
	if (r->d->stopping || !db_is_connected(r->d->db))
		return;
	TAILQ_FOREACH(u, &r->uploads, link)
		if (u->is_known && !u->is_copy &&
		    upload_offset_percent(&u->f.at) != u->percent_sent) {
			u->percent_sent = upload_offset_percent(&u->f.at);
			rows_progress(r->d->db, u->f.id, u->percent_sent);
		}
	if (clock_mono_ns() >= r->sweep_ns) {
		r->sweep_ns = clock_mono_ns() +
		    (uint64_t)r->d->conf.scan_seconds * NS_PER_S;
		upload_sweep(r);
	}
}

void
receiver_kick(struct receiver *r)
{
	if (r != NULL)
		r->sweep_ns = 0;
}

void
receiver_announce(struct receiver *r)
{
	if (r == NULL)
		return;
	upload_rows_announce(r);
	receiver_kick(r);
}

unsigned
receiver_busy(const struct receiver *r)
{
	return r != NULL ? r->n_jobs : 0;
}

unsigned
receiver_uploads(const struct receiver *r)
{
	const struct upload *u;
	unsigned n = 0;

	if (r != NULL)
		TAILQ_FOREACH(u, &r->uploads, link)
			n += !u->f.is_kept;
	return n;
}

unsigned
receiver_active(const struct receiver *r)
{
	const struct upload *u;
	unsigned n = 0;

	if (r != NULL)
		TAILQ_FOREACH(u, &r->uploads, link)
			n += u->conn != NULL;
	return n;
}

/* ---- life ---- */

int
receiver_new(struct daemon *d, char *err, size_t err_len)
{
	struct receiver *r;
	int rc;

	if (!d->conf.captures)
		return 0;
	r = calloc(1, sizeof(*r));
	if (r == NULL)
		return ERR_NOMEM;
	d->receiver = r;
	r->d = d;
	r->dir = -1;
	TAILQ_INIT(&r->uploads);
	TAILQ_INIT(&r->conns);
	rc = site_key_read(&r->key, d->conf.capture_key_file, err, err_len);
	return rc;
}

int
receiver_start(struct daemon *d, char *err, size_t err_len)
{
	const struct timeval second = { 1, 0 };
	struct receiver *r = d->receiver;
	int spool;

	if (r == NULL)
		return 0;
	spool = d->spool->dir;
	if (mkdirat(spool, SPOOL_UPLOADS, 0700) != 0 && errno != EEXIST)
		r->dir = -1;
	else
		r->dir = spool_folder_open(spool, SPOOL_UPLOADS);
	if (r->dir < 0) {
		snprintf(err, err_len, "%s/" SPOOL_UPLOADS ": %s",
		    d->spool_conf.dir, strerror(errno));
		return ERR_CONFIG;
	}
	upload_scan(r); /* before an agent asks for its offset */
	r->workers = workers_new(d->base, THREADS);
	r->tick = event_new(d->base, -1, EV_PERSIST, on_tick, r);
	return r->workers != NULL && r->tick != NULL &&
		event_add(r->tick, &second) == 0
	    ? 0
	    : ERR_NOMEM;
}

void
receiver_stop(struct receiver *r)
{
	struct upload_conn *c;

	if (r == NULL)
		return;
	atomic_store(&r->stopping, true);
	while ((c = TAILQ_FIRST(&r->conns)) != NULL)
		upload_conn_end(c);
}

void
receiver_free(struct receiver *r)
{
	struct upload *u;

	if (r == NULL)
		return;
	atomic_store(&r->stopping, true);
	if (r->workers != NULL)
		workers_free(r->workers);
	if (r->tick != NULL)
		event_free(r->tick);
	while ((u = TAILQ_FIRST(&r->uploads)) != NULL) {
		free(u->job);
		receiver_drop(u);
	}
	if (r->dir >= 0)
		close(r->dir);
	wipe(&r->key, sizeof(r->key));
	free(r);
}
