/*
 * A warning banner over a technician's desktop, for viewers that cannot be
 * told any other way (T9): centred at the top, amber with dark words. It is
 * drawn once for a desktop size and encoded once for a pixel format; after
 * that each injection is a copy. Never part of what the recorder reads.
 * Where rectangles may be inserted: docs/rfb.md. Pure, one owner.
 */
#ifndef RELAY_DRAW_BANNER_H
#define RELAY_DRAW_BANNER_H

#include <stdbool.h>
#include <stdint.h>

#include "relay/draw/picture.h"

struct text_font;

/* A desktop under this size gets no banner. */
#define BANNER_MIN_DESKTOP_W 160
#define BANNER_MIN_DESKTOP_H 96

struct banner;

/* Where it lies on the technician's desktop, in pixels. */
struct banner_area {
	uint16_t x, y, w, h;
};

/*
 * Draws text (UTF-8, NUL-terminated, cut where it does not fit) for a
 * desktop, or the one monitor that the viewer sees, of desktop_w x
 * desktop_h: at most 60 % of its width and a quarter of its height.
 * *banner belongs to the caller, banner_free. Returns 0, ERR_NOTFOUND (font
 * is NULL), ERR_UNSUPPORTED (the desktop is too small) or ERR_NOMEM; *banner
 * is NULL then, and a bell has to do.
 */
int banner_draw(struct text_font *font, const char *text, uint16_t desktop_w,
    uint16_t desktop_h, struct banner **banner);
void banner_free(struct banner *b);

struct banner_area banner_area(const struct banner *b);

/* Whether an area of the technician's desktop touches the banner, which then
 * has to be appended again. */
bool banner_touches(
    const struct banner *b, uint16_t x, uint16_t y, uint16_t w, uint16_t h);

/*
 * The rectangles that one injection adds to an update: patch the count of
 * rectangles by this many, or insert them before LastRect. The same for
 * every format. At most BANNER_MAX_RECTS.
 */
#define BANNER_MAX_RECTS 32
unsigned banner_n_rects(const struct banner *b);

/*
 * Their bytes, whole rectangles with headers, for a viewer with format *pf
 * (true colour) that listed Hextile (may_hextile) or did not. *bytes is
 * borrowed until the next call with another format, or banner_free. Encodes
 * on the first call and when format or may_hextile changed. Returns 0 or
 * ERR_NOMEM.
 */
int banner_bytes(struct banner *b, const struct rfb_pixel_format *pf,
    bool may_hextile, const uint8_t **bytes, size_t *len);

#endif
