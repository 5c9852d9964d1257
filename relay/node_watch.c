#include "relay/node_watch.h"

#include <stdio.h>
#include <string.h>

void
node_watch_broken(struct node_watch *w)
{
	w->answered_ns = 0;
	w->n = 0;
}

void
node_watch_begin(struct node_watch *w, uint64_t now_ns)
{
	/* two and a half: this process stood still in between */
	if (w->answered_ns != 0 &&
	    now_ns - w->answered_ns > w->limits.heartbeat_ns * 5 / 2)
		node_watch_broken(w);
	w->answered_ns = now_ns;
	for (size_t i = 0; i < w->n; i++)
		w->nodes[i].is_listed = false;
}

static size_t
find(const struct node_watch *w, const char *id)
{
	size_t i;

	for (i = 0; i < w->n; i++)
		if (strcmp(w->nodes[i].id, id) == 0)
			break;
	return i;
}

bool
node_watch_see(struct node_watch *w, const char *id, const char *heartbeat,
    bool is_stopped, uint64_t now_ns)
{
	size_t i = find(w, id);
	uint64_t limit_ns = is_stopped
	    ? NODE_STOP_HEARTBEATS * w->limits.heartbeat_ns
	    : w->limits.lost_ns;

	if (i == NODE_WATCH_MAX)
		return false;
	if (i == w->n) {
		w->n++;
		snprintf(w->nodes[i].id, NODE_ID_LEN, "%s", id);
		w->nodes[i].heartbeat[0] = '\0';
	}
	w->nodes[i].is_listed = true;
	if (strcmp(w->nodes[i].heartbeat, heartbeat) != 0) {
		snprintf(
		    w->nodes[i].heartbeat, NODE_HEARTBEAT_LEN, "%s", heartbeat);
		w->nodes[i].since_ns = now_ns;
	}
	return now_ns - w->nodes[i].since_ns >= limit_ns;
}

void
node_watch_end(struct node_watch *w)
{
	size_t kept = 0;

	for (size_t i = 0; i < w->n; i++)
		if (w->nodes[i].is_listed)
			w->nodes[kept++] = w->nodes[i];
	w->n = kept;
}
