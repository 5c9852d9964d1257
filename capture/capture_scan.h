/*
 * How much of a capture that is still being written is there: its whole
 * blocks, docs/capture.md. Only headers are read. A scan goes on where the
 * last one ended; the file comes from a recorder and is hostile, so work a
 * call is bounded and nothing behind a wrong header counts. Blocking I/O;
 * one owner, not thread-safe.
 */
#ifndef CAPTURE_CAPTURE_SCAN_H
#define CAPTURE_CAPTURE_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#define CAPTURE_SCAN_STEP 4096 /* blocks a call */

/* All zeros is a new one. */
struct capture_scan {
	uint64_t bytes;   /* of whole blocks, synced; 0: none yet */
	uint64_t last_ns; /* the time in force behind them */
	bool was_cut;     /* the file was shorter than what was found before */
};

/*
 * Looks at what follows s->bytes in fd; new blocks count after they were
 * synced. A file that became shorter is begun afresh. 0 or ERR_IO.
 */
int capture_scan_more(struct capture_scan *s, int fd);

#endif
