/*
 * How often recorders of one session may die, and for how long the session
 * may be without one in all. No I/O; the caller says the time.
 */
#ifndef RELAY_RECORDING_GAP_BUDGET_H
#define RELAY_RECORDING_GAP_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

/* All 0 at the session's beginning. */
struct gap_budget {
	uint64_t deaths_ns[2];  /* the last two, the older one first */
	uint64_t since_ns;      /* the gap that is open; 0: none */
	uint64_t unrecorded_ns; /* all gaps that are closed */
};

/* Notes a death; true when it is the third one within a minute. */
bool gap_budget_death(struct gap_budget *b, uint64_t now_ns);

/* A gap began at since_ns, which may be in the past. One that is open goes on,
 * from the earlier beginning of both. */
void gap_budget_begin(struct gap_budget *b, uint64_t since_ns);
/* It is over: returns its length. */
uint64_t gap_budget_end(struct gap_budget *b, uint64_t now_ns);

/* What is left of all_ns; 0 when it is used up. */
uint64_t gap_budget_left(
    const struct gap_budget *b, uint64_t all_ns, uint64_t now_ns);

#endif
