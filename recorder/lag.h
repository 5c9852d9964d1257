/*
 * Whether a live recorder is behind for good. It is behind while the ring is
 * three quarters full, so that the technician is slowed down, or while it
 * works on what came longer ago than the limit; for good once that lasted as
 * long as the limit. A moment's stop is no reason. Plain arithmetic.
 */
#ifndef RECORDER_LAG_H
#define RECORDER_LAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lag {
	uint64_t limit_ns; /* 0: never for good */
	uint64_t since_ns; /* behind since then; 0: it is not */
};

/*
 * now_ns: the clock; stream_ns: when the bytes at hand came; used of size
 * bytes of the ring wait.
 */
bool lag_is_for_good(struct lag *l, uint64_t now_ns, uint64_t stream_ns,
    size_t used, size_t size);

#endif
