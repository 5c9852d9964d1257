/*
 * What happened in each second of a segment (X5): how much of the frame
 * changed, how many input events there were, never which, and how many
 * changes were replaced before a frame showed them. Costs one pass over the
 * tiles a frame. No I/O; one owner, not thread-safe. Where memory is short it
 * knows less: no recording ends for it.
 */
#ifndef RECORDER_FRAME_ACTIVITY_H
#define RECORDER_FRAME_ACTIVITY_H

#include <stddef.h>
#include <stdint.h>

#define ACTIVITY_SECONDS_MAX 90000 /* storage takes no more: a day and some */

struct activity_second {
	uint16_t permille; /* of the tiles, rounded up; each counts once */
	uint16_t events;   /* keys and pointer events; stops at the top */
	uint16_t merged;   /* changes that no frame shows; stops at the top */
};

struct activity {
	uint8_t *seen; /* tiles that changed in the second collected */
	size_t n_tiles, n_seen;
	uint32_t second; /* being collected; time does not go back */
	struct activity_second *seconds;
	size_t n, room; /* those behind n are idle */
};

/* All zeros is one for a frame without tiles. */
void activity_release(struct activity *a);

/* The frame has so many tiles from here on; what was collected stays. */
void activity_set_tiles(struct activity *a, size_t n_tiles);

/* Another segment begins. */
void activity_reset(struct activity *a);

/* These tiles (n_tiles bytes, 0: did not) changed in that second. */
void activity_changed(
    struct activity *a, uint64_t second, const uint8_t *dirty);

/* So many input events were made in that second. */
void activity_input(struct activity *a, uint64_t second, uint64_t events);

/* So many changes were replaced in that second before a frame showed them. */
void activity_merged(struct activity *a, uint64_t second, uint64_t n);

/*
 * "[[permille,events,merged],...]" for each second begun of duration_ms, at
 * most ACTIVITY_SECONDS_MAX; what came later counts for the last one. Heap, or
 * NULL for memory.
 */
char *activity_text(const struct activity *a, uint64_t duration_ms);

#endif
