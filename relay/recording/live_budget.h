/*
 * What this node spends on encoding while sessions run: recorders at a time,
 * their memory and their processor time. Above it sessions are captured and
 * encoded later (docs/capture.md), never refused. Thread-safe; no I/O.
 */
#ifndef RELAY_RECORDING_LIVE_BUDGET_H
#define RELAY_RECORDING_LIVE_BUDGET_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/clock.h"

/* Memory of decoder and encoder: 28 to 38 bytes for text, 60 for white noise.
 * Measured: docs/performance.md, "Start and memory of a recorder". */
#define LIVE_BYTES_A_PIXEL 48

/* A recorder that said nothing for so long is idle: it speaks each 5 s. */
#define LIVE_IDLE_NS (15 * NS_PER_S)

struct live_limits {
	uint64_t recorders, bytes; /* 0: no limit */
	uint64_t permille;         /* of one core; 0: no limit */
};

struct live_budget {
	pthread_mutex_t lock;
	struct live_limits limits, used;
};

/* What one session has of it; all 0: nothing. One owner. */
struct live_share {
	bool is_taken;
	uint64_t bytes, permille;
	uint64_t said_ns; /* when its recorder said permille */
};

void live_budget_init(struct live_budget *b, const struct live_limits *limits);

/*
 * Takes one recorder of `bytes`. Returns NULL, or the name of the setting
 * that is used up (static); then nothing was taken.
 */
const char *live_budget_take(
    struct live_budget *b, struct live_share *sh, uint64_t bytes);
/* The same, over the limit if need be: for what cannot be captured. */
void live_budget_take_anyway(
    struct live_budget *b, struct live_share *sh, uint64_t bytes);
/*
 * The session's screen has another size: its recorder needs `bytes` now.
 * They are counted in any case. Returns NULL, or the name of the setting
 * (static) that this growth exceeds: the session should become a capture.
 * NULL for a share that is not taken.
 */
const char *live_budget_resize(
    struct live_budget *b, struct live_share *sh, uint64_t bytes);
/* Does nothing for a share that is not taken. */
void live_budget_give(struct live_budget *b, struct live_share *sh);

/* Its recorder used so many thousandths of a core lately. */
void live_budget_says(struct live_budget *b, struct live_share *sh,
    uint64_t permille, uint64_t now_ns);
/* From time to time: what was said too long ago is forgotten. */
void live_budget_tick(
    struct live_budget *b, struct live_share *sh, uint64_t now_ns);

/* What is taken now. */
struct live_limits live_budget_used(struct live_budget *b);

#endif
