/*
 * One side of a session as the loop sees it: a leg, its events, and what
 * waits to be read or sent. A browser's leg carries a WebSocket, whose
 * binary messages are the stream (relay/http/websocket.h), an endpoint's may be
 * sealed (relay/wire/sealed.h); side_recv and side_send hide the difference.
 * Everything happens on the side's loop.
 */
#ifndef RELAY_WIRE_SIDE_H
#define RELAY_WIRE_SIDE_H

#include <event2/event.h>

#include "common/buf.h"
#include "relay/wire/leg.h"

struct loop;
struct sealed;
struct ws;

struct side {
	struct leg leg;
	/* owned; where both are NULL the leg's bytes are the stream */
	struct ws *ws;
	struct sealed *sealed; /* an endpoint's RA2 */
	struct event *readable, *writable;
	struct buf in;  /* handshake input not yet used */
	struct buf out; /* towards this side, before anything else */
	bool is_reading;
};

/* Takes fd. arg goes to both callbacks. Returns 0 or ERR_NOMEM (then
 * side_release is still due). */
int side_init(struct side *d, struct loop *l, int fd,
    event_callback_fn on_readable, event_callback_fn on_writable, void *arg);

/*
 * Takes over a side that other code has started: its leg with all that was
 * received and not read, and its input; `from` is empty afterwards. Both on
 * this loop, or `from` detached (side_detach). Same returns.
 */
int side_adopt(struct side *d, struct loop *l, struct side *from,
    event_callback_fn on_readable, event_callback_fn on_writable, void *arg);

/*
 * Moves a side to where it waits for another loop to adopt it: events and
 * all ties to this loop are dropped. Its output must have been sent; `from`
 * is empty afterwards. Returns 0, or ERR_NOMEM: `from` keeps everything but
 * its events.
 */
int side_detach(struct side *to, struct side *from);

void side_release(struct side *d);

/* Watches for input, or stops watching. */
void side_read(struct side *d, bool on);

/*
 * Watches for input, and has on_readable called in the loop's next turn even
 * when the socket has none: for what is buffered, or waits for room.
 */
void side_wake(struct side *d);

/* Sends what `out` holds. Returns 0 (all gone or waiting for room) or an
 * error. */
int side_flush(struct side *d);

/* Reads into `in`, at most its limit. Returns bytes, ERR_AGAIN, ... */
ssize_t side_fill(struct side *d);

/* Gives back what was grown and is empty. */
void side_shrink(struct side *d);

/* As leg_read, leg_write, leg_has_buffered and leg_wants_write, of the
 * stream. */
ssize_t side_recv(struct side *d, uint8_t *data, size_t len);
ssize_t side_send(struct side *d, const uint8_t *data, size_t len);
bool side_has_buffered(const struct side *d);
bool side_wants_write(const struct side *d);

#endif
