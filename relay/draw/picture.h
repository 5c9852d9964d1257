/*
 * A small RGB picture, and its way into a viewer's update: one rectangle,
 * or strips, Raw or Hextile, in any true-colour pixel format. Never an
 * encoding with state: the zlib streams belong to the endpoint.
 * Source: RFC 6143 sections 7.4, 7.7.1, 7.7.4. Pure, one owner.
 */
#ifndef RELAY_DRAW_PICTURE_H
#define RELAY_DRAW_PICTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rfb/pixel_format.h"

struct buf;
struct text_bitmap;

#define PICTURE_MAX_SIDE 16384

struct picture {
	uint16_t w, h;
	uint8_t *rgb; /* w * h * 3 bytes, rows from the top */
};

/* Prepares a picture of one colour, 0xRRGGBB; sides of 1 to
 * PICTURE_MAX_SIDE. Returns 0, ERR_LIMIT or ERR_NOMEM. */
int picture_init(struct picture *p, unsigned w, unsigned h, uint32_t colour);
void picture_release(struct picture *p);

/* Fills an area; what lies outside the picture is left out. */
void picture_fill(
    struct picture *p, int x, int y, int w, int h, uint32_t colour);

/* Draws words in colour, their top left corner at x, y; clipped. */
void picture_text(struct picture *p, int x, int y,
    const struct text_bitmap *text, uint32_t colour);

/*
 * Rectangles that picture_append makes of it: strips of whole rows, none
 * above 64 KiB unless 16 rows are more, so that a slow line shows something
 * soon and no one buffer is huge. The same for every format and encoding.
 */
unsigned picture_n_rects(const struct picture *p);

/*
 * Appends picture_n_rects(p) rectangles, each 12 bytes of header and its
 * payload, with the picture's top left corner at x, y of the viewer's
 * desktop. may_hextile: the viewer listed encoding 5; it is used for a strip
 * where it is smaller than Raw. Returns 0, ERR_UNSUPPORTED (a colour map),
 * or ERR_LIMIT or ERR_NOMEM (of out); on an error out holds what it held.
 */
int picture_append(const struct picture *p, uint16_t x, uint16_t y,
    const struct rfb_pixel_format *pf, bool may_hextile, struct buf *out);

#endif
