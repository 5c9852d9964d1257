/* A session that runs: what it gives its pump, and what the pump tells it. */
#include <event2/event.h>
#include <jansson.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "common/trace_context.h"
#include "relay/db_retry_queue.h"
#include "relay/session/session_internal.h"
#include "rfb/handshake_server.h"

static const char no_memory[] = "the relay is out of memory";

/* ---- what the pump tells ---- */

static void
on_ended(void *arg, const char *code, const char *why)
{
	session_end(arg, code, why);
}

static void
on_refused(void *arg, const char *why)
{
	session_refuse(arg, why);
}

static void
on_mark(void *arg, enum tee_mark_kind kind, uint64_t offset, const void *value,
    size_t len)
{
	session_record_mark(arg, kind, offset, value, len);
}

static void
on_boundary(void *arg, uint64_t offset)
{
	struct relay_session *s = arg;

	if (s->restart == RESTART_BOUNDARY)
		session_restart_boundary(s, offset);
}

static void
on_changed(void *arg, enum pump_change what)
{
	switch (what) {
	case PUMP_CHANGED_STATUS:
		session_status_changed(arg);
		break;
	case PUMP_CHANGED_STREAM:
		session_device_progress(arg, false);
		break;
	case PUMP_CHANGED_MARKS:
		session_record_check(arg);
		break;
	}
}

static bool
is_recorded(void *arg)
{
	const struct relay_session *s = arg;

	return (s->is_recorded || s->is_recording) &&
	    (s->pump.has_recorder || s->device.is_on ||
		s->restart != RESTART_NONE);
}

static bool
may_resize(void *arg, unsigned w, unsigned h, char why[PUMP_SIZE_TEXT])
{
	if (session_size_is_allowed(arg, w, h))
		return true;
	session_size_say(arg, w, h, why);
	return false;
}

static void
on_resized(void *arg, uint64_t offset, unsigned w, unsigned h)
{
	session_size_changed(arg, offset, w, h);
}

static void
on_warn(void *arg, const char *text)
{
	session_warn(arg, text, SESSION_WARNING_SECONDS);
}

static void
on_wished(void *arg, const char *what, const char *value, const char *why)
{
	struct relay_session *s = arg;

	session_audit_order(
	    s, ORDER_FROM_VIEWER, s->name.person, what, value, why);
}

static void
add_use(json_t *o, const char *way, const struct pump_clipboard_use *u)
{
	if (u->messages == 0 && u->blocked == 0)
		return;
	json_object_set_new(o, way,
	    json_pack("{s:I s:I s:I}", "messages", (json_int_t)u->messages,
		"bytes", (json_int_t)u->bytes, "blocked",
		(json_int_t)u->blocked));
}

static void
on_clipboard_used(void *arg, const struct pump_clipboard *use)
{
	struct relay_session *s = arg;
	json_t *o = json_object();
	char *text;
	const char *params[] = { s->id, s->name.person, NULL };

	add_use(o, "to_endpoint", &use->to_endpoint);
	add_use(o, "to_technician", &use->to_technician);
	text = json_dumps(o, JSON_COMPACT);
	params[2] = text;
	if (text != NULL)
		db_retry_write(s->loop, "clipboard",
		    "INSERT INTO audit (team_id, actor, action, object, "
		    "detail) SELECT team_id, $2, 'clipboard', id::text, "
		    "$3::jsonb FROM sessions WHERE id = $1",
		    3, params);
	free(text);
	json_decref(o);
}

static const struct pump_ops ops = { .ended = on_ended,
	.refused = on_refused,
	.mark = on_mark,
	.boundary = on_boundary,
	.changed = on_changed,
	.is_recorded = is_recorded,
	.may_resize = may_resize,
	.resized = on_resized,
	.warn = on_warn,
	.wished = on_wished,
	.clipboard_used = on_clipboard_used };

void
session_configure_pump(struct relay_session *s)
{
	struct loop *l = s->loop;

	s->pump.conf = (struct pump_conf){ .ops = &ops,
		.arg = s,
		.base = l->base,
		.scratch = l->scratch,
		.scratch_len = sizeof(l->scratch),
		.font = l->relay->font,
		.latency = &l->measures.added_latency,
		.id = s->id,
		.clipboard = s->authorization.clipboard,
		.room_bytes = (size_t)l->relay->conf.ring_bytes / 4,
		.frame_rate = (uint32_t)s->authorization.frame_rate,
		.monitor = s->name.monitor,
		.is_ultravnc =
		    rfb_handshake_client_is_ultra(s->endpoint_handshake) };
}

/* ---- its start ---- */

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct relay_session *s = arg;

	session_record_tick(s);
	if (s->state == SESSION_RUNNING)
		session_clocks_set(s);
	pump_tick(&s->pump);
}

static int
start_tick(struct relay_session *s)
{
	struct timeval second = { 1, 0 };

	/* standing still is counted from now, not from the epoch */
	recorder_watch_pardon(&s->watch, clock_mono_ns());
	s->tick = event_new(s->loop->base, -1, EV_PERSIST, on_tick, s);
	if (s->tick == NULL || event_add(s->tick, &second) != 0)
		return ERR_NOMEM;
	return 0;
}

static void
log_start(struct relay_session *s, const struct rfb_server_init *init)
{
	char trace[HTTP_TRACE_ID_MAX];

	if (s->trace_id[0] != '\0')
		strcpy(trace, s->trace_id);
	else
		trace_of_session(NULL, s->id, trace);
	log_info("session_start", LOG_S("session", s->id),
	    LOG_S("trace_id", trace), LOG_S("person", s->name.person),
	    LOG_S("endpoint", s->name.endpoint),
	    LOG_S("client", s->client_addr), LOG_U("width", init->width),
	    LOG_U("height", init->height),
	    LOG_S(
		"security", rfb_handshake_client_chosen(s->endpoint_handshake)),
	    LOG_S("recorded", s->is_recorded ? "yes" : "no"));
	atomic_fetch_add(&s->loop->relay->stats.sessions, 1);
}

/* Bytes go both ways from here on, unless it ends. */
static void
start_pump(struct relay_session *s)
{
	const struct rfb_server_init *server =
	    rfb_handshake_client_init(s->endpoint_handshake);

	if (pump_start(&s->pump, server) != 0) {
		session_end(s, "error", no_memory);
		return;
	}
	log_start(s, server);
	rfb_handshake_server_free(s->viewer_handshake);
	rfb_handshake_client_free(s->endpoint_handshake);
	s->viewer_handshake = NULL;
	s->endpoint_handshake = NULL;
	session_set_state(s, SESSION_RUNNING, s->authorization.max_session_s);
	if (start_tick(s) != 0)
		session_end(s, "error", no_memory);
	else
		pump_begin(&s->pump);
}

void
session_run(struct relay_session *s)
{
	/* before the first key can come through (C3) */
	pump_set_view_only(&s->pump, s->is_view_forced);
	start_pump(s);
	if (s->state != SESSION_RUNNING)
		return;
	session_clocks_start(s);
	if (s->is_recording)
		session_agent_indicator(s);
	session_browser_status(s);
	if (!s->is_recorded || s->is_recording)
		return;
	/* policy lets it go on; nobody may think that it is recorded */
	session_status_changed(s);
	session_warn(s,
	    s->is_quota_full
		? "This session is not recorded: the team's recordings have "
		  "used up its quota."
		: "This session is not recorded: the recorder could not be "
		  "started.",
	    SESSION_WARNING_SECONDS);
}
