#include <ft2build.h>
#include FT_FREETYPE_H

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "relay/draw/text.h"
#include "relay/draw/text_chars.h"
#include "relay/draw/text_wrap.h"

#define FONT_MAX_BYTES (64 * 1024 * 1024)
#define MAX_LINES      (TEXT_MAX_H / TEXT_MIN_SIZE)
#define ELLIPSIS       0x2026

struct text_font {
	pthread_mutex_t lock; /* a face draws one glyph at a time */
	FT_Library library;
	FT_Face face;
	uint8_t *file; /* the face reads from it */
};

struct layout {
	struct text_font *font; /* locked */
	unsigned line_h, ascent;
	struct text_glyph *glyphs;
	struct text_wrap wrap;
	struct text_line lines[MAX_LINES];
	size_t n_lines;
};

/* Opening. The whole file is kept: nothing is read later, when privileges
 * are dropped or a package is being replaced. */

static int
read_file(const char *path, uint8_t **data, size_t *len)
{
	FILE *f = fopen(path, "rbe");
	int rc = ERR_NOTFOUND;
	long size;

	*data = NULL;
	if (f == NULL)
		return ERR_NOTFOUND;
	if (fseek(f, 0, SEEK_END) != 0 || (size = ftell(f)) <= 0 ||
	    size > FONT_MAX_BYTES || fseek(f, 0, SEEK_SET) != 0)
		goto out;
	rc = ERR_NOMEM;
	*data = malloc((size_t)size);
	if (*data == NULL)
		goto out;
	*len = fread(*data, 1, (size_t)size, f);
	rc = *len == (size_t)size ? 0 : ERR_NOTFOUND;
out:
	fclose(f);
	return rc;
}

static int
open_face(struct text_font *font, size_t len)
{
	FT_Error e = FT_Init_FreeType(&font->library);

	if (e == 0)
		e = FT_New_Memory_Face(
		    font->library, font->file, (FT_Long)len, 0, &font->face);
	if (e == FT_Err_Out_Of_Memory)
		return ERR_NOMEM;
	return e == 0 ? 0 : ERR_NOTFOUND;
}

int
text_font_open(const char *path, struct text_font **out)
{
	struct text_font *font = calloc(1, sizeof(*font));
	size_t len = 0;
	int rc;

	*out = NULL;
	if (font == NULL)
		return ERR_NOMEM;
	pthread_mutex_init(&font->lock, NULL);
	rc = read_file(path, &font->file, &len);
	if (rc == 0)
		rc = open_face(font, len);
	if (rc != 0) {
		text_font_close(font);
		return rc;
	}
	*out = font;
	return 0;
}

void
text_font_close(struct text_font *font)
{
	if (font == NULL)
		return;
	if (font->face != NULL)
		FT_Done_Face(font->face);
	if (font->library != NULL)
		FT_Done_FreeType(font->library);
	pthread_mutex_destroy(&font->lock);
	free(font->file);
	free(font);
}

/* Measuring. */

/* Loads the glyph of a character into the face's slot; false: the font has
 * none, a box stands for it. */
static bool
load_glyph(struct text_font *font, uint32_t code, FT_Int32 flags)
{
	FT_UInt index = FT_Get_Char_Index(font->face, code);

	return index != 0 &&
	    FT_Load_Glyph(font->face, index,
		FT_LOAD_NO_BITMAP | FT_LOAD_TARGET_LIGHT | flags) == 0;
}

static unsigned
box_w(const struct layout *l)
{
	return l->ascent * 2 / 3 + 2;
}

static struct text_glyph
measure(struct layout *l, uint32_t code)
{
	struct text_glyph g = { .code = code };
	FT_Pos advance;

	if (code == '\n')
		return g;
	g.advance = (uint16_t)box_w(l);
	if (load_glyph(l->font, code, 0)) {
		advance = l->font->face->glyph->advance.x >> 6;
		if (advance >= 0 && advance <= 4 * TEXT_MAX_SIZE)
			g.advance = (uint16_t)advance;
	}
	return g;
}

static int
set_size(struct layout *l, unsigned size)
{
	FT_Size_Metrics *m;

	if (FT_Set_Pixel_Sizes(l->font->face, 0, size) != 0)
		return ERR_UNSUPPORTED;
	m = &l->font->face->size->metrics;
	l->ascent = (unsigned)((m->ascender + 63) >> 6);
	l->line_h = (unsigned)((m->height + 63) >> 6);
	/* a font may claim anything */
	if (l->ascent == 0 || l->ascent > 2 * size)
		l->ascent = size;
	if (l->line_h < l->ascent || l->line_h > 3 * size)
		l->line_h = l->ascent + size / 4;
	return 0;
}

static int
measure_all(struct layout *l, const char *utf8)
{
	size_t len = strnlen(utf8, TEXT_MAX_BYTES);
	uint32_t *chars = malloc((len + 1) * sizeof(*chars));

	l->glyphs = calloc(len + 1, sizeof(*l->glyphs));
	if (chars == NULL || l->glyphs == NULL) {
		free(chars);
		return ERR_NOMEM;
	}
	l->wrap.glyphs = l->glyphs;
	l->wrap.n = text_chars(utf8, len, chars);
	l->wrap.is_cut = utf8[len] != '\0';
	for (size_t i = 0; i < l->wrap.n; i++)
		l->glyphs[i] = measure(l, chars[i]);
	l->wrap.ellipsis_w = measure(l, ELLIPSIS).advance;
	free(chars);
	return 0;
}

/* Drawing. */

static void
put(struct text_bitmap *out, int x, int y, uint8_t ink)
{
	uint8_t *p;

	if (x < 0 || y < 0 || x >= out->w || y >= out->h)
		return;
	p = &out->coverage[(size_t)y * out->w + (size_t)x];
	if (ink > *p)
		*p = ink;
}

/* The outline of a box, for a character that the font lacks. */
static void
draw_box(const struct layout *l, struct text_bitmap *out, int x, int base)
{
	int w = (int)box_w(l) - 2, h = (int)l->ascent * 3 / 4;

	for (int i = 1; i <= w; i++) {
		put(out, x + i, base - h, 255);
		put(out, x + i, base - 1, 255);
	}
	for (int i = base - h; i < base; i++) {
		put(out, x + 1, i, 255);
		put(out, x + w, i, 255);
	}
}

static void
draw_glyph(const struct layout *l, struct text_bitmap *out, int x, int base,
    uint32_t code)
{
	FT_GlyphSlot slot = l->font->face->glyph;
	const FT_Bitmap *b = &slot->bitmap;

	if (!load_glyph(l->font, code, FT_LOAD_RENDER) ||
	    (b->rows != 0 && b->pixel_mode != FT_PIXEL_MODE_GRAY)) {
		draw_box(l, out, x, base);
		return;
	}
	for (int row = 0; row < (int)b->rows; row++) {
		for (int i = 0; i < (int)b->width; i++)
			put(out, x + slot->bitmap_left + i,
			    base - slot->bitmap_top + row,
			    b->buffer[row * b->pitch + i]);
	}
}

static void
draw_line(const struct layout *l, const struct text_line *line,
    struct text_bitmap *out, int x, int base)
{
	for (size_t i = line->from; i < line->to; i++) {
		draw_glyph(l, out, x, base, l->glyphs[i].code);
		x += l->glyphs[i].advance;
	}
	if (line->has_ellipsis)
		draw_glyph(l, out, x, base, ELLIPSIS);
}

static int
draw_lines(const struct layout *l, bool is_centred, struct text_bitmap *out)
{
	unsigned w = 0;
	int x;

	for (size_t i = 0; i < l->n_lines; i++)
		w = l->lines[i].w > w ? l->lines[i].w : w;
	out->is_cut = l->wrap.is_cut;
	if (w == 0)
		return 0;
	out->w = (uint16_t)min_size(w, l->wrap.max_w);
	out->h = (uint16_t)(l->n_lines * l->line_h);
	out->coverage = calloc(out->w, out->h);
	if (out->coverage == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < l->n_lines; i++) {
		x = is_centred ? ((int)out->w - (int)l->lines[i].w) / 2 : 0;
		draw_line(
		    l, &l->lines[i], out, x, (int)(i * l->line_h + l->ascent));
	}
	return 0;
}

static unsigned
clamp(unsigned v, unsigned low, unsigned high)
{
	if (v < low)
		return low;
	return v > high ? high : v;
}

/* Lays out and draws; the font is locked. */
static int
draw_at(struct layout *l, const char *utf8, const struct text_box *box,
    unsigned size, struct text_bitmap *out)
{
	int rc = set_size(l, size);

	if (rc == 0)
		rc = measure_all(l, utf8);
	if (rc != 0)
		return rc;
	l->wrap.max_w = clamp(box->max_w, 1, TEXT_MAX_W);
	l->wrap.max_lines =
	    min_size(clamp(box->max_h, 0, TEXT_MAX_H) / l->line_h, MAX_LINES);
	l->n_lines = text_wrap(&l->wrap, l->lines);
	return draw_lines(l, box->is_centred, out);
}

static int
draw_locked(struct text_font *font, const char *utf8,
    const struct text_box *box, unsigned size, struct text_bitmap *out)
{
	struct layout *l = calloc(1, sizeof(*l));
	int rc;

	if (l == NULL)
		return ERR_NOMEM;
	l->font = font;
	pthread_mutex_lock(&font->lock);
	rc = draw_at(l, utf8, box, size, out);
	pthread_mutex_unlock(&font->lock);
	free(l->glyphs);
	free(l);
	return rc;
}

int
text_draw(struct text_font *font, const char *utf8, const struct text_box *box,
    struct text_bitmap *out)
{
	unsigned size = clamp(box->size, TEXT_MIN_SIZE, TEXT_MAX_SIZE);
	unsigned least = box->min_size != 0
	    ? clamp(box->min_size, TEXT_MIN_SIZE, size)
	    : size;
	int rc = font == NULL ? ERR_NOTFOUND : 0;

	*out = (struct text_bitmap){ 0 };
	while (rc == 0) {
		rc = draw_locked(font, utf8, box, size, out);
		if (rc != 0 || !out->is_cut || size == least)
			break;
		text_release(out);
		size = clamp(size * 5 / 6, least, size);
	}
	if (rc != 0)
		text_release(out);
	return rc;
}

void
text_release(struct text_bitmap *out)
{
	free(out->coverage);
	*out = (struct text_bitmap){ 0 };
}
