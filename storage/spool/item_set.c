#include "storage/spool/item_set.h"

#include <search.h>
#include <string.h>

#include "common/err.h"

struct name {
	const char *folder, *id; /* folder NULL: any */
};

static int
compare_names(const struct name *a, const struct item *b)
{
	int order = strcmp(a->id, b->row.id);

	return order != 0 || a->folder == NULL
	    ? order
	    : strcmp(a->folder, b->row.folder);
}

static int
compare_items(const void *a, const void *b)
{
	const struct item *it = a;

	return compare_names(&(struct name){ it->row.folder, it->row.id }, b);
}

static int
compare_to_name(const void *a, const void *b)
{
	return compare_names(a, b);
}

void
item_set_init(struct item_set *set)
{
	memset(set, 0, sizeof(*set));
	for (int q = 0; q < ITEM_QUEUES; q++)
		TAILQ_INIT(&set->queue[q]);
}

int
item_set_add(struct item_set *set, struct item *it)
{
	set->has_twins |= item_set_find(set, NULL, it->row.id) != NULL;
	return tsearch(it, &set->by_name, compare_items) != NULL ? 0
								 : ERR_NOMEM;
}

static void
leave(struct item_set *set, enum item_queue q, struct item *it)
{
	if (!it->is_queued[q])
		return;
	TAILQ_REMOVE(&set->queue[q], it, queue_link[q]);
	it->is_queued[q] = false;
	set->n[q]--;
}

void
item_set_remove(struct item_set *set, struct item *it)
{
	for (int q = 0; q < ITEM_QUEUES; q++)
		leave(set, q, it);
	if (item_set_find(set, it->row.folder, it->row.id) == it)
		tdelete(it, &set->by_name, compare_items);
}

struct item *
item_set_find(const struct item_set *set, const char *folder, const char *id)
{
	struct name name = { folder, id };
	struct item *const *found =
	    tfind(&name, &set->by_name, compare_to_name);

	return found != NULL ? *found : NULL;
}

void
item_set_queue(struct item_set *set, enum item_queue q, struct item *it)
{
	if (it->is_queued[q])
		return;
	TAILQ_INSERT_TAIL(&set->queue[q], it, queue_link[q]);
	it->is_queued[q] = true;
	set->n[q]++;
}

struct item *
item_set_next(struct item_set *set, enum item_queue q)
{
	struct item *it = TAILQ_FIRST(&set->queue[q]);

	if (it != NULL)
		leave(set, q, it);
	return it;
}
