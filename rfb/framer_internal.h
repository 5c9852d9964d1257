/*
 * What the framer's own files share; nobody else includes this.
 *
 * A step is given exactly `need` bytes, checks them and says what follows:
 * `skip` bytes that are only passed on, then `need` bytes for `step`. Both
 * zero means that the rectangle, or the message, is complete.
 *
 *      h[0..need) | skip, passed on | h[0..need) of the next step ...
 */
#ifndef RFB_FRAMER_INTERNAL_H
#define RFB_FRAMER_INTERNAL_H

#include "rfb/framer.h"
#include "rfb/protocol.h"

/* The longest header that is looked at in one piece: a Fence's body. */
#define FRAMER_KEPT (8 + RFB_MAX_FENCE)

/* A step may raise `need` and ask to be called again with more. */
#define FRAMER_MORE 1

typedef int framer_step(struct rfb_framer *f, const uint8_t *h);

struct rfb_framer {
	rfb_framer_cb *cb;
	void *arg;
	struct rfb_pixel_format pf;
	uint16_t width, height;

	framer_step *step;
	size_t need;
	uint64_t skip;
	uint64_t offset; /* of the first byte that no step has seen */
	bool is_payload; /* what comes now is reported as PAYLOAD */
	bool may_switch; /* a new pixel format may be set here */

	uint8_t type;
	bool in_rect;
	uint32_t rects_left;
	struct rfb_rect rect;
	uint8_t pixel_len, tpixel_len; /* of the rectangle under way */

	int32_t picture;         /* encoding of pixels, also inside a cursor */
	uint16_t tile_x, tile_y; /* Hextile: of the next tile */
	uint64_t data_len;       /* Tight: bytes before compression */
	bool is_plain;           /* Tight: data is not deflated */

	const uint8_t *span; /* payload of this piece, not yet reported */
	size_t span_len;

	uint8_t kept[FRAMER_KEPT];
	size_t n_kept;

	bool is_paused; /* by a callback: the rest of the piece waits */

	int error;
	const char *why;
	char why_text[128]; /* where why needs numbers */
};

/* Ends the stream: remembers why, returns err. */
int rfb_framer_fail(struct rfb_framer *f, int err, const char *why);

/* Reports an event of this kind at f->offset, after payload so far. */
int rfb_framer_emit(
    struct rfb_framer *f, enum rfb_framer_event_kind kind, uint16_t n_rects);

/* What follows a step: skip bytes to pass on, then need bytes for step. */
static inline void
framer_next(struct rfb_framer *f, uint64_t skip, size_t need, framer_step *step)
{
	f->skip = skip;
	f->need = need;
	f->step = step;
}

/* Pixels of the rectangle under way. */
static inline uint64_t
framer_area(const struct rfb_framer *f)
{
	return (uint64_t)f->rect.w * f->rect.h;
}

/*
 * The most bytes that a compressor may make of n: no encoding more than
 * doubles its pixels, and deflate adds little to what it cannot pack.
 */
static inline uint64_t
framer_packed_max(uint64_t n)
{
	return 3 * n + 4096;
}

framer_step rfb_framer_rect_header;
framer_step rfb_framer_message_type;
framer_step rfb_framer_tight_control;
framer_step rfb_framer_hextile_tile;

/* Starts the payload of an encoding; the pixel sizes are set. */
int rfb_framer_tight_begin(struct rfb_framer *f);
int rfb_framer_hextile_begin(struct rfb_framer *f);

/* Bytes of whole tiles at p, left at most; advances past them. */
size_t rfb_framer_hextile_scan(
    struct rfb_framer *f, const uint8_t *p, size_t left);

#endif
