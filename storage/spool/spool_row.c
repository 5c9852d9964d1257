#include "storage/spool/spool_row.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/db.h"
#include "common/err.h"
#include "common/log.h"
#include "storage/daemon.h"
#include "storage/node.h"
#include "storage/rows.h"
#include "storage/spool/quarantine.h"
#include "storage/spool/stop_point.h"

/* "<word>_<what>", the name of a log line. */
#define EVENT_MAX 48
static const char *
event(const struct spool_row *r, const char *what, char out[EVENT_MAX])
{
	snprintf(out, EVENT_MAX, "%s_%s", r->kind->word, what);
	return out;
}

/* ---- states ---- */

static void
want(struct spool_row *r, const char *status, const char *detail)
{
	snprintf(r->status, sizeof(r->status), "%s", status);
	snprintf(r->detail, sizeof(r->detail), "%s", detail);
	spool_row_sync(r);
}

static void
change_state(struct spool_row *r, enum spool_state to, const char *why)
{
	char name[EVENT_MAX];

	if (r->state == to)
		return;
	log_info(event(r, "state", name), LOG_S(r->kind->word, r->id),
	    LOG_S("from", spool_state_names[r->state]),
	    LOG_S("to", spool_state_names[to]), LOG_S("why", why),
	    LOG_S("session", r->folder));
	r->state = to;
	stop_point(spool_state_names[to]);
}

void
spool_row_move(struct spool_row *r, enum spool_cause cause, const char *detail)
{
	const struct spool_move *m = &spool_moves[cause];

	if (!spool_move_is_legal(r->state, cause)) {
		r->d->counters.illegal_moves++;
		log_error("spool_move_illegal", LOG_S(r->kind->word, r->id),
		    LOG_S("state", spool_state_names[r->state]),
		    LOG_S("cause", m->why), LOG_S("session", r->folder));
	}
	if (m->to != SPOOL_STATES)
		change_state(r, m->to,
		    detail != NULL && detail[0] != '\0' ? detail : m->why);
	if (m->had != 0 && cause != CAUSE_OTHER_SESSION)
		want(r, row_status_names[m->status],
		    detail != NULL ? detail : "");
}

void
spool_row_moved(struct spool_row *r, enum spool_cause cause)
{
	strcpy(r->sent_status, row_status_names[spool_moves[cause].status]);
	r->sent_detail[0] = '\0';
	spool_row_move(r, cause, NULL);
}

static void
wait_for_retry(struct spool_row *r)
{
	r->retry_ns =
	    clock_mono_ns() + (uint64_t)r->d->conf.retry_seconds * NS_PER_S;
}

void
spool_row_retry(struct spool_row *r, enum spool_cause cause, const char *detail)
{
	spool_row_move(r, cause, detail);
	wait_for_retry(r);
}

void
spool_row_again(struct spool_row *r, bool by_hand)
{
	r->retry_ns = r->row_retry_ns = 0;
	if (by_hand && r->state == SPOOL_FAILED)
		spool_row_move(r, CAUSE_AGAIN, NULL);
}

void
spool_row_log_once(struct spool_row *r, const char *name, const char *why)
{
	if (!r->was_logged)
		log_warn(name, LOG_S(r->kind->word, r->id),
		    LOG_S("session", r->folder), LOG_S("why", why));
	r->was_logged = true;
}

void
spool_row_forget(struct spool_row *r)
{
	r->has_manifest = r->is_known = r->is_registered = false;
	r->status[0] = r->sent_status[0] = '\0';
}

/* ---- its manifest ---- */

static void
on_quarantined(void *arg, bool is_moved)
{
	struct spool_row *r = arg;

	r->is_busy = false;
	if (r->d->exiting || !is_moved)
		return;
	r->retry_ns = 0;
	r->kind->kick(r);
}

/* It lies in the folder of another session than its manifest's. */
static void
refuse_session(struct spool_row *r, const char *suffix)
{
	const struct quarantine q = { .folder = r->folder,
		.id = r->id,
		.named = r->m.session,
		.kinds = r->kind->files,
		.n_kinds = r->kind->n_files,
		.manifest = suffix,
		.done = on_quarantined,
		.arg = r };

	spool_row_log_once(r, "manifest_of_another_session", r->m.session);
	spool_row_retry(r, CAUSE_OTHER_SESSION, NULL);
	/* else when its recorder is gone */
	if (spool_row_is_locked(r, r->kind->part) != 1)
		r->is_busy = quarantine_start(r->d, &q) == 0;
	r->has_manifest = false;
	manifest_release(&r->m);
}

int
spool_row_load(struct spool_row *r, const char *suffix, bool is_closed)
{
	char name[SPOOL_NAME_MAX], err[160] = "";
	int rc;

	if (r->has_manifest && r->m.is_closed == is_closed)
		return 0;
	manifest_release(&r->m);
	rc = manifest_load(&r->m, r->dir, spool_row_name(r, suffix, name),
	    r->id, is_closed, err, sizeof(err));
	r->has_manifest = rc == 0;
	if (rc == 0 && r->m.refused != NULL)
		log_warn("manifest_field_refused", LOG_S(r->kind->word, r->id),
		    LOG_S("session", r->folder), LOG_S("field", r->m.refused));
	if (rc == 0 && quarantine_is_due(r->folder, r->m.session)) {
		refuse_session(r, suffix);
		return ERR_PROTOCOL;
	}
	if (rc != 0 && rc != ERR_NOTFOUND) {
		spool_row_log_once(r, "manifest_refused", err);
		spool_row_move(r, CAUSE_MANIFEST_REFUSED, err);
	}
	return rc;
}

/* ---- its row ---- */

/* What makes it wait: tried again later. */
static void
row_failed(struct spool_row *r)
{
	if (r->kind->on_row_failed != NULL)
		r->kind->on_row_failed(r);
	r->sent_status[0] = '\0';
	r->is_known = false;
	r->row_retry_ns =
	    clock_mono_ns() + (uint64_t)r->d->conf.retry_seconds * NS_PER_S;
	if (r->state == SPOOL_FAILED)
		wait_for_retry(r);
	else
		spool_row_retry(r, CAUSE_LATER, r->detail);
}

static void
on_free_seq(void *arg, PGresult *res)
{
	struct spool_row *r = arg;
	char name[EVENT_MAX];
	int64_t seq;

	r->is_busy = false;
	if (r->d->exiting)
		return;
	r->sent_status[0] = '\0';
	if (res == NULL)
		return;
	seq = db_ok(res, "number of a segment") ? atoll(PQgetvalue(res, 0, 0))
						: 0;
	if (seq == 0) {
		row_failed(r);
		return;
	}
	if (seq != r->m.seq)
		log_warn(event(r, "renumbered", name),
		    LOG_S(r->kind->word, r->id), LOG_S("session", r->folder),
		    LOG_I("seq", r->m.seq), LOG_I("now", seq));
	r->is_provisional = r->kind->is_capture && seq != r->m.seq;
	r->m.seq = seq;
	spool_row_sync(r);
}

/* Two of one session say they are the same part of it: both are kept. */
static void
seq_taken(struct spool_row *r)
{
	char name[EVENT_MAX];
	/* a capture gets its own when it is encoded */
	bool may_wait = !r->kind->is_capture && r->seq_tries++ < ROWS_SEQ_TRIES;

	log_warn(event(r, "number_taken", name), LOG_S(r->kind->word, r->id),
	    LOG_S("session", r->folder), LOG_I("seq", r->m.seq));
	r->is_known = false;
	r->is_busy = rows_free_seq(r->d->db, &r->m, r->kind->is_capture,
			 may_wait, on_free_seq, r) == 0;
}

static void
on_row(void *arg, PGresult *res)
{
	struct spool_row *r = arg;
	char name[EVENT_MAX];

	r->is_busy = false;
	if (r->d->exiting)
		return;
	if (res == NULL) {
		r->sent_status[0] = '\0'; /* sent again on reconnect */
		return;
	}
	if (rows_is_seq_taken(res)) {
		seq_taken(r);
		return;
	}
	if (!db_ok(res, "write segment") || PQntuples(res) == 0) {
		if (PQntuples(res) == 0 && db_sqlstate(res)[0] == '\0')
			log_error(event(r, "of_another_session", name),
			    LOG_S(r->kind->word, r->id),
			    LOG_S("session", r->folder));
		row_failed(r);
		return;
	}
	if (PQgetvalue(res, 0, ROWS_MUST_WAIT)[0] == 't') {
		spool_row_log_once(r, event(r, "waits", name),
		    "its node was lost and is back with its own files");
		row_failed(r);
		return;
	}
	/* it may have another one */
	r->m.seq = atoll(PQgetvalue(res, 0, ROWS_SEQ));
	trace_sessions_note(
	    &r->d->traces, r->m.session, PQgetvalue(res, 0, ROWS_TRACE));
	r->is_known = r->is_registered = true;
	r->is_shorter = PQgetvalue(res, 0, ROWS_IS_LONGER)[0] == 't';
	r->is_contested = PQgetvalue(res, 0, ROWS_IS_CONTESTED)[0] == 't';
	if (r->kind->on_status(r, PQgetvalue(res, 0, ROWS_STATUS)))
		return;
	spool_row_sync(r);
	r->kind->update(r);
}

void
spool_row_sync(struct spool_row *r)
{
	const struct rows_state state = { .node = node_id(r->d->node),
		.status = r->status,
		.detail = r->detail,
		.is_capture = r->kind->is_capture,
		.is_provisional = r->is_provisional };

	if (!r->has_manifest || r->status[0] == '\0' ||
	    (strcmp(r->status, r->sent_status) == 0 &&
		strcmp(r->detail, r->sent_detail) == 0))
		return;
	/* behind what is wanted, also for as long as nothing can be sent */
	r->is_known = false;
	if (r->is_busy || r->row_retry_ns > clock_mono_ns() ||
	    !db_is_connected(r->d->db))
		return;
	if (rows_upsert(r->d->db, &r->m, &state, on_row, r) != 0)
		return;
	r->is_busy = true;
	strcpy(r->sent_status, r->status);
	strcpy(r->sent_detail, r->detail);
}

void
spool_row_ask(struct spool_row *r)
{
	wait_for_retry(r);
	r->sent_status[0] = '\0';
	spool_row_sync(r);
}

void
spool_row_tick(struct spool_row *r)
{
	if (r->percent == r->percent_sent ||
	    (r->state != SPOOL_TRANSFER && r->state != SPOOL_ENCODING))
		return;
	r->percent_sent = r->percent;
	rows_progress(r->d->db, r->id, r->percent);
}
