/*
 * This daemon's row in nodes: made at start, its heartbeat every 5 seconds,
 * stopped_at at a clean end. The id follows from host and spool folder, so a
 * restart finds its own row.
 */
#ifndef STORAGE_NODE_H
#define STORAGE_NODE_H

#include <stdint.h>

struct daemon;
struct node;

/* Sets d->node and d->actor. 0 or ERR_NOMEM. */
int node_new(struct daemon *d);
/* Notes the end; the query has to be flushed by the loop. */
void node_stop(struct node *n);
void node_free(struct node *n);
/* Its UUID, borrowed. */
const char *node_id(const struct node *n);
/* The database came: write the row again. */
void node_announce(struct node *n);
/* Rows written to the audit log, by all programs; as of the last heartbeat. */
uint64_t node_audit_writes(const struct node *n);
/* What is wrong with the database, as seen from here; follows "the database".
 * NULL: the last heartbeat is in it. Static. */
const char *node_trouble(const struct node *n);

#endif
