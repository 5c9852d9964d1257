/* From the spool into the store: one segment's transfer. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/db.h"
#include "common/err.h"
#include "common/log.h"
#include "storage/daemon.h"
#include "storage/node.h"
#include "storage/rows.h"
#include "storage/evidence/signing.h"
#include "storage/spool/early.h"
#include "storage/spool/spool.h"
#include "storage/spool/transfer_db.h"
#include "storage/spool/transfer_lock.h"

#define POSTER_MAX        (1 << 20) /* bytes */
#define CORRUPT_TRIES_MAX 5 /* uploads whose stored copy was another one */

/* Ends the transfer; what becomes of the segment follows. */
static void
transfer_end(struct spool_segment *sg)
{
	if (sg->fd >= 0)
		close(sg->fd);
	if (sg->poster_fd >= 0)
		close(sg->poster_fd);
	sg->fd = sg->poster_fd = -1;
	signing_forget(sg);
	transfer_lock_release(sg);
	spool_free_place(sg->row.d->spool);
	spool_look_at(sg);
}

/* The daemon ends, or something stands in the way: nothing is told. */
static void
transfer_stop(struct spool_segment *sg)
{
	transfer_end(sg);
	spool_row_move(&sg->row, CAUSE_TRANSFER_STOPPED, NULL);
}

static void
transfer_later(struct spool_segment *sg)
{
	transfer_end(sg);
	sg->was_tried = true;
	spool_row_retry(&sg->row, CAUSE_LATER, sg->row.detail);
}

static void
on_progress(void *arg, uint64_t bytes)
{
	struct spool_segment *sg = arg;

	sg->row.percent = (int)(bytes * 100 / (uint64_t)sg->row.m.bytes);
}

static void on_removed(void *arg, const struct store_result *r);

/* The signed manifest, when one was stored. */
static bool
remove_manifest(struct spool_segment *sg)
{
	char key[OBJECT_KEY_MAX + 1];

	strcpy(key, signing_key_of(sg));
	signing_forget(sg);
	return key[0] != '\0' && !sg->row.d->exiting &&
	    sg->row.d->store->ops->remove(
		sg->row.d->store, key, on_removed, sg) == 0;
}

/* Deleted from the console while it was under way: the objects go too. */
static void
on_removed(void *arg, const struct store_result *r)
{
	struct spool_segment *sg = arg;

	if (r->err == 0 && sg->poster_key[0] != '\0' && !sg->row.d->exiting) {
		const char *key = sg->poster_key;
		int rc = sg->row.d->store->ops->remove(
		    sg->row.d->store, key, on_removed, sg);

		sg->poster_key[0] = '\0';
		if (rc == 0)
			return;
	}
	if (r->err == 0 && remove_manifest(sg))
		return;
	transfer_stop(sg);
	if (sg->row.d->exiting)
		return;
	if (r->err != 0)
		spool_row_retry(&sg->row, CAUSE_LATER, NULL);
	else
		spool_segment_remove_files(sg);
}

static void
on_available(void *arg, PGresult *res)
{
	struct spool_segment *sg = arg;

	if (sg->row.d->exiting) {
		transfer_stop(sg);
		return;
	}
	if (!db_ok(res, "write available")) {
		transfer_later(sg);
		return;
	}
	if (PQntuples(res) == 0) {
		log_warn("segment_deleted_meanwhile",
		    LOG_S("segment", sg->row.id),
		    LOG_S("session", sg->row.folder));
		if (sg->row.d->store->ops->remove(sg->row.d->store,
			sg->row.m.object_key, on_removed, sg) != 0)
			transfer_later(sg);
		return;
	}
	if (PQgetvalue(res, 0, 1)[0] != 't') {
		/* the next look at its row has it dropped */
		log_warn("longer_copy_available", LOG_S("segment", sg->row.id),
		    LOG_S("session", sg->row.folder));
		transfer_end(sg);
		sg->row.is_known = false;
		sg->row.sent_status[0] = '\0';
		spool_row_move(&sg->row, CAUSE_TRANSFER_STOPPED, NULL);
		spool_row_ask(&sg->row);
		return;
	}
	log_info("segment_available", LOG_S("segment", sg->row.id),
	    LOG_S("session", sg->row.folder),
	    LOG_S("key", sg->row.m.object_key), LOG_I("bytes", sg->row.m.bytes),
	    LOG_S("expires_at", PQgetvalue(res, 0, 0)));
	sg->row.d->counters.transfers_ok++;
	sg->row.d->counters.bytes_stored += (uint64_t)sg->row.m.bytes;
	spool_row_moved(&sg->row, CAUSE_AVAILABLE);
	transfer_end(sg);
	spool_segment_remove_files(sg);
}

static void
log_failed(struct spool_segment *sg, const struct store_result *r,
    int64_t retry_seconds)
{
	sg->row.d->counters.transfers_failed++;
	log_warn("transfer_failed", LOG_S("segment", sg->row.id),
	    LOG_S("session", sg->row.folder), LOG_S("why", r->detail),
	    LOG_I("retry_seconds", retry_seconds));
	rows_upload_failed(sg->row.d->db, sg->row.id, r->detail, retry_seconds);
}

/* Tried again, with the reason in sight (M2). */
static void
transfer_failed(struct spool_segment *sg, const struct store_result *r)
{
	if (r->err == ERR_CANCELLED) {
		log_info("transfer_stopped", LOG_S("segment", sg->row.id),
		    LOG_S("session", sg->row.folder));
		transfer_stop(sg);
		return;
	}
	transfer_end(sg);
	sg->was_tried = true;
	log_failed(sg, r, sg->row.d->conf.retry_seconds);
	spool_row_retry(&sg->row,
	    r->err == ERR_CORRUPT ? CAUSE_STORE_DIFFERS : CAUSE_TRANSFER_FAILED,
	    r->detail);
}

/*
 * The store's part of a transfer. An object that is not what was sent is
 * worth another try, but not for ever: each sends the whole file. The file
 * stays in the spool, as the only copy.
 */
static void
upload_failed(struct spool_segment *sg, const struct store_result *r)
{
	char why[STORE_DETAIL_MAX];

	if (r->err != ERR_CORRUPT || ++sg->n_corrupted < CORRUPT_TRIES_MAX) {
		transfer_failed(sg, r);
		return;
	}
	transfer_end(sg);
	sg->was_tried = true;
	log_failed(sg, r, -1);
	sg->n_corrupted = 0;
	snprintf(why, sizeof(why),
	    "%.130s; not tried again after %d times: see to the store, then "
	    "restart relaycam-storage",
	    r->detail, CORRUPT_TRIES_MAX);
	log_error("transfer_given_up", LOG_S("segment", sg->row.id),
	    LOG_S("session", sg->row.folder), LOG_I("tries", CORRUPT_TRIES_MAX),
	    LOG_S("why", r->detail));
	spool_row_retry(&sg->row, CAUSE_GIVEN_UP, why);
}

/* Verified and stored, all of it: the row says so. */
static void
stored(struct spool_segment *sg)
{
	struct rows_stored what = { .store = sg->row.d->store->ops->name,
		.node = node_id(sg->row.d->node),
		.sha256 = sg->sha256,
		.poster_key = sg->poster_key,
		.poster_bytes = sg->poster_bytes,
		.poster_sha256 = sg->poster_sha256 };

	spool_row_move(&sg->row, CAUSE_ALL_STORED, NULL);
	if (rows_available(transfer_db(sg->row.d, sg->row.id), &sg->row.m,
		&what, on_available, sg) != 0)
		transfer_later(sg);
}

/* The signed manifest is the last: what it speaks of is there (X3). */
static void
on_manifest_stored(struct spool_segment *sg, const struct store_result *r)
{
	if (sg->row.d->exiting)
		transfer_stop(sg);
	else if (r->err != 0)
		upload_failed(sg, r);
	else
		stored(sg);
}

static void
store_manifest(struct spool_segment *sg)
{
	spool_row_move(&sg->row, CAUSE_POSTER_STORED, NULL);
	if (!signing_store(sg, on_manifest_stored))
		stored(sg);
}

static void
on_poster_stored(void *arg, const struct store_result *r)
{
	struct spool_segment *sg = arg;

	if (sg->row.d->exiting)
		transfer_stop(sg);
	else if (r->err != 0)
		upload_failed(sg, r);
	else {
		memcpy(sg->poster_sha256, r->sha256, sizeof(r->sha256));
		store_manifest(sg);
	}
}

static void
on_poster_progress(void *arg, uint64_t bytes)
{
}

/* A JPEG file's size; 0 when it is none, or too large for a picture. */
static uint64_t
poster_bytes(int fd)
{
	uint8_t begin[3];
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0 || st.st_size > POSTER_MAX ||
	    pread(fd, begin, sizeof(begin), 0) != sizeof(begin) ||
	    memcmp(begin, "\xff\xd8\xff", 3) != 0)
		return 0;
	return (uint64_t)st.st_size;
}

/* The picture beside the recording (X5). False: there is none to store. */
static bool
poster_start(struct spool_segment *sg)
{
	struct store_put put = { .segment = sg->row.id,
		.key = object_key_poster(sg->row.m.object_key, sg->poster_key),
		.was_tried = sg->was_tried,
		.is_beside = true,
		.on_progress = on_poster_progress,
		.on_done = on_poster_stored,
		.arg = sg };

	if (sg->row.m.poster[0] == '\0')
		return false;
	sg->poster_fd = spool_row_open(&sg->row, ".jpg");
	put.fd = sg->poster_fd;
	put.bytes = sg->poster_bytes = poster_bytes(put.fd);
	if (put.bytes == 0) {
		log_warn("poster_refused", LOG_S("segment", sg->row.id),
		    LOG_S("session", sg->row.folder));
		return false;
	}
	return sg->row.d->store->ops->put(sg->row.d->store, &put) == 0;
}

static void
on_stored(void *arg, const struct store_result *r)
{
	struct spool_segment *sg = arg;

	if (sg->row.d->exiting) {
		transfer_stop(sg);
		return;
	}
	if (r->err != 0) {
		upload_failed(sg, r);
		return;
	}
	memcpy(sg->sha256, r->sha256, sizeof(sg->sha256));
	if (!signing_agrees(sg, sg->sha256)) {
		struct store_result changed = { .err = ERR_CORRUPT,
			.detail = "it changed in the spool meanwhile" };

		transfer_failed(sg, &changed);
		return;
	}
	spool_row_move(&sg->row, CAUSE_MEDIA_STORED, NULL);
	if (poster_start(sg))
		return;
	sg->poster_key[0] = '\0';
	store_manifest(sg);
}

/* Its bytes are those that were recorded, as far as anybody can tell. */
static void
on_compared(struct spool_segment *sg, const struct store_result *r)
{
	struct store_put put = { .segment = sg->row.id,
		.key = sg->row.m.object_key,
		.fd = sg->fd,
		.bytes = (uint64_t)sg->row.m.bytes,
		.hash = signing_hash(sg),
		.was_tried = sg->was_tried,
		.was_early = early_may_have_begun(sg),
		.on_progress = on_progress,
		.on_done = on_stored,
		.arg = sg };

	if (sg->row.d->exiting) {
		transfer_stop(sg);
		return;
	}
	if (r->err != 0) {
		transfer_failed(sg, r);
		return;
	}
	spool_row_move(&sg->row, CAUSE_COMPARED, NULL);
	if (sg->row.d->store->ops->put(sg->row.d->store, &put) != 0)
		transfer_later(sg);
}

static int
open_media(struct spool_segment *sg)
{
	int fd = spool_row_open(&sg->row, ".webm");
	struct stat st;

	if (fd >= 0 && (fstat(fd, &st) != 0 || st.st_size != sg->row.m.bytes)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

void
transfer_start(struct spool_segment *sg)
{
	struct daemon *d = sg->row.d;
	char trace[HTTP_TRACE_ID_MAX];

	if (d->stopping || early_is_busy(d->early, sg->row.id))
		return;
	if (d->spool->n_transfers >= d->conf.concurrency) {
		transfer_lock_release(sg);
		spool_wait_for_place(sg);
		return;
	}
	if (sg->row.is_contested && !transfer_lock_is_held(sg)) {
		transfer_lock_take(sg);
		return;
	}
	sg->was_tried |= sg->row.is_contested; /* the other one has stored it */
	sg->fd = open_media(sg);
	if (sg->fd < 0) {
		log_warn("spool_open", LOG_S("segment", sg->row.id),
		    LOG_S("session", sg->row.folder), LOG_ERRNO());
		transfer_lock_release(sg);
		spool_row_retry(&sg->row, CAUSE_LATER, NULL);
		return;
	}
	sg->row.percent = 0;
	spool_row_move(&sg->row, CAUSE_TURN, NULL);
	d->spool->n_transfers++;
	trace_of_session(&d->traces, sg->row.m.session, trace);
	log_info("transfer_start", LOG_S("segment", sg->row.id),
	    LOG_S("session", sg->row.folder), LOG_S("trace_id", trace),
	    LOG_S("key", sg->row.m.object_key),
	    LOG_I("bytes", sg->row.m.bytes));
	if (signing_start(sg, on_compared) != 0)
		transfer_later(sg);
}
