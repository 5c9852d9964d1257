/*
 * The capture that the endpoint's agent writes of a session (C7): ordered
 * when the stream begins, and told of the marks that stand in it
 * (docs/agent-protocol.md). Policy `both`: beside the relay's recorder;
 * `device`: instead of it, and what follows from its failure is what follows
 * from a recorder's.
 */
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/http.h"
#include "common/log.h"
#include "relay/base/relay_uuid.h"
#include "relay/db_retry_queue.h"
#include "relay/session/session_internal.h"

#define MARKS_WAIT_MAX 1024              /* that the agent was not told */
#define SAY_BYTES      (2 * 1024 * 1024) /* of the stream, at the latest */

static bool
has_policy(const struct relay_session *s, const char *word)
{
	return s->authorization.kind == ENDPOINT_AGENT &&
	    s->authorization.capture != NULL &&
	    strcmp(s->authorization.capture, word) == 0;
}

bool
session_device_is_alone(const struct relay_session *s)
{
	return s->authorization.recording && has_policy(s, "device");
}

enum agent_capture_wish
session_device_wish(const struct relay_session *s)
{
	if (session_device_is_alone(s))
		return s->authorization.end_on_failure ? AGENT_CAPTURE_MUST
						       : AGENT_CAPTURE_MAY;
	return s->authorization.recording && has_policy(s, "both")
	    ? AGENT_CAPTURE_MAY
	    : AGENT_CAPTURE_NONE;
}

uint64_t
session_device_received(const struct relay_session *s)
{
	return s->pump.endpoint.transport.bytes_in -
	    buf_len(&s->pump.endpoint.in);
}

/* ---- its end by a failure ---- */

static void
fail(struct relay_session *s, const char *why)
{
	const char *params[] = { s->id, why };

	s->device.is_on = false;
	s->device.is_failed = true;
	if (s->device.timer != NULL)
		event_del(s->device.timer);
	log_error("device_capture_failed", LOG_S("session", s->id),
	    LOG_S("why", why));
	db_retry_write(s->loop, "device capture failed",
	    "INSERT INTO audit (team_id, actor, action, object, detail) "
	    "SELECT team_id, 'relay', 'device_capture_failed', id::text, "
	    "jsonb_build_object('why', $2::text) FROM sessions WHERE id = $1",
	    2, params);
	if (!session_device_is_alone(s))
		return;
	db_retry_write(s->loop, "device capture failed",
	    "UPDATE device_captures SET failed_why = $2 WHERE session_id = $1 "
	    "AND NOT is_copy",
	    2, params);
	session_record_lost(s, why);
}

static void
on_late(evutil_socket_t fd, short what, void *arg)
{
	struct relay_session *s = arg;

	fail(s, "the endpoint did not begin its capture in time");
}

void
session_device_said(
    struct relay_session *s, const char *from, bool is_failed, const char *why)
{
	char endpoint[24];

	snprintf(endpoint, sizeof(endpoint), "%lld",
	    (long long)s->authorization.endpoint_id);
	if (!s->device.is_on || strcmp(from, endpoint) != 0)
		return;
	if (is_failed) {
		fail(s, why);
	} else if (!s->device.is_writing) {
		s->device.is_writing = true;
		event_del(s->device.timer);
		if (session_device_is_alone(s)) {
			s->is_recording = true;
			if (s->state == SESSION_OPEN)
				session_accept_viewer(s);
		}
	}
}

/* ---- its begin ---- */

/* Why there can be none, or NULL. */
static const char *
refusal(const struct relay_session *s)
{
	if (s->pump.endpoint.ra2 != NULL)
		return "its VNC server encrypts the session (RA2), so the "
		       "agent there cannot capture it";
	if (s->loop->relay->conf.captures_address == NULL)
		return "relay.captures_address is not set, so the endpoint "
		       "could not hand its capture over";
	if (s->authorization.capture_key == NULL)
		return "storage has no key for captures: set storage.captures "
		       "to on";
	return NULL;
}

static void
note_order(struct relay_session *s, const char *id, const char *meta)
{
	char endpoint[24];
	const char *params[] = { id, s->id, endpoint, meta,
		session_device_is_alone(s) ? "f" : "t" };

	snprintf(endpoint, sizeof(endpoint), "%lld",
	    (long long)s->authorization.endpoint_id);
	db_retry_write(s->loop, "device capture",
	    "INSERT INTO device_captures (id, session_id, endpoint_id, meta, "
	    "is_copy) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (id) DO NOTHING",
	    5, params);
}

static int
order(struct relay_session *s)
{
	char *meta = session_meta_of_capture(s);
	char id[UUID_TEXT_MAX];
	int rc;

	if (meta == NULL)
		return ERR_NOMEM;
	relay_uuid(id);
	note_order(s, id, meta);
	rc = session_agent_order(s,
	    json_pack("{s:s s:s s:s s:s s:s s:s s:s s:I s:I}", "what",
		"capture", "channel", session_agent_channel(s), "session",
		s->id, "id", id, "storage",
		s->loop->relay->conf.captures_address, "key",
		s->authorization.capture_key, "meta", meta, "offset",
		(json_int_t)(session_device_received(s) - s->device.joined_at),
		"now_ns", (json_int_t)clock_mono_ns()));
	free(meta);
	return rc;
}

void
session_device_start(struct relay_session *s)
{
	const struct timeval limit = { s->loop->relay->conf.recorder_seconds,
		0 };
	const char *why = refusal(s);

	if (session_device_wish(s) == AGENT_CAPTURE_NONE)
		return;
	buf_init(&s->device.marks, MARKS_WAIT_MAX * AGENT_MARK_LEN);
	s->device.timer = evtimer_new(s->loop->base, on_late, s);
	if (why == NULL && s->device.timer == NULL)
		why = err_text(ERR_NOMEM);
	if (why == NULL && order(s) != 0)
		why = "the relay's database is away, so the endpoint cannot "
		      "be told to capture";
	if (why != NULL) {
		fail(s, why);
		return;
	}
	/* a screen that grows has nothing to do with memory here */
	s->is_captured = s->is_captured || session_device_is_alone(s);
	s->device.is_on = true;
	event_add(s->device.timer, &limit);
}

/* ---- while it runs ---- */

void
session_device_mark(struct relay_session *s, const struct tee_mark *m)
{
	uint8_t b[AGENT_MARK_LEN];

	/* of the last three kinds there are none in a capture */
	if (!s->device.is_on || m->kind == TEE_MARK_CAPTURE ||
	    m->kind == TEE_MARK_START || m->kind == TEE_MARK_STOP)
		return;
	store_be64(b, m->offset);
	store_be64(b + 8, m->mono_ns);
	store_be32(b + 16, m->kind);
	memcpy(b + 20, m->value, TEE_MARK_VALUE);
	/* the agent sees the gap, as the number moves on */
	if (buf_append(&s->device.marks, b, sizeof(b)) != 0)
		s->device.number++;
}

/* One message: what the agent may write now. Returns 0 or an error. */
static int
say(struct relay_session *s, uint64_t until)
{
	struct session_device *d = &s->device;
	size_t len =
	    min_size(buf_len(&d->marks), (size_t)AGENT_MARKS * AGENT_MARK_LEN);
	char hex[AGENT_MARKS_MAX] = "";
	int rc;

	if (len > 0)
		http_hex(buf_head(&d->marks), len, hex);
	/* those that follow must not be passed */
	if (len < buf_len(&d->marks))
		until = load_be64(buf_head(&d->marks) + len - AGENT_MARK_LEN);
	rc = session_agent_order(s,
	    json_pack("{s:s s:s s:s s:I s:I s:s}", "what", "marks", "channel",
		session_agent_channel(s), "session", s->id, "number",
		(json_int_t)d->number, "until", (json_int_t)until, "marks",
		hex));
	if (rc != 0)
		return rc;
	d->number++;
	d->said = until;
	if (len > 0)
		buf_consume(&d->marks, len);
	return 0;
}

/* What cannot be said now waits for the next second. */
static void
say_all(struct relay_session *s, uint64_t until)
{
	while (say(s, until) == 0 && buf_len(&s->device.marks) > 0)
		;
}

void
session_device_progress(struct relay_session *s, bool is_tick)
{
	uint64_t framed = s->pump.ring.framed;

	if (!s->device.is_on || !s->device.is_writing)
		return;
	if (is_tick || framed - s->device.said >= SAY_BYTES)
		say_all(s, framed);
}

void
session_device_end(struct relay_session *s, enum tee_end why)
{
	struct tee_mark m = { .kind = TEE_MARK_END,
		.mono_ns = clock_mono_ns(),
		.offset = s->pump.ring.framed };

	if (!s->device.is_on)
		return;
	store_be32(m.value, why);
	session_device_mark(s, &m);
	say_all(s, s->pump.ring.framed);
	s->device.is_on = false;
	event_del(s->device.timer);
}

void
session_device_release(struct relay_session *s)
{
	if (s->device.timer != NULL)
		event_free(s->device.timer);
	s->device.timer = NULL;
	buf_release(&s->device.marks);
}
