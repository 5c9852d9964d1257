/*
 * The last bytes of a connection. A socket that is closed with input unread
 * is reset, and what was sent last may never be read; so a channel that is to
 * go is flushed, its sending direction is closed, and what still comes is
 * thrown away until the peer closes too, two seconds at most. A loop has a
 * bounded number of them; beyond it the oldest is closed.
 */
#ifndef RELAY_WIRE_LINGERING_CLOSE_H
#define RELAY_WIRE_LINGERING_CLOSE_H

struct loop;
struct channel;

/* Takes the channel's connection; the channel is released. Never fails: without
 * memory it is closed at once. */
void lingering_close(struct loop *l, struct channel *d);

/* Closes all that linger on a loop. */
void lingering_close_stop(struct loop *l);

#endif
