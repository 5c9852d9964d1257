/* A session's recorder: its words, its end, whether it stands still. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "relay/db_retry_queue.h"
#include "relay/session/session_internal.h"
#include "relay/spawner.h"

#define LOOK_LATE_NS (3 * NS_PER_S) /* for what is done each second */

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

/* A recorder's text is not trusted: printable ASCII only. */
static const char *
clean_text(struct tee_status *st)
{
	st->text[sizeof(st->text) - 1] = '\0';
	for (char *p = st->text; *p != '\0'; p++)
		if (*p < 0x20 || *p > 0x7e)
			*p = '?';
	return st->text;
}

static void
on_ready(struct relay_session *s)
{
	if (s->is_recorder_ready)
		return;
	s->is_recorder_ready = true;
	event_del(s->ready_timer);
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
	s->watch_since_ns = clock_mono_ns(); /* what it begins with is much */
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
handle_status(struct relay_session *s, struct tee_status *st)
{
	const char *text = clean_text(st);

	switch (st->kind) {
	case TEE_STATUS_READY:
		on_ready(s);
		break;
	case TEE_STATUS_FAILED:
		/* the endpoint goes on with streams that cannot be joined */
		if (st->code == (uint32_t)-ERR_UNSUPPORTED)
			s->is_restart_hopeless = true;
		session_recorder_dead(s, text);
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

/* Nothing more comes from this recorder. */
static void
drop_status(struct relay_session *s)
{
	event_free(s->status);
	close(s->status_fd);
	s->status = NULL;
	s->status_fd = -1;
}

static void
on_status(evutil_socket_t fd, short what, void *arg)
{
	struct relay_session *s = arg;
	struct tee_status st;
	ssize_t n;

	while (s->status_fd == fd) {
		n = recv(fd, &st, sizeof(st), MSG_DONTWAIT);
		if (n == (ssize_t)sizeof(st)) {
			/* whoever follows a dead one has to know the mode */
			if (s->pump.has_recorder ||
			    st.kind == TEE_STATUS_CAPTURE)
				handle_status(s, &st);
			continue;
		}
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (s->pump.has_recorder)
			session_recorder_dead(s,
			    s->is_recorder_ready
				? "the recorder ended"
				: "the recorder could not be started");
		drop_status(s);
		if (s->restart == RESTART_DEATH)
			session_restart_died(s);
		break;
	}
}

/* Neither ready nor failed: policy decides as for any dead recorder. */
static void
on_not_ready(evutil_socket_t fd, short what, void *arg)
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
on_space(evutil_socket_t fd, short what, void *arg)
{
	struct relay_session *s = arg;
	uint64_t n;

	if (read(fd, &n, sizeof(n)) > 0 && s->state == SESSION_RUNNING)
		pump_from_endpoint(&s->pump);
}

/* Events of the ring and of its recorder, made once. */
static int
make_events(struct relay_session *s)
{
	if (s->space == NULL) {
		s->space = event_new(s->loop->base,
		    tee_writer_fd(s->pump.ring.tee, TEE_FD_SPACE_EVENT),
		    EV_READ | EV_PERSIST, on_space, s);
		s->ready_timer = evtimer_new(s->loop->base, on_not_ready, s);
	}
	s->status = event_new(
	    s->loop->base, s->status_fd, EV_READ | EV_PERSIST, on_status, s);
	return s->status != NULL && s->space != NULL && s->ready_timer != NULL
	    ? 0
	    : ERR_NOMEM;
}

int
session_record_start(struct relay_session *s, bool is_resume, int64_t seconds)
{
	const struct timeval start = { seconds, 0 };
	int pair[2] = { -1, -1 }, fds[SPAWNER_FDS] = { 0 };
	int meta = session_meta_memfd(s, is_resume), rc = ERR_IO;

	if (meta < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		goto out;
	for (int i = TEE_FD_DATA; i <= TEE_FD_SPACE_EVENT; i++)
		fds[i - TEE_FD_DATA] =
		    tee_writer_fd(s->pump.ring.tee, (enum tee_fd)i);
	fds[TEE_FD_STATUS - TEE_FD_DATA] = pair[1];
	fds[TEE_FD_META - TEE_FD_DATA] = meta;
	s->status_fd = pair[0];
	rc = make_events(s);
	if (rc != 0)
		goto out;
	event_add(s->ready_timer, &start);
	event_add(s->status, NULL);
	event_add(s->space, NULL);
	s->is_recorder_ready = false;
	rc = spawner_request(s->loop->relay->spawner, s->id, fds);
	s->pump.has_recorder = rc == 0;
out:
	if (meta >= 0)
		close(meta);
	if (pair[1] >= 0)
		close(pair[1]);
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
	if (s->ready_timer != NULL)
		event_del(s->ready_timer);
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
	uint64_t recorded, published, now = clock_mono_ns();
	uint8_t value[8];

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
	published = tee_writer_get_published(s->pump.ring.tee);
	/* a machine that was suspended stood still itself */
	if (now > s->watched_ns + LOOK_LATE_NS)
		s->watch_since_ns = now;
	s->watched_ns = now;
	if (recorded != s->watch_recorded ||
	    (recorded == published &&
		!tee_writer_is_short_of_marks(s->pump.ring.tee))) {
		s->watch_recorded = recorded;
		s->watch_since_ns = now;
	} else if (now - s->watch_since_ns >
	    (uint64_t)s->loop->relay->conf.recorder_seconds * NS_PER_S) {
		/* it must not wake up later over a ring that went on */
		spawner_kill(s->loop->relay->spawner, s->id);
		s->gap_since_ns = s->watch_since_ns;
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
	if (s->status != NULL)
		event_free(s->status);
	if (s->space != NULL)
		event_free(s->space);
	if (s->status_fd >= 0)
		close(s->status_fd);
	if (s->ready_timer != NULL)
		event_free(s->ready_timer);
	session_device_release(s);
	s->status = s->space = s->ready_timer = NULL;
	s->status_fd = -1;
	live_budget_give(&s->loop->relay->live, &s->live_share);
}
