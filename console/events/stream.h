/*
 * One client that listens to events: its answer never ends by itself. Its
 * connection is taken from evhttp once the answer has begun, because evhttp
 * would use twice as much memory for it. Its buffer is bounded: a stream that
 * holds STREAM_MARK bytes gets nothing more until its client has taken them;
 * then it is asked for again and continues. On the worker's loop.
 */
#ifndef CONSOLE_EVENTS_STREAM_H
#define CONSOLE_EVENTS_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "console/events/tls_stream.h"

#define STREAM_MARK    65536
#define STREAM_MAX     (8 << 20) /* with the event that passes the mark */
#define STREAM_HASH    65        /* credential_hash(), with the NUL */
#define STREAM_ADDRESS 64

struct feed;
struct request;
struct worker;

struct stream {
	TAILQ_ENTRY(stream) link;
	struct feed *feed; /* NULL: it is ending */
	struct worker *worker;
	struct stream **slot; /* where a statement under way has it; or NULL */
	int64_t after;        /* it has had all up to there; -1: it begins */
	struct tls_stream out;
	bool is_held;
	bool is_chunked; /* its client speaks HTTP/1.1 */
	/* who listens */
	bool is_token;
	int64_t person;
	char credential[STREAM_HASH];
	char address[STREAM_ADDRESS];
};
TAILQ_HEAD(stream_list, stream);

/*
 * Sends the head of the answer to r, and frees r. The stream goes when its
 * client does. NULL: r has been answered.
 */
struct stream *stream_begin(struct request *r, struct feed *f);

/* Sends a whole event, number id; text is borrowed. Without memory for it the
 * stream ends: its client comes back for that event. */
void stream_send(struct stream *s, const char *text, size_t len, int64_t id);
/* Sends a comment when nothing else is under way, so that nobody in between
 * takes the connection for a dead one. */
void stream_beat(struct stream *s);
/* Ends the answer. The feed has the stream no more; it is freed later. */
void stream_end(struct stream *s);

#endif
