#include "relay/pump/meter.h"

#define PER_US (RFB_WORK_PER_S / 1000000)

uint64_t
meter_wait(struct meter *m, uint64_t now_ns)
{
	uint64_t us = now_ns > m->at_ns ? (now_ns - m->at_ns) / 1000 : 0;

	/* a part of a microsecond counts next time */
	if (us >= m->owed / PER_US + 1)
		*m = (struct meter){ .at_ns = now_ns };
	else
		*m = (struct meter){ m->owed - us * PER_US,
			m->at_ns + us * 1000 };
	if (m->owed <= METER_BURST)
		return 0;
	return (m->owed - METER_BURST) / PER_US * 1000 + 1000;
}
