/*
 * The heart of a recorder: a session's bytes and marks in, segments out.
 * Decodes, collects damage, takes pictures at the pace in force, encodes,
 * splits. Knows time only from marks and ticks, so a test or a replay may
 * run it faster than life. One owner, not thread-safe; the only I/O is that
 * of recorder/session/segment.h.
 *
 *	session_new, session_start, then session_mark / session_feed /
 *	session_tick in the order of time until session_is_over.
 */
#ifndef RECORDER_SESSION_SESSION_H
#define RECORDER_SESSION_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/tee.h"
#include "recorder/meta.h"
#include "recorder/session/segment.h"

struct session;

enum session_event {
	SESSION_READY,   /* attached; the first segment is open, if one is to.
			  * After a restart: once the screen is known */
	SESSION_SEGMENT, /* a segment was closed: res says how */
	SESSION_NOSPACE, /* recording by hand could not begin or go on (C6) */
};

/* res: borrowed; NULL but for SESSION_SEGMENT. Must not call the session. */
typedef void session_cb(
    void *arg, enum session_event ev, const struct segment_result *res);

/*
 * meta and spool_fd are borrowed for the session's life. NULL only for
 * memory.
 */
struct session *session_new(
    const struct meta *meta, int spool_fd, session_cb *cb, void *arg);
void session_free(struct session *s);

/*
 * Opens the first segment, unless START or, after a restart, the first
 * complete screen will. Returns 0, ERR_NOSPACE, ERR_NOMEM or ERR_IO.
 */
int session_start(struct session *s);

/*
 * A mark, at its place between the bytes. Returns 0 or an error of
 * session_feed.
 */
int session_mark(struct session *s, const struct tee_mark *m);

/*
 * Bytes of the endpoint that arrived at the last mark's time. Returns 0,
 * ERR_PROTOCOL, ERR_LIMIT, ERR_UNSUPPORTED (the stream), ERR_NOMEM,
 * ERR_NOSPACE or ERR_IO. After an error only session_close, session_why and
 * free are allowed.
 */
int session_feed(struct session *s, const uint8_t *data, size_t len);
/* The same in turns, as rfb_decoder_feed_some. */
int session_feed_some(struct session *s, const uint8_t *data, size_t len,
    uint64_t max_work, size_t *used);
/* Pixels drawn so far, rfb/work.h. */
uint64_t session_work(const struct session *s);

/*
 * All bytes that arrived up to now_ns were fed: takes what is due until
 * then. Errors as session_feed.
 */
int session_tick(struct session *s, uint64_t now_ns);

/* When session_tick has something to do next, or UINT64_MAX. */
uint64_t session_due(const struct session *s);

/* The encoder is behind: n times the time between pictures; 1: at pace. */
void session_set_stretch(struct session *s, unsigned n);

/*
 * Closes the current segment at end_ns (or the latest time known) with the
 * word `end` of docs/spool.md. Does nothing when over. Returns 0 or an
 * error of segment_close.
 */
int session_close(struct session *s, const char *end, uint64_t end_ns);

/* END came, or session_close was called. */
bool session_is_over(const struct session *s);

/*
 * Whether another one could go on from here without a gap: recording what
 * policy wants recorded, between two messages, all streams at a byte.
 */
bool session_is_portable(const struct session *s);
/* It was told to go on as a capture. */
bool session_is_leaving(const struct session *s);
/* The same, and this is a place to do so. */
bool session_wants_capture(const struct session *s);
/* As rfb_decoder_wanted: feeding so much never passes such a place. */
uint64_t session_wanted(const struct session *s);

/* The time of the stream. */
uint64_t session_now_ns(const struct session *s);

/* Where it stands then. Borrowed until the next call. */
struct session_place {
	uint64_t start_ns;        /* of what follows */
	const char *split_reason; /* the same; static */
	bool is_unopened;         /* the segment before it is closed */
	uint64_t seq, next_frame; /* of what follows */
	unsigned frame_rate;
	const struct monitor *monitor;
	const struct rfb_decoder *decoder;
};
void session_get_place(const struct session *s, struct session_place *p);

/*
 * In a session that goes on in another's place (`resume`), before its first
 * bytes: what rfb_decoder_save wrote there. Errors as session_feed.
 */
int session_restore(struct session *s, const uint8_t *state, size_t len);

uint64_t session_frames(const struct session *s); /* of all segments */
uint64_t session_bytes(const struct session *s);  /* of closed segments */
/* For one that may have to go on in our place. */
void session_note(const struct session *s, struct tee_note *note);
/* A static sentence for the last error. */
const char *session_why(const struct session *s);

#endif
