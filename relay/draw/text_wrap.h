/*
 * Where lines of text break: at line feeds, at spaces, and inside a word
 * that is wider than a line. Pure; nothing is drawn here.
 */
#ifndef RELAY_DRAW_TEXT_WRAP_H
#define RELAY_DRAW_TEXT_WRAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A character and how far it moves the pen, in pixels. */
struct text_glyph {
	uint32_t code;
	uint16_t advance;
};

/* Glyphs [from, to), w pixels wide, without the spaces or the line feed
 * that ended it. */
struct text_line {
	size_t from, to;
	unsigned w;        /* with the ellipsis, if it has one */
	bool has_ellipsis; /* drawn behind it: something was cut */
};

/* A text and the room for it. */
struct text_wrap {
	const struct text_glyph *glyphs;
	size_t n;
	unsigned max_w;      /* at least 1 */
	unsigned ellipsis_w; /* at most max_w, or lines may be wider */
	size_t max_lines;
	bool is_cut; /* in: more follows what is here; out: not all fitted */
};

/* Fills lines, which has room for max_lines; returns how many there are. A
 * glyph wider than max_w gets a line of its own. */
size_t text_wrap(struct text_wrap *t, struct text_line *lines);

#endif
