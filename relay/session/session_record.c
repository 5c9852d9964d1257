/* A session's recorder: its words, its end, whether it stands still. */
#include <string.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "relay/db_retry_queue.h"
#include "relay/session/session_internal.h"
#include "relay/spawner.h"

static const char no_space[] = "too little disk space is left on the relay";

void
session_record_mark(struct relay_session *s, enum tee_mark_kind kind,
    uint64_t offset, const void *value, size_t len)
{
	struct tee_mark m = {
		.offset = offset, .mono_ns = clock_mono_ns(), .kind = kind
	};

	if (len != 0)
		memcpy(m.value, value, min_size(len, sizeof(m.value)));
	session_device_mark(s, &m);
	if (!s->pump.has_recorder)
		return;
	if (tee_writer_mark(s->pump.ring.tee, &m) == 0)
		return;
	/* it must not read on without what the mark said */
	spawner_kill(s->loop->relay->spawner, s->id);
	s->is_mark_lost = true;
}

void
session_record_check(struct relay_session *s)
{
	if (s->is_mark_lost && s->pump.has_recorder)
		session_recorder_dead(s, "its marks were not read");
	s->is_mark_lost = false;
	if (s->is_restart_failed)
		session_restart_failed(s);
}

static void
on_ready(struct relay_session *s)
{
	if (!recorder_link_ready(&s->recorder))
		return;
	if (s->restart == RESTART_STARTED) {
		session_restart_ready(s);
		return;
	}
	s->is_recording = s->is_recorded;
	if (s->state == SESSION_OPEN)
		session_accept_viewer(s);
}

/* A recording by hand stops; the session goes on (C6). */
static void
out_of_space(struct relay_session *s)
{
	s->is_recording = false;
	log_warn("recording_stopped", LOG_S("session", s->id),
	    LOG_S("why", no_space));
	if (s->state != SESSION_RUNNING)
		return;
	session_warn(s,
	    "The recording has stopped: too little disk space is "
	    "left on the relay.",
	    SESSION_WARNING_SECONDS);
	session_agent_indicator(s);
	session_status_changed(s);
}

/* It fell behind, or was told to; others in its place capture as well. */
static void
on_capture(struct relay_session *s, uint64_t first_frame)
{
	struct relay *r = s->loop->relay;

	if (!s->is_recorded)
		return;
	live_budget_give(&r->live, &s->live_share);
	if (s->is_captured)
		return; /* as it was told to */
	s->is_captured = true;
	/* what it begins with is much */
	recorder_watch_pardon(&s->watch, clock_mono_ns());
	atomic_fetch_add(&r->stats.captures, 1);
	atomic_fetch_add(&r->stats.recorder_overloads, 1);
	log_warn("session_captured", LOG_S("session", s->id),
	    LOG_S("setting", "behind_seconds"), LOG_U("frame", first_frame));
}

/* Another recorder would find no more room than this one. */
static void
no_room(struct relay_session *s)
{
	s->is_restart_hopeless = true;
	session_recorder_dead(s, no_space);
}

static void
handle_status(struct relay_session *s, const struct tee_status *st)
{
	switch (st->kind) {
	case TEE_STATUS_READY:
		on_ready(s);
		break;
	case TEE_STATUS_FAILED:
		/* the endpoint goes on with streams that cannot be joined */
		if (st->code == (uint32_t)-ERR_UNSUPPORTED)
			s->is_restart_hopeless = true;
		session_recorder_dead(s, st->text);
		break;
	case TEE_STATUS_NOSPACE:
		if (!s->is_recorded)
			out_of_space(s);
		else
			no_room(s);
		break;
	case TEE_STATUS_LOAD:
		live_budget_says(&s->loop->relay->live, &s->live_share,
		    st->frames, clock_mono_ns());
		measure_recorder(s, st->bytes, st->code);
		break;
	case TEE_STATUS_CAPTURE:
		on_capture(s, st->frames);
		break;
	case TEE_STATUS_SEGMENT:
		log_info("segment_closed", LOG_S("session", s->id),
		    LOG_U("frames", st->frames), LOG_U("bytes", st->bytes));
		break;
	default:
		break;
	}
}

static void
on_said(void *arg, const struct tee_status *st)
{
	struct relay_session *s = arg;

	/* the one that follows a dead one has to know the mode */
	if (s->pump.has_recorder || st->kind == TEE_STATUS_CAPTURE)
		handle_status(s, st);
}

static void
on_closed(void *arg)
{
	struct relay_session *s = arg;

	if (s->pump.has_recorder)
		session_recorder_dead(s,
		    s->recorder.is_ready ? "the recorder ended"
					 : "the recorder could not be started");
	if (s->restart == RESTART_DEATH)
		session_restart_died(s);
}

/* Neither ready nor failed: policy decides as for any dead recorder. */
static void
on_late(void *arg)
{
	struct relay_session *s = arg;

	spawner_kill(s->loop->relay->spawner, s->id);
	if (s->pump.has_recorder)
		session_recorder_dead(s, "the recorder was not ready in time");
	else
		session_restart_late(s);
}

/* The recorder has freed room in a full ring. */
static void
on_space(void *arg)
{
	struct relay_session *s = arg;

	if (s->state == SESSION_RUNNING)
		pump_from_endpoint(&s->pump);
}

void
session_record_init(struct relay_session *s)
{
	static const struct recorder_link_ops ops = {
		.said = on_said,
		.closed = on_closed,
		.late = on_late,
		.space = on_space,
	};

	recorder_link_init(&s->recorder, s->loop->base, &ops, s);
}

int
session_record_start(struct relay_session *s, bool is_resume, int64_t seconds)
{
	int fds[SPAWNER_FDS] = { 0 };
	int meta = session_meta_memfd(s, is_resume), peer, rc;

	if (meta < 0)
		return ERR_IO;
	peer = recorder_link_open(
	    &s->recorder, tee_writer_fd(s->pump.ring.tee, TEE_FD_SPACE_EVENT));
	if (peer < 0) {
		close(meta);
		return peer;
	}
	for (int i = TEE_FD_DATA; i <= TEE_FD_SPACE_EVENT; i++)
		fds[i - TEE_FD_DATA] =
		    tee_writer_fd(s->pump.ring.tee, (enum tee_fd)i);
	fds[TEE_FD_STATUS - TEE_FD_DATA] = peer;
	fds[TEE_FD_META - TEE_FD_DATA] = meta;
	recorder_link_wait(&s->recorder, (uint64_t)seconds * NS_PER_S);
	rc = spawner_request(s->loop->relay->spawner, s->id, fds);
	s->pump.has_recorder = rc == 0;
	close(meta);
	close(peer);
	return rc;
}

/* C1, C3: the right, and full control. */
bool
session_may_record_by_hand(const struct relay_session *s)
{
	return s->authorization.manual_recording &&
	    s->authorization.may_record && !s->is_view_forced &&
	    !s->is_quota_full;
}

int
session_record_switch(struct relay_session *s, bool on, const char **why)
{
	if (s->is_recorded)
		*why = "this session is recorded by policy, from its first "
		       "picture to the last";
	else if (!s->authorization.manual_recording)
		*why = "the team does not record by hand";
	else if (s->is_quota_full)
		*why = "the team's recordings have used up its quota";
	else if (!session_may_record_by_hand(s))
		*why = s->is_view_forced
		    ? "recording by hand needs full control (C3)"
		    : "you have no right to record this endpoint";
	else if (!s->pump.has_recorder)
		*why = "the recorder of this session has ended";
	if (*why != NULL)
		return ERR_DENIED;
	if (on == s->is_recording)
		return 0;
	session_record_mark(s, on ? TEE_MARK_START : TEE_MARK_STOP,
	    tee_writer_get_published(s->pump.ring.tee), NULL, 0);
	s->is_recording = on;
	if (on)
		pump_cover_start(&s->pump);
	session_record_check(s);
	session_agent_indicator(s);
	session_status_changed(s);
	return 0;
}

static void
audit_gap(struct relay_session *s, const char *why)
{
	const char *params[] = { s->id, why };

	db_retry_write(s->loop, "recording lost",
	    "INSERT INTO audit (team_id, actor, action, object, detail) "
	    "SELECT team_id, 'relay', 'recording_lost', id::text, "
	    "jsonb_build_object('why', $2::text) FROM sessions WHERE id = $1",
	    2, params);
}

void
session_recorder_dead(struct relay_session *s, const char *why)
{
	if (s->state >= SESSION_CLOSING)
		return;
	atomic_fetch_add(&s->loop->relay->stats.recorder_failures, 1);
	log_error("recorder_dead", LOG_S("session", s->id), LOG_S("why", why));
	s->pump.has_recorder = false;
	recorder_link_stop_timer(&s->recorder);
	if (session_restart_begin(s))
		return;
	session_record_lost(s, why);
}

void
session_record_lost(struct relay_session *s, const char *why)
{
	char reason[200];

	audit_gap(s, why);
	s->is_recording = false;
	if (s->authorization.end_on_failure && s->is_recorded) {
		snprintf(reason, sizeof(reason),
		    "the session must be recorded "
		    "and the recording %s: %s",
		    s->state == SESSION_RUNNING ? "stopped"
						: "could not be started",
		    why);
		session_refuse(s, reason);
		return;
	}
	if (s->pump.ring.tee != NULL)
		tee_writer_set_attached(s->pump.ring.tee, false);
	if (s->state == SESSION_OPEN)
		session_accept_viewer(s);
	else if (s->state == SESSION_RUNNING) {
		session_warn(s,
		    "This session is not recorded any more: the "
		    "recorder has ended.",
		    SESSION_WARNING_SECONDS);
		session_agent_indicator(s);
		session_status_changed(s);
		pump_from_endpoint(&s->pump);
	}
}

/* Input counts (X5), and a recorder that stands still is dead. */
void
session_record_tick(struct relay_session *s)
{
	uint64_t recorded, now = clock_mono_ns();
	uint8_t value[8];
	bool has_work;

	live_budget_tick(&s->loop->relay->live, &s->live_share, now);
	if (!s->pump.has_recorder && !s->device.is_on)
		return;
	if (s->pump.n_keys + s->pump.n_pointers > 0) {
		store_be32(value, s->pump.n_keys);
		store_be32(value + 4, s->pump.n_pointers);
		s->pump.n_keys = s->pump.n_pointers = 0;
		session_record_mark(s, TEE_MARK_INPUT,
		    tee_writer_get_published(s->pump.ring.tee), value, 8);
		session_record_check(s);
	}
	session_device_progress(s, true);
	if (!s->pump.has_recorder)
		return;
	recorded = tee_writer_get_recorded(s->pump.ring.tee);
	has_work = recorded != tee_writer_get_published(s->pump.ring.tee) ||
	    tee_writer_is_short_of_marks(s->pump.ring.tee);
	if (recorder_watch_look(&s->watch, now, recorded, has_work,
		(uint64_t)s->loop->relay->conf.recorder_seconds * NS_PER_S)) {
		/* it must not wake up later over a ring that went on */
		spawner_kill(s->loop->relay->spawner, s->id);
		gap_budget_begin(&s->gap, s->watch.since_ns);
		session_recorder_dead(s, "the recorder stands still");
	}
}

void
session_record_end(struct relay_session *s, enum tee_end why)
{
	struct tee_mark m = { .kind = TEE_MARK_END,
		.mono_ns = clock_mono_ns() };

	session_device_end(s, why);
	if (!s->pump.has_recorder)
		return;
	s->pump.has_recorder = false;
	m.offset = tee_writer_get_published(s->pump.ring.tee);
	store_be32(m.value, why);
	if (tee_writer_mark(s->pump.ring.tee, &m) != 0)
		/* it will see the closed socket and close the segment */
		log_warn("end_mark_lost", LOG_S("session", s->id));
	tee_writer_wake(s->pump.ring.tee);
	/* nobody watches it any more */
	spawner_finish(s->loop->relay->spawner, s->id);
}

void
session_record_release(struct relay_session *s)
{
	recorder_link_release(&s->recorder);
	session_device_release(s);
	live_budget_give(&s->loop->relay->live, &s->live_share);
}
