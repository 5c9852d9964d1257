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
#include "storage/node.h"
#include "storage/object_key.h"
#include "storage/rows.h"
#include "storage/evidence/signing.h"
#include "storage/spool/spool.h"

#define REMNANT_S 86400 /* files without a manifest are kept this long */

const char *const item_state_names[ITEM_STATES] = { "new", "recording",
	"closed", "transfer", "stored", "repair", "wait", "missing", "bad" };

static void
change_state(struct item *it, enum item_state to, const char *why)
{
	if (it->state == to)
		return;
	log_info("segment_state", LOG_S("segment", it->id),
	    LOG_S("from", item_state_names[it->state]),
	    LOG_S("to", item_state_names[to]), LOG_S("why", why));
	it->state = to;
}

/* ---- the row ---- */

static bool
is_final(const char *status)
{
	return strcmp(status, "deleted") == 0 || strcmp(status, "expired") == 0;
}

/* The row says `status` now; what does that mean for the files? */
static void
on_row_status(struct item *it, const char *status)
{
	if (is_final(status) &&
	    (it->state == ITEM_CLOSED || it->has_given_up)) {
		log_warn("segment_discarded", LOG_S("segment", it->id),
		    LOG_S("status", status));
		item_remove_files(it);
	} else if (it->state == ITEM_MISSING &&
	    (is_final(status) || strcmp(status, "available") == 0))
		item_remove_files(it); /* died after the media was removed */
}

/* What makes it wait: tried again later. */
static void
row_failed(struct item *it)
{
	it->sent_status[0] = '\0';
	it->row_known = false;
	it->row_retry_ns =
	    clock_mono_ns() + (uint64_t)it->d->conf.retry_seconds * NS_PER_S;
	item_retry_later(it);
}

static void
on_free_seq(void *arg, PGresult *res)
{
	struct item *it = arg;
	int64_t seq;

	it->row_busy = false;
	if (it->d->exiting)
		return;
	it->sent_status[0] = '\0';
	if (res == NULL)
		return;
	seq = db_ok(res, "number of a segment") ? atoll(PQgetvalue(res, 0, 0))
						: 0;
	if (seq == 0) {
		row_failed(it);
		return;
	}
	if (seq != it->m.seq)
		log_error("segment_renumbered", LOG_S("segment", it->id),
		    LOG_I("seq", it->m.seq), LOG_I("now", seq));
	it->m.seq = seq;
	item_sync(it);
}

/* Two of one session say they are the same part of it: both are kept. */
static void
seq_taken(struct item *it)
{
	log_warn("segment_number_taken", LOG_S("segment", it->id),
	    LOG_I("seq", it->m.seq));
	it->row_known = false;
	it->row_busy =
	    rows_free_seq(it->d->db, &it->m, false,
		it->seq_tries++ < ROWS_SEQ_TRIES, on_free_seq, it) == 0;
}

static void
on_row(void *arg, PGresult *res)
{
	struct item *it = arg;

	it->row_busy = false;
	if (it->d->exiting)
		return;
	if (res == NULL) {
		it->sent_status[0] = '\0'; /* sent again on reconnect */
		return;
	}
	if (rows_is_seq_taken(res)) {
		seq_taken(it);
		return;
	}
	if (!db_ok(res, "write segment") || PQntuples(res) == 0) {
		if (PQntuples(res) == 0 && db_sqlstate(res)[0] == '\0')
			log_error("segment_of_another_session",
			    LOG_S("segment", it->id));
		row_failed(it);
		return;
	}
	it->m.seq = atoll(PQgetvalue(res, 0, 1)); /* it may have another one */
	it->row_known = it->is_registered = true;
	on_row_status(it, PQgetvalue(res, 0, 0));
	item_sync(it);
	item_update(it);
}

void
item_sync(struct item *it)
{
	const struct rows_state state = { .node = node_id(it->d->node),
		.status = it->status,
		.detail = it->detail };

	if (!it->has_manifest || it->status[0] == '\0' ||
	    (strcmp(it->status, it->sent_status) == 0 &&
		strcmp(it->detail, it->sent_detail) == 0))
		return;
	/* behind what is wanted, also for as long as nothing can be sent */
	it->row_known = false;
	if (it->row_busy || it->row_retry_ns > clock_mono_ns() ||
	    !db_is_connected(it->d->db))
		return;
	if (rows_upsert(it->d->db, &it->m, &state, on_row, it) != 0)
		return;
	it->row_busy = true;
	strcpy(it->sent_status, it->status);
	strcpy(it->sent_detail, it->detail);
}

void
item_want(struct item *it, const char *status, const char *detail)
{
	snprintf(it->status, sizeof(it->status), "%s", status);
	snprintf(it->detail, sizeof(it->detail), "%s", detail);
	item_sync(it);
}

void
item_retry_later(struct item *it)
{
	change_state(it, ITEM_WAIT, it->detail);
	it->retry_ns =
	    clock_mono_ns() + (uint64_t)it->d->conf.retry_seconds * NS_PER_S;
}

void
item_give_up(struct item *it, const char *status, const char *detail)
{
	item_retry_later(it);
	it->has_given_up = true;
	change_state(it, ITEM_BAD, detail);
	item_want(it, status, detail);
}

/* Somebody may have deleted it in the console: the row's answer says so. */
static void
ask_row(struct item *it)
{
	it->retry_ns =
	    clock_mono_ns() + (uint64_t)it->d->conf.retry_seconds * NS_PER_S;
	it->sent_status[0] = '\0';
	item_sync(it);
}

/* ---- decisions ---- */

void
item_remove_files(struct item *it)
{
	it->state = ITEM_NEW;
	if (item_unlink(it, ".webm") != 0) {
		item_retry_later(it);
		return;
	}
	item_sync_folder(it);
	item_unlink(it, ".jpg");
	item_unlink(it, ".json.open");
	item_unlink(it, ".json");
	item_sync_folder(it);
	it->has_manifest = false; /* files of that name are new ones */
	it->row_known = it->is_registered = false;
	it->status[0] = it->sent_status[0] = '\0';
	it->has_given_up = false;
	it->n_corrupted = 0;
	spool_kick(it->d->spool, false);
}

static void
log_once(struct item *it, const char *event, const char *why)
{
	if (!it->was_logged)
		log_warn(event, LOG_S("segment", it->id), LOG_S("why", why));
	it->was_logged = true;
}

/* Reads the manifest once for each kind; the final one replaces the other. */
static int
load_manifest(struct item *it, bool closed)
{
	char name[SPOOL_NAME_MAX], err[160] = "";
	int rc;

	if (it->has_manifest && it->m.is_closed == closed)
		return 0;
	manifest_release(&it->m);
	rc = manifest_load(&it->m, it->d->spool->dir,
	    item_file_name(it, closed ? ".json" : ".json.open", name), it->id,
	    closed, err, sizeof(err));
	it->has_manifest = rc == 0;
	if (rc == 0 && it->m.refused != NULL)
		log_warn("manifest_field_refused", LOG_S("segment", it->id),
		    LOG_S("field", it->m.refused));
	if (rc == ERR_PROTOCOL || rc == ERR_IO) {
		log_once(it, "manifest_refused", err);
		change_state(it, ITEM_BAD, err);
	}
	return rc;
}

/* .json with .webm.part: finish the rename, unless somebody is at it. */
static void
finish_rename(struct item *it)
{
	if (item_is_locked(it) != 0) {
		change_state(it, ITEM_RECORDING, "being closed");
		spool_watch_later(&it->d->spool->watch);
		return;
	}
	if (item_file_size(it, ".webm.part", NULL) != it->m.bytes) {
		change_state(it, ITEM_REPAIR, "size is not the manifest's");
		repair_start(it);
		return;
	}
	item_rename_media(it);
	spool_kick(it->d->spool, false);
}

static void
update_closed(struct item *it)
{
	char why[120];
	long long size;

	if (load_manifest(it, true) != 0)
		return;
	if (it->files & ITEM_WEBM) {
		size = (long long)item_file_size(it, ".webm", NULL);
		if (size != it->m.bytes) {
			snprintf(why, sizeof(why),
			    "size differs: %lld in the spool, %lld in the "
			    "manifest",
			    size, (long long)it->m.bytes);
			change_state(it, ITEM_BAD, why);
			item_want(it, "corrupted", why);
			return;
		}
		change_state(it, ITEM_CLOSED, "closed");
		/* a retry keeps the reason of the last failure in sight */
		item_want(it, "transfer",
		    strcmp(it->status, "transfer") == 0 ? it->detail : "");
		if (it->row_known)
			transfer_start(it);
	} else if (it->files & ITEM_PART)
		finish_rename(it);
	else {
		change_state(it, ITEM_MISSING, "manifest without media");
		item_want(it, "missing", "the recording is not in the spool");
	}
}

static void
on_seen(void *arg, PGresult *res)
{
	static const char why[] =
	    "no picture is in it, though some were seen while it was recorded";
	struct item *it = arg;

	it->row_busy = false;
	if (it->d->exiting || res == NULL)
		return;
	if (!db_ok(res, "read what was seen") || PQntuples(res) != 0) {
		it->is_empty = false;
		if (PQntuples(res) != 0) {
			log_error(
			    "empty_segment_differs", LOG_S("segment", it->id));
			item_want(it, "corrupted", why);
		}
		item_retry_later(it);
		return;
	}
	it->is_unseen = true;
	item_update(it);
}

/* False for as long as it is not known, or was seen (X3). */
static bool
is_unseen(struct item *it)
{
	const char *params[] = { it->id };

	if (!it->is_unseen)
		it->row_busy =
		    db_query_now(it->d->db,
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
	struct manifest *m = &it->m;

	if (!is_unseen(it))
		return;
	/* a moment of no length, so that what follows is a gap */
	m->is_closed = m->recovered = true;
	m->end_mono_ns = m->start_mono_ns;
	m->end_wall_ns = m->start_wall_ns;
	m->first_frame = 0;
	snprintf(m->end, sizeof(m->end), "crash");
	change_state(it, ITEM_MISSING, why);
	item_want(it, "missing", why);
	if (!it->row_known || item_unlink(it, ".webm.part") != 0)
		return;
	it->is_empty = false;
	item_remove_files(it);
}

static void
update_open(struct item *it)
{
	int locked;

	if (load_manifest(it, false) != 0)
		return;
	if (it->is_empty) {
		drop_empty(it);
		return;
	}
	if ((it->files & ITEM_PART) == 0) {
		change_state(it, ITEM_MISSING, "manifest without media");
		item_want(it, "missing", "the recording is not in the spool");
		return;
	}
	locked = item_is_locked(it);
	if (locked == 1) {
		change_state(it, ITEM_RECORDING, "locked by its recorder");
		item_want(it, "recording", "");
	} else if (locked == 0) {
		change_state(it, ITEM_REPAIR, "its recorder died");
		repair_start(it);
	}
}

/* Files that nothing can be made of go after a day. */
static void
update_remnant(struct item *it)
{
	static const char *const kinds[] = { ".webm.part", ".json.tmp",
		".jpg" };
	time_t changed;

	log_once(it, "spool_remnant", "no manifest; removed after a day");
	change_state(it, ITEM_BAD, "no manifest");
	for (size_t i = 0; i < N_ELEMENTS(kinds); i++)
		if (item_file_size(it, kinds[i], &changed) >= 0 &&
		    (uint64_t)changed + REMNANT_S <
			clock_wall_ns() / NS_PER_S &&
		    (i > 0 || item_is_locked(it) == 0))
			item_unlink(it, kinds[i]);
}

bool
item_is_under_way(const struct item *it)
{
	return it->state == ITEM_TRANSFER || it->state == ITEM_STORED ||
	    it->pid != 0;
}

void
item_update(struct item *it)
{
	if (item_is_under_way(it) || it->row_busy)
		return;
	it->files = item_look(it);
	if (it->files == 0) {
		if (strcmp(it->status, "recording") == 0) {
			vanished_soon(&it->d->spool->vanished);
			spool_kick(it->d->spool, false);
		}
		TAILQ_REMOVE(&it->d->spool->items, it, link);
		item_free(it);
		return;
	}
	if (it->retry_ns > clock_mono_ns() || it->d->stopping)
		return;
	if (it->has_given_up)
		ask_row(it);
	else if (it->files & ITEM_JSON)
		update_closed(it);
	else if ((it->files & ITEM_OPEN) && !(it->files & ITEM_WEBM))
		update_open(it);
	else
		update_remnant(it);
}

bool
item_is_key(const struct item *it, const char *key)
{
	char poster[OBJECT_KEY_MAX + 1];

	return it->is_registered &&
	    (strcmp(it->m.object_key, key) == 0 ||
		(it->m.poster[0] != '\0' &&
		    strcmp(object_key_poster(it->m.object_key, poster), key) ==
			0));
}

void
item_free(struct item *it)
{
	if (it->fd >= 0)
		close(it->fd);
	if (it->poster_fd >= 0)
		close(it->poster_fd);
	manifest_release(&it->m);
	signing_forget(it);
	free(it);
}
