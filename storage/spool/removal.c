#include "storage/spool/removal.h"

#include <stdlib.h>
#include <string.h>

#include "storage/daemon.h"
#include "storage/spool/spool_set.h"
#include "storage/spool/spool.h"
#include "storage/storage_worker.h"

#define BATCH_MAX 64

struct removal {
	struct worker_job work; /* first */
	struct daemon *d;
	struct workers *thread;
	/* of the thread until it is done */
	size_t n; /* 0: it has nothing to do */
	struct removal_files files[BATCH_MAX];
	struct spool_segment *segments[BATCH_MAX];
	int dir;
};

static void
run(struct worker_job *work)
{
	struct removal *r = (struct removal *)work;

	removal_files_remove(r->dir, r->files, r->n);
}

/* All that wait, up to a batch. */
static void
start_batch(struct removal *r)
{
	struct spool_set *set = &r->d->spool->set;
	struct spool_segment *sg;

	while (r->n < BATCH_MAX &&
	    (sg = spool_set_next(set, SPOOL_QUEUE_REMOVE)) != NULL) {
		struct removal_files *f = &r->files[r->n];

		strcpy(f->folder, sg->row.folder);
		strcpy(f->id, sg->row.id);
		r->segments[r->n++] = sg;
	}
	r->dir = r->d->spool->dir;
	if (r->n > 0)
		workers_submit(r->thread, &r->work);
}

static void
done(struct worker_job *work)
{
	struct removal *r = (struct removal *)work;
	size_t n = r->n;

	for (size_t i = 0; i < n; i++)
		spool_segment_files_removed(r->segments[i], r->files[i].error);
	r->n = 0;
	start_batch(r);
}

void
removal_start(struct removal *r, struct spool_segment *sg)
{
	spool_set_queue(&r->d->spool->set, SPOOL_QUEUE_REMOVE, sg);
	if (r->n == 0)
		start_batch(r);
}

struct removal *
removal_new(struct daemon *d)
{
	struct removal *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->d = d;
	r->work.run = run;
	r->work.done = done;
	r->thread = workers_new(d->base, 1);
	if (r->thread == NULL) {
		free(r);
		return NULL;
	}
	return r;
}

void
removal_free(struct removal *r)
{
	if (r == NULL)
		return;
	workers_free(r->thread);
	free(r);
}
