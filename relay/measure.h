/*
 * What a loop measures for /metrics: durations as they end, and once a second
 * what its sessions are and hold. Only the loop writes; any thread reads.
 */
#ifndef RELAY_MEASURE_H
#define RELAY_MEASURE_H

#include <stdatomic.h>
#include <stdint.h>

#include "common/histogram.h"

#define MEASURE_STATES 14 /* of sessions, without "ending" and "dead" */
#define MEASURE_PHASES 6  /* of a session's beginning */

struct loop_measures {
	struct histogram added_latency;
	struct histogram handshake[MEASURE_PHASES];
	_Atomic uint64_t sessions[MEASURE_STATES]; /* by state */
	_Atomic uint64_t ring_used_bytes, ring_permille_max;
	_Atomic uint64_t recorder_bytes, recorder_behind_ms_max;
};

/* What a session remembers for it. */
struct session_measures {
	uint64_t state_since_ns;
	uint64_t from_endpoint, from_technician;     /* bytes counted so far */
	uint64_t recorder_bytes, recorder_behind_ms; /* as it says */
};

struct loop;
struct metrics_out;
struct relay;
struct relay_session;

/* A state of s, an enum session_state, ends now. */
void measure_state_ends(struct relay_session *s, unsigned state);
/* Its recorder uses that much memory and is that far behind; untrusted. */
void measure_recorder(
    struct relay_session *s, uint64_t bytes, uint64_t behind_ms);
/* Adds to the relay's counters the bytes that came since the last call. */
void measure_bytes(struct relay_session *s);
/* Each second. */
void measure_loop(struct loop *l);

/* Of all loops. */
void measures_print(const struct relay *r, struct metrics_out *out);

#endif
