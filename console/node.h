/*
 * The console's row in nodes: one for all workers, which each renew it when it
 * is older than a few seconds, and what is over its time in the tables of
 * logins. The id follows from host and port, so a restart finds its own row.
 */
#ifndef CONSOLE_NODE_H
#define CONSOLE_NODE_H

struct node;
struct worker;

/* Behind w->db; runs until it is freed. NULL only for memory. */
struct node *node_new(struct worker *w);
/* The database came: the row is renewed. */
void node_beat(struct node *n);
/* Notes the end. Counts as a request under way until the row says so. */
void node_stop(struct node *n);
void node_free(struct node *n);

#endif
