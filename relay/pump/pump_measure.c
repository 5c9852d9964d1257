/* How long the endpoint's bytes take through the relay; relay/measure.h. */
#include "common/clock.h"
#include "relay/pump/pump_internal.h"

void
measure_read(struct session *s, uint64_t now_ns)
{
	if (s->measures.forward_at != 0 || s->ring.framed == s->ring.forwarded)
		return;
	s->measures.forward_at = s->ring.framed;
	s->measures.read_ns = now_ns;
}

void
measure_forwarded(struct session *s)
{
	if (s->measures.forward_at == 0 ||
	    s->ring.forwarded < s->measures.forward_at ||
	    buf_len(&s->viewer.out) > 0 || channel_wants_write(&s->viewer))
		return;
	histogram_observe(&s->loop->measures.added_latency,
	    clock_mono_ns() - s->measures.read_ns);
	s->measures.forward_at = 0;
}
