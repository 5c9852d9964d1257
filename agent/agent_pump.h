/*
 * Bytes both ways between two connections until one of them ends. What one
 * side does not take stops reading from the other, at PUMP_MAX bytes each
 * way; what arrived before an end is still delivered. One loop owns it.
 */
#ifndef AGENT_AGENT_PUMP_H
#define AGENT_AGENT_PUMP_H

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <stdbool.h>
#include <stdint.h>

#define PUMP_MAX (256 * 1024)

struct agent_pump;

/* which: 0 or 1, the side that ended; why: a sentence. Called once, never
 * from within pump_new; the pump is freed when it returns. */
typedef void pump_cb(
    void *arg, unsigned which, const char *why, const uint64_t bytes[2]);

/*
 * Takes both connections, also on failure. What has been received or queued
 * on them already counts. lost_s: a peer that vanished is noticed within this
 * time, one that does not read is not. Returns NULL for memory.
 */
struct agent_pump *pump_new(struct event_base *base, struct bufferevent *side0,
    struct bufferevent *side1, unsigned lost_s, pump_cb *cb, void *arg);

/*
 * Sees what side 1 sends before it is passed on: bytes, the first n of in,
 * which stay there; has_room: whether more may be read from that side, asked
 * again at pump_wake. Set in the turn of pump_new, or before any bytes came.
 */
struct pump_tap {
	void (*bytes)(void *arg, struct evbuffer *in, size_t n);
	bool (*has_room)(void *arg);
	void *arg;
};
void pump_set_tap(struct agent_pump *p, const struct pump_tap *tap);

/* There may be room again. */
void pump_wake(struct agent_pump *p);

/* Closes both; cb is not called. NULL is fine. */
void pump_free(struct agent_pump *p);

#endif
