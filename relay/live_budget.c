#include "relay/live_budget.h"

#include <stddef.h>

void
live_budget_init(
    struct live_budget *b, uint64_t max_recorders, uint64_t max_bytes)
{
	pthread_mutex_init(&b->lock, NULL);
	b->max_recorders = max_recorders;
	b->max_bytes = max_bytes;
	b->recorders = b->bytes = 0;
}

static const char *
used_up(const struct live_budget *b, uint64_t bytes)
{
	if (b->max_recorders != 0 && b->recorders >= b->max_recorders)
		return "live_recorders";
	if (b->max_bytes != 0 &&
	    (b->bytes >= b->max_bytes || bytes > b->max_bytes - b->bytes))
		return "live_bytes";
	return NULL;
}

static void
add(struct live_budget *b, uint64_t bytes)
{
	b->recorders++;
	b->bytes += bytes;
}

const char *
live_budget_take(struct live_budget *b, uint64_t bytes)
{
	const char *setting;

	pthread_mutex_lock(&b->lock);
	setting = used_up(b, bytes);
	if (setting == NULL)
		add(b, bytes);
	pthread_mutex_unlock(&b->lock);
	return setting;
}

void
live_budget_take_anyway(struct live_budget *b, uint64_t bytes)
{
	pthread_mutex_lock(&b->lock);
	add(b, bytes);
	pthread_mutex_unlock(&b->lock);
}

void
live_budget_give(struct live_budget *b, uint64_t bytes)
{
	pthread_mutex_lock(&b->lock);
	b->recorders--;
	b->bytes -= bytes;
	pthread_mutex_unlock(&b->lock);
}

uint64_t
live_budget_used(struct live_budget *b)
{
	uint64_t n;

	pthread_mutex_lock(&b->lock);
	n = b->recorders;
	pthread_mutex_unlock(&b->lock);
	return n;
}
