#include "storage/spool/spool_segment.h"

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
#include "manifest/object_key.h"
#include "storage/spool/removal.h"
#include "storage/spool/spool.h"
#include "storage/spool/transfer_lock.h"

#define REMNANT_S       86400 /* files without a manifest are kept this long */
#define REMNANT_GRACE_S 60    /* between two steps of whoever is at its files */

/* In the order they are looked for: a rename never hides the media. */
const struct spool_suffix spool_segment_suffixes[SPOOL_SEGMENT_KINDS] = {
	{ ".webm.part", SPOOL_SEGMENT_PART },
	{ ".webm", SPOOL_SEGMENT_WEBM },
	{ ".json", SPOOL_SEGMENT_JSON },
	{ ".json.open", SPOOL_SEGMENT_OPEN },
	{ ".json.tmp", SPOOL_SEGMENT_TMP },
	{ ".jpg", SPOOL_SEGMENT_JPG },
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
	struct spool_segment *sg = (struct spool_segment *)r;

	/* stored by another node, or by this one with files that came back */
	sg->was_tried |= is_final(status) || strcmp(status, "available") == 0;
	if (is_final(status) &&
	    (r->state == SPOOL_CLOSED || r->state == SPOOL_FAILED)) {
		log_warn("segment_discarded", LOG_S("segment", r->id),
		    LOG_S("session", r->folder), LOG_S("status", status));
		spool_segment_remove_files(sg);
	} else if (r->state == SPOOL_MISSING &&
	    (is_final(status) || strcmp(status, "available") == 0))
		spool_segment_remove_files(
		    sg); /* died after the media was removed */
	return false;
}

static void
update(struct spool_row *r)
{
	spool_segment_update((struct spool_segment *)r);
}

static void
on_row_failed(struct spool_row *r)
{
	transfer_lock_release((struct spool_segment *)r);
}

static void
kick(struct spool_row *r)
{
	spool_kick(r->d->spool, false);
}

const struct spool_row_kind spool_segment_kind = {
	.word = "segment",
	.files = spool_segment_suffixes,
	.n_files = SPOOL_SEGMENT_KINDS,
	.part = ".webm.part",
	.on_status = on_status,
	.on_row_failed = on_row_failed,
	.update = update,
	.kick = kick,
};

/* ---- decisions ---- */

void
spool_segment_remove_files(struct spool_segment *sg)
{
	if (sg->is_removing)
		return;
	sg->is_removing = true;
	removal_start(sg->row.d->spool->removal, sg);
}

void
spool_segment_files_removed(struct spool_segment *sg, int error)
{
	struct spool_row *r = &sg->row;

	sg->is_removing = false;
	if (error != 0) {
		log_error("spool_remove", LOG_S("segment", r->id),
		    LOG_S("why", strerror(error)));
		spool_row_retry(r, CAUSE_LATER, NULL);
		return;
	}
	spool_row_forget(r);
	sg->n_corrupted = 0;
	spool_row_move(r, CAUSE_FILES_GONE, NULL);
	spool_look_at(sg);
}

/* .json with .webm.part: finish the rename, unless somebody is at it. */
static void
finish_rename(struct spool_segment *sg)
{
	if (spool_row_is_locked(&sg->row, ".webm.part") != 0) {
		spool_row_move(&sg->row, CAUSE_BEING_CLOSED, NULL);
		spool_watch_later(&sg->row.d->spool->watch);
		return;
	}
	if (spool_row_file_size(&sg->row, ".webm.part", NULL) !=
	    sg->row.m.bytes) {
		spool_row_move(&sg->row, CAUSE_RECORDER_DIED, NULL);
		spool_repair_start(sg);
		return;
	}
	if (spool_row_rename(&sg->row, ".webm.part", ".webm") != 0)
		spool_row_retry(&sg->row, CAUSE_LATER, NULL);
	else
		spool_look_at(sg);
}

/* What is available has more frames: this is a copy that was made of what was
 * in the store, and its original came back, or the other way round. It never
 * replaces that. */
static void
drop_shorter(struct spool_segment *sg)
{
	const struct spool_row *r = &sg->row;
	char frames[24], bytes[24];
	const char *params[] = { r->id, r->d->actor, frames, bytes };

	snprintf(frames, sizeof(frames), "%lld", (long long)r->m.frames);
	snprintf(bytes, sizeof(bytes), "%lld", (long long)r->m.bytes);
	log_warn("shorter_copy_dropped", LOG_S("segment", r->id),
	    LOG_S("session", r->folder), LOG_S("frames", frames),
	    LOG_S("bytes", bytes));
	db_query_now(r->d->db,
	    "INSERT INTO audit (team_id, actor, action, object, detail) "
	    "SELECT team_id, $2, 'recording_copy_dropped', $1::text, "
	    "jsonb_build_object('frames', $3::bigint, 'bytes', $4::bigint, "
	    "'stored_frames', frames, 'stored_bytes', bytes) "
	    "FROM segments WHERE id = $1::uuid",
	    N_ELEMENTS(params), params, NULL, NULL);
	transfer_lock_release(sg);
	spool_segment_remove_files(sg);
}

static void
update_closed(struct spool_segment *sg)
{
	char why[STORE_DETAIL_MAX];
	long long size;

	if (spool_row_load(&sg->row, ".json", true) != 0)
		return;
	if (sg->row.files & SPOOL_SEGMENT_WEBM) {
		size = (long long)spool_row_file_size(&sg->row, ".webm", NULL);
		if (size != sg->row.m.bytes) {
			snprintf(why, sizeof(why),
			    "size differs: %lld in the spool, %lld in the "
			    "manifest",
			    size, (long long)sg->row.m.bytes);
			spool_row_move(&sg->row, CAUSE_SIZE_DIFFERS, why);
			return;
		}
		/* a retry keeps the reason of the last failure in sight */
		snprintf(why, sizeof(why), "%s",
		    strcmp(sg->row.status, "transfer") == 0 ? sg->row.detail
							    : "");
		spool_row_move(&sg->row, CAUSE_CLOSED, why);
		if (sg->row.is_known && sg->row.is_shorter)
			drop_shorter(sg);
		else if (sg->row.is_known)
			transfer_start(sg);
	} else if (sg->row.files & SPOOL_SEGMENT_PART)
		finish_rename(sg);
	else
		spool_row_move(&sg->row, CAUSE_NO_MEDIA,
		    "the recording is not in the spool");
}

static void
on_seen(void *arg, PGresult *res)
{
	static const char why[] =
	    "no picture is in it, though some were seen while it was recorded";
	struct spool_segment *sg = arg;

	sg->row.is_busy = false;
	if (sg->row.d->exiting || res == NULL)
		return;
	if (!db_ok(res, "read what was seen") || PQntuples(res) != 0) {
		sg->is_empty = false;
		if (PQntuples(res) != 0) {
			log_error("empty_segment_differs",
			    LOG_S("segment", sg->row.id),
			    LOG_S("session", sg->row.folder));
			spool_row_retry(&sg->row, CAUSE_EMPTY_DIFFERS, why);
		} else
			spool_row_retry(&sg->row, CAUSE_LATER, NULL);
		return;
	}
	sg->is_unseen = true;
	spool_segment_update(sg);
}

/* False for as long as it is not known, or was seen (X3). */
static bool
is_unseen(struct spool_segment *sg)
{
	const char *params[] = { sg->row.id };

	if (!sg->is_unseen)
		sg->row.is_busy =
		    db_query_now(sg->row.d->db,
			"SELECT FROM evidence WHERE segment_id = $1::uuid "
			"AND head_to IS NOT NULL",
			1, params, on_seen, sg) == 0;
	return sg->is_unseen;
}

/* Nothing was lost but time, which the gaps say: the row is all that stays. */
static void
drop_empty(struct spool_segment *sg)
{
	static const char why[] = "its recorder died before the first picture";
	struct manifest *m = &sg->row.m;

	if (!is_unseen(sg))
		return;
	/* a moment of no length, so that what follows is a gap */
	m->is_closed = m->recovered = true;
	m->end_mono_ns = m->start_mono_ns;
	m->end_wall_ns = m->start_wall_ns;
	m->first_frame = 0;
	snprintf(m->end, sizeof(m->end), "crash");
	spool_row_move(&sg->row, CAUSE_EMPTY, why);
	if (!sg->row.is_known || spool_row_unlink(&sg->row, ".webm.part") != 0)
		return;
	sg->is_empty = false;
	spool_segment_remove_files(sg);
}

static void
update_open(struct spool_segment *sg)
{
	int locked;

	if (spool_row_load(&sg->row, ".json.open", false) != 0)
		return;
	if (sg->is_empty) {
		drop_empty(sg);
		return;
	}
	if ((sg->row.files & SPOOL_SEGMENT_PART) == 0) {
		spool_row_move(&sg->row, CAUSE_NO_MEDIA,
		    "the recording is not in the spool");
		return;
	}
	locked = spool_row_is_locked(&sg->row, ".webm.part");
	if (locked == 1) {
		spool_row_move(&sg->row, CAUSE_LOCKED, NULL);
	} else if (locked == 0) {
		spool_row_move(&sg->row, CAUSE_RECORDER_DIED, NULL);
		spool_repair_start(sg);
	}
}

/*
 * Without a manifest for now: its recorder is opening it, or somebody is at
 * its names. Only what nobody holds, and nothing happened to, is a remnant.
 */
static bool
is_in_between(struct spool_segment *sg)
{
	if ((sg->row.files & SPOOL_SEGMENT_PART) &&
	    spool_row_is_locked(&sg->row, ".webm.part") != 0) {
		spool_row_move(&sg->row, CAUSE_BEING_OPENED, NULL);
		return true; /* its next step is seen */
	}
	return spool_row_quiet_s(&sg->row) < REMNANT_GRACE_S;
}

/* Files that nothing can be made of go after a day. */
static void
update_remnant(struct spool_segment *sg)
{
	static const char *const kinds[] = { ".webm.part", ".json.tmp",
		".jpg" };
	time_t changed;

	if (is_in_between(sg))
		return;
	spool_row_log_once(
	    &sg->row, "spool_remnant", "no manifest; removed after a day");
	spool_row_move(&sg->row, CAUSE_NO_MANIFEST, NULL);
	for (size_t i = 0; i < N_ELEMENTS(kinds); i++)
		if (spool_row_file_size(&sg->row, kinds[i], &changed) >= 0 &&
		    (uint64_t)changed + REMNANT_S <
			clock_wall_ns() / NS_PER_S &&
		    (i > 0 || spool_row_is_locked(&sg->row, ".webm.part") == 0))
			spool_row_unlink(&sg->row, kinds[i]);
}

bool
spool_segment_is_under_way(const struct spool_segment *sg)
{
	return (sg->row.state >= SPOOL_COMPARE &&
		   sg->row.state <= SPOOL_DONE) ||
	    sg->row.pid != 0 || sg->is_removing;
}

void
spool_segment_update(struct spool_segment *sg)
{
	if (spool_segment_is_under_way(sg) || sg->row.is_busy)
		return;
	sg->row.files = spool_row_look(&sg->row);
	if (sg->row.files == 0) {
		if (strcmp(sg->row.status, "recording") == 0) {
			vanished_soon(&sg->row.d->spool->vanished);
			spool_kick(sg->row.d->spool, false);
		}
		spool_drop(sg);
		return;
	}
	if (sg->row.retry_ns > clock_mono_ns() || sg->row.d->stopping)
		return;
	if (sg->row.state == SPOOL_FAILED)
		spool_row_ask(&sg->row);
	else if (sg->row.files & SPOOL_SEGMENT_JSON)
		update_closed(sg);
	else if ((sg->row.files & SPOOL_SEGMENT_OPEN) &&
	    !(sg->row.files & SPOOL_SEGMENT_WEBM))
		update_open(sg);
	else
		update_remnant(sg);
}

bool
spool_segment_is_key(const struct spool_segment *sg, const char *key)
{
	char poster[OBJECT_KEY_MAX + 1];

	/* a manifest that was refused may name anything */
	return sg->row.is_registered && sg->row.has_manifest &&
	    (strcmp(sg->row.m.object_key, key) == 0 ||
		(sg->row.m.poster[0] != '\0' &&
		    strcmp(object_key_poster(sg->row.m.object_key, poster),
			key) == 0));
}

void
spool_segment_free(struct spool_segment *sg)
{
	if (sg->fd >= 0)
		close(sg->fd);
	if (sg->poster_fd >= 0)
		close(sg->poster_fd);
	manifest_release(&sg->row.m);
	signing_forget(sg);
	free(sg);
}
