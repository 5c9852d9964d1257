/*
 * The frame as the encoder wants it: I420, BT.601 limited range, kept in
 * step with the decoder's framebuffer tile by tile. Damage is collected as
 * 16x16 tiles; conversion touches only those, which is where most of the
 * cost of recording a desktop goes away. Tiles begin at even positions, so
 * converting a tile gives the same bytes as converting the whole frame.
 * Servers send rectangles in which much is as it was, and whole screens when
 * they are asked to: a tile whose bytes are the same is no damage.
 * No I/O; one owner, not thread-safe; memory is allocated by init only.
 */
#ifndef RECORDER_FRAME_CANVAS_H
#define RECORDER_FRAME_CANVAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CANVAS_TILE 16

/* What a tile in `dirty` is: either, both, or 0. */
#define CANVAS_CLAIMED 1 /* said to have changed; not looked at yet */
#define CANVAS_CHANGED 2 /* has other bytes since canvas_clean */

struct canvas {
	unsigned width, height; /* pixels */
	unsigned cols, rows;    /* tiles, rounded up */
	uint8_t *dirty;         /* cols x rows, row by row; CANVAS_... */
	unsigned n_dirty;       /* of them are not 0 */
	bool is_unfilled;       /* planes are undefined */
	uint8_t *fresh;         /* one row of tiles, all planes, converted */
	uint8_t *i420;          /* one block, planes below point into it */
	uint8_t *y, *u, *v;
	size_t stride_y, stride_uv; /* bytes; height is padded to tiles */
};

/* How many tiles cover so many pixels. */
static inline unsigned
canvas_tiles(unsigned pixels)
{
	return (pixels + CANVAS_TILE - 1) / CANVAS_TILE;
}

/*
 * All tiles start dirty; the planes are undefined until canvas_convert or
 * canvas_clean, then black where nothing was converted. 0 or ERR_NOMEM.
 */
int canvas_init(struct canvas *c, unsigned width, unsigned height);
void canvas_release(struct canvas *c);

/*
 * A rectangle of pixels is said to have changed; parts outside the frame
 * are ignored.
 */
void canvas_damage(
    struct canvas *c, unsigned x, unsigned y, unsigned w, unsigned h);
void canvas_damage_all(struct canvas *c);

/*
 * Converts the claimed tiles from pixels (B, G, R, any; stride bytes a row,
 * the canvas's size). Those that changed stay dirty until canvas_clean, so
 * that the caller can still hand them to the encoder; the others do not.
 */
void canvas_convert(struct canvas *c, const uint8_t *pixels, size_t stride);
void canvas_clean(struct canvas *c);

static inline size_t
canvas_n_tiles(const struct canvas *c)
{
	return (size_t)c->cols * c->rows;
}

#endif
