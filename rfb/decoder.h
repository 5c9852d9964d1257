/*
 * The shadow framebuffer: server bytes in, 32-bit pixels and damage out.
 * Built on rfb/framer.h (which checks structure) with one file per encoding
 * under rfb/enc/. Cursor shapes are parsed and discarded (T8).
 * Every picture encoding of docs/rfb.md: Raw, CopyRect, RRE, CoRRE, Hextile,
 * Zlib, Tight, ZRLE. zlib streams live as long as the decoder: it must see
 * the stream from its first byte, or be told to do without them. No I/O;
 * one owner, not thread-safe.
 *
 * Memory, at most: the picture (4 bytes a pixel; twice while it changes its
 * size), 8 MiB for an endpoint's cursor and a JPEG in pieces, 1 MiB for
 * everything else. libjpeg takes up to 8 bytes a pixel of a rectangle, at most
 * RFB_MAX_JPEG_PIXELS of them, while it decodes a progressive JPEG, which no
 * known server sends; else some rows. What has grown stays: nothing is
 * allocated for an update like those before it.
 *
 * Whatever a server sends is decoded or refused; the cases are listed in
 * docs/rfb.md. Inflating stops at the size a rectangle can hold.
 *
 * Pixels are 4 bytes in memory order B, G, R, 255 (libyuv calls it ARGB),
 * stride = rfb_decoder_stride() bytes, row 0 on top. Fresh and resized areas
 * are black with 0 for 255, never uninitialised: their memory is not touched
 * before something is drawn there.
 */
#ifndef RFB_DECODER_H
#define RFB_DECODER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "rfb/pixel_format.h"

struct rfb_decoder;

/* Clipped to the picture; all 0 if it lies outside. */
struct rfb_screen {
	uint32_t id;
	uint16_t x, y, w, h;
	uint32_t flags;
};

enum rfb_decoder_event_kind {
	RFB_DECODER_DRAW,       /* x, y, w, h are about to be drawn: a DAMAGE
				 * follows, unless the stream breaks */
	RFB_DECODER_DAMAGE,     /* x, y, w, h changed, inside the picture */
	RFB_DECODER_RESIZING,   /* a RESIZE follows: the pixels are still as
				 * they were, w, h are the size they have */
	RFB_DECODER_RESIZE,     /* w, h are new; the pixels moved: what both
				 * sizes have in common is kept, the rest
				 * black. Never for a size that stays */
	RFB_DECODER_LAYOUT,     /* screens, n_screens (ExtendedDesktopSize);
				 * after the RESIZE that it brought */
	RFB_DECODER_UPDATE_END, /* a FramebufferUpdate is complete */
};

struct rfb_decoder_event {
	enum rfb_decoder_event_kind kind;
	uint16_t x, y, w, h;
	const struct rfb_screen *screens; /* borrowed for the call */
	unsigned n_screens;
};

/* Called zero or more times from rfb_decoder_feed. */
typedef void rfb_decoder_cb(void *arg, const struct rfb_decoder_event *ev);

/* width, height: 1..RFB_MAX_SIDE pixels. NULL only for memory. */
struct rfb_decoder *rfb_decoder_new(uint16_t width, uint16_t height,
    const struct rfb_pixel_format *pf, rfb_decoder_cb *cb, void *arg);
void rfb_decoder_free(struct rfb_decoder *d);

/*
 * Feed len server bytes (all are taken). Returns 0, ERR_PROTOCOL,
 * ERR_LIMIT, ERR_UNSUPPORTED or ERR_NOMEM; after an error only free, why
 * and the getters are allowed: the picture stays readable.
 */
int rfb_decoder_feed(struct rfb_decoder *d, const uint8_t *data, size_t len);

/*
 * The same, but it stops behind the rectangle that brings this call's work
 * (rfb/work.h) to max_work pixels. *used: bytes taken; the rest is to be fed
 * next. So a call takes about as long as drawing max_work pixels and one
 * rectangle, whatever len is.
 */
int rfb_decoder_feed_some(struct rfb_decoder *d, const uint8_t *data,
    size_t len, uint64_t max_work, size_t *used);
/* Pixels drawn so far. */
uint64_t rfb_decoder_work(const struct rfb_decoder *d);

/* As rfb_framer_set_pixel_format. */
int rfb_decoder_set_pixel_format(
    struct rfb_decoder *d, const struct rfb_pixel_format *pf);

/*
 * For a decoder that joins in midway, after a recorder restart: rectangles
 * whose zlib streams began earlier (Zlib, ZRLE, Tight) are framed and left
 * out from here on, without DAMAGE. The fourth byte of a pixel is then 0,
 * not 255, while nobody can know the pixel: nothing came for it yet, what
 * came was left out, or it was copied from such a place. Before the first
 * feed.
 */
void rfb_decoder_skip_stateful(struct rfb_decoder *d);

/* A picture of more than n pixels is refused with ERR_LIMIT; 0: no limit but
 * RFB_MAX_SIDE. It holds for changes of size from here on. */
void rfb_decoder_limit_pixels(struct rfb_decoder *d, uint64_t n);

/*
 * Whether every pixel of an area inside the picture is known; always so
 * without rfb_decoder_skip_stateful. Looks at all of them in the worst case.
 */
bool rfb_decoder_is_known(const struct rfb_decoder *d, unsigned x, unsigned y,
    unsigned w, unsigned h);

/*
 * What later rectangles depend on beside the picture: how far the zlib
 * streams are. Writes at most RFB_DECODER_STATE_MAX bytes to out: one that
 * is 1 for a decoder that skips stateful rectangles, then for Zlib, ZRLE and
 * the four streams of Tight whether it began (u8), the length of its window
 * (u16, big-endian) and the window. Returns the length, ERR_AGAIN within a
 * message, or ERR_UNSUPPORTED for a stream that was not flushed to a byte.
 */
#define RFB_DECODER_STATE_MAX (1 + 6 * (3 + 32 * 1024))
ssize_t rfb_decoder_save(const struct rfb_decoder *d, uint8_t *out);
/* Whether it would succeed. */
bool rfb_decoder_can_save(const struct rfb_decoder *d);

/*
 * The other way, before the first feed; also after
 * rfb_decoder_skip_stateful, which it takes back if p says so. The picture
 * is to be sent anew, Raw. Returns 0, ERR_NOMEM or ERR_CORRUPT.
 */
int rfb_decoder_restore(struct rfb_decoder *d, const uint8_t *p, size_t len);

/* Rectangles of the screen that were left out so far. */
uint64_t rfb_decoder_n_skipped(const struct rfb_decoder *d);

const uint8_t *rfb_decoder_pixels(const struct rfb_decoder *d);
size_t rfb_decoder_stride(const struct rfb_decoder *d);
uint16_t rfb_decoder_width(const struct rfb_decoder *d);
uint16_t rfb_decoder_height(const struct rfb_decoder *d);
bool rfb_decoder_is_between_messages(const struct rfb_decoder *d);
/* As rfb_framer_wanted. */
uint64_t rfb_decoder_bytes_to_boundary(const struct rfb_decoder *d);
/* In force. */
struct rfb_pixel_format rfb_decoder_pixel_format(const struct rfb_decoder *d);

/* A static sentence for the last error. Never NULL. */
const char *rfb_decoder_why(const struct rfb_decoder *d);

#endif
