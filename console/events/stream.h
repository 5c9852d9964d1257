/*
 * One client that listens to events: its answer never ends by itself. What is
 * sent is bounded: a stream that holds STREAM_MARK bytes gets nothing more
 * until its client has taken them, and is asked for again then from where it
 * was. On the worker's loop.
 */
#ifndef CONSOLE_EVENTS_STREAM_H
#define CONSOLE_EVENTS_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#define STREAM_MARK 65536

struct feed;
struct request;

struct stream {
	TAILQ_ENTRY(stream) link;
	struct feed *feed;
	struct request *request;
	struct stream **slot; /* where a statement under way has it; or NULL */
	int64_t after;        /* it has had all up to there; -1: it begins */
	bool is_held;
};
TAILQ_HEAD(stream_list, stream);

/*
 * Sends the head of the answer to r. The stream is r's state from now on and
 * goes with it, also when the client goes. NULL: r has been answered.
 */
struct stream *stream_begin(struct request *r, struct feed *f);

/* Sends a whole event, number id; text is borrowed. Without memory for it the
 * stream ends: its client comes back for that event. */
void stream_send(struct stream *s, const char *text, size_t len, int64_t id);
/* Sends a comment when nothing else is under way, so that nobody in between
 * takes the connection for a dead one. */
void stream_beat(struct stream *s);
/* Ends the answer, and frees the stream. */
void stream_end(struct stream *s);

#endif
