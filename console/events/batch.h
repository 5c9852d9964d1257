/*
 * Streams that one statement asks for: what is new for each of them since it
 * was asked for the last time, and its delivery. On the worker's loop.
 */
#ifndef CONSOLE_EVENTS_BATCH_H
#define CONSOLE_EVENTS_BATCH_H

#include <stdbool.h>
#include <stdint.h>

struct event;
struct feed;
struct stream;

struct batch {
	struct feed *feed;
	struct stream **asked; /* by number - 1; NULL: it is gone */
	unsigned n;
	bool is_running, is_due; /* again, when it has run */
	bool is_late;            /* of those behind horizon; or the others */
	struct event *timer;
	uint64_t ran_ns;
};

/* The statement of all batches; heap, NULL: no memory. */
char *batch_sql_new(void);

/* Returns 0 or ERR_NOMEM; batch_release is due in both cases. */
int batch_init(struct batch *b, struct feed *f, bool is_late);
void batch_release(struct batch *b);

/* Asks at once, or FEED_MS after the last time. */
void batch_wake(struct batch *b);

#endif
