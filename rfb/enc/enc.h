/*
 * What rfb/decoder.c and the files of this folder share; nobody else
 * includes this. One codec an encoding: it is told that a rectangle begins,
 * is given the payload in pieces of any size, and is told that it ended.
 * The framer has checked lengths and places; what lies inside a payload is
 * checked here. No I/O, not thread-safe.
 *
 * A pixel is a uint32_t whose bytes in memory are B, G, R, 255; the last is 0
 * where nothing was drawn yet, rfb/decoder.h.
 */
#ifndef RFB_ENC_ENC_H
#define RFB_ENC_ENC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <turbojpeg.h>

#include "rfb/decoder.h"
#include "rfb/enc/inflate_stream.h"
#include "rfb/pixel_format.h"
#include "rfb/protocol.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
    "pixels are written as little-endian words");

#define ENC_BLACK 0xff000000u

/* The longest unit that is looked at in one piece: a Hextile tile of 255
 * coloured subrectangles (1 + 4 + 4 + 1 + 255 * 6). */
#define ENC_KEPT 1540

/* Room for bytes that are not deflated but come in pieces. */
#define ENC_SCRATCH (64 * 1024)

#define ENC_TIGHT_MAX_WIDTH 2048

struct enc;
struct enc_pixels;

/* Converts n pixels at src into dst. */
typedef void enc_row_fn(
    const struct enc_pixels *px, uint32_t *dst, const uint8_t *src, size_t n);

/* One way in which a pixel stands in the stream. */
struct enc_pixels {
	uint8_t len; /* bytes a pixel: 1 to 4 */
	enc_row_fn *row;
	uint8_t red_at, green_at, blue_at; /* where each byte stands */
	const uint32_t *table;             /* by value as read from memory */
	struct rfb_pixel_format pf;
	uint8_t left; /* bits that a 3-byte value is shifted up by */
};

/* The three ways that one pixel format has. */
struct enc_format {
	struct rfb_pixel_format pf;
	struct enc_pixels pixel, cpixel, tpixel;
	uint32_t *table; /* owned; 65536 entries once a format needed it */
};

/* Payload that is not read yet. */
struct enc_span {
	const uint8_t *p, *end;
};

/*
 * Takes inflated bytes; returns how many it used, or an error. What it left
 * comes again with more behind it.
 */
typedef ssize_t enc_sink(struct enc *e, const uint8_t *p, size_t n);

struct enc_codec {
	int32_t encoding;
	int (*begin)(struct enc *e);
	/* Takes all of s; may be called with any cuts. */
	int (*payload)(struct enc *e, struct enc_span *s);
	int (*end)(struct enc *e);
};

struct enc_inflater {
	struct inflate_stream *stream; /* NULL: never used; owned */
	bool is_begun;                 /* anything of it was read */
};

struct enc_colours {
	uint32_t background, foreground;
};

enum enc_tight_step {
	TIGHT_STEP_CONTROL,
	TIGHT_STEP_FILTER,
	TIGHT_STEP_PALETTE_COUNT,
	TIGHT_STEP_PALETTE,
	TIGHT_STEP_LENGTH,
	TIGHT_STEP_FILL,
	TIGHT_STEP_PLAIN, /* data shorter than 12 bytes */
	TIGHT_STEP_PACKED,
	TIGHT_STEP_JPEG,
	TIGHT_STEP_DONE,
};

struct enc_tight {
	enum enc_tight_step step;
	uint8_t control;
	bool is_plain; /* not deflated */
	size_t n_colours;
	size_t data_len; /* before compression */
	size_t left;     /* packed or JPEG bytes still to come */
	size_t jpeg_len;
	enc_sink *sink;
};

struct enc {
	/* Where to draw: the rectangle's first pixel, pixels from row to
	 * row, and its size. */
	uint32_t *at;
	size_t stride;
	uint16_t w, h;
	const struct enc_format *format;

	/* How far a codec that draws in order has come. */
	uint16_t x, y;
	bool has_header;
	uint32_t n_left;    /* RRE: subrectangles, layout: screens, to come */
	uint64_t n_painted; /* by subrectangles so far: RRE, Hextile's tile */
	struct enc_colours colours;
	struct enc_tight tight;
	uint32_t palette[256];

	uint8_t kept[ENC_KEPT];
	size_t n_kept;

	struct enc_inflater zlib, zrle, tight_streams[4];
	const uint8_t *rest; /* what the sink has left so far */
	size_t n_rest;
	uint8_t *scratch;   /* ENC_SCRATCH bytes for enc_pass, once used */
	uint16_t *gradient; /* a row above and one of now, 3 values a pixel */
	uint8_t *jpeg;      /* a JPEG that came in pieces */
	size_t jpeg_cap;
	tjhandle tj;

	/* Cursor With Alpha: drawn aside, for what it does to streams. */
	const struct enc_codec *inner;
	struct enc_format cursor_format;
	uint32_t *cursor;
	size_t cursor_cap;

	struct rfb_screen screens[RFB_MAX_SCREENS];
	unsigned n_screens;

	/* The picture, for CopyRect. */
	uint32_t *pixels;
	uint16_t width, height;

	const char *why;
};

/* enc.c */
void enc_release(struct enc *e);
int enc_fail(struct enc *e, int err, const char *why);
/* NULL for what is no picture encoding. */
const struct enc_codec *enc_find_picture(int32_t encoding);
/* Grows *buf, of *cap bytes, to need; contents are not kept. */
int enc_grow(struct enc *e, void **buf, size_t *cap, size_t need);

/*
 * n bytes in one piece, not yet consumed; NULL when s has fewer, which are
 * then kept. Ask for more by asking again with a higher n; what was asked
 * for last is what enc_done consumes.
 */
const uint8_t *enc_want(struct enc *e, struct enc_span *s, size_t n);
void enc_done(struct enc *e, struct enc_span *s, size_t n);

/* draw.c */
void enc_fill(
    struct enc *e, size_t x, size_t y, size_t w, size_t h, uint32_t pixel);
/* Whole pixels in reading order, from e->x, e->y on; a sink's return. */
ssize_t enc_draw_pixels(
    struct enc *e, const struct enc_pixels *px, const uint8_t *p, size_t n);
static inline bool
enc_is_drawn(const struct enc *e)
{
	return e->y == e->h || e->w == 0;
}

/* A run of one colour inside a row. */
static inline void
enc_run(uint32_t *dst, size_t n, uint32_t pixel)
{
	for (size_t i = 0; i < n; i++)
		dst[i] = pixel;
}

/* pixels.c */
/* Returns 0 or ERR_NOMEM, and then f is as before. */
int enc_format_set(struct enc_format *f, const struct rfb_pixel_format *pf);
void enc_format_release(struct enc_format *f);
static inline uint32_t
enc_pixel(const struct enc_pixels *px, const uint8_t *p)
{
	uint32_t pixel;

	px->row(px, &pixel, p, 1);
	return pixel;
}

/* inflate.c */
/*
 * Inflates len bytes at in and gives the output to sink, which knows how
 * much is wanted: output that it leaves when the picture is drawn is an
 * error, so nothing is inflated beyond one buffer of the stream too far.
 */
int enc_inflate(struct enc *e, struct enc_inflater *z, const uint8_t *in,
    size_t len, enc_sink *sink);
/* The same for len bytes that are not deflated. */
int enc_pass(struct enc *e, const uint8_t *in, size_t len, enc_sink *sink);
void enc_inflater_reset(struct enc_inflater *z);
void enc_inflater_release(struct enc_inflater *z);
/* Whether anything of the stream was read. */
bool enc_inflater_is_begun(const struct enc_inflater *z);
/*
 * Whether it stands between two blocks, at a byte, as it does behind each
 * rectangle of an endpoint that flushes as the specification says.
 */
bool enc_inflater_can_save(const struct enc_inflater *z);
/*
 * The window that the stream goes on with, INFLATE_WINDOW_MAX bytes at most:
 * returns its length, or ERR_UNSUPPORTED if it cannot.
 */
ssize_t enc_inflater_save(const struct enc_inflater *z, uint8_t *window);
/* Goes on behind n bytes of window. 0, ERR_NOMEM or ERR_CORRUPT. */
int enc_inflater_restore(
    struct enc *e, struct enc_inflater *z, const uint8_t *window, size_t n);

/* state.c */
bool enc_state_can_save(const struct enc *e);
/* All streams; out: RFB_DECODER_STATE_MAX - 1 bytes. Length, or an error. */
ssize_t enc_state_save(const struct enc *e, uint8_t *out);
int enc_state_restore(struct enc *e, const uint8_t *p, size_t len);

/* tight_jpeg.c */
int enc_tight_jpeg(struct enc *e, const uint8_t *p, size_t len);

/* tight_filter.c */
enc_sink enc_tight_copy, enc_tight_mono, enc_tight_indexed;
enc_sink enc_tight_gradient;

extern const struct enc_codec enc_raw, enc_copyrect, enc_rre, enc_corre;
extern const struct enc_codec enc_hextile, enc_zlib, enc_tight, enc_zrle;
extern const struct enc_codec enc_cursor_alpha, enc_screens;

#endif
