#include "recorder/frame/pending.h"

#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "recorder/frame/canvas.h"

int
pending_init(struct pending *p, unsigned cols, unsigned rows)
{
	memset(p, 0, sizeof(*p));
	p->tiles = calloc((size_t)cols * rows, sizeof(*p->tiles));
	if (p->tiles == NULL)
		return ERR_NOMEM;
	p->cols = cols;
	p->rows = rows;
	return 0;
}

void
pending_release(struct pending *p)
{
	free(p->tiles);
	memset(p, 0, sizeof(*p));
}

void
pending_clear(struct pending *p)
{
	if (pending_is_empty(p))
		return;
	memset(p->tiles + (size_t)p->row * p->cols, 0,
	    (size_t)(p->row_end - p->row) * p->cols * sizeof(*p->tiles));
	p->row = p->row_end = 0;
}

bool
pending_is_empty(const struct pending *p)
{
	return p->row_end == 0;
}

/* What of r lies in the tile, by its own origin. */
static struct pending_tile
part_of(const struct area *r, unsigned col, unsigned row)
{
	unsigned x = col * CANVAS_TILE, y = row * CANVAS_TILE;
	unsigned x_end = r->x + r->w - x, y_end = r->y + r->h - y;

	return (struct pending_tile){
		.x = (uint8_t)(r->x > x ? r->x - x : 0),
		.y = (uint8_t)(r->y > y ? r->y - y : 0),
		.x_end = (uint8_t)(x_end < CANVAS_TILE ? x_end : CANVAS_TILE),
		.y_end = (uint8_t)(y_end < CANVAS_TILE ? y_end : CANVAS_TILE),
	};
}

static bool
is_inside(const struct pending_tile *t, const struct pending_tile *in)
{
	return t->x >= in->x && t->x_end <= in->x_end && t->y >= in->y &&
	    t->y_end <= in->y_end;
}

static bool
do_meet(const struct pending_tile *a, const struct pending_tile *b)
{
	return a->x < b->x_end && b->x < a->x_end && a->y < b->y_end &&
	    b->y < a->y_end;
}

static void
widen(struct pending_tile *t, const struct pending_tile *by)
{
	t->x = by->x < t->x ? by->x : t->x;
	t->y = by->y < t->y ? by->y : t->y;
	t->x_end = by->x_end > t->x_end ? by->x_end : t->x_end;
	t->y_end = by->y_end > t->y_end ? by->y_end : t->y_end;
}

/* What lay there is gone where the new part covers all of it. */
static void
put(struct pending_tile *t, struct pending_tile part,
    const struct pending_moment *since)
{
	if (t->x_end != 0 && !is_inside(t, &part)) {
		widen(t, &part);
		return;
	}
	part.since = *since;
	*t = part;
}

void
pending_add(
    struct pending *p, const struct area *r, const struct pending_moment *since)
{
	unsigned col_end = (r->x + r->w - 1) / CANVAS_TILE + 1;
	unsigned row_end = (r->y + r->h - 1) / CANVAS_TILE + 1;
	unsigned row = r->y / CANVAS_TILE;

	p->row = pending_is_empty(p) || row < p->row ? row : p->row;
	p->row_end = row_end > p->row_end ? row_end : p->row_end;
	for (; row < row_end; row++) {
		struct pending_tile *line = p->tiles + (size_t)row * p->cols;

		for (unsigned col = r->x / CANVAS_TILE; col < col_end; col++)
			put(&line[col], part_of(r, col, row), since);
	}
}

static bool
is_moment(const struct pending_moment *a, const struct pending_moment *b)
{
	return a->ns == b->ns && a->update == b->update;
}

bool
pending_find(const struct pending *p, const struct area *r,
    const struct pending_moment *now, uint64_t *since_ns, bool *was_shown)
{
	unsigned col_end = (r->x + r->w - 1) / CANVAS_TILE + 1;
	unsigned row_end = (r->y + r->h - 1) / CANVAS_TILE + 1;
	unsigned row = r->y / CANVAS_TILE;

	*since_ns = UINT64_MAX;
	*was_shown = false;
	row = row > p->row ? row : p->row;
	row_end = row_end < p->row_end ? row_end : p->row_end;
	for (; row < row_end; row++) {
		const struct pending_tile *line =
		    p->tiles + (size_t)row * p->cols;

		for (unsigned col = r->x / CANVAS_TILE; col < col_end; col++) {
			const struct pending_tile *t = &line[col];
			struct pending_tile part;

			if (t->x_end == 0)
				continue;
			part = part_of(r, col, row);
			if (!do_meet(t, &part))
				continue;
			*was_shown |= !is_moment(&t->since, now);
			if (t->since.ns < *since_ns)
				*since_ns = t->since.ns;
		}
	}
	return *since_ns != UINT64_MAX;
}
