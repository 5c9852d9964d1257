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
#include "storage/object_key.h"
#include "storage/evidence/signing.h"
#include "storage/spool/quarantine.h"
#include "storage/spool/spool.h"

#define REMNANT_S       86400 /* files without a manifest are kept this long */
#define REMNANT_GRACE_S 60    /* between two steps of whoever is at its files */

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

/* Nothing is done with it for retry_seconds. */
static void
item_wait(struct item *it)
{
	it->retry_ns =
	    clock_mono_ns() + (uint64_t)it->d->conf.retry_seconds * NS_PER_S;
}

void
item_retry_later(struct item *it)
{
	change_state(it, ITEM_WAIT, it->detail);
	item_wait(it);
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
	item_wait(it);
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

static void
on_quarantined(void *arg, bool is_moved)
{
	struct item *it = arg;

	it->row_busy = false;
	if (it->d->exiting || !is_moved)
		return;
	it->retry_ns = 0;
	spool_kick(it->d->spool, false);
}

/* It lies in the folder of another session than its manifest's. */
static void
refuse_session(struct item *it, bool closed)
{
	const struct quarantine q = { .folder = it->folder,
		.id = it->id,
		.named = it->m.session,
		.kinds = item_suffixes,
		.n_kinds = ITEM_KINDS,
		.manifest = closed ? ".json" : ".json.open",
		.done = on_quarantined,
		.arg = it };

	log_once(it, "manifest_of_another_session", it->m.session);
	change_state(it, ITEM_BAD, "its manifest names another session");
	item_wait(it);
	if (item_is_locked(it) != 1) /* else when its recorder is gone */
		it->row_busy = quarantine_start(it->d, &q) == 0;
	it->has_manifest = false;
	manifest_release(&it->m);
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
	if (rc == 0 && quarantine_is_due(it->folder, it->m.session)) {
		refuse_session(it, closed);
		return ERR_PROTOCOL;
	}
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

/*
 * Without a manifest for now: its recorder is opening it, or somebody is at
 * its names. Only what nobody holds, and nothing happened to, is a remnant.
 */
static bool
is_in_between(struct item *it)
{
	if ((it->files & ITEM_PART) && item_is_locked(it) != 0) {
		change_state(it, ITEM_NEW, "being opened or closed");
		return true; /* its next step is seen */
	}
	return item_quiet_s(it) < REMNANT_GRACE_S;
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
