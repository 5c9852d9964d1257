/* Pictures into rectangles: see relay/draw/picture.h. */
#include <assert.h>

#include "common/buf.h"
#include "common/bytes.h"
#include "common/err.h"
#include "relay/draw/picture.h"
#include "rfb/protocol.h"

#define TILE        16
#define STRIP_BYTES (64 * 1024)
#define RECT_HEADER 12

/* Hextile subencoding bits, RFC 6143 section 7.7.4. */
#define HEXTILE_RAW        1
#define HEXTILE_BACKGROUND 2
#define HEXTILE_FOREGROUND 4
#define HEXTILE_SUBRECTS   8
#define HEXTILE_COLOURED   16

/* The way into a pixel format. */

struct writer {
	uint32_t red[256], green[256], blue[256]; /* shifted into place */
	unsigned len;                             /* bytes a pixel */
	bool big_endian;
};

static void
fill_channel(uint32_t *table, uint16_t max, uint8_t shift)
{
	for (uint32_t v = 0; v < 256; v++)
		table[v] = (v * max + 127) / 255 << shift;
}

static void
writer_init(struct writer *w, const struct rfb_pixel_format *pf)
{
	fill_channel(w->red, pf->red_max, pf->red_shift);
	fill_channel(w->green, pf->green_max, pf->green_shift);
	fill_channel(w->blue, pf->blue_max, pf->blue_shift);
	w->len = (unsigned)rfb_pixel_len(pf);
	w->big_endian = pf->big_endian;
}

static uint32_t
pixel_value(const struct writer *w, const uint8_t *rgb)
{
	return w->red[rgb[0]] | w->green[rgb[1]] | w->blue[rgb[2]];
}

static uint8_t *
put_pixel(const struct writer *w, uint8_t *out, uint32_t v)
{
	for (unsigned i = 0; i < w->len; i++) {
		unsigned byte = w->big_endian ? w->len - 1 - i : i;

		out[i] = (uint8_t)(v >> 8 * byte);
	}
	return out + w->len;
}

/* Some rows of a picture. */
struct strip {
	const struct picture *p;
	unsigned y, h;
};

static uint8_t *
put_raw(const struct writer *w, const struct strip *s, uint8_t *out)
{
	const uint8_t *rgb = s->p->rgb + (size_t)s->y * s->p->w * 3;

	for (size_t n = (size_t)s->p->w * s->h; n > 0; n--, rgb += 3)
		out = put_pixel(w, out, pixel_value(w, rgb));
	return out;
}

/* Hextile: a tile is Raw, or a background with runs of other colours. */

struct tile {
	unsigned w, h;
	uint32_t pixels[TILE * TILE];
	uint32_t background;
	unsigned n_runs;
	bool has_one_colour; /* the runs do */
	uint32_t colour;     /* of the first run */
};

/* The background that tiles before have left in force. */
struct hextile {
	const struct writer *w;
	bool has_background;
	uint32_t background;
};

/* The colour of most pixels, if more than half have one; else any. */
static uint32_t
common_colour(const struct tile *t)
{
	uint32_t colour = 0;
	unsigned lead = 0;

	for (unsigned i = 0; i < t->w * t->h; i++) {
		if (lead == 0)
			colour = t->pixels[i];
		lead += t->pixels[i] == colour ? 1 : -1u;
	}
	return colour;
}

/* Pixels in a row from column x on that have one colour. */
static unsigned
run_len(const struct tile *t, unsigned x, unsigned y)
{
	const uint32_t *row = t->pixels + y * t->w;
	unsigned end = x + 1;

	while (end < t->w && row[end] == row[x])
		end++;
	return end - x;
}

static void
count_runs(struct tile *t)
{
	t->background = common_colour(t);
	t->n_runs = 0;
	t->has_one_colour = true;
	for (unsigned y = 0; y < t->h; y++) {
		for (unsigned x = 0; x < t->w; x += run_len(t, x, y)) {
			uint32_t v = t->pixels[y * t->w + x];

			if (v == t->background)
				continue;
			if (t->n_runs++ == 0)
				t->colour = v;
			else if (v != t->colour)
				t->has_one_colour = false;
		}
	}
}

static void
load_tile(struct tile *t, const struct writer *w, const struct strip *s,
    unsigned x, unsigned y)
{
	uint32_t *to = t->pixels;

	t->w = (unsigned)min_size(TILE, s->p->w - x);
	t->h = (unsigned)min_size(TILE, s->h - y);
	for (unsigned row = 0; row < t->h; row++) {
		const uint8_t *rgb =
		    s->p->rgb + ((size_t)(s->y + y + row) * s->p->w + x) * 3;

		for (unsigned i = 0; i < t->w; i++, rgb += 3)
			*to++ = pixel_value(w, rgb);
	}
	count_runs(t);
}

static uint8_t *
put_tile_raw(struct hextile *e, const struct tile *t, uint8_t *out)
{
	*out++ = HEXTILE_RAW;
	for (unsigned i = 0; i < t->w * t->h; i++)
		/* NOLINTNEXTLINE: load_tile set w * h of them */
		out = put_pixel(e->w, out, t->pixels[i]);
	e->has_background = false; /* a Raw tile undoes it */
	return out;
}

static uint8_t *
put_runs(struct hextile *e, const struct tile *t, uint8_t *out)
{
	assert(t->n_runs <= 255);
	*out++ = (uint8_t)t->n_runs;
	for (unsigned y = 0; y < t->h; y++) {
		unsigned n;

		for (unsigned x = 0; x < t->w; x += n) {
			uint32_t v = t->pixels[y * t->w + x];

			n = run_len(t, x, y);
			if (v == t->background)
				continue;
			if (!t->has_one_colour)
				out = put_pixel(e->w, out, v);
			*out++ = (uint8_t)(x << 4 | y);
			*out++ = (uint8_t)((n - 1) << 4);
		}
	}
	return out;
}

static uint8_t *
put_tile(struct hextile *e, const struct tile *t, uint8_t *out)
{
	unsigned run = t->has_one_colour ? 2 : 2 + e->w->len;
	uint8_t *flags = out;

	/* mask, background, foreground, count: never above Raw, and so never
	 * more runs than the count can hold */
	if (2 + 2 * e->w->len + t->n_runs * run > 1 + t->w * t->h * e->w->len)
		return put_tile_raw(e, t, out);
	*out++ = 0;
	if (!e->has_background || e->background != t->background) {
		*flags |= HEXTILE_BACKGROUND;
		out = put_pixel(e->w, out, t->background);
	}
	e->has_background = true;
	e->background = t->background;
	if (t->n_runs == 0)
		return out;
	*flags |= HEXTILE_SUBRECTS;
	if (t->has_one_colour) {
		*flags |= HEXTILE_FOREGROUND;
		out = put_pixel(e->w, out, t->colour);
	} else {
		*flags |= HEXTILE_COLOURED;
	}
	return put_runs(e, t, out);
}

static uint8_t *
put_hextile(const struct writer *w, const struct strip *s, uint8_t *out)
{
	struct hextile e = { .w = w };
	struct tile t;

	for (unsigned y = 0; y < s->h; y += TILE) {
		for (unsigned x = 0; x < s->p->w; x += TILE) {
			load_tile(&t, w, s, x, y);
			out = put_tile(&e, &t, out);
		}
	}
	return out;
}

/* Rectangles. */

static unsigned
strip_rows(const struct picture *p)
{
	unsigned rows = STRIP_BYTES / (p->w * 4u) / TILE * TILE;

	return rows > TILE ? rows : TILE;
}

unsigned
picture_n_rects(const struct picture *p)
{
	unsigned rows = strip_rows(p);

	return (p->h + rows - 1) / rows;
}

static void
put_rect_header(uint8_t *out, uint16_t x, unsigned y, const struct strip *s,
    int32_t encoding)
{
	store_be16(out, x);
	store_be16(out + 2, (uint16_t)y);
	store_be16(out + 4, s->p->w);
	store_be16(out + 6, (uint16_t)s->h);
	store_be32(out + 8, (uint32_t)encoding);
}

static int
append_strip(const struct strip *s, uint16_t x, unsigned y,
    const struct writer *w, bool may_hextile, struct buf *out)
{
	size_t raw = (size_t)s->p->w * s->h * w->len;
	size_t tiles =
	    (size_t)((s->p->w + TILE - 1) / TILE) * ((s->h + TILE - 1) / TILE);
	size_t most = RECT_HEADER + raw + (may_hextile ? tiles : 0);
	uint8_t *p = buf_reserve(out, most), *end = NULL;

	if (p == NULL)
		return most > out->limit || buf_len(out) > out->limit - most
		    ? ERR_LIMIT
		    : ERR_NOMEM;
	if (may_hextile) {
		put_rect_header(p, x, y, s, RFB_ENC_HEXTILE);
		end = put_hextile(w, s, p + RECT_HEADER);
	}
	if (end == NULL || end >= p + RECT_HEADER + raw) {
		put_rect_header(p, x, y, s, RFB_ENC_RAW);
		end = put_raw(w, s, p + RECT_HEADER);
	}
	buf_commit(out, (size_t)(end - p));
	return 0;
}

int
picture_append(const struct picture *p, uint16_t x, uint16_t y,
    const struct rfb_pixel_format *pf, bool may_hextile, struct buf *out)
{
	size_t before = buf_len(out);
	unsigned rows = strip_rows(p);
	struct writer w;
	int rc = 0;

	if (!pf->true_colour)
		return ERR_UNSUPPORTED;
	writer_init(&w, pf);
	for (unsigned at = 0; at < p->h && rc == 0; at += rows) {
		struct strip s = { .p = p, .y = at };

		s.h = (unsigned)min_size(rows, p->h - at);
		rc = append_strip(&s, x, y + at, &w, may_hextile, out);
	}
	if (rc != 0)
		out->len = out->off + before; /* what was appended goes */
	return rc;
}
