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

static const char *const state_names[CAPTURE_STATES] = { "new", "recording",
	"waiting", "asking", "encoding", "encoded", "failed", "lost" };

char *
capture_name(
    const struct capture *c, const char *suffix, char out[SPOOL_NAME_MAX])
{
	return spool_name(c->folder, c->id, suffix, out);
}

int
capture_sync_folder(const struct capture *c)
{
	return spool_folder_sync(c->q->dir, c->folder);
}

void
capture_change(struct capture *c, enum capture_state to, const char *why)
{
	if (c->state == to)
		return;
	log_info("capture_state", LOG_S("capture", c->id),
	    LOG_S("from", state_names[c->state]), LOG_S("to", state_names[to]),
	    LOG_S("why", why));
	c->state = to;
}

void
capture_retry_later(struct capture *c)
{
	capture_change(c, CAPTURE_WAITING, "tried again later");
	c->retry_ns =
	    clock_mono_ns() + (uint64_t)c->q->d->conf.retry_seconds * NS_PER_S;
}

/* ---- decisions ---- */

static unsigned
look(const struct capture *c)
{
	unsigned files = 0;
	struct stat st;
	char name[SPOOL_NAME_MAX];

	for (size_t i = 0; i < CAPTURE_KINDS; i++) {
		bool is_folder = capture_suffixes[i].bit >= F_ENCODE;

		if (fstatat(c->q->dir,
			capture_name(c, capture_suffixes[i].suffix, name), &st,
			AT_SYMLINK_NOFOLLOW) == 0 &&
		    (is_folder ? S_ISDIR(st.st_mode) : S_ISREG(st.st_mode)))
			files |= capture_suffixes[i].bit;
	}
	return files;
}

int
capture_open(const struct capture *c, const char *suffix)
{
	char name[SPOOL_NAME_MAX];

	return openat(c->q->dir, capture_name(c, suffix, name),
	    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
}

/* 1: somebody holds it; 0: nobody does; negative: it is not there. */
static int
is_locked(const struct capture *c, const char *suffix, time_t *changed)
{
	int fd = capture_open(c, suffix);
	struct stat st = { 0 };
	int locked;

	if (fd < 0)
		return ERR_NOTFOUND;
	locked = flock(fd, LOCK_EX | LOCK_NB) != 0;
	if (fstat(fd, &st) == 0 && changed != NULL)
		*changed = st.st_mtime;
	close(fd);
	return locked;
}

static void
log_once(struct capture *c, const char *event, const char *why)
{
	if (!c->was_logged)
		log_warn(event, LOG_S("capture", c->id), LOG_S("why", why));
	c->was_logged = true;
}

static void
on_quarantined(void *arg, bool is_moved)
{
	struct capture *c = arg;

	c->row_busy = false;
	if (c->q->d->exiting || !is_moved)
		return;
	c->retry_ns = 0;
	encode_queue_kick(c->q, false);
}

/* It lies in the folder of another session than its manifest's. */
static void
refuse_session(struct capture *c)
{
	const struct quarantine q = { .folder = c->folder,
		.id = c->id,
		.named = c->m.session,
		.kinds = capture_suffixes,
		.n_kinds = CAPTURE_KINDS,
		.manifest = ".capture.json",
		.done = on_quarantined,
		.arg = c };

	log_once(c, "manifest_of_another_session", c->m.session);
	capture_change(c, CAPTURE_LOST, "its manifest names another session");
	c->retry_ns =
	    clock_mono_ns() + (uint64_t)c->q->d->conf.retry_seconds * NS_PER_S;
	if (is_locked(c, ".capture.part", NULL) != 1)
		c->row_busy = quarantine_start(c->q->d, &q) == 0;
	c->has_manifest = false;
	manifest_release(&c->m);
}

static int
load_manifest(struct capture *c)
{
	char name[SPOOL_NAME_MAX], err[160] = "";
	int rc;

	if (c->has_manifest)
		return 0;
	rc = manifest_load(&c->m, c->q->dir,
	    capture_name(c, ".capture.json", name), c->id, false, err,
	    sizeof(err));
	c->has_manifest = rc == 0;
	if (rc == 0 && quarantine_is_due(c->folder, c->m.session)) {
		refuse_session(c);
		return ERR_PROTOCOL;
	}
	if (rc != 0 && rc != ERR_NOTFOUND) {
		log_once(c, "manifest_refused", err);
		capture_change(c, CAPTURE_LOST, err);
	}
	return rc;
}

/* Its recorder writes it, or died: what is on disk is readable. */
static void
update_part(struct capture *c)
{
	char from[SPOOL_NAME_MAX], to[SPOOL_NAME_MAX];
	time_t changed = 0;
	int locked = is_locked(c, ".capture.part", &changed);

	if (locked < 0)
		return;
	if ((c->files & F_JSON) == 0) {
		if (locked == 0 &&
		    (uint64_t)changed + REMNANT_S < clock_wall_ns() / NS_PER_S)
			unlinkat(c->q->dir,
			    capture_name(c, ".capture.part", from), 0);
		return;
	}
	if (load_manifest(c) != 0)
		return;
	if (locked == 1) {
		capture_change(c, CAPTURE_RECORDING, "locked by its recorder");
		capture_want(
		    c, "recording", "encoded when the session is over");
		return;
	}
	log_warn("capture_cut_off", LOG_S("capture", c->id));
	renameat(c->q->dir, capture_name(c, ".capture.part", from), c->q->dir,
	    capture_name(c, ".capture", to));
	capture_sync_folder(c);
	encode_queue_kick(c->q, false);
}

/* By time, as encode_rows_before: two may claim the same number. */
static bool
is_before(const struct manifest *m, const struct capture *c)
{
	if (strcmp(m->session, c->m.session) != 0)
		return false;
	return m->start_mono_ns != c->m.start_mono_ns
	    ? m->start_mono_ns < c->m.start_mono_ns
	    : m->seq < c->m.seq;
}

/* Nothing comes of it by itself: others do not wait for it. */
static bool
is_hopeless(const struct capture *c)
{
	return c->state == CAPTURE_LOST || c->state == CAPTURE_FAILED;
}

/*
 * Whether something of its session lies in this folder that comes before it
 * and has no final numbers yet. What is not here, the database knows.
 */
static bool
has_to_wait(const struct capture *c)
{
	const struct capture *o;
	const struct item *it;

	TAILQ_FOREACH(o, &c->q->captures, link)
	if (o != c && o->has_manifest && !is_hopeless(o) && is_before(&o->m, c))
		return true;
	TAILQ_FOREACH(it, &c->q->d->spool->items, link)
	if (it->has_manifest && !it->is_registered && is_before(&it->m, c))
		return true;
	return false;
}

/* A retry keeps the reason of the last failure in sight. */
static const char *
why_waiting(const struct capture *c, bool must_wait)
{
	if (must_wait)
		return encode_waits;
	return strcmp(c->status, "downloaded") == 0 &&
		strcmp(c->detail, encode_waits) != 0
	    ? c->detail
	    : "";
}

/* Copied and ready: its row first, then its turn. */
static void
update_ready(struct capture *c)
{
	bool must_wait;

	if (load_manifest(c) != 0 || c->state == CAPTURE_FAILED)
		return;
	if (is_locked(c, ".capture", NULL) != 0)
		return; /* an encoder of the storage before us, not yet dead */
	if (c->files & F_ENCODE)
		encode_job_remove(c, ".encode");
	capture_change(c, CAPTURE_WAITING, "ready for encoding");
	must_wait = has_to_wait(c);
	capture_want(c, "downloaded", why_waiting(c, must_wait));
	if (c->row_known && !c->row_busy && !must_wait)
		encode_job_start(c);
}

static void
update_lost(struct capture *c)
{
	if (load_manifest(c) != 0)
		return;
	capture_change(c, CAPTURE_LOST, "manifest without capture");
	capture_want(c, "missing", "the capture is not in the spool");
}

bool
capture_is_under_way(const struct capture *c)
{
	return c->row_busy || c->pid != 0 || c->state == CAPTURE_ASKING;
}

void
capture_update(struct capture *c)
{
	struct encode_queue *q = c->q;

	if (capture_is_under_way(c))
		return;
	c->files = look(c);
	if (c->files == 0) {
		TAILQ_REMOVE(&q->captures, c, link);
		capture_free(c);
		return;
	}
	if (q->d->stopping || c->retry_ns > clock_mono_ns())
		return;
	if (c->files & F_ENCODED)
		encode_publish(c);
	else if (c->files & F_PART)
		update_part(c);
	else if ((c->files & F_CAPTURE) && (c->files & F_JSON))
		update_ready(c);
	else if (c->files & F_JSON)
		update_lost(c);
	else
		log_once(c, "capture_remnant", "no manifest");
}

void
capture_free(struct capture *c)
{
	encode_check_free(c);
	if (c->ev != NULL)
		event_free(c->ev);
	if (c->out >= 0)
		close(c->out);
	manifest_release(&c->m);
	free(c);
}
