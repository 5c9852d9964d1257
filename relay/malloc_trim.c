#include "relay/malloc_trim.h"

#include <event2/event.h>
#include <malloc.h>
#include <stdlib.h>

#include "relay/base/tls_memory.h"
#include "relay/relay.h"

#define LOOK_SECONDS 1
/* Looks until it is done, though it did not become quiet. */
#define BUSY_LOOKS 5

struct malloc_trim {
	struct relay *relay;
	struct event *timer;
	uint64_t seen,
	    done;         /* changes, at the last look and when it was done */
	unsigned n_looks; /* since something changed */
};

/* Grows with each connection that comes, begins to run, or goes; one that is
 * turned away at once leaves no memory to give back. */
static uint64_t
changes(struct relay *r)
{
	uint64_t came = atomic_load(&r->stats.connections) -
	    atomic_load(&r->stats.turned_away);
	uint64_t ran = atomic_load(&r->stats.sessions);

	return 2 * came + ran - atomic_load(&r->stats.active);
}

static void
on_time(evutil_socket_t fd, short what, void *arg)
{
	struct malloc_trim *t = arg;
	uint64_t now = changes(t->relay);
	bool is_quiet = now == t->seen;

	t->seen = now;
	if (now == t->done)
		return;
	if (!is_quiet && ++t->n_looks < BUSY_LOOKS)
		return;
	malloc_trim(0);
	tls_memory_trim();
	t->done = now;
	t->n_looks = 0;
}

struct malloc_trim *
malloc_trim_new(struct relay *r, struct event_base *base)
{
	const struct timeval tv = { LOOK_SECONDS, 0 };
	struct malloc_trim *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->relay = r;
	t->timer = event_new(base, -1, EV_PERSIST, on_time, t);
	if (t->timer == NULL || event_add(t->timer, &tv) != 0) {
		malloc_trim_free(t);
		return NULL;
	}
	return t;
}

void
malloc_trim_free(struct malloc_trim *t)
{
	if (t == NULL)
		return;
	if (t->timer != NULL)
		event_free(t->timer);
	free(t);
}
