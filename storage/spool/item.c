#include "storage/spool/item.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/db.h"
#include "common/err.h"
#include "common/log.h"
#include "storage/daemon.h"
#include "storage/evidence/signing.h"
#include "storage/object_key.h"
#include "storage/spool/removal.h"
#include "storage/spool/spool.h"

#define REMNANT_S       86400 /* files without a manifest are kept this long */
#define REMNANT_GRACE_S 60    /* between two steps of whoever is at its files */

/* In the order they are looked for: a rename never hides the media. */
const struct spool_suffix item_suffixes[ITEM_KINDS] = {
	{ ".webm.part", ITEM_PART },
	{ ".webm", ITEM_WEBM },
	{ ".json", ITEM_JSON },
	{ ".json.open", ITEM_OPEN },
	{ ".json.tmp", ITEM_TMP },
	{ ".jpg", ITEM_JPG },
};

static bool
is_final(const char *status)
{
	return strcmp(status, "deleted") == 0 || strcmp(status, "expired") == 0;
}

/* What does the status of the row mean for the files? */
static bool
on_status(struct spool_row *r, const char *status)
{
	struct item *it = (struct item *)r;

	if (is_final(status) &&
	    (r->state == SPOOL_CLOSED || r->state == SPOOL_FAILED)) {
		log_warn("segment_discarded", LOG_S("segment", r->id),
		    LOG_S("session", r->folder), LOG_S("status", status));
		item_remove_files(it);
	} else if (r->state == SPOOL_MISSING &&
	    (is_final(status) || strcmp(status, "available") == 0))
		item_remove_files(it); /* died after the media was removed */
	return false;
}

static void
update(struct spool_row *r)
{
	item_update((struct item *)r);
}

static void
kick(struct spool_row *r)
{
	spool_kick(r->d->spool, false);
}

const struct spool_row_kind item_kind = {
	.word = "segment",
	.files = item_suffixes,
	.n_files = ITEM_KINDS,
	.part = ".webm.part",
	.on_status = on_status,
	.update = update,
	.kick = kick,
};

/* ---- decisions ---- */

void
item_remove_files(struct item *it)
{
	if (it->is_removing)
		return;
	it->is_removing = true;
	removal_start(it->row.d->spool->removal, it);
}

void
item_files_removed(struct item *it, int error)
{
	struct spool_row *r = &it->row;

	it->is_removing = false;
	if (error != 0) {
		log_error("spool_remove", LOG_S("segment", r->id),
		    LOG_S("why", strerror(error)));
		spool_row_retry(r, CAUSE_LATER, NULL);
		return;
	}
	spool_row_forget(r);
	it->n_corrupted = 0;
	spool_row_move(r, CAUSE_FILES_GONE, NULL);
	spool_look_at(it);
}

/* .json with .webm.part: finish the rename, unless somebody is at it. */
static void
finish_rename(struct item *it)
{
	if (spool_row_is_locked(&it->row, ".webm.part") != 0) {
		spool_row_move(&it->row, CAUSE_BEING_CLOSED, NULL);
		spool_watch_later(&it->row.d->spool->watch);
		return;
	}
	if (spool_row_file_size(&it->row, ".webm.part", NULL) !=
	    it->row.m.bytes) {
		spool_row_move(&it->row, CAUSE_RECORDER_DIED, NULL);
		repair_start(it);
		return;
	}
	if (spool_row_rename(&it->row, ".webm.part", ".webm") != 0)
		spool_row_retry(&it->row, CAUSE_LATER, NULL);
	else
		spool_look_at(it);
}

static void
update_closed(struct item *it)
{
	char why[STORE_DETAIL_MAX];
	long long size;

	if (spool_row_load(&it->row, ".json", true) != 0)
		return;
	if (it->row.files & ITEM_WEBM) {
		size = (long long)spool_row_file_size(&it->row, ".webm", NULL);
		if (size != it->row.m.bytes) {
			snprintf(why, sizeof(why),
			    "size differs: %lld in the spool, %lld in the "
			    "manifest",
			    size, (long long)it->row.m.bytes);
			spool_row_move(&it->row, CAUSE_SIZE_DIFFERS, why);
			return;
		}
		/* a retry keeps the reason of the last failure in sight */
		snprintf(why, sizeof(why), "%s",
		    strcmp(it->row.status, "transfer") == 0 ? it->row.detail
							    : "");
		spool_row_move(&it->row, CAUSE_CLOSED, why);
		if (it->row.is_known)
			transfer_start(it);
	} else if (it->row.files & ITEM_PART)
		finish_rename(it);
	else
		spool_row_move(&it->row, CAUSE_NO_MEDIA,
		    "the recording is not in the spool");
}

static void
on_seen(void *arg, PGresult *res)
{
	static const char why[] =
	    "no picture is in it, though some were seen while it was recorded";
	struct item *it = arg;

	it->row.is_busy = false;
	if (it->row.d->exiting || res == NULL)
		return;
	if (!db_ok(res, "read what was seen") || PQntuples(res) != 0) {
		it->is_empty = false;
		if (PQntuples(res) != 0) {
			log_error("empty_segment_differs",
			    LOG_S("segment", it->row.id),
			    LOG_S("session", it->row.folder));
			spool_row_retry(&it->row, CAUSE_EMPTY_DIFFERS, why);
		} else
			spool_row_retry(&it->row, CAUSE_LATER, NULL);
		return;
	}
	it->is_unseen = true;
	item_update(it);
}

/* False for as long as it is not known, or was seen (X3). */
static bool
is_unseen(struct item *it)
{
	const char *params[] = { it->row.id };

	if (!it->is_unseen)
		it->row.is_busy =
		    db_query_now(it->row.d->db,
			"SELECT FROM evidence WHERE segment_id = $1::uuid "
			"AND head_to IS NOT NULL",
			1, params, on_seen, it) == 0;
	return it->is_unseen;
}

/* Nothing was lost but time, which the gaps say: the row is all that stays. */
static void
drop_empty(struct item *it)
{
	static const char why[] = "its recorder died before the first picture";
	struct manifest *m = &it->row.m;

	if (!is_unseen(it))
		return;
	/* a moment of no length, so that what follows is a gap */
	m->is_closed = m->recovered = true;
	m->end_mono_ns = m->start_mono_ns;
	m->end_wall_ns = m->start_wall_ns;
	m->first_frame = 0;
	snprintf(m->end, sizeof(m->end), "crash");
	spool_row_move(&it->row, CAUSE_EMPTY, why);
	if (!it->row.is_known || spool_row_unlink(&it->row, ".webm.part") != 0)
		return;
	it->is_empty = false;
	item_remove_files(it);
}

static void
update_open(struct item *it)
{
	int locked;

	if (spool_row_load(&it->row, ".json.open", false) != 0)
		return;
	if (it->is_empty) {
		drop_empty(it);
		return;
	}
	if ((it->row.files & ITEM_PART) == 0) {
		spool_row_move(&it->row, CAUSE_NO_MEDIA,
		    "the recording is not in the spool");
		return;
	}
	locked = spool_row_is_locked(&it->row, ".webm.part");
	if (locked == 1) {
		spool_row_move(&it->row, CAUSE_LOCKED, NULL);
	} else if (locked == 0) {
		spool_row_move(&it->row, CAUSE_RECORDER_DIED, NULL);
		repair_start(it);
	}
}

/*
 * Without a manifest for now: its recorder is opening it, or somebody is at
 * its names. Only what nobody holds, and nothing happened to, is a remnant.
 */
static bool
is_in_between(struct item *it)
{
	if ((it->row.files & ITEM_PART) &&
	    spool_row_is_locked(&it->row, ".webm.part") != 0) {
		spool_row_move(&it->row, CAUSE_BEING_OPENED, NULL);
		return true; /* its next step is seen */
	}
	return spool_row_quiet_s(&it->row) < REMNANT_GRACE_S;
}

/* Files that nothing can be made of go after a day. */
static void
update_remnant(struct item *it)
{
	static const char *const kinds[] = { ".webm.part", ".json.tmp",
		".jpg" };
	time_t changed;

	if (is_in_between(it))
		return;
	spool_row_log_once(
	    &it->row, "spool_remnant", "no manifest; removed after a day");
	spool_row_move(&it->row, CAUSE_NO_MANIFEST, NULL);
	for (size_t i = 0; i < N_ELEMENTS(kinds); i++)
		if (spool_row_file_size(&it->row, kinds[i], &changed) >= 0 &&
		    (uint64_t)changed + REMNANT_S <
			clock_wall_ns() / NS_PER_S &&
		    (i > 0 || spool_row_is_locked(&it->row, ".webm.part") == 0))
			spool_row_unlink(&it->row, kinds[i]);
}

bool
item_is_under_way(const struct item *it)
{
	return (it->row.state >= SPOOL_COMPARE &&
		   it->row.state <= SPOOL_DONE) ||
	    it->row.pid != 0 || it->is_removing;
}

void
item_update(struct item *it)
{
	if (item_is_under_way(it) || it->row.is_busy)
		return;
	it->row.files = spool_row_look(&it->row);
	if (it->row.files == 0) {
		if (strcmp(it->row.status, "recording") == 0) {
			vanished_soon(&it->row.d->spool->vanished);
			spool_kick(it->row.d->spool, false);
		}
		spool_drop(it);
		return;
	}
	if (it->row.retry_ns > clock_mono_ns() || it->row.d->stopping)
		return;
	if (it->row.state == SPOOL_FAILED)
		spool_row_ask(&it->row);
	else if (it->row.files & ITEM_JSON)
		update_closed(it);
	else if ((it->row.files & ITEM_OPEN) && !(it->row.files & ITEM_WEBM))
		update_open(it);
	else
		update_remnant(it);
}

bool
item_is_key(const struct item *it, const char *key)
{
	char poster[OBJECT_KEY_MAX + 1];

	/* a manifest that was refused may name anything */
	return it->row.is_registered && it->row.has_manifest &&
	    (strcmp(it->row.m.object_key, key) == 0 ||
		(it->row.m.poster[0] != '\0' &&
		    strcmp(object_key_poster(it->row.m.object_key, poster),
			key) == 0));
}

void
item_free(struct item *it)
{
	if (it->fd >= 0)
		close(it->fd);
	if (it->poster_fd >= 0)
		close(it->poster_fd);
	manifest_release(&it->row.m);
	signing_forget(it);
	free(it);
}
