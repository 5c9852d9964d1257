/*
 * A small JPEG of a segment (X5), so that a list of recordings shows what is
 * in them. No I/O; memory for as long as a call takes.
 */
#ifndef RECORDER_FRAME_POSTER_H
#define RECORDER_FRAME_POSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/frame/canvas.h"

#define POSTER_SIDE_MAX 320 /* pixels, of the longer side */

/*
 * Whether there is something to see: a black screen, or one of a single
 * colour but for a pointer or a line of text, has none.
 */
bool poster_has_content(const struct canvas *c);

/*
 * The frame, not larger than it was. Returns the JPEG of *len bytes, to be
 * freed with poster_free, or NULL for memory.
 */
uint8_t *poster_make(const struct canvas *c, size_t *len);
void poster_free(uint8_t *jpeg);

#endif
