/*
 * Gives memory back to the system. Logins need much for a moment, and what
 * they leave behind lies in pieces between what sessions keep: the C library
 * returns such pages when it is asked only. Done when connections came or
 * went, a moment after it became quiet. On the main thread.
 */
#ifndef RELAY_MALLOC_TRIM_H
#define RELAY_MALLOC_TRIM_H

struct event_base;
struct relay;
struct malloc_trim;

/* NULL only for memory. */
struct malloc_trim *malloc_trim_new(struct relay *r, struct event_base *base);
void malloc_trim_free(struct malloc_trim *t);

#endif
