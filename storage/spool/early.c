#include "storage/spool/early.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "storage/daemon.h"
#include "storage/evidence/prefix_hash.h"
#include "storage/spool/spool.h"
#include "storage/store/store.h"

#define EVERY_S  1 /* what is due is looked for */
#define JOBS_MAX 4 /* segments at a time */

/* Parts of one segment under way. */
struct early_job {
	TAILQ_ENTRY(early_job) link;
	struct early *early;
	char id[37], session[SPOOL_FOLDER_MAX];
	char key[OBJECT_KEY_MAX + 1];
	char *manifest; /* heap */
	int fd;
};
TAILQ_HEAD(early_job_list, early_job);

struct early {
	struct daemon *d;
	struct event *timer;
	struct early_job_list jobs;
	unsigned n_jobs;
	bool is_off; /* the store cannot prove what it got */
};

static void
job_free(struct early_job *j)
{
	TAILQ_REMOVE(&j->early->jobs, j, link);
	j->early->n_jobs--;
	if (j->fd >= 0)
		close(j->fd);
	free(j->manifest);
	free(j);
}

static void
on_done(void *arg, const struct store_result *r)
{
	struct early_job *j = arg;
	struct early *e = j->early;

	if (r->err == ERR_UNSUPPORTED)
		e->is_off = true;
	else if (r->err != 0 && r->err != ERR_CANCELLED)
		log_warn("early_upload_failed", LOG_S("segment", j->id),
		    LOG_S("session", j->session), LOG_S("why", r->detail));
	job_free(j);
	/* it may have been closed meanwhile, and wait for us */
	if (!e->d->exiting)
		spool_kick(e->d->spool, false);
}

/* The opening manifest, as text on the heap; NULL: it cannot be read. */
static char *
read_manifest(const struct spool_row *r)
{
	int fd = spool_row_open(r, ".json.open");
	char *text = fd >= 0 ? malloc(MANIFEST_MAX) : NULL;
	ssize_t n = text != NULL ? read(fd, text, MANIFEST_MAX - 1) : -1;

	if (fd >= 0)
		close(fd);
	if (n <= 0) {
		free(text);
		return NULL;
	}
	text[n] = '\0';
	return text;
}

static void
start(struct early *e, struct spool_segment *sg, uint64_t bytes)
{
	struct early_job *j = calloc(1, sizeof(*j));
	struct store_early put;

	if (j == NULL)
		return;
	j->early = e;
	strcpy(j->id, sg->row.id);
	strcpy(j->session, sg->row.folder);
	strcpy(j->key, sg->row.m.object_key);
	j->fd = spool_row_open(&sg->row, ".webm.part");
	j->manifest = read_manifest(&sg->row);
	TAILQ_INSERT_TAIL(&e->jobs, j, link);
	e->n_jobs++;
	put = (struct store_early){ .segment = j->id,
		.key = j->key,
		.manifest = j->manifest,
		.fd = j->fd,
		.bytes = bytes,
		.on_done = on_done,
		.arg = j };
	sg->was_early = true;
	if (j->fd < 0 || j->manifest == NULL ||
	    e->d->store->ops->early(e->d->store, &put) != 0)
		job_free(j); /* it was closed, or is tried again */
}

/* When parts of it are sent next, on the clock of clock_mono_ns. */
static uint64_t
due_ns(const struct early *e, const struct spool_segment *sg)
{
	return sg->early_ns +
	    (uint64_t)e->d->conf.early_upload_seconds * NS_PER_S;
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct early *e = arg;
	uint64_t now = clock_mono_ns(), bytes;
	struct spool_segment *sg;

	if (e->d->stopping || e->is_off)
		return;
	TAILQ_FOREACH(sg, &e->d->spool->segments, link) {
		if (sg->row.state != SPOOL_RECORDING || !sg->row.is_registered)
			continue;
		if (sg->early_ns == 0)
			sg->early_ns = now; /* seen for the first time */
		if (now < due_ns(e, sg) || e->n_jobs >= JOBS_MAX ||
		    early_is_busy(e, sg->row.id))
			continue;
		bytes =
		    prefix_hashes_whole_bytes(e->d->prefix_hashes, sg->row.id);
		if (bytes == 0)
			continue;
		sg->early_ns = now;
		start(e, sg, bytes);
	}
}

bool
early_is_busy(const struct early *e, const char *segment)
{
	const struct early_job *j;

	if (e == NULL)
		return false;
	TAILQ_FOREACH(j, &e->jobs, link)
		if (strcmp(j->id, segment) == 0)
			return true;
	return false;
}

bool
early_may_have_begun(const struct spool_segment *sg)
{
	const struct manifest *m = &sg->row.m;
	int64_t every = sg->row.d->conf.early_upload_seconds;

	return sg->row.d->early != NULL &&
	    (sg->was_early ||
		m->end_mono_ns - m->start_mono_ns >= every * (int64_t)NS_PER_S);
}

int
early_new(struct daemon *d)
{
	struct timeval tv = { EVERY_S, 0 };
	struct early *e;

	if (d->store->ops->early == NULL || d->conf.early_upload_seconds == 0)
		return 0;
	e = calloc(1, sizeof(*e));
	if (e == NULL)
		return ERR_NOMEM;
	d->early = e;
	e->d = d;
	TAILQ_INIT(&e->jobs);
	e->timer = event_new(d->base, -1, EV_PERSIST, on_timer, e);
	return e->timer != NULL && event_add(e->timer, &tv) == 0 ? 0
								 : ERR_NOMEM;
}

void
early_free(struct early *e)
{
	struct early_job *j;

	if (e == NULL)
		return;
	if (e->timer != NULL)
		event_free(e->timer);
	while ((j = TAILQ_FIRST(&e->jobs)) != NULL)
		job_free(j);
	free(e);
}
