/* Reaching an endpoint through its agent: the agent is asked to dial a data
 * channel to this relay, to ask for consent there, and to join it to a VNC
 * server (docs/agent-protocol.md). */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/agent_proto.h"
#include "common/bytes.h"
#include "common/db.h"
#include "common/err.h"
#include "common/http.h"
#include "common/log.h"
#include "common/version.h"
#include "relay/db_retry_queue.h"
#include "relay/session/session_internal.h"

#define DIALOG_SLACK_SECONDS 10

static const char away[] = "the relay's database cannot be reached; new "
			   "sessions are refused until it is back";

/* "endpoint desk1 ...", the form of every refusal here. */
static void
refuse(struct relay_session *s, const char *what)
{
	char reason[AGENT_TEXT_MAX + 256];

	snprintf(
	    reason, sizeof(reason), "endpoint %s %s", s->name.endpoint, what);
	session_refuse(s, reason);
}

/* What it asked for: the agent's data channel, or another relay's. */
static bool
on_channel(void *arg, struct channel *channel)
{
	struct agent_msg m = { .type = AGENT_ACCEPTED };
	struct relay_session *s = arg;

	if (s->state != SESSION_AGENT)
		return false;
	if (channel_adopt(&s->pump.endpoint, s->loop, channel,
		on_endpoint_readable, on_endpoint_writable, s) != 0 ||
	    agent_proto_encode(&s->pump.endpoint.out, &m) != 0 ||
	    channel_flush(&s->pump.endpoint) != 0) {
		refuse(s, "closed the connection");
	} else {
		s->pump.endpoint.in.limit = 2 * AGENT_FRAME_MAX;
		channel_read(&s->pump.endpoint, true);
		session_agent_feed(s);
		if (s->state == SESSION_AGENT &&
		    channel_has_buffered(&s->pump.endpoint))
			channel_wake(&s->pump.endpoint);
	}
	return true;
}

static void
issue_ticket(struct relay_session *s)
{
	ticket_issue(&s->dial_ticket, &s->loop->tickets, on_channel, s);
}

/* Who answers for this endpoint: a channel, or a session code. */
static const char *
agent_channel(const struct relay_session *s)
{
	return s->authorization.kind == ENDPOINT_ATTENDED
	    ? s->name.endpoint
	    : s->authorization.agent_channel;
}

int
session_agent_order(struct relay_session *s, json_t *take)
{
	char *text = take != NULL ? json_dumps(take, JSON_COMPACT) : NULL;
	const char *params[] = { text };
	int rc = s->loop->is_closing ? ERR_IO
	    : text == NULL
	    ? ERR_NOMEM
	    : db_query_now(s->loop->db, "SELECT pg_notify('relaycam_dial', $1)",
		  1, params, NULL, NULL);

	free(text);
	json_decref(take);
	return rc;
}

static enum agent_recorded
how_recorded(const struct relay_session *s)
{
	return s->authorization.recording ? AGENT_RECORDED_YES
	    : s->authorization.manual_recording && s->authorization.may_record
	    ? AGENT_RECORDED_MAYBE
	    : AGENT_RECORDED_NO;
}

static int
order_open(struct relay_session *s)
{
	const struct authorization *a = &s->authorization;
	const char *address = s->loop->relay->conf.agent_address;

	issue_ticket(s);
	return session_agent_order(s,
	    json_pack(
		"{s:s s:s s:s s:s s:s s:s s:s s:s s:s s:s s:i s:i s:I s:i}",
		"what", "open", "channel", agent_channel(s), "session", s->id,
		"ticket", s->dial_ticket.text, "node", s->loop->relay->node_id,
		"address", address != NULL ? address : "", "display",
		s->name.display, "technician", s->name.person, "team", a->team,
		"access", a->access, "recorded", (int)how_recorded(s),
		"consent", a->asks_consent ? 1 : 0, "consent_s",
		(json_int_t)a->consent_s, "capture",
		(int)session_device_wish(s)));
}

/* T4: names the endpoint, its version and the version needed. */
static bool
is_too_old(struct relay_session *s)
{
	const char *least = s->loop->relay->conf.agent_min_version;
	const char *have = s->authorization.agent_version;
	char what[200];

	if (have == NULL || version_compare(have, least) >= 0)
		return false;
	snprintf(what, sizeof(what),
	    "runs relaycam-agent %s; version %s or newer is needed to connect "
	    "to it",
	    have, least);
	refuse(s, what);
	return true;
}

static bool
is_away(struct relay_session *s)
{
	char what[160];

	if (agent_channel(s) != NULL)
		return false;
	if (s->authorization.agent_seen != NULL)
		snprintf(what, sizeof(what),
		    "cannot be reached: its agent is not connected (seen last "
		    "%s)",
		    s->authorization.agent_seen);
	else
		snprintf(what, sizeof(what),
		    "cannot be reached: its agent never connected; is it "
		    "enrolled and running?");
	refuse(s, what);
	return true;
}

/* The relay to which the agent, or the server that dialled in, is connected. */
static const char *
holder(const struct relay_session *s)
{
	return s->authorization.kind == ENDPOINT_REVERSE
	    ? s->authorization.parked_node
	    : s->authorization.agent_node;
}

/* Half of the time after which that relay is written off passes without a
 * heartbeat: an order to it would be waited for in vain. */
static bool
is_holder_gone(struct relay_session *s)
{
	const struct relay *r = s->loop->relay;
	const char *node = holder(s);

	if (node == NULL || strcmp(node, r->node_id) == 0 ||
	    s->authorization.holder_silent_s * 2 <
		(double)r->conf.node_lost_seconds)
		return false;
	refuse(s,
	    "cannot be reached: the relay that it is connected to does not "
	    "answer; try again in a few seconds");
	return true;
}

void
sessions_node_lost(struct loop *l, const char *node)
{
	struct relay_session *s, *next;

	for (s = TAILQ_FIRST(&l->sessions); s != NULL; s = next) {
		const char *to = s->state == SESSION_AGENT ? holder(s) : NULL;

		next = session_next(s);
		if (to != NULL && strcmp(to, node) == 0 &&
		    s->pump.endpoint.transport.fd < 0)
			refuse(s,
			    "cannot be reached: the relay that it was "
			    "connected to stopped; try again in a few "
			    "seconds");
	}
}

void
session_agent_open(struct relay_session *s)
{
	int64_t seconds = s->loop->relay->conf.connect_seconds;

	if (is_too_old(s) || is_away(s) || is_holder_gone(s))
		return;
	if (s->authorization.asks_consent)
		seconds += s->authorization.consent_s + DIALOG_SLACK_SECONDS;
	session_set_state(s, SESSION_AGENT, seconds);
	if (order_open(s) != 0) {
		session_refuse(s, away);
		return;
	}
	if (s->authorization.asks_consent)
		session_lobby_open(s);
}

void
session_agent_ask_relay(struct relay_session *s)
{
	const struct relay *r = s->loop->relay;

	if (r->conf.agent_address == NULL) {
		refuse(s,
		    "waits at another relay of this installation, and this one "
		    "has no agent_address in its settings");
		return;
	}
	if (is_holder_gone(s))
		return;
	session_set_state(s, SESSION_AGENT, r->conf.connect_seconds);
	issue_ticket(s);
	if (session_agent_order(s,
		json_pack("{s:s s:s s:I s:s s:s s:s}", "what", "parked", "node",
		    s->authorization.parked_node, "endpoint",
		    (json_int_t)s->authorization.endpoint_id, "session", s->id,
		    "ticket", s->dial_ticket.text, "address",
		    r->conf.agent_address)) != 0)
		session_refuse(s, away);
}

/* ---- what the agent says on the data channel ---- */

static void
audit_consent(struct relay_session *s, const char *answer)
{
	const char *params[] = { s->id, answer, s->name.person,
		s->name.endpoint };

	db_retry_write(s->loop, "consent",
	    "INSERT INTO audit (team_id, actor, action, object, detail) "
	    "SELECT p.team_id, $3, 'consent', $4, jsonb_build_object("
	    "'answer', $2::text, 'session', $1::text) FROM people p WHERE "
	    "p.name = $3",
	    4, params);
}

static void
on_consent(struct relay_session *s, const struct agent_msg *m)
{
	static const char *const words[] = { "waiting", "full", "view",
		"declined", "timeout", "no dialog" };
	char what[AGENT_TEXT_MAX + 64];

	if (m->consent.answer == AGENT_ANSWER_WAITING)
		return;
	audit_consent(s, words[m->consent.answer]);
	switch (m->consent.answer) {
	case AGENT_ANSWER_FULL:
		strcpy(s->consent, "full");
		break;
	case AGENT_ANSWER_VIEW:
		strcpy(s->consent, "view");
		s->is_view_forced = true;
		break;
	case AGENT_ANSWER_DECLINED:
		refuse(s, "was not opened: the person there declined");
		break;
	case AGENT_ANSWER_TIMEOUT:
		refuse(s, "was not opened: nobody there answered in time");
		break;
	default:
		snprintf(what, sizeof(what),
		    "was not opened: nobody there could be asked%s%s",
		    m->consent.text[0] != '\0' ? ": " : "", m->consent.text);
		refuse(s, what);
	}
}

static void
on_message(struct relay_session *s, const struct agent_msg *m)
{
	char what[AGENT_TEXT_MAX + 64];

	if (m->type == AGENT_CONSENT && s->authorization.asks_consent &&
	    s->consent[0] == '\0') {
		on_consent(s, m);
	} else if (m->type == AGENT_OPEN_FAILED) {
		snprintf(
		    what, sizeof(what), "cannot be used: %s", m->end.reason);
		refuse(s, what);
	} else if (m->type == AGENT_JOINED) {
		/* what follows is the VNC server's */
		s->device.joined_at = session_device_received(s);
		if (s->authorization.asks_consent && s->consent[0] == '\0')
			refuse(s, "was not asked for its consent");
		else
			session_endpoint_talk(s);
	} else {
		refuse(s, "has an agent that breaks the protocol");
	}
}

void
session_agent_feed(struct relay_session *s)
{
	struct agent_msg m;
	size_t used;
	int rc;

	while (s->state == SESSION_AGENT) {
		rc = agent_proto_parse(buf_head(&s->pump.endpoint.in),
		    buf_len(&s->pump.endpoint.in), &used, &m);
		if (rc == 0)
			return;
		if (rc < 0) {
			refuse(s, "has an agent that breaks the protocol");
			return;
		}
		buf_consume(&s->pump.endpoint.in, used);
		on_message(s, &m);
	}
}

/* ---- while it runs ---- */

const char *
session_agent_channel(const struct relay_session *s)
{
	return agent_channel(s) != NULL ? agent_channel(s) : "";
}

void
session_agent_indicator(struct relay_session *s)
{
	char text[256];

	if (s->authorization.kind != ENDPOINT_AGENT &&
	    s->authorization.kind != ENDPOINT_ATTENDED)
		return;
	snprintf(text, sizeof(text), "%s of %s records this session",
	    s->name.person, s->authorization.team);
	session_agent_order(s,
	    json_pack("{s:s s:s s:s s:i s:s}", "what", "indicator", "channel",
		session_agent_channel(s), "session", s->id, "on",
		s->is_recording ? 1 : 0, "text", text));
}
