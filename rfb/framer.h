/*
 * Push framer for the server's messages: bytes in pieces of any size become
 * messages, rectangles and payload spans. It never inflates, never looks at
 * a pixel, never copies a payload; spans point into the caller's piece. The
 * one exception is a header inside a payload (a few bytes: lengths, Tight
 * and Hextile control) that a piece cut in two: it is checked first, then
 * given out whole from a buffer inside, valid for the call as any span.
 * It covers each encoding and message that rfb/client_messages lets through
 * and refuses all others: an unknown byte is an error, never resynchronised.
 * Source: docs/rfb.md ("Framing"), RFC 6143 section 7.6 and 7.7.
 * No I/O; one owner, not thread-safe.
 */
#ifndef RFB_FRAMER_H
#define RFB_FRAMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rfb/pixel_format.h"

struct rfb_framer;

/* A rectangle as its 12-byte header says; encoding is signed. */
struct rfb_rect {
	uint16_t x, y, w, h;
	int32_t encoding;
};

enum rfb_framer_event_kind {
	RFB_FRAMER_MESSAGE, /* a message begins: type, offset */
	RFB_FRAMER_RECT,    /* a rectangle begins: rect, offset */
	RFB_FRAMER_PAYLOAD, /* data/len: payload of the rectangle, or the
			     * body of a message that is no update */
	RFB_FRAMER_RECT_END,
	RFB_FRAMER_MESSAGE_END,
};

struct rfb_framer_event {
	enum rfb_framer_event_kind kind;
	uint8_t type;         /* of the message, always set */
	uint16_t n_rects;     /* MESSAGE of an update: as announced, 65535
			       * means "until LastRect"; a LastRect ends
			       * any update */
	struct rfb_rect rect; /* RECT, PAYLOAD and RECT_END of an update */
	uint64_t offset;      /* stream offset of the event's first byte; for
			       * the _END kinds of the byte after it */
	const uint8_t *data;  /* PAYLOAD only, borrowed for the call */
	size_t len;
};

/*
 * Called zero or more times from rfb_framer_feed. Payload spans of one
 * rectangle arrive in order and cover every byte after its 12-byte header;
 * those of another message every byte after its type (none for a Bell). The
 * body of a Fence always comes in one span. Adjacent spans of one piece are
 * one; how bytes were cut into pieces changes nothing else.
 * Returns 0 to go on; anything else stops feed, which returns it.
 */
typedef int rfb_framer_cb(void *arg, const struct rfb_framer_event *ev);

/*
 * width, height: pixels, 1..RFB_MAX_SIDE; pf: the format in force.
 * Returns NULL only for memory.
 */
struct rfb_framer *rfb_framer_new(uint16_t width, uint16_t height,
    const struct rfb_pixel_format *pf, rfb_framer_cb *cb, void *arg);
void rfb_framer_free(struct rfb_framer *f);

/*
 * Feed server bytes that follow ServerInit, len of them, borrowed.
 * All are taken: partial headers are kept inside (at most 72 bytes, of a
 * Fence; 12 otherwise), so memory is bounded and allocated once by new.
 * Returns 0, ERR_PROTOCOL, ERR_LIMIT, ERR_UNSUPPORTED or what the callback
 * returned; after an error only rfb_framer_free and rfb_framer_why are
 * allowed.
 */
int rfb_framer_feed(struct rfb_framer *f, const uint8_t *data, size_t len);

/*
 * The same up to where a callback paused it. *used: bytes taken, all of them
 * unless it was paused; the rest is to be fed next.
 */
int rfb_framer_feed_some(
    struct rfb_framer *f, const uint8_t *data, size_t len, size_t *used);

/*
 * From a RECT_END or MESSAGE_END callback: rfb_framer_feed_some returns
 * behind what just ended.
 */
void rfb_framer_pause(struct rfb_framer *f);

/*
 * The format of updates that begin from here on. Only between messages
 * (from a MESSAGE or MESSAGE_END callback too); returns 0, or
 * ERR_PROTOCOL inside a message.
 */
int rfb_framer_set_pixel_format(
    struct rfb_framer *f, const struct rfb_pixel_format *pf);

/*
 * So many bytes may be fed, 1 or more, without going beyond the end of the
 * message they complete.
 */
uint64_t rfb_framer_wanted(const struct rfb_framer *f);

/* True when every byte so far belongs to a complete message. */
bool rfb_framer_is_between_messages(const struct rfb_framer *f);

/*
 * The framebuffer's size as resizes so far left it, in pixels; from the
 * RECT event of a resize on it is the new one.
 */
void rfb_framer_size(const struct rfb_framer *f, uint16_t *w, uint16_t *h);

/* Bytes fed so far. */
uint64_t rfb_framer_offset(const struct rfb_framer *f);

/*
 * Bytes that are checked and were reported: those fed less those kept of a
 * header that is not complete. A message whose beginning lies at or after
 * this has not been announced.
 */
uint64_t rfb_framer_checked_offset(const struct rfb_framer *f);

/* A sentence for the last error, for the log: valid until the framer is freed.
 * Never NULL. */
const char *rfb_framer_why(const struct rfb_framer *f);

#endif
