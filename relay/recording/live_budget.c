#include "relay/recording/live_budget.h"

#include <stddef.h>

/* The most that one recorder can use, being one thread. */
#define PERMILLE_MAX 1000

void
live_budget_init(struct live_budget *b, const struct live_limits *limits)
{
	pthread_mutex_init(&b->lock, NULL);
	b->limits = *limits;
	b->used = (struct live_limits){ 0 };
}

static const char *
used_up(const struct live_budget *b, uint64_t bytes)
{
	const struct live_limits *max = &b->limits, *now = &b->used;

	if (max->recorders != 0 && now->recorders >= max->recorders)
		return "live_recorders";
	if (max->bytes != 0 &&
	    (now->bytes >= max->bytes || bytes > max->bytes - now->bytes))
		return "live_bytes";
	if (max->permille != 0 && now->permille >= max->permille)
		return "live_cpu_percent";
	return NULL;
}

static void
add(struct live_budget *b, struct live_share *sh, uint64_t bytes)
{
	*sh = (struct live_share){ .is_taken = true, .bytes = bytes };
	b->used.recorders++;
	b->used.bytes += bytes;
}

const char *
live_budget_take(struct live_budget *b, struct live_share *sh, uint64_t bytes)
{
	const char *setting;

	pthread_mutex_lock(&b->lock);
	setting = used_up(b, bytes);
	if (setting == NULL)
		add(b, sh, bytes);
	pthread_mutex_unlock(&b->lock);
	return setting;
}

void
live_budget_take_anyway(
    struct live_budget *b, struct live_share *sh, uint64_t bytes)
{
	pthread_mutex_lock(&b->lock);
	add(b, sh, bytes);
	pthread_mutex_unlock(&b->lock);
}

const char *
live_budget_resize(struct live_budget *b, struct live_share *sh, uint64_t bytes)
{
	const char *setting = NULL;
	bool is_larger = bytes > sh->bytes;

	if (!sh->is_taken)
		return NULL;
	pthread_mutex_lock(&b->lock);
	b->used.bytes += bytes - sh->bytes;
	sh->bytes = bytes;
	if (is_larger && b->limits.bytes != 0 &&
	    b->used.bytes > b->limits.bytes)
		setting = "live_bytes";
	pthread_mutex_unlock(&b->lock);
	return setting;
}

void
live_budget_give(struct live_budget *b, struct live_share *sh)
{
	if (!sh->is_taken)
		return;
	pthread_mutex_lock(&b->lock);
	b->used.recorders--;
	b->used.bytes -= sh->bytes;
	b->used.permille -= sh->permille;
	pthread_mutex_unlock(&b->lock);
	*sh = (struct live_share){ 0 };
}

void
live_budget_says(struct live_budget *b, struct live_share *sh,
    uint64_t permille, uint64_t now_ns)
{
	if (!sh->is_taken)
		return;
	if (permille > PERMILLE_MAX)
		permille = PERMILLE_MAX;
	pthread_mutex_lock(&b->lock);
	b->used.permille += permille - sh->permille;
	pthread_mutex_unlock(&b->lock);
	sh->permille = permille;
	sh->said_ns = now_ns;
}

void
live_budget_tick(struct live_budget *b, struct live_share *sh, uint64_t now_ns)
{
	if (sh->permille != 0 && now_ns >= sh->said_ns + LIVE_IDLE_NS)
		live_budget_says(b, sh, 0, now_ns);
}

struct live_limits
live_budget_used(struct live_budget *b)
{
	struct live_limits used;

	pthread_mutex_lock(&b->lock);
	used = b->used;
	pthread_mutex_unlock(&b->lock);
	return used;
}
