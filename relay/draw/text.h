/*
 * Text to 8-bit coverage with FreeType, for the few words that the relay
 * draws itself (banner, lobby). Lines are wrapped at spaces; a line feed
 * begins a new one; other control characters are left out; bytes that are
 * not UTF-8 become U+FFFD; a character that the font lacks becomes a box.
 * A font may be used by several loops at once: a lock is inside. No I/O
 * after text_font_open.
 */
#ifndef RELAY_DRAW_TEXT_H
#define RELAY_DRAW_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TEXT_MAX_W     1024 /* pixels */
#define TEXT_MAX_H     400
#define TEXT_MAX_BYTES 4096 /* of text; the rest is not drawn */
#define TEXT_MIN_SIZE  6    /* pixels per em */
#define TEXT_MAX_SIZE  128

struct text_font;

/* 255 where the ink is full. */
struct text_bitmap {
	uint16_t w, h;     /* just large enough; 0 x 0 for no words */
	uint8_t *coverage; /* w * h bytes, rows from the top; text_release */
	bool is_cut;       /* not all words fitted */
};

/* A box to fit words into, in pixels. */
struct text_box {
	uint16_t max_w, max_h; /* at most TEXT_MAX_W, TEXT_MAX_H */
	uint16_t size;         /* pixels per em, TEXT_MIN_SIZE and up */
	uint16_t min_size;     /* shrinks to this until all fits; 0: never */
	bool is_centred;       /* each line; else they begin at the left */
};

/*
 * Opens a TrueType or other font file that FreeType reads. *font belongs to
 * the caller, text_font_close. Returns 0, ERR_NOTFOUND (no such file, or it
 * is no font; *font is NULL, with which every function below works) or
 * ERR_NOMEM.
 */
int text_font_open(const char *path, struct text_font **font);
void text_font_close(struct text_font *font);

/*
 * Draws utf8, NUL-terminated, into *out. What does not fit is cut, the last
 * line with an ellipsis. Sizes outside the limits are clamped. Returns 0,
 * ERR_NOTFOUND (font is NULL), ERR_UNSUPPORTED (the font has no glyphs of
 * that size) or ERR_NOMEM; *out is empty then.
 */
int text_draw(struct text_font *font, const char *utf8,
    const struct text_box *box, struct text_bitmap *out);

/* Frees the coverage; out may be empty. */
void text_release(struct text_bitmap *out);

#endif
