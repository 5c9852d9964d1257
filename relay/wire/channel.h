/*
 * A channel to one peer of a session: a transport, its events, and what
 * waits to be read or sent. A browser's transport carries a WebSocket, whose
 * binary messages are the stream (relay/http/websocket.h), an endpoint's may be
 * sealed (relay/wire/ra2_transport.h); channel_recv and channel_send hide the
 * difference. Everything happens on the channel's loop.
 */
#ifndef RELAY_WIRE_CHANNEL_H
#define RELAY_WIRE_CHANNEL_H

#include <event2/event.h>

#include "common/buf.h"
#include "relay/wire/transport.h"

struct loop;
struct ra2_transport;
struct ws;

struct channel {
	struct transport transport;
	/* owned; where both are NULL the transport's bytes are the stream */
	struct ws *ws;
	struct ra2_transport *ra2; /* an endpoint's RA2 */
	struct event *readable, *writable;
	struct buf in;  /* handshake input not yet used */
	struct buf out; /* towards this peer, before anything else */
	bool is_reading;
};

/* Takes fd, which nobody watches until somebody adopts the channel. */
void channel_open(struct channel *d, struct loop *l, int fd);

/* Takes fd. arg goes to both callbacks. Returns 0 or ERR_NOMEM (then
 * channel_release is still due). */
int channel_init(struct channel *d, struct loop *l, int fd,
    event_callback_fn on_readable, event_callback_fn on_writable, void *arg);

/*
 * Takes over a channel that other code has started: its transport with all that
 * was received and not read, and its input; `from` is empty afterwards. Both on
 * this loop, or `from` detached (channel_detach). Same returns.
 */
int channel_adopt(struct channel *d, struct loop *l, struct channel *from,
    event_callback_fn on_readable, event_callback_fn on_writable, void *arg);

/*
 * Moves a channel to where it waits for another loop to adopt it: events and
 * all ties to this loop are dropped. Its output must have been sent; `from`
 * is empty afterwards. Returns 0, or ERR_NOMEM: `from` keeps everything but
 * its events.
 */
int channel_detach(struct channel *to, struct channel *from);

void channel_release(struct channel *d);

/* Watches for input, or stops watching. */
void channel_read(struct channel *d, bool on);

/*
 * Watches for input, and has on_readable called in the loop's next turn even
 * when the socket has none: for what is buffered, or waits for room.
 */
void channel_wake(struct channel *d);

/* Sends what `out` holds. Returns 0 (all gone or waiting for room) or an
 * error. */
int channel_flush(struct channel *d);

/* Reads into `in`, at most its limit. Returns bytes, ERR_AGAIN, ... */
ssize_t channel_fill(struct channel *d);

/* Gives back what was grown and is empty. */
void channel_shrink(struct channel *d);

/* As transport_read, transport_write, transport_has_buffered and
 * transport_wants_write, of the stream. */
ssize_t channel_recv(struct channel *d, uint8_t *data, size_t len);
ssize_t channel_send(struct channel *d, const uint8_t *data, size_t len);
bool channel_has_buffered(const struct channel *d);
bool channel_wants_write(const struct channel *d);

#endif
