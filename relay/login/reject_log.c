#include "relay/login/reject_log.h"

#include <stdio.h>
#include <string.h>

#include "common/clock.h"

void
reject_log_init(struct reject_log *r)
{
	memset(r, 0, sizeof(*r));
	pthread_mutex_init(&r->lock, NULL);
}

void
reject_log_add(struct reject_log *r, enum reject_kind kind, const char *client,
    const char *object)
{
	struct reject_entry *k = &r->kinds[kind];

	pthread_mutex_lock(&r->lock);
	k->n++;
	snprintf(k->client, sizeof(k->client), "%s", client);
	snprintf(k->object, sizeof(k->object), "%s", object);
	pthread_mutex_unlock(&r->lock);
}

static bool
is_due(const struct reject_entry *k, uint64_t now_ns)
{
	return k->n > 0 &&
	    (!k->has_row ||
		now_ns - k->row_ns >= REJECT_LOG_SECONDS * NS_PER_S);
}

bool
reject_log_take(struct reject_log *r, enum reject_kind kind, uint64_t now_ns,
    struct reject_entry *out)
{
	struct reject_entry *k = &r->kinds[kind];
	bool due;

	pthread_mutex_lock(&r->lock);
	due = is_due(k, now_ns);
	if (due) {
		*out = *k;
		*k = (struct reject_entry){ .row_ns = now_ns, .has_row = true };
	}
	pthread_mutex_unlock(&r->lock);
	return due;
}
