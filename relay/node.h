/*
 * The relay towards its surroundings: the database connection of its
 * heartbeat (heartbeat.h); /metrics, /healthz and /readyz. On the main
 * thread's loop.
 */
#ifndef RELAY_NODE_H
#define RELAY_NODE_H

struct event_base;
struct node;
struct relay;

/*
 * Who this relay is, the same again after a restart: from host name, network
 * namespace and where it listens. out: UUID_TEXT_MAX bytes.
 */
void node_identity(char *out, const char *listen);

/* NULL for memory or when metrics_listen cannot be had (logged). */
struct node *node_new(struct relay *r, struct event_base *base);
/* Writes stopped_at as far as the database answers within a second. */
void node_free(struct node *n);

#endif
