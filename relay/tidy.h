/*
 * Gives memory back to the system. Logins need much for a moment, and what
 * they leave behind lies in pieces between what sessions keep: the C library
 * returns such pages when it is asked only. Done when connections came or
 * went, a moment after it became quiet. On the main thread.
 */
#ifndef RELAY_TIDY_H
#define RELAY_TIDY_H

struct event_base;
struct relay;
struct tidy;

/* NULL only for memory. */
struct tidy *tidy_new(struct relay *r, struct event_base *base);
void tidy_free(struct tidy *t);

#endif
