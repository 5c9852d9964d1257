#include "relay/login/refusals.h"

#include <stdio.h>
#include <string.h>

#include "common/clock.h"

void
refusals_init(struct refusals *r)
{
	memset(r, 0, sizeof(*r));
	pthread_mutex_init(&r->lock, NULL);
}

void
refusals_add(struct refusals *r, enum refusal_kind kind, const char *client,
    const char *object)
{
	struct refusal *k = &r->kinds[kind];

	pthread_mutex_lock(&r->lock);
	k->n++;
	snprintf(k->client, sizeof(k->client), "%s", client);
	snprintf(k->object, sizeof(k->object), "%s", object);
	pthread_mutex_unlock(&r->lock);
}

static bool
is_due(const struct refusal *k, uint64_t now_ns)
{
	return k->n > 0 &&
	    (!k->has_row || now_ns - k->row_ns >= REFUSALS_SECONDS * NS_PER_S);
}

bool
refusals_take(struct refusals *r, enum refusal_kind kind, uint64_t now_ns,
    struct refusal *out)
{
	struct refusal *k = &r->kinds[kind];
	bool due;

	pthread_mutex_lock(&r->lock);
	due = is_due(k, now_ns);
	if (due) {
		*out = *k;
		*k = (struct refusal){ .row_ns = now_ns, .has_row = true };
	}
	pthread_mutex_unlock(&r->lock);
	return due;
}
