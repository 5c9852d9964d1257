/*
 * The last words of a connection. A socket that is closed with input unread
 * is reset, and what was sent last may never be read; so a side that is to
 * go is flushed, its sending direction is closed, and what still comes is
 * thrown away until the peer closes too, two seconds at most. A loop has a
 * bounded number of them; beyond it the oldest is closed.
 */
#ifndef RELAY_WIRE_FAREWELL_H
#define RELAY_WIRE_FAREWELL_H

struct loop;
struct side;

/* Takes the side's connection; the side is released. Never fails: without
 * memory it is closed at once. */
void farewell(struct loop *l, struct side *d);

/* Closes all that linger on a loop. */
void farewell_stop(struct loop *l);

#endif
