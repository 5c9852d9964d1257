/* What is done with an upload: synced, and when it is whole, checked. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "storage/encode/encode_queue.h"
#include "storage/spool/spool.h"
#include "storage/spool/stop_point.h"
#include "storage/upload/capture_order.h"
#include "storage/upload/receiver_internal.h"
#include "storage/storage_worker.h"

struct upload_job {
	struct worker_job work; /* first */
	struct upload *u;
	bool is_check;
	int err;
	enum upload_outcome outcome;
	uint8_t digest[32];
	char why[200];
};

/* ---- on a thread ---- */

static void
run(struct worker_job *work)
{
	struct upload_job *j = (struct upload_job *)work;

	if (j->is_check)
		j->outcome = upload_file_check(&j->u->f, &j->u->r->key,
		    &j->u->r->stopping, j->digest, &j->err, j->why,
		    sizeof(j->why));
	else if (j->u->f.fd >= 0 && fdatasync(j->u->f.fd) != 0)
		j->err = ERR_IO;
}

/* ---- on the loop ---- */

static void
answer(struct upload_conn *c, int status, uint64_t bytes, const char *why)
{
	if (c != NULL)
		upload_conn_done(c, status, bytes, why);
}

/* The machine is at fault: it is checked again later. */
static void
put_off(struct upload *u, int err)
{
	struct upload_conn *c = u->conn;

	log_error(
	    "capture_check_put_off", LOG_S("capture", u->f.id), LOG_ERR(err));
	u->retry_ns =
	    clock_mono_ns() + (uint64_t)u->r->d->conf.retry_seconds * NS_PER_S;
	answer(c, err == ERR_NOSPACE ? 507 : 503, 0,
	    "It is here whole and cannot be stored now; it is tried again.");
}

/* It is not what was sent or ordered: aside, and offered again. */
static void
refuse(struct upload *u, enum upload_outcome outcome, const char *why)
{
	struct receiver *r = u->r;
	struct upload_conn *c = u->conn;
	char text[200];

	snprintf(text, sizeof(text), "%s", why);
	log_error("capture_refused", LOG_S("capture", u->f.id),
	    LOG_S("session", u->f.session), LOG_S("why", text));
	r->d->counters.captures_refused++;
	if (upload_file_set_aside(&u->f, r->d->spool->dir) != 0) {
		log_error("quarantine_failed", LOG_S("session", u->f.session),
		    LOG_S("segment", u->f.id), LOG_ERRNO());
		upload_file_remove(r->dir, u->f.id);
	}
	upload_rows_end(r, u->f.id, "corrupted", text);
	receiver_drop(u);
	answer(c, outcome == UPLOAD_DIFFERS ? 460 : 422, 0, text);
}

/* The text of its manifest, heap. NULL: out of memory. */
static char *
manifest_text(const struct upload *u)
{
	char why[160];
	json_t *m = capture_order_manifest(
	    u->f.order, u->f.id, u->f.session, why, sizeof(why));
	char *text = m != NULL ? json_dumps(m, JSON_INDENT(1)) : NULL;

	json_decref(m);
	return text;
}

static int
place(struct upload *u)
{
	char *text;
	int rc;

	if (u->is_copy)
		return upload_file_keep(&u->f);
	text = manifest_text(u);
	rc = text != NULL ? upload_file_place(&u->f, u->r->d->spool->dir, text)
			  : ERR_NOMEM;
	free(text);
	return rc;
}

static void
take_right(struct upload *u, const uint8_t digest[32])
{
	struct receiver *r = u->r;
	struct upload_conn *c = u->conn;
	uint64_t bytes = u->f.at.length;
	int rc;

	stop_point("upload_checked");
	rc = place(u);
	stop_point("upload_placed");

	if (rc != 0) {
		put_off(u, rc);
		return;
	}
	log_info("capture_received", LOG_S("capture", u->f.id),
	    LOG_S("session", u->f.session), LOG_U("bytes", bytes));
	r->d->counters.captures_received++;
	upload_rows_received(r, u, digest);
	if (u->is_copy)
		u->conn = NULL;
	else
		receiver_drop(u);
	encode_queue_kick(r->d->encode_queue, false);
	answer(c, 204, bytes, "");
}

static void
done(struct worker_job *work)
{
	struct upload_job *j = (struct upload_job *)work;
	struct upload *u = j->u;

	u->job = NULL;
	u->r->n_jobs--;
	if (!j->is_check && j->err == 0)
		answer(u->conn, 0, 0, "");
	else if (!j->is_check || j->outcome == UPLOAD_LATER)
		put_off(u, j->err);
	else if (j->outcome == UPLOAD_RIGHT)
		take_right(u, j->digest);
	else
		refuse(u, j->outcome, j->why);
	free(j);
}

bool
upload_work_start(struct upload *u)
{
	struct upload_job *j = calloc(1, sizeof(*j));

	if (j == NULL)
		return false;
	j->work.run = run;
	j->work.done = done;
	j->u = u;
	j->is_check = upload_offset_is_whole(&u->f.at) && !u->f.is_kept;
	u->job = j;
	u->r->n_jobs++;
	workers_submit(u->r->workers, &j->work);
	return true;
}
