#include "common/bytes.h"
#include "common/clock.h"
#include "common/metrics_print.h"
#include "relay/measure.h"
#include "relay/session/session_internal.h"

#define M "relaycam_relay_"

/* The phases of a session's beginning; waiting for people is none. */
static const struct {
	int phase; /* -1: none */
	const char *state;
} states[] = {
	[SESSION_HELLO] = { -1, "hello" },
	[SESSION_VIEWER_TLS] = { 0, "viewer_tls" },
	[SESSION_LOGIN] = { -1, "login" },
	[SESSION_CHECK] = { 1, "check" },
	[SESSION_DIAL] = { 2, "dial" },
	[SESSION_AGENT] = { -1, "agent" },
	[SESSION_CLAIM] = { -1, "claim" },
	[SESSION_ENDPOINT] = { 3, "endpoint" },
	[SESSION_ENDPOINT_TLS] = { 4, "endpoint_tls" },
	[SESSION_OPEN] = { 5, "open" },
	[SESSION_CLIENT_INIT] = { -1, "client_init" },
	[SESSION_PARKED] = { -1, "parked" },
	[SESSION_RUNNING] = { -1, "running" },
	[SESSION_CLOSING] = { -1, "closing" },
};
_Static_assert(N_ELEMENTS(states) == MEASURE_STATES, "one for each state");

static void
set(_Atomic uint64_t *to, uint64_t value)
{
	atomic_store_explicit(to, value, memory_order_relaxed);
}

static uint64_t
get(const _Atomic uint64_t *from)
{
	return atomic_load_explicit(from, memory_order_relaxed);
}

void
measure_state_ends(struct relay_session *s, unsigned state)
{
	uint64_t now = clock_mono_ns();

	if (state < MEASURE_STATES && states[state].phase >= 0)
		histogram_observe(
		    &s->loop->measures.handshake[states[state].phase],
		    now - s->measures.state_since_ns);
	s->measures.state_since_ns = now;
}

void
measure_recorder(struct relay_session *s, uint64_t bytes, uint64_t behind_ms)
{
	s->measures.recorder_bytes = min_u64(bytes, UINT64_C(1) << 40);
	s->measures.recorder_behind_ms = min_u64(behind_ms, 86400 * 1000);
}

/* The endpoint's connection may be another one, which begins at 0. */
static void
count(_Atomic uint64_t *to, uint64_t now, uint64_t *counted)
{
	atomic_fetch_add(to, now >= *counted ? now - *counted : now);
	*counted = now;
}

void
measure_bytes(struct relay_session *s)
{
	struct relay_stats *st = &s->loop->relay->stats;

	count(&st->bytes_from_endpoints, s->pump.endpoint.transport.bytes_in,
	    &s->measures.from_endpoint);
	count(&st->bytes_from_technicians, s->pump.viewer.transport.bytes_in,
	    &s->measures.from_technician);
}

/* Bytes of the ring that have not been both recorded and forwarded. */
static uint64_t
ring_used(struct relay_session *s)
{
	uint64_t done = s->pump.ring.forwarded;

	if (s->pump.ring.tee != NULL && s->pump.has_recorder)
		done = min_u64(done, tee_writer_get_recorded(s->pump.ring.tee));
	return s->pump.ring.received - done;
}

void
measure_loop(struct loop *l)
{
	struct loop_measures *m = &l->measures;
	uint64_t n[MEASURE_STATES] = { 0 }, used = 0, most = 0, memory = 0;
	uint64_t behind = 0;
	struct relay_session *s;

	TAILQ_FOREACH(s, &l->sessions, link) {
		uint64_t ring = ring_used(s);

		if (s->state < MEASURE_STATES)
			n[s->state]++;
		measure_bytes(s);
		used += ring;
		if (s->pump.ring.tee != NULL)
			most = max_u64(most, ring);
		if (!s->pump.has_recorder)
			continue;
		memory += s->measures.recorder_bytes;
		behind = max_u64(behind, s->measures.recorder_behind_ms);
	}
	for (unsigned i = 0; i < MEASURE_STATES; i++)
		set(&m->sessions[i], n[i]);
	set(&m->ring_used_bytes, used);
	set(&m->ring_permille_max,
	    most * 1000 / (uint64_t)l->relay->conf.ring_bytes);
	set(&m->recorder_bytes, memory);
	set(&m->recorder_behind_ms_max, behind);
}

/* ---- the page ---- */

static void
print_states(const struct relay *r, struct metrics_out *out)
{
	struct metric rows[MEASURE_STATES];

	for (unsigned i = 0; i < MEASURE_STATES; i++) {
		uint64_t n = 0;

		for (unsigned k = 0; k < r->n_loops; k++)
			n += get(&r->loops[k].measures.sessions[i]);
		rows[i] = (struct metric){ "session_states", "gauge",
			"Sessions and those that begin or end, by state.", n,
			"state", states[i].state };
	}
	metrics_print(out, M, rows, N_ELEMENTS(rows));
}

static void
print_sizes(const struct relay *r, struct metrics_out *out)
{
	struct metric rows[] = {
		{ "ring_used_bytes", "gauge",
		    "Stream bytes that are not recorded and forwarded yet." },
		{ "ring_fill_ratio", "gauge",
		    "How full the fullest ring of a recorded session is.", 0,
		    NULL, NULL, 1000 },
		{ "recorder_memory_bytes", "gauge",
		    "Resident memory of all recorders." },
		{ "recorder_behind_seconds", "gauge",
		    "How far the slowest recorder is behind its stream.", 0,
		    NULL, NULL, 1000 },
	};

	for (unsigned i = 0; i < r->n_loops; i++) {
		const struct loop_measures *m = &r->loops[i].measures;

		rows[0].value += get(&m->ring_used_bytes);
		rows[1].value =
		    max_u64(rows[1].value, get(&m->ring_permille_max));
		rows[2].value += get(&m->recorder_bytes);
		rows[3].value =
		    max_u64(rows[3].value, get(&m->recorder_behind_ms_max));
	}
	metrics_print(out, M, rows, N_ELEMENTS(rows));
}

static void
print_durations(const struct relay *r, struct metrics_out *out)
{
	struct histogram_sum latency = { 0 }, phases[MEASURE_PHASES] = { 0 };
	struct metric_histogram rows[MEASURE_PHASES];
	const struct metric_histogram added = { "added_latency_seconds",
		"From reading an endpoint's bytes until the technician's "
		"socket has taken them.",
		NULL, NULL, &latency };
	unsigned n = 0;

	for (unsigned i = 0; i < r->n_loops; i++) {
		histogram_add(&latency, &r->loops[i].measures.added_latency);
		for (unsigned k = 0; k < MEASURE_PHASES; k++)
			histogram_add(
			    &phases[k], &r->loops[i].measures.handshake[k]);
	}
	for (unsigned i = 0; i < MEASURE_STATES; i++)
		if (states[i].phase >= 0)
			rows[n++] =
			    (struct metric_histogram){ "handshake_seconds",
				    "How long a phase of a session's beginning "
				    "took.",
				    "phase", states[i].state,
				    &phases[states[i].phase] };
	metrics_print_histograms(out, M, &added, 1);
	metrics_print_histograms(out, M, rows, n);
}

void
measures_print(const struct relay *r, struct metrics_out *out)
{
	print_states(r, out);
	print_sizes(r, out);
	print_durations(r, out);
}
