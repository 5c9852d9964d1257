/*
 * The heart of a recorder: a session's bytes and marks in, segments out.
 * Decodes, collects damage, takes frames at the pace in force, encodes,
 * splits. Knows time only from marks and ticks, so a test or a replay may
 * run it faster than life. One owner, not thread-safe; the only I/O is that
 * of recorder/session/segment.h.
 *
 *	recorder_session_new, recorder_session_start, then recorder_session_mark
 * / recorder_session_feed / recorder_session_tick in the order of time until
 *recorder_session_is_over.
 */
#ifndef RECORDER_SESSION_RECORDER_SESSION_H
#define RECORDER_SESSION_RECORDER_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/tee.h"
#include "recorder/meta.h"
#include "recorder/session/segment.h"

struct recorder_session;

enum recorder_session_event {
	RECORDER_SESSION_READY,   /* attached; the first segment is open, if one
				   * is to. After a restart: once the screen is
				   * known */
	RECORDER_SESSION_SEGMENT, /* a segment was closed: res says how */
	RECORDER_SESSION_NOSPACE, /* recording by hand could not begin or go on
				     (C6) */
};

/* res: borrowed; NULL but for RECORDER_SESSION_SEGMENT. Must not call the
 * session. */
typedef void recorder_session_cb(void *arg, enum recorder_session_event ev,
    const struct segment_result *res);

/*
 * meta and spool_fd are borrowed for the session's life. NULL only for
 * memory.
 */
struct recorder_session *recorder_session_new(
    const struct meta *meta, int spool_fd, recorder_session_cb *cb, void *arg);
void recorder_session_free(struct recorder_session *s);

/* Something else flushes the spool and says so in page (borrowed, or NULL).
 * Before recorder_session_start. */
void recorder_session_set_flush(
    struct recorder_session *s, const struct spool_flush_page *page);

/*
 * Opens the first segment, unless START or, after a restart, the first
 * complete screen will. Returns 0, ERR_NOSPACE, ERR_NOMEM or ERR_IO.
 */
int recorder_session_start(struct recorder_session *s);

/*
 * A mark, at its place between the bytes. Returns 0 or an error of
 * recorder_session_feed.
 */
int recorder_session_mark(struct recorder_session *s, const struct tee_mark *m);

/*
 * Bytes of the endpoint that arrived at the last mark's time. Returns 0,
 * ERR_PROTOCOL, ERR_LIMIT, ERR_UNSUPPORTED (the stream), ERR_NOMEM,
 * ERR_NOSPACE or ERR_IO. After an error only recorder_session_close,
 * recorder_session_why and free are allowed.
 */
int recorder_session_feed(
    struct recorder_session *s, const uint8_t *data, size_t len);
/* The same in turns, as rfb_decoder_feed_some. */
int recorder_session_feed_some(struct recorder_session *s, const uint8_t *data,
    size_t len, uint64_t max_work, size_t *used);
/* Pixels drawn so far, rfb/work.h. */
uint64_t recorder_session_work(const struct recorder_session *s);

/*
 * All bytes that arrived up to now_ns were fed: takes what is due until
 * then. Errors as recorder_session_feed.
 */
int recorder_session_tick(struct recorder_session *s, uint64_t now_ns);

/* When recorder_session_tick has something to do next, or UINT64_MAX. */
uint64_t recorder_session_due(const struct recorder_session *s);

/* The encoder is behind: n times the time between frames; 1: at pace. */
void recorder_session_set_slowdown(struct recorder_session *s, unsigned n);

/*
 * Closes the current segment at end_ns (or the latest time known) with the
 * word `end` of docs/spool.md. Does nothing when over. Returns 0 or an
 * error of segment_close.
 */
int recorder_session_close(
    struct recorder_session *s, const char *end, uint64_t end_ns);

/* END came, or recorder_session_close was called. */
bool recorder_session_is_over(const struct recorder_session *s);

/*
 * Whether another one could go on from here without a gap: recording what
 * policy wants recorded, between two messages, all streams at a byte.
 */
bool recorder_session_can_hand_over(const struct recorder_session *s);
/* It was told to go on as a capture. */
bool recorder_session_is_leaving(const struct recorder_session *s);
/* The same, and this is a place to do so. */
bool recorder_session_wants_capture(const struct recorder_session *s);
/* As rfb_decoder_bytes_to_boundary: feeding so much never passes such a place.
 */
uint64_t recorder_session_bytes_to_boundary(const struct recorder_session *s);

/* The time of the stream. */
uint64_t recorder_session_now_ns(const struct recorder_session *s);

/* Where it stands then. Borrowed until the next call. */
struct recorder_session_place {
	uint64_t start_ns;        /* of what follows */
	const char *split_reason; /* the same; static */
	bool is_unopened;         /* the segment before it is closed */
	uint64_t seq, next_frame; /* of what follows */
	unsigned frame_rate;
	const struct monitor *monitor;
	const struct rfb_decoder *decoder;
};
void recorder_session_get_place(
    const struct recorder_session *s, struct recorder_session_place *p);

/*
 * In a session that goes on in another's place (`resume`), before its first
 * bytes: what rfb_decoder_save wrote there. Errors as recorder_session_feed.
 */
int recorder_session_restore(
    struct recorder_session *s, const uint8_t *state, size_t len);

uint64_t recorder_session_frames(
    const struct recorder_session *s); /* of all segments */
uint64_t recorder_session_bytes(
    const struct recorder_session *s); /* of closed segments */
/* For one that may have to go on in our place. */
void recorder_session_get_checkpoint(
    const struct recorder_session *s, struct tee_checkpoint *checkpoint);
/* A static sentence for the last error. */
const char *recorder_session_why(const struct recorder_session *s);

#endif
