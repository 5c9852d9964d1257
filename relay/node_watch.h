/*
 * Which other relays died without a word. A relay's heartbeat is a value in
 * its row; it is dead when that value stayed the same for the whole limit
 * while our own heartbeats were answered without a break. No clock of another
 * machine counts, and a database that was away, or a process that stood
 * still, begins the count anew. Pure: times are given.
 */
#ifndef RELAY_NODE_WATCH_H
#define RELAY_NODE_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NODE_WATCH_MAX  256 /* others are looked at when these are gone */
#define NODE_ID_LEN     37  /* with the NUL */
#define NODE_HEARTBEAT_LEN 24
/* Heartbeats of ours until a relay that said it stops is gone. */
#define NODE_STOP_HEARTBEATS 2

struct node_watch_limits {
	uint64_t lost_ns; /* until one that is silent is gone */
	uint64_t heartbeat_ns; /* between our own heartbeats */
};

/* { limits, 0... } is a fresh one. */
struct node_watch {
	struct node_watch_limits limits;
	uint64_t answered_ns; /* our last heartbeat; 0: broken */
	struct {
		char id[NODE_ID_LEN], heartbeat[NODE_HEARTBEAT_LEN];
		uint64_t since_ns;
		bool is_listed;
	} nodes[NODE_WATCH_MAX];
	size_t n;
};

/* A heartbeat of ours failed, or is not answered when the next one is due. */
void node_watch_broken(struct node_watch *w);

/* One was answered at now_ns; node_watch_see for each other relay that it
 * lists and node_watch_end follow. */
void node_watch_begin(struct node_watch *w, uint64_t now_ns);
/*
 * id, heartbeat: its row as the answer has it; is_stopped: it said that it
 * stops. Returns true when it is gone: what it carried may be written off, as
 * long as heartbeat is still its heartbeat.
 */
bool node_watch_see(struct node_watch *w, const char *id, const char *heartbeat,
    bool is_stopped, uint64_t now_ns);
/* Those that were not listed are forgotten. */
void node_watch_end(struct node_watch *w);

#endif
