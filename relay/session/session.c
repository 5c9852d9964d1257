#include <event2/event.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/db.h"
#include "common/err.h"
#include "common/log.h"
#include "relay/base/loop_ref.h"
#include "relay/base/relay_uuid.h"
#include "relay/db_retry_queue.h"
#include "relay/listener/conn_ops.h"
#include "relay/listener/listen_addr.h"
#include "relay/wire/lingering_close.h"
#include "relay/draw/lobby.h"
#include "relay/session/session_internal.h"
#include "relay/session/session_test.h"
#include "relay/http/websocket.h"
#include "rfb/client_messages.h"
#include "rfb/framer.h"
#include "rfb/handshake_server.h"

#define CLOSING_SECONDS 3
#define PART_SECONDS    2 /* a banner with the reason, before the end */
#define SLOW_QUERY_MS   1000
#define LOBBY_SECONDS   20 /* time to read why there is no connection */

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct relay_session *s = arg;
	const struct db *db = s->loop->db;
	struct session_timeout t;
	bool is_slow =
	    !db_is_connected(db) || db_waiting_ms(db) > SLOW_QUERY_MS;

	if (!session_timeout_of(s->state, is_slow, s->name.endpoint, &t))
		return;
	if (t.is_refusal)
		session_fail(s, t.code, t.why);
	else
		session_end(s, t.code, t.why);
}

/* Frees everything but the memory that a job or query still points to. */
static void
teardown(struct relay_session *s)
{
	bool has_input =
	    s->ending.in == SESSION_RUNNING && pump_let_go(&s->pump);

	measure_bytes(s);
	atomic_fetch_sub(&s->loop->relay->stats.active, 1);
	session_set_state(s, SESSION_DEAD, 0);
	if (!s->attempt.is_checking) /* the check of its password counts */
		login_attempt_release(&s->attempt);
	TAILQ_REMOVE(&s->loop->sessions, s, link);
	ticket_withdraw(&s->dial_ticket);
	session_record_release(s);
	session_test_failed(s, "the relay ended the test");
	session_parked_gone(s);
	session_lobby_release(s);
	if (s->pump.viewer.ws != NULL)
		session_browser_end(s, "ended", "error", "the session ended");
	if (s->pump.viewer.transport.ssl != NULL || s->pump.viewer.ws != NULL)
		lingering_close(s->loop, &s->pump.viewer);
	channel_release(&s->pump.viewer);
	/* a reset, because its last pictures were not read, could overtake it
	 */
	if (has_input)
		lingering_close(s->loop, &s->pump.endpoint);
	channel_release(&s->pump.endpoint);
	connection_limit_leave(s->loop->relay->connections, &s->slot);
	pump_release(&s->pump);
	ring_release(&s->pump.ring);
	rfb_handshake_server_free(s->viewer_handshake);
	rfb_handshake_client_free(s->endpoint_handshake);
	s->viewer_handshake = NULL;
	s->endpoint_handshake = NULL;
	event_free(s->deadline);
	event_free(s->ending.event);
	if (s->tick != NULL)
		event_free(s->tick);
	if (s->warn_timer != NULL)
		event_free(s->warn_timer);
	if (s->part_timer != NULL)
		event_free(s->part_timer);
	session_access_release(s);
	session_liveness_release(s);
	free(s->part_reason);
	s->part_reason = NULL;
	s->part_timer = NULL;
	authorization_release(&s->authorization);
	session_wipe_password(s);
	free(s->addrs);
	s->addrs = NULL;
	free(s->desktop_name);
	s->desktop_name = NULL;
	X509_STORE_free(s->ca_store);
	session_unref(s);
}

/*
 * The row's end and the audit trail, in one statement that may run twice.
 * Another relay may have given this node up while it could not reach the
 * database: what really happened wins over that.
 */
static void
write_end(struct relay_session *s, const char *code, const char *reason)
{
	char wall[32], mono[32];
	const char *params[] = { s->id, code, reason, wall, s->name.person,
		mono };
	uint64_t now = clock_mono_ns();

	if (!s->has_row)
		return;
	/* by the recording's clock, whatever was done to the wall clock */
	snprintf(wall, sizeof(wall), "%.6f",
	    (double)(s->start_wall_ns + now - s->start_mono_ns) / 1e9);
	snprintf(mono, sizeof(mono), "%llu", (unsigned long long)now);
	if (s->is_row_unsure) {
		session_write_unsure_end(s, code, reason, wall, mono);
		return;
	}
	db_retry_write(s->loop, "session end",
	    "WITH o AS (SELECT id, end_code FROM sessions WHERE id = $1 FOR "
	    "UPDATE), u AS (UPDATE sessions s SET ended_at = "
	    "to_timestamp($4), end_code = $2, end_reason = $3, recording = "
	    "false, ended_mono_ns = $6 FROM o WHERE s.id = o.id AND "
	    "(s.ended_at IS NULL OR s.end_code = 'node_lost') RETURNING "
	    "s.team_id, o.end_code AS was), c AS (INSERT INTO audit (team_id, "
	    "actor, action, object, detail) SELECT team_id, 'relay', "
	    "'session_lost_corrected', $1, jsonb_build_object('why', 'it "
	    "ended later and otherwise') FROM u WHERE was = 'node_lost') "
	    "INSERT INTO audit (team_id, actor, action, object, detail) "
	    "SELECT team_id, $5, 'session_end', $1, "
	    "jsonb_build_object('code', $2::text, 'reason', $3::text) FROM u",
	    6, params);
}

static enum tee_end
tee_end_of(const char *code)
{
	return strcmp(code, "normal") == 0      ? TEE_END_NORMAL
	    : strcmp(code, "endpoint") == 0     ? TEE_END_ENDPOINT
	    : strcmp(code, "max_duration") == 0 ? TEE_END_MAX_DURATION
	    : strcmp(code, "command") == 0 || strcmp(code, "revoked") == 0
	    ? TEE_END_COMMAND
	    : TEE_END_ERROR;
}

static void
log_end(const struct relay_session *s, const char *code, const char *reason)
{
	if (s->is_check && !s->has_row)
		return;
	/* a flood of logins suppresses no line of a session that ran */
	log_info(s->has_row ? "session_end" : "connection_closed",
	    LOG_S("session", s->id), LOG_S("client", s->client_addr),
	    LOG_S("state", session_state_name(s->ending.in)),
	    LOG_S("code", code), LOG_S("reason", reason),
	    LOG_S("person", s->name.person),
	    LOG_S("endpoint", s->name.endpoint),
	    LOG_U("bytes_from_endpoint", s->pump.endpoint.transport.bytes_in),
	    LOG_U("bytes_from_technician", s->pump.viewer.transport.bytes_in));
}

/* Everything of it ends now. */
static void
finish(struct relay_session *s, const char *code, const char *reason)
{
	log_end(s, code, reason);
	if (s->ending.in == SESSION_CHECK)
		session_guess_left(s);
	session_record_end(s, tee_end_of(code));
	write_end(s, code, reason);
	session_audit_end(s);
	pump_clipboard_report(&s->pump);
	session_browser_end(s, "ended", code, reason);
	teardown(s);
}

/*
 * The reason reaches the viewer by what it speaks: the lobby's picture, the
 * browser page, or the handshake. Returns false when it cannot.
 */
static bool
tell_refusal(struct relay_session *s, const char *reason)
{
	if (s->lobby != NULL) {
		return session_lobby_say(s, "No connection", reason, "") == 0;
	}
	if (s->door == SESSION_BY_BROWSER) {
		session_browser_end(s, "refused", "error", reason);
		return channel_flush(&s->pump.viewer) == 0;
	}
	return s->viewer_handshake != NULL &&
	    rfb_handshake_server_can_reject(s->viewer_handshake) &&
	    rfb_handshake_server_reject(s->viewer_handshake, reason) == 0 &&
	    channel_flush(&s->pump.viewer) == 0;
}

/* Before it runs: the viewer reads the reason and closes; the relay does after
 * a while. */
static void
refuse(struct relay_session *s, const char *code, const char *reason)
{
	if (s->check == NULL) /* else it still counts */
		login_attempt_end(&s->attempt, LOGIN_ABANDONED);
	atomic_fetch_add(&s->loop->relay->stats.refused, 1);
	log_warn("session_refused", LOG_S("session", s->id),
	    LOG_S("client", s->client_addr), LOG_S("person", s->name.person),
	    LOG_S("endpoint", s->name.endpoint), LOG_S("reason", reason),
	    LOG_S("state", session_state_name(s->ending.in)));
	session_record_end(s, TEE_END_ERROR);
	write_end(s, code, reason);
	session_test_failed(s, reason);
	s->has_row = false;
	if (!tell_refusal(s, reason)) {
		teardown(s);
		return;
	}
	if (s->ending.is_at_once) {
		s->ending.in = SESSION_CLOSING;
		finish(s, "error", "it was refused");
		return;
	}
	channel_release(&s->pump.endpoint);
	session_set_state(s, SESSION_CLOSING,
	    s->lobby != NULL ? LOBBY_SECONDS : CLOSING_SECONDS);
}

/* The loop carries out what session_state.c noted. */
static void
on_ending(evutil_socket_t fd, short what, void *arg)
{
	struct relay_session *s = arg;
	struct session_ending *e = &s->ending;
	char *why = e->why;
	const char *reason = why != NULL ? why : "the relay is out of memory";

	e->why = NULL;
	if (!e->is_told || e->in >= SESSION_CLOSING ||
	    (e->in == SESSION_RUNNING && s->door == SESSION_BY_BROWSER)) {
		finish(s, e->code, reason);
	} else if (e->in == SESSION_RUNNING) {
		session_set_state(s, SESSION_RUNNING, SESSION_SAME_DEADLINE);
		pump_part(&s->pump, e->code, reason);
	} else {
		refuse(s, e->code, reason);
	}
	free(why);
}

void
sessions_end_noted(struct loop *l)
{
	struct relay_session *s, *next;

	for (s = TAILQ_FIRST(&l->sessions); s != NULL; s = next) {
		next = TAILQ_NEXT(s, link);
		if (s->state == SESSION_ENDING)
			on_ending(-1, 0, s);
	}
}

static void
on_part_time(evutil_socket_t fd, short what, void *arg)
{
	struct relay_session *s = arg;

	session_end(s, "command", s->part_reason);
}

/* A viewer that can be told nothing reads it on a banner; the session goes
 * on, and is recorded, until that was read. */
static bool
part_with_words(struct relay_session *s, const char *reason)
{
	const struct timeval tv = { PART_SECONDS, 0 };

	if (s->door == SESSION_BY_BROWSER || s->part_timer != NULL)
		return s->part_timer != NULL;
	s->part_reason = strdup(reason);
	s->part_timer = evtimer_new(s->loop->base, on_part_time, s);
	return s->part_reason != NULL && s->part_timer != NULL &&
	    pump_show_banner(&s->pump, reason, 0) == 0 &&
	    event_add(s->part_timer, &tv) == 0;
}

void
session_end_by_command(struct relay_session *s, const char *reason)
{
	if (s->state != SESSION_RUNNING)
		session_refuse(s, reason);
	else if (!part_with_words(s, reason))
		session_end(s, "command", reason);
}

void
sessions_refuse_logins(struct loop *l, const char *reason)
{
	struct relay_session *s, *next;

	for (s = TAILQ_FIRST(&l->sessions); s != NULL; s = next) {
		next = TAILQ_NEXT(s, link);
		if (s->state <= SESSION_LOGIN)
			session_refuse(s, reason);
		else if (s->state == SESSION_PARKED)
			session_end(s, "command", reason);
	}
}

struct relay_session *
session_next(struct relay_session *s)
{
	return TAILQ_NEXT(s, link);
}

/* Another connection needs the slot more, or it took too long to log in. */
static void
on_evicted(void *owner, enum connection_eviction why)
{
	struct relay_session *s = owner;

	s->ending.is_at_once = true;
	session_refuse(s,
	    why == CONNECTION_EXPIRED
		? "the login took too long"
		: "too many connections from this address, or at the relay, "
		  "wait for their login; try again");
}

struct relay_session *
session_new(struct loop *l, struct connection_slot *slot)
{
	struct relay_session *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		connection_limit_leave(l->relay->connections, slot);
		return NULL;
	}
	s->loop = l;
	s->n_refs = 1;
	s->measures.state_since_ns = clock_mono_ns();
	s->pump.viewer.transport.fd = s->pump.endpoint.transport.fd = -1;
	session_record_init(s);
	ring_init(&s->pump.ring, 0, &l->spare_ring);
	s->deadline = evtimer_new(l->base, on_deadline, s);
	s->ending.event = event_new(l->base, -1, 0, on_ending, s);
	if (s->deadline == NULL || s->ending.event == NULL ||
	    event_priority_set(s->ending.event, LOOP_PRIORITY_FIRST) != 0 ||
	    session_liveness_start(s) != 0) {
		connection_limit_leave(l->relay->connections, slot);
		session_liveness_release(s);
		if (s->deadline != NULL)
			event_free(s->deadline);
		if (s->ending.event != NULL)
			event_free(s->ending.event);
		free(s);
		return NULL;
	}
	connection_limit_hand_over(l->relay->connections, slot, &s->slot);
	connection_limit_own(&s->slot, on_evicted, s);
	l->n_sessions++;
	loop_ref(l);
	TAILQ_INSERT_TAIL(&l->sessions, s, link);
	atomic_fetch_add(&l->relay->stats.active, 1);
	relay_uuid(s->id);
	return s;
}

void
session_greet(struct relay_session *s)
{
	struct buf *out = &s->pump.viewer.out;

	s->viewer_handshake = s->door == SESSION_BY_VNC_AUTH
	    ? rfb_handshake_server_new_vnc_auth(out)
	    : s->door == SESSION_BY_NOVNC ? rfb_handshake_server_new_in_tls(out)
					  : rfb_handshake_server_new(out);
	if (s->viewer_handshake == NULL) {
		session_end(s, "error", "out of memory");
		return;
	}
	session_set_state(s,
	    s->door == SESSION_BY_VNC ? SESSION_HELLO : SESSION_LOGIN,
	    s->door == SESSION_BY_VNC ? s->loop->relay->conf.handshake_seconds
				      : s->loop->relay->conf.login_seconds);
	if (channel_flush(&s->pump.viewer) != 0) {
		session_end(s, "error", "the viewer is gone");
		return;
	}
	channel_read(&s->pump.viewer, true);
}

/* A session on a connection of the listeners. */
static struct relay_session *
adopt(struct loop *l, const struct conn_peer *peer, struct channel *channel,
    struct connection_slot *slot, enum session_door door)
{
	struct relay_session *s = session_new(l, slot);

	if (s == NULL)
		return NULL;
	s->door = door;
	s->is_check = peer->is_check;
	memcpy(s->client_addr, peer->client_addr, sizeof(s->client_addr));
	if (channel_adopt(&s->pump.viewer, l, channel, on_viewer_readable,
		on_viewer_writable, s) == 0)
		return s;
	session_end(s, "error", "out of memory");
	return NULL;
}

void
session_start_viewer(struct loop *l, const struct conn_peer *peer,
    struct channel *channel, struct connection_slot *slot)
{
	bool is_vnc_auth = peer->listen_addr->kind == LISTEN_VNC_AUTH;
	struct relay_session *s = adopt(l, peer, channel, slot,
	    is_vnc_auth ? SESSION_BY_VNC_AUTH : SESSION_BY_VNC);

	if (s == NULL)
		return;
	if (is_vnc_auth)
		s->door_port = peer->listen_addr->port;
	session_greet(s);
}

void
session_start_websocket(struct loop *l, const struct conn_peer *peer,
    bool is_page, struct channel *channel, struct connection_slot *slot)
{
	struct relay_session *s = adopt(l, peer, channel, slot,
	    is_page ? SESSION_BY_BROWSER : SESSION_BY_NOVNC);

	if (s == NULL)
		return;
	memcpy(s->trace_id, peer->trace_id, sizeof(s->trace_id));
	s->pump.viewer.ws =
	    ws_new(&s->pump.viewer.transport, on_browser_text, s);
	if (s->pump.viewer.ws == NULL) {
		session_end(s, "error", "out of memory");
		return;
	}
	if (!is_page) {
		session_greet(s);
		return;
	}
	/* the page speaks first */
	session_set_state(s, SESSION_LOGIN, s->loop->relay->conf.login_seconds);
	channel_read(&s->pump.viewer, true);
}
