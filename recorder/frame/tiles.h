/*
 * Which tiles of the canvas a frame codes, and how well each was coded
 * last: what changed, and what was coded coarsely while much moved and has
 * rested since. Pure bookkeeping, no I/O; memory is allocated by init only.
 */
#ifndef RECORDER_FRAME_TILES_H
#define RECORDER_FRAME_TILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Beside what changes, this many that rested so long are coded again. */
#define TILES_REFINE_MAX 256
#define TILES_REST_MS    400

struct tiles {
	size_t n;
	int fine;             /* the highest quantizer that is not coarse */
	uint8_t *active;      /* of the next frame: 1 codes it */
	uint8_t *quantizer;   /* it was last coded with */
	uint32_t *touched_ms; /* when it changed last */
};

/*
 * n tiles, fine and untouched. A tile coded with a quantizer above `fine` is
 * coarse: text gets soft there. Below it a second helping changes nothing
 * that can be seen. Returns 0 or ERR_NOMEM.
 */
int tiles_init(struct tiles *t, size_t n, int fine);
void tiles_release(struct tiles *t);

/*
 * Sets active: the dirty ones (n bytes, or NULL for none) and at most
 * refine_max coarse ones that did not change for rest_ms before now_ms.
 * Returns how many are active.
 */
size_t tiles_choose(struct tiles *t, const uint8_t *dirty, uint32_t now_ms,
    uint32_t rest_ms, size_t refine_max);

/*
 * The active ones, or all of them, were coded so. Returns whether any tile
 * is coarse now.
 */
bool tiles_coded(struct tiles *t, bool all, int quantizer);

/* Whether tiles_choose would find a coarse one that rested. */
bool tiles_has_rested(const struct tiles *t, uint32_t now_ms, uint32_t rest_ms);

#endif
