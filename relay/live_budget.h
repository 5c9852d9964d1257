/*
 * What this node spends on encoding while sessions run: recorders at a time
 * and their memory. Above it sessions are captured and encoded later
 * (docs/capture.md), never refused. Thread-safe; no I/O.
 */
#ifndef RELAY_LIVE_BUDGET_H
#define RELAY_LIVE_BUDGET_H

#include <pthread.h>
#include <stdint.h>

/* Memory of decoder and encoder. Measured: DESIGN, "Large desktops". */
#define LIVE_BYTES_A_PIXEL 80

struct live_budget {
	pthread_mutex_t lock;
	uint64_t max_recorders, max_bytes; /* 0: no limit */
	uint64_t recorders, bytes;         /* taken now */
};

void live_budget_init(
    struct live_budget *b, uint64_t max_recorders, uint64_t max_bytes);

/*
 * Takes one recorder of `bytes`. Returns NULL, or the name of the setting
 * that is used up (static); then nothing was taken.
 */
const char *live_budget_take(struct live_budget *b, uint64_t bytes);
/* The same, over the limit if need be: for what cannot be captured. */
void live_budget_take_anyway(struct live_budget *b, uint64_t bytes);
void live_budget_give(struct live_budget *b, uint64_t bytes);

/* Recorders taken now. */
uint64_t live_budget_used(struct live_budget *b);

#endif
