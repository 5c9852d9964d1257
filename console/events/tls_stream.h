/*
 * A TLS connection on which only the server sends: a bounded queue of output
 * in front of SSL_write, and a client that is watched for its end. What the
 * client sends is read and dropped, up to TLS_STREAM_INPUT_MAX. The queue is
 * sent at once as far as the socket takes it; idle, it needs no memory. On the
 * worker's loop.
 */
#ifndef CONSOLE_EVENTS_TLS_STREAM_H
#define CONSOLE_EVENTS_TLS_STREAM_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/tls_detach.h"

#define TLS_STREAM_INPUT_MAX 65536
#define TLS_STREAM_FINISH_S  5 /* for a client to take the last bytes */

struct event;
struct event_base;

/* Both are called from the loop alone, never within a call of these
 * functions. */
struct tls_stream_events {
	/* all that was queued is sent, after some of it had to wait */
	void (*drained)(void *arg);
	/* The client went away, took nothing for stall_seconds, or has all
	 * after tls_stream_finish: tls_stream_release is due. */
	void (*closed)(void *arg);
};

struct tls_stream {
	struct tls_detached tls;
	struct event *readable, *writable;
	struct buf out;
	size_t n_read; /* dropped input */
	int stall_seconds;
	const struct tls_stream_events *events;
	void *arg;
	bool is_ending, is_dead; /* is_dead: `closed` follows */
};

/*
 * Takes the connection, also on failure. max: bytes of the queue;
 * stall_seconds: after this long without any progress of output that waits, the
 * client counts as gone. Returns 0 or ERR_NOMEM: tls_stream_release is due in
 * both cases.
 */
int tls_stream_init(struct tls_stream *s, struct event_base *base,
    const struct tls_detached *tls, size_t max, int stall_seconds,
    const struct tls_stream_events *events, void *arg);
/* Closes the connection as it is. Safe to repeat, and on zeros. */
void tls_stream_release(struct tls_stream *s);

/* Queues a copy, to be sent by tls_stream_flush. Returns 0, ERR_LIMIT or
 * ERR_NOMEM; on a connection that broke it does nothing, `closed` follows. */
int tls_stream_queue(struct tls_stream *s, const void *data, size_t len);
/* Sends what the socket takes, unless output waits for it already. */
void tls_stream_flush(struct tls_stream *s);
/* Bytes that wait. */
size_t tls_stream_waiting(const struct tls_stream *s);

/* Nothing more is sent: closes when the client has all, or after
 * TLS_STREAM_FINISH_S. */
void tls_stream_finish(struct tls_stream *s);

#endif
