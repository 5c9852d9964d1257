#include "relay/base/loop_ref.h"

#include <assert.h>
#include <event2/event.h>

#include "relay/relay.h"

void
loop_ref(struct loop *l)
{
	l->n_refs++;
}

void
loop_unref(struct loop *l)
{
	assert(l->n_refs > 0);
	l->n_refs--;
	if (atomic_load(&l->wanted) != LOOP_RUN)
		loop_end_if_idle(l);
}

void
loop_end_if_idle(struct loop *l)
{
	if (l->n_refs == 0)
		event_base_loopexit(l->base, NULL);
}

void
loop_post(struct loop *to, struct job *j)
{
	j->inbox = &to->inbox;
	job_post(j);
}
