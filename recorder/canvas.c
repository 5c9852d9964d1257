#include "recorder/canvas.h"

#include <libyuv/convert.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"

/* Rows start on this many bytes, for the converter's wide stores. */
#define ROW_ALIGN 64

static size_t
round_up(size_t n, size_t to)
{
	return (n + to - 1) / to * to;
}

int
canvas_init(struct canvas *c, unsigned width, unsigned height)
{
	size_t len_y, len_uv, padded;

	memset(c, 0, sizeof(*c));
	c->width = width;
	c->height = height;
	c->cols = (width + CANVAS_TILE - 1) / CANVAS_TILE;
	c->rows = (height + CANVAS_TILE - 1) / CANVAS_TILE;
	c->stride_y = round_up(width, ROW_ALIGN);
	c->stride_uv = c->stride_y / 2;
	padded = (size_t)c->rows * CANVAS_TILE;
	len_y = c->stride_y * padded;
	len_uv = c->stride_uv * (padded / 2);
	c->dirty = malloc(canvas_n_tiles(c));
	c->i420 =
	    aligned_alloc(ROW_ALIGN, round_up(len_y + 2 * len_uv, ROW_ALIGN));
	if (c->dirty == NULL || c->i420 == NULL) {
		canvas_release(c);
		return ERR_NOMEM;
	}
	c->y = c->i420;
	c->u = c->y + len_y;
	c->v = c->u + len_uv;
	c->is_unfilled = true;
	canvas_damage_all(c);
	return 0;
}

void
canvas_release(struct canvas *c)
{
	free(c->dirty);
	free(c->i420);
	memset(c, 0, sizeof(*c));
}

void
canvas_damage(struct canvas *c, unsigned x, unsigned y, unsigned w, unsigned h)
{
	unsigned col_end, row_end;

	if (w == 0 || h == 0 || x >= c->width || y >= c->height)
		return;
	if (w > c->width - x)
		w = c->width - x;
	if (h > c->height - y)
		h = c->height - y;
	col_end = (x + w - 1) / CANVAS_TILE;
	row_end = (y + h - 1) / CANVAS_TILE;
	for (unsigned row = y / CANVAS_TILE; row <= row_end; row++) {
		uint8_t *line = c->dirty + (size_t)row * c->cols;

		for (unsigned col = x / CANVAS_TILE; col <= col_end; col++) {
			c->n_dirty += !line[col];
			line[col] = 1;
		}
	}
}

void
canvas_damage_all(struct canvas *c)
{
	memset(c->dirty, 1, canvas_n_tiles(c));
	c->n_dirty = (unsigned)canvas_n_tiles(c);
}

/* Converts tiles col..col_end-1 of one row in one call. */
static void
convert_run(struct canvas *c, const uint8_t *pixels, size_t stride,
    unsigned row, unsigned col, unsigned col_end)
{
	size_t x = (size_t)col * CANVAS_TILE, y = (size_t)row * CANVAS_TILE;
	size_t w = (size_t)col_end * CANVAS_TILE - x, h = CANVAS_TILE;
	size_t uv = y / 2 * c->stride_uv + x / 2;

	if (w > c->width - x)
		w = c->width - x;
	if (h > c->height - y)
		h = c->height - y;
	ARGBToI420(pixels + y * stride + x * 4, (int)stride,
	    c->y + y * c->stride_y + x, (int)c->stride_y, c->u + uv,
	    (int)c->stride_uv, c->v + uv, (int)c->stride_uv, (int)w, (int)h);
}

/* Black, but not before it is looked at: a session starts sooner so. */
static void
fill(struct canvas *c)
{
	if (!c->is_unfilled)
		return;
	memset(c->y, 16, (size_t)(c->u - c->y));
	memset(c->u, 128, 2 * (size_t)(c->v - c->u));
	c->is_unfilled = false;
}

void
canvas_convert(struct canvas *c, const uint8_t *pixels, size_t stride)
{
	fill(c);
	if (c->n_dirty == 0)
		return;
	for (unsigned row = 0; row < c->rows; row++) {
		const uint8_t *line = c->dirty + (size_t)row * c->cols;
		unsigned col = 0;

		while (col < c->cols) {
			unsigned start;

			if (!line[col]) {
				col++;
				continue;
			}
			start = col;
			while (col < c->cols && line[col])
				col++;
			convert_run(c, pixels, stride, row, start, col);
		}
	}
}

void
canvas_clean(struct canvas *c)
{
	fill(c);
	memset(c->dirty, 0, canvas_n_tiles(c));
	c->n_dirty = 0;
}
