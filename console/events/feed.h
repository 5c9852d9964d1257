/*
 * What changed in the database, for all streams of a worker. One statement
 * (console_events of the schema) reads the new events, asks which of the
 * streams' people may see each, and finds the logins that are over: it is sent
 * when NOTIFY says that something changed, for all streams at once, at most
 * every FEED_MS, and never once per stream. Streams that are behind (they came
 * back, or are slow) are asked for together too, apart from the others, who do
 * not wait for them. On the worker's loop.
 */
#ifndef CONSOLE_EVENTS_FEED_H
#define CONSOLE_EVENTS_FEED_H

#include <stdint.h>

#define FEED_MS 100
/* Events per statement; of those behind fewer: a slow client takes a few, and
 * the rest is read again. */
#define FEED_BATCH      500
#define FEED_BATCH_LATE 100
#define FEED_BEAT_S     15 /* comments to silent streams */

struct feed;
struct request;
struct stream;
struct worker;

/* NULL only for memory. Has a connection to the database of its own. */
struct feed *feed_new(struct worker *w);
/* All streams are gone: after the server. */
void feed_free(struct feed *f);

/* Ends all streams, and takes no further ones: their clients go elsewhere. */
void feed_stop(struct feed *f);

/* Begins a stream behind event `after` (-1: now), or answers r with 429 or
 * 503. */
void feed_open(struct feed *f, struct request *r, int64_t after);

/* ---- for stream.c ---- */

void feed_add(struct feed *f, struct stream *s);
void feed_remove(struct feed *f, struct stream *s);
/* A stream may have more. */
void feed_wake(struct feed *f);

#endif
