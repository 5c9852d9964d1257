/* What a segment's row says, and what it means for the files. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/db.h"
#include "common/log.h"
#include "storage/daemon.h"
#include "storage/node.h"
#include "storage/rows.h"
#include "storage/spool/spool.h"

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
