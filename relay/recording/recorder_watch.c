#include "relay/recording/recorder_watch.h"

#include "common/clock.h"

#define LOOK_LATE_NS (3 * NS_PER_S) /* for a look each second */

void
recorder_watch_pardon(struct recorder_watch *w, uint64_t now_ns)
{
	w->since_ns = now_ns;
}

bool
recorder_watch_look(struct recorder_watch *w, uint64_t now_ns,
    uint64_t recorded, bool has_work, uint64_t limit_ns)
{
	if (now_ns > w->looked_ns + LOOK_LATE_NS)
		w->since_ns = now_ns;
	w->looked_ns = now_ns;
	if (recorded == w->recorded && has_work)
		return now_ns - w->since_ns > limit_ns;
	w->recorded = recorded;
	w->since_ns = now_ns;
	return false;
}
