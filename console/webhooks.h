/*
 * Sends webhooks: takes deliveries that are due from the outbox
 * (webhook_deliveries) under a lease that ends by itself, posts each, and notes
 * what came of it. A delivery whose sender was killed is sent again, by any
 * console, once its lease is over: at least once. On the worker's loop.
 */
#ifndef CONSOLE_WEBHOOKS_H
#define CONSOLE_WEBHOOKS_H

struct webhooks;
struct worker;

/* Behind w->db; runs until it is freed. NULL only for memory or libcurl. */
struct webhooks *webhooks_new(struct worker *w);
/* After w->db is freed. What is under way is sent again later, by another. */
void webhooks_free(struct webhooks *h);

#endif
