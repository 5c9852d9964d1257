/*
 * A histogram of durations with fixed buckets, from 25 us to 30 s. One thread
 * observes, without a lock or an atomic read-modify-write; any thread reads.
 * No I/O.
 */
#ifndef COMMON_HISTOGRAM_H
#define COMMON_HISTOGRAM_H

#include <stdatomic.h>
#include <stdint.h>

#define HISTOGRAM_BOUNDS 19

/* Zeroed memory is an empty one. */
struct histogram {
	/* not cumulative; the last one is beyond all bounds */
	_Atomic uint64_t counts[HISTOGRAM_BOUNDS + 1];
	_Atomic uint64_t sum_ns;
};

/* What was read of one or several. */
struct histogram_sum {
	uint64_t counts[HISTOGRAM_BOUNDS + 1];
	uint64_t sum_ns;
};

/* Upper bounds, each in nanoseconds and as Prometheus writes its seconds. */
struct histogram_bound {
	uint64_t ns;
	const char *seconds;
};
extern const struct histogram_bound histogram_bounds[HISTOGRAM_BOUNDS];

/* By the one thread that owns h. */
void histogram_observe(struct histogram *h, uint64_t ns);
/* Adds what h has now. */
void histogram_add(struct histogram_sum *sum, const struct histogram *h);

#endif
