#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/http.h"
#include "common/log.h"
#include "common/tcp_liveness.h"
#include "relay/agent/agent_internal.h"
#include "relay/base/relay_uuid.h"
#include "relay/wire/lingering_close.h"
#include "relay/db_retry_queue.h"

#define IN_MAX (2 * AGENT_FRAME_MAX)
/* probes without an answer until the channel is dead */
#define PINGS_MAX 2

/* ---- life ---- */

void
agent_unref(struct agent *a)
{
	if (--a->n_refs > 0)
		return;
	login_attempt_release(&a->attempt);
	free(a);
}

/*
 * Its row says that it is gone, unless it has come back meanwhile. The channel
 * before this one may be alive: an agent that hears nothing from its relay
 * greets another one and keeps the first when that answers again. So the relay
 * of that channel is asked to put the row right.
 */
static void
sign_off(struct agent *a)
{
	const char *params[] = { a->endpoint_id, a->channel, a->former };
	const char *code[] = { a->code };

	if (a->endpoint_id[0] != '\0')
		db_retry_write(a->loop, "agent gone",
		    "WITH u AS (UPDATE endpoints SET agent_node = NULL, "
		    "agent_channel = NULL, agent_seen_at = now() WHERE id = $1 "
		    "AND agent_channel = $2 RETURNING id) SELECT pg_notify("
		    "'relaycam_dial', jsonb_build_object('what', 'vacant', "
		    "'channel', $3::text)::text) FROM u WHERE $3 <> ''",
		    3, params);
	if (a->code[0] != '\0')
		db_retry_write(a->loop, "session code closed",
		    "WITH d AS (DELETE FROM attended_codes WHERE code = $1) "
		    "UPDATE endpoints SET deleted_at = now(), agent_node = "
		    "NULL, agent_channel = NULL WHERE name = $1 AND kind = "
		    "'attended' AND deleted_at IS NULL",
		    1, code);
}

void
agent_close(struct agent *a, const char *why)
{
	if (a->state == AGENT_STATE_GONE)
		return;
	log_info("agent_gone", LOG_S("client", a->client_addr),
	    LOG_S("endpoint", a->endpoint), LOG_S("why", why));
	sign_off(a);
	a->state = AGENT_STATE_GONE;
	TAILQ_REMOVE(&a->loop->agents, a, link);
	atomic_fetch_sub(&a->loop->relay->stats.active, 1);
	connection_limit_leave(a->loop->relay->connections, &a->slot);
	lingering_close(a->loop, &a->control);
	if (a->timer != NULL)
		event_free(a->timer);
	login_attempt_release(&a->attempt);
	agent_unref(a);
}

void
agent_set_timer(struct agent *a, int64_t seconds)
{
	struct timeval tv = { seconds, 0 };

	event_add(a->timer, &tv);
}

/* Queues one message and sends what can be sent. */
int
agent_tell(struct agent *a, const struct agent_msg *m)
{
	int rc = agent_proto_encode(&a->control.out, m);

	if (rc == 0)
		rc = channel_flush(&a->control);
	return rc;
}

void
agent_refuse(struct agent *a, bool is_final, const char *reason)
{
	struct agent_msg m = { .type = AGENT_REFUSED };

	agent_proto_clean(m.refused.reason, sizeof(m.refused.reason), reason);
	m.refused.is_final = is_final;
	agent_tell(a, &m);
	atomic_fetch_add(&a->loop->relay->stats.refused, 1);
	agent_close(a, reason);
}

void
agent_refuse_away(struct agent *a)
{
	const char *trouble = db_trouble(a->loop->db);
	char reason[100];

	snprintf(reason, sizeof(reason), "the relay's database %s",
	    trouble != NULL ? trouble : db_why(NULL));
	agent_refuse(a, false, reason);
}

/* ---- messages of the agent ---- */

/* {"a","b"}: an array as PostgreSQL reads it. */
static void
take_displays(struct agent *a, const struct agent_msg *m)
{
	char *p = a->displays;

	*p++ = '{';
	for (unsigned i = 0; i < m->hello.n_displays; i++) {
		if (i > 0)
			*p++ = ',';
		*p++ = '"';
		for (const char *q = m->hello.displays[i]; *q != '\0'; q++)
			*p++ = *q == '"' || *q == '\\' ? '?' : *q;
		*p++ = '"';
	}
	*p++ = '}';
	*p = '\0';
}

static void
on_hello(struct agent *a, const struct agent_msg *m)
{
	a->mode = m->hello.mode;
	snprintf(a->version, sizeof(a->version), "%s", m->hello.version);
	snprintf(a->host, sizeof(a->host), "%s", m->hello.host);
	take_displays(a, m);
	if (a->mode == AGENT_MODE_ATTENDED) {
		if (!a->loop->relay->conf.attended)
			agent_refuse(
			    a, true, "this relay gives out no session codes");
		else if (agent_is_too_old(a))
			agent_refuse_old(a);
		else if (agent_has_place(a, POOL_ATTENDED)) {
			agent_take_secret(a, m);
			agent_offer_code(a);
		}
	} else if (!a->has_pin) {
		agent_refuse(a, true, "an agent has to show its certificate");
	} else if (a->mode == AGENT_MODE_ENROL) {
		a->state = AGENT_STATE_ENROL;
	} else {
		agent_sign_on(a);
	}
}

static void
on_message(struct agent *a, const struct agent_msg *m)
{
	if (a->state == AGENT_STATE_HELLO && m->type == AGENT_HELLO)
		on_hello(a, m);
	else if (a->state == AGENT_STATE_ENROL && m->type == AGENT_ENROL)
		agent_enrol(a, m->enrol.token);
	else if (a->state == AGENT_STATE_READY && m->type == AGENT_PONG)
		a->n_unanswered = 0;
	else if (a->state == AGENT_STATE_READY && m->type == AGENT_OPEN_FAILED)
		agent_open_failed(a, m);
	else if (a->state == AGENT_STATE_READY &&
	    m->type == AGENT_CAPTURE_STATE)
		agent_capture_state(a, m);
	else if (m->type == AGENT_CLOSE)
		agent_close(a, "it was closed");
	else
		agent_close(a, "it broke the protocol");
}

static void
feed(struct agent *a)
{
	struct agent_msg m;
	size_t used;
	int rc;

	while (
	    a->state != AGENT_STATE_GONE && a->state != AGENT_STATE_LOOK_UP) {
		rc = agent_proto_parse(buf_head(&a->control.in),
		    buf_len(&a->control.in), &used, &m);
		if (rc == 0)
			return;
		if (rc < 0) {
			agent_refuse(a, rc == ERR_UNSUPPORTED,
			    rc == ERR_UNSUPPORTED
				? "this relay speaks another version of the "
				  "agent protocol"
				: "that is not the agent protocol");
			return;
		}
		buf_consume(&a->control.in, used);
		on_message(a, &m);
		wipe(&m, sizeof(m));
	}
}

static const char *
why_gone(const struct agent *a)
{
	return tcp_liveness_is_lost(a->control.transport.error)
	    ? "it does not answer any more"
	    : "the connection broke";
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct agent *a = arg;
	ssize_t n = 1;

	a->n_refs++;
	while (n > 0 && a->state != AGENT_STATE_GONE) {
		feed(a); /* what waited for a query */
		if (a->state == AGENT_STATE_GONE)
			break;
		n = channel_fill(&a->control);
		if (n > 0)
			feed(a);
	}
	if (a->state != AGENT_STATE_GONE && n != ERR_AGAIN) {
		login_attempt_end(
		    &a->attempt, LOGIN_LEFT); /* counts, if it tried */
		agent_close(
		    a, n == ERR_LIMIT ? "it sends too fast" : why_gone(a));
	}
	agent_unref(a);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct agent *a = arg;

	if (channel_flush(&a->control) != 0)
		agent_close(a, why_gone(a));
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct agent *a = arg;
	struct agent_msg m = { .type = AGENT_PING };

	if (a->state != AGENT_STATE_READY) {
		agent_close(a, "it took too long");
		return;
	}
	if (a->code[0] != '\0' && clock_mono_ns() >= a->code_until_ns) {
		agent_refuse(a, true, "its session code is over its time");
		return;
	}
	if (a->n_unanswered >= PINGS_MAX) {
		agent_close(a, "it does not answer any more");
		return;
	}
	a->n_unanswered++;
	m.ping = ++a->n_pings;
	agent_set_timer(a, a->loop->relay->conf.agent_seconds);
	if (agent_tell(a, &m) != 0)
		agent_close(a, why_gone(a));
}

static void
on_evicted(void *owner, enum connection_eviction why)
{
	agent_refuse(owner, false,
	    why == CONNECTION_EXPIRED
		? "it took too long"
		: "too many connections wait for their login; try again");
}

void
agent_start(struct loop *l, const struct conn_peer *peer,
    struct channel *channel, struct connection_slot *slot)
{
	struct agent *a = calloc(1, sizeof(*a));

	if (a == NULL) {
		agent_log_closed(peer->client_addr, "out of memory");
		return;
	}
	a->loop = l;
	a->n_refs = 2;
	relay_uuid(a->channel);
	memcpy(a->client_addr, peer->client_addr, sizeof(a->client_addr));
	a->has_pin = peer->has_pin;
	if (a->has_pin)
		http_hex(peer->pin, sizeof(peer->pin), a->pin);
	connection_limit_hand_over(l->relay->connections, slot, &a->slot);
	connection_limit_own(&a->slot, on_evicted, a);
	TAILQ_INSERT_TAIL(&l->agents, a, link);
	atomic_fetch_add(&l->relay->stats.active, 1);
	a->timer = evtimer_new(l->base, on_timer, a);
	if (channel_adopt(
		&a->control, l, channel, on_readable, on_writable, a) != 0 ||
	    a->timer == NULL) {
		agent_close(a, "out of memory");
	} else {
		a->control.in.limit = IN_MAX;
		agent_set_timer(a, l->relay->conf.login_seconds);
		channel_read(&a->control, true);
		feed(a);
		if (a->state != AGENT_STATE_GONE &&
		    channel_has_buffered(&a->control))
			channel_wake(&a->control);
	}
	agent_unref(a);
}

void
agents_close(struct loop *l)
{
	struct agent *a;

	while ((a = TAILQ_FIRST(&l->agents)) != NULL)
		agent_refuse(a, false, "the relay is being stopped");
}
