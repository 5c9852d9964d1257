/* How long the endpoint's bytes take through the relay. */
#include "common/clock.h"
#include "common/histogram.h"
#include "relay/pump/pump_internal.h"

void
pump_measure_read(struct pump *p, uint64_t now_ns)
{
	if (p->forward_at != 0 || p->ring.framed == p->ring.forwarded)
		return;
	p->forward_at = p->ring.framed;
	p->read_ns = now_ns;
}

void
pump_measure_forwarded(struct pump *p)
{
	if (p->forward_at == 0 || p->ring.forwarded < p->forward_at ||
	    buf_len(&p->viewer.out) > 0 || channel_wants_write(&p->viewer))
		return;
	histogram_observe(p->conf.latency, clock_mono_ns() - p->read_ns);
	p->forward_at = 0;
}
