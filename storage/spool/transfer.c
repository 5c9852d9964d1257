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

#define POSTER_MAX        (1 << 20) /* bytes */
#define CORRUPT_TRIES_MAX 5 /* uploads whose stored copy was another one */

/* Ends the transfer; the item goes on from `state`. */
static void
transfer_end(struct item *it, enum item_state state)
{
	if (it->fd >= 0)
		close(it->fd);
	if (it->poster_fd >= 0)
		close(it->poster_fd);
	it->fd = it->poster_fd = -1;
	signing_forget(it);
	it->d->spool->n_transfers--;
	it->state = state;
	spool_kick(it->d->spool, false); /* room for another one */
}

static void
on_progress(void *arg, uint64_t bytes)
{
	struct item *it = arg;

	it->bytes_done = bytes;
	it->percent = (int)(bytes * 100 / (uint64_t)it->m.bytes);
}

static void on_removed(void *arg, const struct store_result *r);

/* The signed manifest, when one was stored. */
static bool
remove_manifest(struct item *it)
{
	char key[OBJECT_KEY_MAX + 1];

	strcpy(key, signing_key_of(it));
	signing_forget(it);
	return key[0] != '\0' && !it->d->exiting &&
	    it->d->store->ops->remove(it->d->store, key, on_removed, it) == 0;
}

/* Deleted from the console while it was under way: the objects go too. */
static void
on_removed(void *arg, const struct store_result *r)
{
	struct item *it = arg;

	if (r->err == 0 && it->poster_key[0] != '\0' && !it->d->exiting) {
		const char *key = it->poster_key;
		int rc = it->d->store->ops->remove(
		    it->d->store, key, on_removed, it);

		it->poster_key[0] = '\0';
		if (rc == 0)
			return;
	}
	if (r->err == 0 && remove_manifest(it))
		return;
	transfer_end(it, ITEM_NEW);
	if (it->d->exiting)
		return;
	if (r->err != 0)
		item_retry_later(it);
	else
		item_remove_files(it);
}

static void
on_available(void *arg, PGresult *res)
{
	struct item *it = arg;

	if (it->d->exiting || !db_ok(res, "write available")) {
		transfer_end(it, ITEM_NEW);
		if (!it->d->exiting)
			item_retry_later(it);
		return;
	}
	if (PQntuples(res) == 0) {
		log_warn("segment_deleted_meanwhile", LOG_S("segment", it->id));
		if (it->d->store->ops->remove(
			it->d->store, it->m.object_key, on_removed, it) != 0)
			transfer_end(it, ITEM_WAIT);
		return;
	}
	log_info("segment_available", LOG_S("segment", it->id),
	    LOG_S("key", it->m.object_key), LOG_I("bytes", it->m.bytes),
	    LOG_S("expires_at", PQgetvalue(res, 0, 0)));
	it->d->counters.transfers_ok++;
	it->d->counters.bytes_stored += (uint64_t)it->m.bytes;
	transfer_end(it, ITEM_NEW);
	item_remove_files(it);
}

static void
log_failed(struct item *it, const struct store_result *r, int64_t retry_seconds)
{
	it->d->counters.transfers_failed++;
	log_warn("transfer_failed", LOG_S("segment", it->id),
	    LOG_S("why", r->detail), LOG_I("retry_seconds", retry_seconds));
	rows_upload_failed(it->d->db, it->id, r->detail, retry_seconds);
}

/* Tried again, with the reason in sight (M2). */
static void
transfer_failed(struct item *it, const struct store_result *r)
{
	transfer_end(it, ITEM_NEW);
	if (r->err == ERR_CANCELLED) {
		log_info("transfer_stopped", LOG_S("segment", it->id));
		return;
	}
	log_failed(it, r, it->d->conf.retry_seconds);
	item_want(
	    it, r->err == ERR_CORRUPT ? "corrupted" : "transfer", r->detail);
	item_retry_later(it);
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
	transfer_end(it, ITEM_NEW);
	log_failed(it, r, -1);
	snprintf(why, sizeof(why),
	    "%.130s; not tried again after %d times: see to the store, then "
	    "restart relaycam-storage",
	    r->detail, CORRUPT_TRIES_MAX);
	log_error("transfer_given_up", LOG_S("segment", it->id),
	    LOG_I("tries", CORRUPT_TRIES_MAX), LOG_S("why", r->detail));
	item_give_up(it, "corrupted", why);
}

/* Verified and stored, all of it: the row says so. */
static void
stored(struct item *it)
{
	struct rows_stored what = { .store = it->d->store->ops->name,
		.sha256 = it->sha256,
		.poster_key = it->poster_key,
		.poster_bytes = it->poster_bytes,
		.poster_sha256 = it->poster_sha256 };

	it->state = ITEM_STORED;
	if (rows_available(it->d->db, &it->m, &what, on_available, it) != 0) {
		transfer_end(it, ITEM_NEW);
		item_retry_later(it);
	}
}

/* The signed manifest is the last: what it speaks of is there (X3). */
static void
on_manifest_stored(struct item *it, const struct store_result *r)
{
	if (it->d->exiting)
		transfer_end(it, ITEM_NEW);
	else if (r->err != 0)
		upload_failed(it, r);
	else
		stored(it);
}

static void
store_manifest(struct item *it)
{
	if (!signing_store(it, on_manifest_stored))
		stored(it);
}

static void
on_poster_stored(void *arg, const struct store_result *r)
{
	struct item *it = arg;

	if (it->d->exiting)
		transfer_end(it, ITEM_NEW);
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
	struct store_put put = { .segment = it->id,
		.key = object_key_poster(it->m.object_key, it->poster_key),
		.on_progress = on_poster_progress,
		.on_done = on_poster_stored,
		.arg = it };

	if (it->m.poster[0] == '\0')
		return false;
	it->poster_fd = item_open_file(it, ".jpg");
	put.fd = it->poster_fd;
	put.bytes = it->poster_bytes = poster_bytes(put.fd);
	if (put.bytes == 0) {
		log_warn("poster_refused", LOG_S("segment", it->id));
		return false;
	}
	return it->d->store->ops->put(it->d->store, &put) == 0;
}

static void
on_stored(void *arg, const struct store_result *r)
{
	struct item *it = arg;

	if (it->d->exiting) {
		transfer_end(it, ITEM_NEW);
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
	if (poster_start(it))
		return;
	it->poster_key[0] = '\0';
	store_manifest(it);
}

/* Its bytes are those that were recorded, as far as anybody can tell. */
static void
on_compared(struct item *it, const struct store_result *r)
{
	struct store_put put = { .segment = it->id,
		.key = it->m.object_key,
		.fd = it->fd,
		.bytes = (uint64_t)it->m.bytes,
		.on_progress = on_progress,
		.on_done = on_stored,
		.arg = it };

	if (it->d->exiting)
		transfer_end(it, ITEM_NEW);
	else if (r->err != 0)
		transfer_failed(it, r);
	else if (it->d->store->ops->put(it->d->store, &put) != 0) {
		transfer_end(it, ITEM_NEW);
		item_retry_later(it);
	}
}

static int
open_media(struct item *it)
{
	int fd = item_open_file(it, ".webm");
	struct stat st;

	if (fd >= 0 && (fstat(fd, &st) != 0 || st.st_size != it->m.bytes)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

void
transfer_start(struct item *it)
{
	struct daemon *d = it->d;

	if (d->stopping || d->spool->n_transfers >= d->conf.concurrency)
		return;
	it->fd = open_media(it);
	if (it->fd < 0) {
		log_warn("spool_open", LOG_S("segment", it->id), LOG_ERRNO());
		item_retry_later(it);
		return;
	}
	it->bytes_done = 0;
	it->percent = 0;
	it->state = ITEM_TRANSFER;
	d->spool->n_transfers++;
	log_info("transfer_start", LOG_S("segment", it->id),
	    LOG_S("key", it->m.object_key), LOG_I("bytes", it->m.bytes));
	if (signing_start(it, on_compared) != 0) {
		transfer_end(it, ITEM_NEW);
		item_retry_later(it);
	}
}
