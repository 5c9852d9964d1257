#include "storage/spool/spool_set.h"

#include <search.h>
#include <string.h>

#include "common/err.h"

struct name {
	const char *folder, *id; /* folder NULL: any */
};

static int
compare_names(const struct name *a, const struct spool_segment *b)
{
	int order = strcmp(a->id, b->row.id);

	return order != 0 || a->folder == NULL
	    ? order
	    : strcmp(a->folder, b->row.folder);
}

static int
compare_segments(const void *a, const void *b)
{
	const struct spool_segment *sg = a;

	return compare_names(&(struct name){ sg->row.folder, sg->row.id }, b);
}

static int
compare_to_name(const void *a, const void *b)
{
	return compare_names(a, b);
}

void
spool_set_init(struct spool_set *set)
{
	memset(set, 0, sizeof(*set));
	for (int q = 0; q < SPOOL_QUEUES; q++)
		TAILQ_INIT(&set->queue[q]);
}

int
spool_set_add(struct spool_set *set, struct spool_segment *sg)
{
	set->has_twins |= spool_set_find(set, NULL, sg->row.id) != NULL;
	return tsearch(sg, &set->by_name, compare_segments) != NULL ? 0
								 : ERR_NOMEM;
}

static void
leave(struct spool_set *set, enum spool_queue q, struct spool_segment *sg)
{
	if (!sg->is_queued[q])
		return;
	TAILQ_REMOVE(&set->queue[q], sg, queue_link[q]);
	sg->is_queued[q] = false;
	set->n[q]--;
}

void
spool_set_remove(struct spool_set *set, struct spool_segment *sg)
{
	for (int q = 0; q < SPOOL_QUEUES; q++)
		leave(set, q, sg);
	if (spool_set_find(set, sg->row.folder, sg->row.id) == sg)
		tdelete(sg, &set->by_name, compare_segments);
}

struct spool_segment *
spool_set_find(const struct spool_set *set, const char *folder, const char *id)
{
	struct name name = { folder, id };
	struct spool_segment *const *found =
	    tfind(&name, &set->by_name, compare_to_name);

	return found != NULL ? *found : NULL;
}

void
spool_set_queue(
    struct spool_set *set, enum spool_queue q, struct spool_segment *sg)
{
	if (sg->is_queued[q])
		return;
	TAILQ_INSERT_TAIL(&set->queue[q], sg, queue_link[q]);
	sg->is_queued[q] = true;
	set->n[q]++;
}

struct spool_segment *
spool_set_next(struct spool_set *set, enum spool_queue q)
{
	struct spool_segment *sg = TAILQ_FIRST(&set->queue[q]);

	if (sg != NULL)
		leave(set, q, sg);
	return sg;
}
