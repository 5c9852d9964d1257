/*
 * What an endpoint draws (rfb/work.h), spread over time: its bytes are read
 * on only when the drawing they ordered so far had its time. So neither its
 * recorder nor what is encoded later has more to do than a second's drawing
 * a second. Pure: time is given. One owner.
 */
#ifndef RELAY_PUMP_METER_H
#define RELAY_PUMP_METER_H

#include <stdbool.h>
#include <stdint.h>

#include "rfb/work.h"

/* Drawn at once without a pause: two seconds' worth. */
#define METER_BURST (2 * RFB_WORK_PER_S)

struct meter {
	uint64_t owed;  /* pixels that had no time yet */
	uint64_t at_ns; /* when that was so */
};

static inline void
meter_add(struct meter *m, uint64_t pixels)
{
	m->owed += pixels;
}

/* Little is left of the burst: more should be read in small pieces. */
static inline bool
meter_is_low(const struct meter *m)
{
	return m->owed > METER_BURST / 2;
}

/* Nanoseconds until more may be read; 0: now. */
uint64_t meter_wait(struct meter *m, uint64_t now_ns);

#endif
