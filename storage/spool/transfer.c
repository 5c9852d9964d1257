/* From the spool into the store: one item's transfer. */
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
#include "storage/rows.h"
#include "storage/evidence/signing.h"
#include "storage/spool/spool.h"
#include "storage/spool/transfer_db.h"

#define POSTER_MAX        (1 << 20) /* bytes */
#define CORRUPT_TRIES_MAX 5 /* uploads whose stored copy was another one */

/* Ends the transfer; what becomes of the item follows. */
static void
transfer_end(struct item *it)
{
	if (it->fd >= 0)
		close(it->fd);
	if (it->poster_fd >= 0)
		close(it->poster_fd);
	it->fd = it->poster_fd = -1;
	signing_forget(it);
	spool_free_place(it->row.d->spool);
	spool_look_at(it);
}

/* The daemon ends, or something stands in the way: nothing is told. */
static void
transfer_stop(struct item *it)
{
	transfer_end(it);
	spool_row_move(&it->row, CAUSE_TRANSFER_STOPPED, NULL);
}

static void
transfer_later(struct item *it)
{
	transfer_end(it);
	it->was_tried = true;
	spool_row_retry(&it->row, CAUSE_LATER, it->row.detail);
}

static void
on_progress(void *arg, uint64_t bytes)
{
	struct item *it = arg;

	it->row.percent = (int)(bytes * 100 / (uint64_t)it->row.m.bytes);
}

static void on_removed(void *arg, const struct store_result *r);

/* The signed manifest, when one was stored. */
static bool
remove_manifest(struct item *it)
{
	char key[OBJECT_KEY_MAX + 1];

	strcpy(key, signing_key_of(it));
	signing_forget(it);
	return key[0] != '\0' && !it->row.d->exiting &&
	    it->row.d->store->ops->remove(
		it->row.d->store, key, on_removed, it) == 0;
}

/* Deleted from the console while it was under way: the objects go too. */
static void
on_removed(void *arg, const struct store_result *r)
{
	struct item *it = arg;

	if (r->err == 0 && it->poster_key[0] != '\0' && !it->row.d->exiting) {
		const char *key = it->poster_key;
		int rc = it->row.d->store->ops->remove(
		    it->row.d->store, key, on_removed, it);

		it->poster_key[0] = '\0';
		if (rc == 0)
			return;
	}
	if (r->err == 0 && remove_manifest(it))
		return;
	transfer_stop(it);
	if (it->row.d->exiting)
		return;
	if (r->err != 0)
		spool_row_retry(&it->row, CAUSE_LATER, NULL);
	else
		item_remove_files(it);
}

static void
on_available(void *arg, PGresult *res)
{
	struct item *it = arg;

	if (it->row.d->exiting) {
		transfer_stop(it);
		return;
	}
	if (!db_ok(res, "write available")) {
		transfer_later(it);
		return;
	}
	if (PQntuples(res) == 0) {
		log_warn("segment_deleted_meanwhile",
		    LOG_S("segment", it->row.id),
		    LOG_S("session", it->row.folder));
		if (it->row.d->store->ops->remove(it->row.d->store,
			it->row.m.object_key, on_removed, it) != 0)
			transfer_later(it);
		return;
	}
	log_info("segment_available", LOG_S("segment", it->row.id),
	    LOG_S("session", it->row.folder),
	    LOG_S("key", it->row.m.object_key), LOG_I("bytes", it->row.m.bytes),
	    LOG_S("expires_at", PQgetvalue(res, 0, 0)));
	it->row.d->counters.transfers_ok++;
	it->row.d->counters.bytes_stored += (uint64_t)it->row.m.bytes;
	spool_row_moved(&it->row, CAUSE_AVAILABLE);
	transfer_end(it);
	item_remove_files(it);
}

static void
log_failed(struct item *it, const struct store_result *r, int64_t retry_seconds)
{
	it->row.d->counters.transfers_failed++;
	log_warn("transfer_failed", LOG_S("segment", it->row.id),
	    LOG_S("session", it->row.folder), LOG_S("why", r->detail),
	    LOG_I("retry_seconds", retry_seconds));
	rows_upload_failed(it->row.d->db, it->row.id, r->detail, retry_seconds);
}

/* Tried again, with the reason in sight (M2). */
static void
transfer_failed(struct item *it, const struct store_result *r)
{
	if (r->err == ERR_CANCELLED) {
		log_info("transfer_stopped", LOG_S("segment", it->row.id),
		    LOG_S("session", it->row.folder));
		transfer_stop(it);
		return;
	}
	transfer_end(it);
	it->was_tried = true;
	log_failed(it, r, it->row.d->conf.retry_seconds);
	spool_row_retry(&it->row,
	    r->err == ERR_CORRUPT ? CAUSE_STORE_DIFFERS : CAUSE_TRANSFER_FAILED,
	    r->detail);
}

/*
 * The store's part of a transfer. An object that is not what was sent is
 * worth another try, but not for ever: each sends the whole file. The file
 * stays in the spool, as the only copy.
 */
static void
upload_failed(struct item *it, const struct store_result *r)
{
	char why[STORE_DETAIL_MAX];

	if (r->err != ERR_CORRUPT || ++it->n_corrupted < CORRUPT_TRIES_MAX) {
		transfer_failed(it, r);
		return;
	}
	transfer_end(it);
	it->was_tried = true;
	log_failed(it, r, -1);
	it->n_corrupted = 0;
	snprintf(why, sizeof(why),
	    "%.130s; not tried again after %d times: see to the store, then "
	    "restart relaycam-storage",
	    r->detail, CORRUPT_TRIES_MAX);
	log_error("transfer_given_up", LOG_S("segment", it->row.id),
	    LOG_S("session", it->row.folder), LOG_I("tries", CORRUPT_TRIES_MAX),
	    LOG_S("why", r->detail));
	spool_row_retry(&it->row, CAUSE_GIVEN_UP, why);
}

/* Verified and stored, all of it: the row says so. */
static void
stored(struct item *it)
{
	struct rows_stored what = { .store = it->row.d->store->ops->name,
		.sha256 = it->sha256,
		.poster_key = it->poster_key,
		.poster_bytes = it->poster_bytes,
		.poster_sha256 = it->poster_sha256 };

	spool_row_move(&it->row, CAUSE_ALL_STORED, NULL);
	if (rows_available(transfer_db(it->row.d, it->row.id), &it->row.m,
		&what, on_available, it) != 0)
		transfer_later(it);
}

/* The signed manifest is the last: what it speaks of is there (X3). */
static void
on_manifest_stored(struct item *it, const struct store_result *r)
{
	if (it->row.d->exiting)
		transfer_stop(it);
	else if (r->err != 0)
		upload_failed(it, r);
	else
		stored(it);
}

static void
store_manifest(struct item *it)
{
	spool_row_move(&it->row, CAUSE_POSTER_STORED, NULL);
	if (!signing_store(it, on_manifest_stored))
		stored(it);
}

static void
on_poster_stored(void *arg, const struct store_result *r)
{
	struct item *it = arg;

	if (it->row.d->exiting)
		transfer_stop(it);
	else if (r->err != 0)
		upload_failed(it, r);
	else {
		memcpy(it->poster_sha256, r->sha256, sizeof(r->sha256));
		store_manifest(it);
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
poster_start(struct item *it)
{
	struct store_put put = { .segment = it->row.id,
		.key = object_key_poster(it->row.m.object_key, it->poster_key),
		.was_tried = it->was_tried,
		.is_beside = true,
		.on_progress = on_poster_progress,
		.on_done = on_poster_stored,
		.arg = it };

	if (it->row.m.poster[0] == '\0')
		return false;
	it->poster_fd = spool_row_open(&it->row, ".jpg");
	put.fd = it->poster_fd;
	put.bytes = it->poster_bytes = poster_bytes(put.fd);
	if (put.bytes == 0) {
		log_warn("poster_refused", LOG_S("segment", it->row.id),
		    LOG_S("session", it->row.folder));
		return false;
	}
	return it->row.d->store->ops->put(it->row.d->store, &put) == 0;
}

static void
on_stored(void *arg, const struct store_result *r)
{
	struct item *it = arg;

	if (it->row.d->exiting) {
		transfer_stop(it);
		return;
	}
	if (r->err != 0) {
		upload_failed(it, r);
		return;
	}
	memcpy(it->sha256, r->sha256, sizeof(it->sha256));
	if (!signing_agrees(it, it->sha256)) {
		struct store_result changed = { .err = ERR_CORRUPT,
			.detail = "it changed in the spool meanwhile" };

		transfer_failed(it, &changed);
		return;
	}
	spool_row_move(&it->row, CAUSE_MEDIA_STORED, NULL);
	if (poster_start(it))
		return;
	it->poster_key[0] = '\0';
	store_manifest(it);
}

/* Its bytes are those that were recorded, as far as anybody can tell. */
static void
on_compared(struct item *it, const struct store_result *r)
{
	struct store_put put = { .segment = it->row.id,
		.key = it->row.m.object_key,
		.fd = it->fd,
		.bytes = (uint64_t)it->row.m.bytes,
		.hash = signing_hash(it),
		.was_tried = it->was_tried,
		.on_progress = on_progress,
		.on_done = on_stored,
		.arg = it };

	if (it->row.d->exiting) {
		transfer_stop(it);
		return;
	}
	if (r->err != 0) {
		transfer_failed(it, r);
		return;
	}
	spool_row_move(&it->row, CAUSE_COMPARED, NULL);
	if (it->row.d->store->ops->put(it->row.d->store, &put) != 0)
		transfer_later(it);
}

static int
open_media(struct item *it)
{
	int fd = spool_row_open(&it->row, ".webm");
	struct stat st;

	if (fd >= 0 && (fstat(fd, &st) != 0 || st.st_size != it->row.m.bytes)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

void
transfer_start(struct item *it)
{
	struct daemon *d = it->row.d;

	if (d->stopping)
		return;
	if (d->spool->n_transfers >= d->conf.concurrency) {
		spool_wait_for_place(it);
		return;
	}
	it->fd = open_media(it);
	if (it->fd < 0) {
		log_warn("spool_open", LOG_S("segment", it->row.id),
		    LOG_S("session", it->row.folder), LOG_ERRNO());
		spool_row_retry(&it->row, CAUSE_LATER, NULL);
		return;
	}
	it->row.percent = 0;
	spool_row_move(&it->row, CAUSE_TURN, NULL);
	d->spool->n_transfers++;
	log_info("transfer_start", LOG_S("segment", it->row.id),
	    LOG_S("session", it->row.folder),
	    LOG_S("key", it->row.m.object_key),
	    LOG_I("bytes", it->row.m.bytes));
	if (signing_start(it, on_compared) != 0)
		transfer_later(it);
}
