#include "relay/draw/banner.h"

#include <assert.h>
#include <stdlib.h>

#include "common/buf.h"
#include "common/bytes.h"
#include "common/err.h"
#include "relay/draw/text.h"
#include "rfb/protocol.h"

#define AMBER  0xffb300
#define WORDS  0x201400
#define BORDER 0x6b4700

#define MIN_FONT    10
#define MAX_FONT    44
#define MAX_ENCODED (8 * 1024 * 1024)

struct banner {
	struct picture picture;
	uint16_t x;
	/* the last encoding */
	struct buf bytes;
	struct rfb_pixel_format format;
	bool has_bytes, is_hextile;
};

/* Pixels between a desktop's size, its words and their frame. */
struct measures {
	unsigned font, border, margin;
};

static struct measures
measures_of(unsigned font)
{
	struct measures m = { .font = font };

	m.border = 1 + font / 16;
	m.margin = m.border + font / 3;
	return m;
}

/* A letter is a fixed part of what the technician sees: of the height on a
 * wide desktop, of the width on a narrow one. */
static unsigned
font_size(unsigned w, unsigned h)
{
	size_t size = min_size(h / 34, w / 42);

	if (size < MIN_FONT)
		return MIN_FONT;
	return (unsigned)min_size(size, MAX_FONT);
}

static int
draw_words(struct text_font *font, const char *text, unsigned w, unsigned h,
    const struct measures *m, struct text_bitmap *words)
{
	struct text_box box = { .size = (uint16_t)m->font,
		.min_size = MIN_FONT,
		.max_w = (uint16_t)(w * 3 / 5 - 2 * m->margin),
		.max_h = (uint16_t)(h / 4 - 2 * m->margin),
		.is_centred = true };

	return text_draw(font, text, &box, words);
}

static int
paint(struct picture *p, const struct text_bitmap *words,
    const struct measures *m)
{
	unsigned w = words->w + 2 * m->margin, h = words->h + 2 * m->margin;
	int border = (int)m->border, rc;

	rc = picture_init(p, w, h, BORDER);
	if (rc != 0)
		return rc;
	picture_fill(
	    p, border, border, (int)w - 2 * border, (int)h - 2 * border, AMBER);
	picture_text(p, (int)m->margin, (int)m->margin, words, WORDS);
	return 0;
}

int
banner_draw(struct text_font *font, const char *text, uint16_t desktop_w,
    uint16_t desktop_h, struct banner **out)
{
	struct text_bitmap words;
	struct measures m = measures_of(font_size(desktop_w, desktop_h));
	struct banner *b;
	int rc;

	*out = NULL;
	if (desktop_w < BANNER_MIN_DESKTOP_W ||
	    desktop_h < BANNER_MIN_DESKTOP_H)
		return ERR_UNSUPPORTED;
	rc = draw_words(font, text, desktop_w, desktop_h, &m, &words);
	if (rc != 0)
		return rc;
	b = calloc(1, sizeof(*b));
	rc = b != NULL ? paint(&b->picture, &words, &m) : ERR_NOMEM;
	text_release(&words);
	if (rc != 0) {
		free(b);
		return rc;
	}
	buf_init(&b->bytes, MAX_ENCODED);
	b->x = (uint16_t)((desktop_w - b->picture.w) / 2);
	assert(banner_n_rects(b) <= BANNER_MAX_RECTS);
	*out = b;
	return 0;
}

void
banner_free(struct banner *b)
{
	if (b == NULL)
		return;
	picture_release(&b->picture);
	buf_release(&b->bytes);
	free(b);
}

struct banner_area
banner_area(const struct banner *b)
{
	return (struct banner_area){
		.x = b->x, .y = 0, .w = b->picture.w, .h = b->picture.h
	};
}

bool
banner_touches(
    const struct banner *b, uint16_t x, uint16_t y, uint16_t w, uint16_t h)
{
	return w != 0 && h != 0 && x < b->x + b->picture.w && b->x < x + w &&
	    y < b->picture.h;
}

unsigned
banner_n_rects(const struct banner *b)
{
	return picture_n_rects(&b->picture);
}

static bool
is_encoded(
    const struct banner *b, const struct rfb_pixel_format *pf, bool may_hextile)
{
	return b->has_bytes && b->is_hextile == may_hextile &&
	    rfb_pixel_format_equal(&b->format, pf);
}

int
banner_bytes(struct banner *b, const struct rfb_pixel_format *pf,
    bool may_hextile, const uint8_t **bytes, size_t *len)
{
	int rc;

	if (!is_encoded(b, pf, may_hextile)) {
		b->has_bytes = false;
		buf_consume(&b->bytes, buf_len(&b->bytes));
		rc = picture_append(
		    &b->picture, b->x, 0, pf, may_hextile, &b->bytes);
		if (rc != 0)
			return rc;
		b->has_bytes = true;
		b->is_hextile = may_hextile;
		b->format = *pf;
	}
	*bytes = buf_head(&b->bytes);
	*len = buf_len(&b->bytes);
	return 0;
}
