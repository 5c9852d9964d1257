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
#include "storage/spool.h"

/* Ends the transfer; the item goes on from `state`. */
static void
transfer_end(struct item *it, enum item_state state)
{
	if (it->fd >= 0)
		close(it->fd);
	it->fd = -1;
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

/* Deleted from the console while it was under way: the object goes too. */
static void
on_removed(void *arg, const struct store_result *r)
{
	struct item *it = arg;

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
transfer_failed(struct item *it, const struct store_result *r)
{
	struct daemon *d = it->d;

	transfer_end(it, ITEM_NEW);
	if (r->err == ERR_CANCELLED) {
		log_info("transfer_stopped", LOG_S("segment", it->id));
		return;
	}
	d->counters.transfers_failed++;
	log_warn("transfer_failed", LOG_S("segment", it->id),
	    LOG_S("why", r->detail),
	    LOG_I("retry_seconds", d->conf.retry_seconds));
	rows_upload_failed(d->db, it->id, r->detail, d->conf.retry_seconds);
	item_want(
	    it, r->err == ERR_CORRUPT ? "corrupted" : "transfer", r->detail);
	item_retry_later(it);
}

static void
on_stored(void *arg, const struct store_result *r)
{
	struct item *it = arg;

	if (r->err != 0 || it->d->exiting) {
		if (it->d->exiting)
			transfer_end(it, ITEM_NEW);
		else
			transfer_failed(it, r);
		return;
	}
	it->state = ITEM_STORED;
	if (rows_available(it->d->db, &it->m, it->d->store->ops->name,
		r->sha256, on_available, it) != 0) {
		transfer_end(it, ITEM_NEW);
		item_retry_later(it);
	}
}

static int
open_media(struct item *it)
{
	char name[64];
	struct stat st;
	int fd;

	snprintf(name, sizeof(name), "%s.webm", it->id);
	fd = openat(it->d->spool->dir, name,
	    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0 &&
	    (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) ||
		st.st_size != it->m.bytes)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

void
transfer_start(struct item *it)
{
	struct daemon *d = it->d;
	struct store_put put = { .segment = it->id,
		.key = it->m.object_key,
		.bytes = (uint64_t)it->m.bytes,
		.on_progress = on_progress,
		.on_done = on_stored,
		.arg = it };

	if (d->stopping || d->spool->n_transfers >= d->conf.concurrency)
		return;
	it->fd = open_media(it);
	if (it->fd < 0) {
		log_warn("spool_open", LOG_S("segment", it->id), LOG_ERRNO());
		item_retry_later(it);
		return;
	}
	put.fd = it->fd;
	it->bytes_done = 0;
	it->percent = 0;
	it->state = ITEM_TRANSFER;
	d->spool->n_transfers++;
	log_info("transfer_start", LOG_S("segment", it->id),
	    LOG_S("key", it->m.object_key), LOG_I("bytes", it->m.bytes));
	if (d->store->ops->put(d->store, &put) != 0) {
		transfer_end(it, ITEM_NEW);
		item_retry_later(it);
	}
}
