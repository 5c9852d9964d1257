/*
 * The relay's row in `nodes`, kept fresh, and what other relays carried that
 * died (node_watch.h): their sessions end as node_lost, their agents, servers
 * and session codes are no longer connected. A relay that lives after all
 * hears of it by NOTIFY relaycam_node and puts its rows right. On the main
 * thread's loop.
 */
#ifndef RELAY_HEARTBEAT_H
#define RELAY_HEARTBEAT_H

#include <stdbool.h>

struct db;
struct event_base;
struct heartbeat;
struct relay;

/* db: borrowed, the owner calls heartbeat_connected. NULL for memory. */
struct heartbeat *heartbeat_new(
    struct relay *r, struct event_base *base, struct db *db);
void heartbeat_free(struct heartbeat *h);

/* The connection came or went. */
void heartbeat_connected(struct heartbeat *h, bool connected);

/* What is wrong with the database, as seen from here; follows "the database".
 * NULL: the last heartbeat is in it. Static. */
const char *heartbeat_trouble(const struct heartbeat *h);

#endif
