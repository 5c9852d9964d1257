/*
 * Finishes a WebM file of webm_writer that was cut off: keeps every complete
 * block, drops the rest, appends cues, patches the header. Repairing twice,
 * or after being killed in between, gives the same file.
 */
#ifndef RECORDER_WEBM_REPAIR_H
#define RECORDER_WEBM_REPAIR_H

#include <stdint.h>

struct webm_repaired {
	uint64_t frames, bytes, duration_ms;
	uint16_t width, height;
};

/*
 * fd: readable and writable, borrowed. tail_ms: how long the last frame
 * lasts. Returns 0; ERR_CORRUPT when not even one frame is there or it is no
 * such file; ERR_NOMEM, ERR_NOSPACE or ERR_IO. Blocking.
 */
int webm_repair(int fd, uint64_t tail_ms, struct webm_repaired *out);

#endif
