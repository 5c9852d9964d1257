/*
 * A recorder died while its session runs (X4). Streams of zlib cannot be
 * joined midway, so the next one needs a screen painted anew by rectangles
 * that stand for themselves, docs/tee.md ("After a recorder died"):
 *
 *   DEATH     its status socket is still open: it may write its page
 *   BOUNDARY  waiting for the end of a message of the endpoint's
 *   STARTED   the next one follows the stream, nothing is recorded yet
 *   NONE      it said READY: the gap is over
 *
 * The third death within a minute is policy's, each wait has an end, and so
 * has the time that a session may be without a recorder in all. Where
 * recording is enforced, no picture goes to the technician meanwhile
 * (pump/pump_withhold.c).
 */
#include <stdio.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "relay/db_retry_queue.h"
#include "relay/session/session_internal.h"
#include "relay/spawner.h"

/* How long the endpoint may take to paint everything anew. */
#define REPAINT_SECONDS 30

/* What is left of the time without a recorder. */
static uint64_t
budget_left(const struct relay_session *s)
{
	return gap_budget_left(&s->gap,
	    (uint64_t)s->loop->relay->conf.unrecorded_seconds * NS_PER_S,
	    clock_mono_ns());
}

/* Nothing is recorded meanwhile: not without a limit. */
static void
wait_at_most(struct relay_session *s, int64_t seconds)
{
	recorder_link_wait(&s->recorder,
	    min_u64((uint64_t)seconds * NS_PER_S, budget_left(s)));
}

static bool
is_enforced(const struct relay_session *s)
{
	return s->is_recorded && s->authorization.end_on_failure;
}

bool
session_restart_begin(struct relay_session *s)
{
	if (s->state != SESSION_RUNNING || pump_is_draining(&s->pump) ||
	    s->is_restart_hopeless ||
	    gap_budget_death(&s->gap, clock_mono_ns()))
		return false;
	if (s->restart == RESTART_NONE && s->gap.since_ns == 0)
		gap_budget_begin(&s->gap, clock_mono_ns());
	if (budget_left(s) == 0) {
		log_error("recording_budget_spent", LOG_S("session", s->id),
		    LOG_S("setting", "unrecorded_seconds"));
		return false;
	}
	s->restart = RESTART_DEATH;
	/* in the kernel's hands, on a disk that stands still, it may not die */
	wait_at_most(s, s->loop->relay->conf.recorder_seconds);
	/* it must not wake up later over a ring that went on */
	spawner_kill(s->loop->relay->spawner, s->id);
	tee_writer_set_attached(s->pump.ring.tee, false);
	if (s->pump.is_stalled)
		channel_wake(&s->pump.endpoint);
	if (is_enforced(s))
		pump_withhold(&s->pump, true);
	return true;
}

void
session_restart_died(struct relay_session *s)
{
	uint64_t offset;

	if (s->state != SESSION_RUNNING) /* it ends: nobody is to follow */
		return;
	s->restart = RESTART_BOUNDARY;
	wait_at_most(s, REPAINT_SECONDS);
	if (!pump_is_between(&s->pump, &offset))
		return;
	session_restart_boundary(s, offset);
	session_record_check(s);
	pump_settle(&s->pump);
}

void
session_restart_boundary(struct relay_session *s, uint64_t offset)
{
	int rc;

	ring_framed(&s->pump.ring, offset);
	if (tee_writer_reattach(s->pump.ring.tee, clock_mono_ns()) != 0)
		return; /* marks are short: the next boundary */
	s->restart = RESTART_STARTED;
	rc = session_record_start(s, true, REPAINT_SECONDS);
	if (rc == 0)
		wait_at_most(s, REPAINT_SECONDS);
	if (rc == 0 && !s->is_recorded && s->is_recording)
		session_record_mark(s, TEE_MARK_START, offset, NULL, 0);
	if (rc == 0)
		rc = pump_repaint(&s->pump);
	s->watch.recorded = offset;
	recorder_watch_pardon(&s->watch, clock_mono_ns());
	if (rc != 0)
		s->is_restart_failed = true;
}

void
session_restart_late(struct relay_session *s)
{
	bool is_death = s->restart == RESTART_DEATH;

	if (s->state != SESSION_RUNNING ||
	    (!is_death && s->restart != RESTART_BOUNDARY))
		return;
	s->restart = RESTART_NONE;
	session_record_lost(s,
	    is_death ? "the recorder stands still and cannot be ended"
		     : "the endpoint's message does not end");
}

void
session_restart_failed(struct relay_session *s)
{
	s->is_restart_failed = false;
	s->pump.has_recorder = false;
	s->restart = RESTART_NONE;
	session_record_lost(s, "another recorder could not be started");
}

void
session_restart_ready(struct relay_session *s)
{
	uint64_t ms = gap_budget_end(&s->gap, clock_mono_ns()) / NS_PER_MS;
	char text[24];
	const char *params[] = { s->id, text };

	s->restart = RESTART_NONE;
	snprintf(text, sizeof(text), "%llu", (unsigned long long)ms);
	atomic_fetch_add(&s->loop->relay->stats.recorder_restarts, 1);
	log_warn("recording_resumed", LOG_S("session", s->id),
	    LOG_U("noticed_ms", ms));
	db_retry_write(s->loop, "recording resumed",
	    "INSERT INTO audit (team_id, actor, action, object, detail) "
	    "SELECT team_id, 'relay', 'recording_resumed', id::text, "
	    "jsonb_build_object('noticed_ms', $2::bigint) FROM sessions WHERE "
	    "id "
	    "= $1",
	    2, params);
	pump_withhold(&s->pump, false);
}
