/* What the row of a capture says, and what it means for the files. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/db.h"
#include "common/log.h"
#include "storage/daemon.h"
#include "storage/encode/encode_queue.h"
#include "storage/node.h"
#include "storage/rows.h"

static bool
is_gone(const char *status)
{
	return strcmp(status, "deleted") == 0 || strcmp(status, "expired") == 0;
}

static void
row_failed(struct capture *c)
{
	c->sent_status[0] = '\0';
	c->row_known = false;
	c->row_retry_ns =
	    clock_mono_ns() + (uint64_t)c->q->d->conf.retry_seconds * NS_PER_S;
}

static void
on_free_seq(void *arg, PGresult *res)
{
	struct capture *c = arg;
	int64_t seq;

	c->row_busy = false;
	if (c->q->d->exiting)
		return;
	c->sent_status[0] = '\0';
	if (res == NULL)
		return;
	seq = db_ok(res, "number of a capture") ? atoll(PQgetvalue(res, 0, 0))
						: 0;
	if (seq == 0) {
		row_failed(c);
		return;
	}
	log_warn("capture_renumbered", LOG_S("capture", c->id),
	    LOG_I("seq", c->m.seq), LOG_I("now", seq));
	c->m.seq = seq;
	capture_sync(c);
}

static void
on_row(void *arg, PGresult *res)
{
	struct capture *c = arg;
	struct daemon *d = c->q->d;

	c->row_busy = false;
	if (d->exiting)
		return;
	if (res == NULL) {
		c->sent_status[0] = '\0'; /* sent again on reconnect */
		return;
	}
	if (rows_is_seq_taken(res)) { /* it gets one when it is encoded */
		c->row_busy = rows_free_seq(d->db, &c->m, true, false,
				  on_free_seq, c) == 0;
		return;
	}
	if (!db_ok(res, "write capture") || PQntuples(res) == 0) {
		if (db_sqlstate(res)[0] == '\0')
			log_error("capture_of_another_session",
			    LOG_S("capture", c->id));
		row_failed(c);
		return;
	}
	c->row_known = true;
	if (is_gone(PQgetvalue(res, 0, 0)) && c->state != CAPTURE_RECORDING) {
		log_warn("capture_discarded", LOG_S("capture", c->id));
		encode_discard(c);
		return;
	}
	capture_sync(c);
	capture_update(c);
}

void
capture_sync(struct capture *c)
{
	struct daemon *d = c->q->d;
	const struct rows_state state = { .node = node_id(d->node),
		.status = c->status,
		.detail = c->detail,
		.is_capture = true };

	if (c->row_busy || !c->has_manifest || c->status[0] == '\0' ||
	    c->row_retry_ns > clock_mono_ns() || !db_is_connected(d->db))
		return;
	if (strcmp(c->status, c->sent_status) == 0 &&
	    strcmp(c->detail, c->sent_detail) == 0)
		return;
	if (rows_upsert(d->db, &c->m, &state, on_row, c) != 0)
		return;
	c->row_busy = true;
	c->row_known = false;
	strcpy(c->sent_status, c->status);
	strcpy(c->sent_detail, c->detail);
}

void
capture_want(struct capture *c, const char *status, const char *detail)
{
	snprintf(c->status, sizeof(c->status), "%s", status);
	snprintf(c->detail, sizeof(c->detail), "%s", detail);
	capture_sync(c);
}
