/*
 * Finishes a WebM file whose writer died: keeps every complete frame, cuts
 * off the rest, writes cues, patches sizes, seek head and duration in place.
 * May be killed at any point and run again: the result is the same, byte for
 * byte. A file that was closed properly is not touched.
 *
 * Blocking file I/O. Nobody else may write the file meanwhile (docs/spool.md:
 * hold the lock).
 */
#ifndef WEBM_WEBM_REPAIR_H
#define WEBM_WEBM_REPAIR_H

#include <stdbool.h>
#include <stdint.h>

#include "webm/webm_writer.h"

/* Added to the last frame's time when its duration is not known: the screen
 * was proven to look so at that moment, not longer. */
#define WEBM_REPAIR_LAST_MS 1

struct webm_repair_result {
	uint64_t frames;
	uint64_t first_ms, last_ms; /* times of first and last frame */
	uint64_t duration_ms;
	uint64_t bytes;         /* of the file now */
	uint64_t dropped_bytes; /* behind the last complete frame; cues of an
				 * unfinished close count too */
	bool first_is_key;
	bool was_finished; /* closed properly, nothing changed */
};

/*
 * fd: read-write, borrowed. on_block (may be NULL) gets every block of the
 * finished file in the order the writer would have reported them.
 * Returns 0; ERR_NOTFOUND: it ends before the first complete frame, file
 * untouched; ERR_EOF, ERR_CORRUPT, ERR_LIMIT: it is unusable before that,
 * file untouched; ERR_NOMEM, ERR_IO, ERR_NOSPACE: run it again later.
 */
int webm_repair(int fd, webm_block_cb *on_block, void *arg,
    struct webm_repair_result *result);

#endif
