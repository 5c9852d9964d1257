/* One capture: its files, and which step comes next. */
#include "storage/encode/encode_queue.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/db.h"
#include "common/err.h"
#include "common/log.h"
#include "storage/daemon.h"
#include "storage/spool/quarantine.h"
#include "storage/spool/spool.h"

#define REMNANT_S 86400

enum { F_PART = 1, F_CAPTURE = 2, F_JSON = 4, F_ENCODE = 8, F_ENCODED = 16 };

/* In the order they are looked for: a rename never hides the capture. */
const struct spool_suffix capture_suffixes[CAPTURE_KINDS] = {
	{ ".capture.part", F_PART },
	{ ".capture", F_CAPTURE },
	{ ".capture.json", F_JSON },
	{ ".encode", F_ENCODE },
	{ ".encoded", F_ENCODED },
};

const char encode_waits[] =
    "waits for the recordings before it in this session";

static bool
is_gone(const char *status)
{
	return strcmp(status, "deleted") == 0 || strcmp(status, "expired") == 0;
}

static bool
on_status(struct spool_row *r, const char *status)
{
	if (!is_gone(status) || r->state == SPOOL_RECORDING)
		return false;
	log_warn("capture_discarded", LOG_S("capture", r->id),
	    LOG_S("session", r->folder));
	encode_discard((struct capture *)r);
	return true;
}

static void
update(struct spool_row *r)
{
	capture_update((struct capture *)r);
}

static void
kick(struct spool_row *r)
{
	encode_queue_kick(((struct capture *)r)->q, false);
}

const struct spool_row_kind capture_kind = {
	.word = "capture",
	.is_capture = true,
	.files = capture_suffixes,
	.n_files = CAPTURE_KINDS,
	.folders = F_ENCODE | F_ENCODED,
	.part = ".capture.part",
	.on_status = on_status,
	.update = update,
	.kick = kick,
};

/* ---- decisions ---- */

/* Files that nothing can be made of go after a day. */
static void
update_remnant(struct capture *c)
{
	time_t changed;

	if (spool_row_file_size(&c->row, ".capture.part", &changed) >= 0 &&
	    (uint64_t)changed + REMNANT_S < clock_wall_ns() / NS_PER_S &&
	    spool_row_is_locked(&c->row, ".capture.part") == 0)
		spool_row_unlink(&c->row, ".capture.part");
}

/* Its recorder writes it, or died: what is on disk is readable. */
static void
update_part(struct capture *c)
{
	struct spool_row *r = &c->row;
	int locked = spool_row_is_locked(r, ".capture.part");

	if (locked < 0 || spool_row_load(r, ".capture.json", false) != 0)
		return;
	if (locked == 1) {
		spool_row_move(
		    r, CAUSE_LOCKED, "encoded when the session is over");
		return;
	}
	log_warn("capture_cut_off", LOG_S("capture", r->id),
	    LOG_S("session", r->folder));
	if (spool_row_rename(r, ".capture.part", ".capture") != 0)
		spool_row_retry(r, CAUSE_LATER, NULL);
	else
		kick(r);
}

/* By time, as encode_rows_before: two may claim the same number. */
static bool
is_before(const struct manifest *m, const struct capture *c)
{
	if (strcmp(m->session, c->row.m.session) != 0)
		return false;
	return m->start_mono_ns != c->row.m.start_mono_ns
	    ? m->start_mono_ns < c->row.m.start_mono_ns
	    : m->seq < c->row.m.seq;
}

/* Nothing comes of it by itself: others do not wait for it. */
static bool
is_hopeless(const struct capture *c)
{
	return c->row.state == SPOOL_MISSING || c->row.state == SPOOL_BAD ||
	    c->row.state == SPOOL_FAILED;
}

/*
 * Whether something of its session lies in this folder that comes before it
 * and has no final numbers yet. What is not here, the database knows.
 */
static bool
has_to_wait(const struct capture *c)
{
	const struct capture *o;
	const struct spool_segment *sg;

	TAILQ_FOREACH(o, &c->q->captures, link)
		if (o != c && o->row.has_manifest && !is_hopeless(o) &&
		    is_before(&o->row.m, c))
			return true;
	TAILQ_FOREACH(sg, &c->row.d->spool->segments, link)
		if (sg->row.has_manifest && !sg->row.is_registered &&
		    is_before(&sg->row.m, c))
			return true;
	return false;
}

/* A retry keeps the reason of the last failure in sight. */
static const char *
why_waiting(const struct capture *c, bool must_wait)
{
	if (must_wait)
		return encode_waits;
	return strcmp(c->row.status, "downloaded") == 0 &&
		strcmp(c->row.detail, encode_waits) != 0
	    ? c->row.detail
	    : "";
}

/* Copied and ready: its row first, then its turn. */
static void
update_ready(struct capture *c)
{
	char why[STORE_DETAIL_MAX];
	bool must_wait;

	if (spool_row_load(&c->row, ".capture.json", false) != 0)
		return;
	if (spool_row_is_locked(&c->row, ".capture") != 0)
		return; /* an encoder of the storage before us, not yet dead */
	if (c->row.files & F_ENCODE)
		encode_job_remove(c, ".encode");
	must_wait = has_to_wait(c);
	snprintf(why, sizeof(why), "%s", why_waiting(c, must_wait));
	spool_row_move(&c->row, CAUSE_CAPTURE_CLOSED, why);
	c->may_begin = c->row.is_known && !must_wait;
	if (c->may_begin && !c->row.is_busy && encode_turns_is_next(c->q, c))
		encode_job_start(c);
}

static void
update_lost(struct capture *c)
{
	if (spool_row_load(&c->row, ".capture.json", false) == 0)
		spool_row_move(
		    &c->row, CAUSE_NO_MEDIA, "the capture is not in the spool");
}

bool
capture_is_under_way(const struct capture *c)
{
	return c->row.is_busy || c->row.pid != 0 || c->is_renewing ||
	    c->row.state == SPOOL_ASKING;
}

void
capture_update(struct capture *c)
{
	struct encode_queue *q = c->q;

	if (capture_is_under_way(c))
		return;
	c->row.files = spool_row_look(&c->row);
	if (c->row.files == 0) {
		TAILQ_REMOVE(&q->captures, c, link);
		capture_free(c);
		return;
	}
	if (q->d->stopping || c->row.retry_ns > clock_mono_ns())
		return;
	c->may_begin = false;
	if (c->row.state == SPOOL_FAILED)
		spool_row_ask(&c->row);
	else if (c->row.files & F_ENCODED)
		encode_publish(c);
	else if ((c->row.files & F_PART) && (c->row.files & F_JSON))
		update_part(c);
	else if (c->row.files & F_PART)
		update_remnant(c);
	else if ((c->row.files & F_CAPTURE) && (c->row.files & F_JSON))
		update_ready(c);
	else if (c->row.files & F_JSON)
		update_lost(c);
	else
		spool_row_log_once(&c->row, "capture_remnant", "no manifest");
}

void
capture_free(struct capture *c)
{
	encode_check_free(c);
	if (c->ev != NULL)
		event_free(c->ev);
	if (c->out >= 0)
		close(c->out);
	manifest_release(&c->row.m);
	free(c);
}
