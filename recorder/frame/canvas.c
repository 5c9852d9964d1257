#include "recorder/frame/canvas.h"

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

/* Luma of a row of tiles; either chroma has a quarter of that. */
static size_t
fresh_y_len(const struct canvas *c)
{
	return c->stride_y * CANVAS_TILE;
}

int
canvas_init(struct canvas *c, unsigned width, unsigned height)
{
	size_t len_y, len_uv, padded;

	memset(c, 0, sizeof(*c));
	c->width = width;
	c->height = height;
	c->cols = canvas_tiles(width);
	c->rows = canvas_tiles(height);
	c->stride_y = round_up(width, ROW_ALIGN);
	c->stride_uv = c->stride_y / 2;
	padded = (size_t)c->rows * CANVAS_TILE;
	len_y = c->stride_y * padded;
	len_uv = c->stride_uv * (padded / 2);
	c->dirty = calloc(canvas_n_tiles(c), 1);
	c->i420 =
	    aligned_alloc(ROW_ALIGN, round_up(len_y + 2 * len_uv, ROW_ALIGN));
	c->fresh = aligned_alloc(ROW_ALIGN, fresh_y_len(c) * 3 / 2);
	if (c->dirty == NULL || c->i420 == NULL || c->fresh == NULL) {
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
	free(c->fresh);
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
			line[col] |= CANVAS_CLAIMED;
		}
	}
}

void
canvas_damage_all(struct canvas *c)
{
	canvas_damage(c, 0, 0, c->width, c->height);
}

/* Black, but not before it is looked at: a session starts sooner so. */
static void
fill(struct canvas *c)
{
	size_t n = fresh_y_len(c);

	if (!c->is_unfilled)
		return;
	memset(c->y, 16, (size_t)(c->u - c->y));
	memset(c->u, 128, 2 * (size_t)(c->v - c->u));
	/* what pads the last tile of a row is never written: equal, too */
	memset(c->fresh, 16, n);
	memset(c->fresh + n, 128, n / 2);
	c->is_unfilled = false;
}

/* Converts tiles col..col_end-1 of one row in one call, into fresh. */
static void
convert_run(struct canvas *c, const uint8_t *pixels, size_t stride,
    unsigned row, unsigned col, unsigned col_end)
{
	size_t x = (size_t)col * CANVAS_TILE, y = (size_t)row * CANVAS_TILE;
	size_t w = (size_t)col_end * CANVAS_TILE - x, h = CANVAS_TILE;
	uint8_t *u = c->fresh + fresh_y_len(c) + x / 2;
	uint8_t *v = u + fresh_y_len(c) / 4;

	if (w > c->width - x)
		w = c->width - x;
	if (h > c->height - y)
		h = c->height - y;
	ARGBToI420(pixels + y * stride + x * 4, (int)stride, c->fresh + x,
	    (int)c->stride_y, u, (int)c->stride_uv, v, (int)c->stride_uv,
	    (int)w, (int)h);
}

/* Copies n bytes a row, a constant; returns whether any was different. */
static inline bool
take_block(
    uint8_t *to, const uint8_t *from, size_t stride, size_t n, size_t rows)
{
	size_t i = 0;

	while (i < rows && memcmp(to + i * stride, from + i * stride, n) == 0)
		i++;
	if (i == rows)
		return false;
	for (; i < rows; i++)
		memcpy(to + i * stride, from + i * stride, n);
	return true;
}

/* Takes a tile over from fresh; returns whether it changed. */
static bool
take_tile(struct canvas *c, unsigned row, unsigned col)
{
	const size_t n = CANVAS_TILE, n_uv = CANVAS_TILE / 2;
	const uint8_t *u = c->fresh + fresh_y_len(c) + col * n_uv;
	size_t left = c->height - row * n;
	size_t rows = left < n ? left : n, rows_uv = (rows + 1) / 2;
	size_t uv = row * n_uv * c->stride_uv + col * n_uv;
	bool changed;

	changed = take_block(c->y + row * n * c->stride_y + col * n,
	    c->fresh + col * n, c->stride_y, n, rows);
	changed |= take_block(c->u + uv, u, c->stride_uv, n_uv, rows_uv);
	changed |= take_block(
	    c->v + uv, u + fresh_y_len(c) / 4, c->stride_uv, n_uv, rows_uv);
	return changed;
}

static void
take_run(struct canvas *c, unsigned row, unsigned col, unsigned col_end)
{
	uint8_t *line = c->dirty + (size_t)row * c->cols;

	for (; col < col_end; col++) {
		line[col] &= (uint8_t)~CANVAS_CLAIMED;
		if (take_tile(c, row, col))
			line[col] |= CANVAS_CHANGED;
		c->n_dirty -= line[col] == 0;
	}
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

			if ((line[col] & CANVAS_CLAIMED) == 0) {
				col++;
				continue;
			}
			start = col;
			while (
			    col < c->cols && (line[col] & CANVAS_CLAIMED) != 0)
				col++;
			convert_run(c, pixels, stride, row, start, col);
			take_run(c, row, start, col);
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
