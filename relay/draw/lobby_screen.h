/*
 * What the lobby shows: three bands from top to bottom, a title, a text and
 * a small line, each drawn by itself, so that a countdown costs its own band
 * only and nothing is kept but the words. Pure.
 */
#ifndef RELAY_DRAW_LOBBY_SCREEN_H
#define RELAY_DRAW_LOBBY_SCREEN_H

#include <stdint.h>

#include "relay/draw/picture.h"

struct text_font;

enum lobby_band {
	LOBBY_TITLE,
	LOBBY_TEXT,
	LOBBY_SMALL,
	LOBBY_N_BANDS,
};

struct lobby_band_area {
	uint16_t y, h; /* of the screen's whole width */
};

/* Where a band lies on a screen h high. The bands cover it all. */
struct lobby_band_area lobby_screen_area(enum lobby_band band, uint16_t h);

/*
 * Draws one band of a screen w x h, the words in UTF-8, into *p, which
 * picture_release ends. font may be NULL: no words then. Returns 0 or
 * ERR_NOMEM.
 */
int lobby_screen_draw(enum lobby_band band, uint16_t w, uint16_t h,
    struct text_font *font, const char *words, struct picture *p);

#endif
