/*
 * Pixels that were drawn and are in no frame yet: per tile of the canvas the
 * box that holds them, and since when the oldest of them stands. Before a
 * rectangle is drawn this says what it would replace. A box covers a bit
 * more than what was drawn where two rectangles meet in a tile, never less;
 * its time is never too late. Pure bookkeeping, no I/O; memory is allocated
 * by init only, 16 bytes a tile.
 */
#ifndef RECORDER_FRAME_PENDING_H
#define RECORDER_FRAME_PENDING_H

#include <stdbool.h>
#include <stdint.h>

#include "recorder/frame/monitor.h"

/* When pixels were drawn: update counts FramebufferUpdates. */
struct pending_moment {
	uint64_t ns;
	uint32_t update;
};

struct pending_tile {
	struct pending_moment since; /* of the oldest pixel */
	uint8_t x, y, x_end, y_end;  /* in the tile; x_end 0: none */
};

struct pending {
	unsigned cols, rows;
	struct pending_tile *tiles;
	unsigned row, row_end; /* tiles of other rows have none */
};

/* For a canvas of cols x rows tiles. Returns 0 or ERR_NOMEM. */
int pending_init(struct pending *p, unsigned cols, unsigned rows);
void pending_release(struct pending *p);

/* A frame shows them all. */
void pending_clear(struct pending *p);

bool pending_is_empty(const struct pending *p);

/* Pixels of r, inside the canvas, are there since that moment. */
void pending_add(struct pending *p, const struct area *r,
    const struct pending_moment *since);

/*
 * What drawing r, inside the canvas, at `now` would replace: *since_ns, when
 * the oldest of it was drawn; *was_shown, whether any was drawn in another
 * moment than now, so that it was to be seen. Returns false for nothing.
 */
bool pending_find(const struct pending *p, const struct area *r,
    const struct pending_moment *now, uint64_t *since_ns, bool *was_shown);

#endif
