/*
 * What was in a spool that is lost. A storage daemon that gave no sign of life
 * for storage.lost_node_seconds is lost: another one makes recordings of what
 * was sent early of its segments (early.h), one after another, and the rest
 * becomes `missing`. So does a daemon with segments of its own whose files are
 * gone. Should a lost node come back, its segments, which are longer, replace
 * those recordings. One loop.
 */
#ifndef STORAGE_SPOOL_LOST_NODES_H
#define STORAGE_SPOOL_LOST_NODES_H

struct daemon;
struct lost_nodes;

/* Into d->lost_nodes. 0 or ERR_NOMEM. */
int lost_nodes_new(struct daemon *d);
/* Nothing may be under way in the store. */
void lost_nodes_free(struct lost_nodes *l);

/* The files of that segment of this node's are gone, and some of it was sent
 * early. It is the next one; others are told again. */
void lost_nodes_want(struct lost_nodes *l, const char *segment);

#endif
