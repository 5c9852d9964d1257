/* The endpoint's side until its ServerInit came. */
#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "relay/wire/ra2_transport.h"
#include "relay/session/session_internal.h"
#include "relay/session/session_test.h"

#define ENDPOINT_OUT_MAX (1 << 20)

static void feed_handshake(struct relay_session *s);

/* "endpoint desk1 (host:port) ...", the form of every refusal here. */
void
session_endpoint_refuse(
    struct relay_session *s, const char *what, const char *why)
{
	static const char *const ways[] = { [ENDPOINT_DIRECT] = "",
		[ENDPOINT_AGENT] = " (agent)",
		[ENDPOINT_ATTENDED] = "",
		[ENDPOINT_REVERSE] = " (dialled in)" };
	char reason[700], where[300];

	if (s->authorization.kind == ENDPOINT_DIRECT &&
	    s->authorization.host != NULL && s->authorization.port != NULL)
		snprintf(where, sizeof(where), " (%s:%s)",
		    s->authorization.host, s->authorization.port);
	else
		snprintf(
		    where, sizeof(where), "%s", ways[s->authorization.kind]);
	snprintf(reason, sizeof(reason), "endpoint %s%s %s%s%s",
	    s->name.endpoint, where, what, why[0] != '\0' ? ": " : "", why);
	session_refuse(s, reason);
}

int
session_endpoint_greet(struct relay_session *s)
{
	struct rfb_client_params params = { .user = s->authorization.username,
		.password = s->authorization.password,
		.allow_clear = s->authorization.allow_clear,
		.is_in_tunnel = s->pump.endpoint.transport.ssl != NULL,
		.ra2_key = s->loop->relay->ra2_key };

	/* an agent's or a parked connection has said something already */
	s->pump.endpoint.out.limit = ENDPOINT_OUT_MAX;
	s->endpoint_handshake =
	    rfb_handshake_client_new(&s->pump.endpoint.out, &params);
	if (s->endpoint_handshake != NULL)
		return 0;
	session_refuse(s, "the relay is out of memory");
	return ERR_NOMEM;
}

void
session_endpoint_talk(struct relay_session *s)
{
	if (session_endpoint_greet(s) != 0)
		return;
	session_set_state(
	    s, SESSION_ENDPOINT, s->loop->relay->conf.connect_seconds);
	channel_read(&s->pump.endpoint, true);
	feed_handshake(s);
	if (s->state == SESSION_ENDPOINT &&
	    channel_has_buffered(&s->pump.endpoint))
		channel_wake(&s->pump.endpoint);
}

void
session_dial(struct relay_session *s)
{
	bool has_agent = s->authorization.kind == ENDPOINT_AGENT ||
	    s->authorization.kind == ENDPOINT_ATTENDED;

	if (s->authorization.is_secret_bad)
		session_endpoint_refuse(s,
		    "has a stored password that this relay's seal key "
		    "does not open",
		    "");
	else if (s->authorization.asks_consent && !has_agent)
		session_endpoint_refuse(s,
		    "asks the person in front of it for consent, which needs "
		    "relaycam-agent there",
		    "");
	else if (s->door == SESSION_BY_TEST && s->authorization.asks_consent)
		session_endpoint_refuse(s,
		    "asks the person in front of it for consent, and a test "
		    "does not",
		    "");
	else if (has_agent)
		session_agent_open(s);
	else if (s->authorization.kind == ENDPOINT_REVERSE)
		session_claim(s);
	else
		session_dial_direct(s);
}

/* What was received behind the handshake is sealed already. */
static bool
start_cipher(struct relay_session *s)
{
	struct channel *d = &s->pump.endpoint;
	int rc = channel_flush(d);

	if (rc == 0)
		d->ra2 = ra2_transport_new(
		    rfb_handshake_client_take_cipher(s->endpoint_handshake),
		    buf_head(&d->in), buf_len(&d->in));
	buf_consume(&d->in, buf_len(&d->in));
	if (d->ra2 != NULL)
		return true;
	session_endpoint_refuse(s, "could not start its encryption", "");
	return false;
}

static void
go_on_with_tls(struct relay_session *s)
{
	int rc = transport_handshake(&s->pump.endpoint.transport);

	if (transport_wants_write(&s->pump.endpoint.transport))
		event_add(s->pump.endpoint.writable, NULL);
	if (rc == ERR_AGAIN)
		return;
	if (rc != 0) {
		session_endpoint_tls_failed(s);
		return;
	}
	if (!session_endpoint_check_certificate(s))
		return;
	session_endpoint_forget_chain(s);
	session_set_state(s, SESSION_ENDPOINT, SESSION_SAME_DEADLINE);
	if (rfb_handshake_client_tls_started(s->endpoint_handshake) != 0 ||
	    channel_flush(&s->pump.endpoint) != 0)
		session_endpoint_refuse(
		    s, pump_endpoint_why(&s->pump, true), "");
}

static bool
on_event(struct relay_session *s, int event)
{
	switch (event) {
	case RFB_HANDSHAKE_STEP:
		return true;
	case RFB_HANDSHAKE_START_TLS:
		if (channel_flush(&s->pump.endpoint) != 0) {
			session_endpoint_refuse(
			    s, pump_endpoint_why(&s->pump, true), "");
			return false;
		}
		session_endpoint_start_tls(s);
		if (s->state == SESSION_ENDPOINT_TLS)
			go_on_with_tls(s);
		return false;
	case RFB_HANDSHAKE_CHECK_KEY:
		return session_endpoint_check_key(s);
	case RFB_HANDSHAKE_START_CIPHER:
		return start_cipher(s);
	case RFB_HANDSHAKE_READY:
		channel_flush(&s->pump.endpoint);
		if (s->door == SESSION_BY_NOBODY) {
			session_park(s);
			return false;
		}
		if (s->door == SESSION_BY_TEST) {
			session_test_passed(s);
			return false;
		}
		channel_read(&s->pump.endpoint, false);
		session_open(s);
		return false;
	default:
		return false;
	}
}

static void
feed_handshake(struct relay_session *s)
{
	size_t used;
	int rc;

	do {
		rc = rfb_handshake_client_feed(s->endpoint_handshake,
		    buf_head(&s->pump.endpoint.in),
		    buf_len(&s->pump.endpoint.in), &used);
		if (rc < 0) {
			session_endpoint_refuse(s, "cannot be used",
			    rfb_handshake_client_why(s->endpoint_handshake));
			return;
		}
		buf_consume(&s->pump.endpoint.in, used);
	} while (on_event(s, rc));
	if (s->state == SESSION_ENDPOINT &&
	    channel_flush(&s->pump.endpoint) != 0)
		session_endpoint_refuse(
		    s, pump_endpoint_why(&s->pump, true), "");
}

static void
on_gone(struct relay_session *s)
{
	session_endpoint_refuse(s, pump_endpoint_why(&s->pump, true), "");
}

/* Reads once. Returns true when there may be more. */
static bool
read_handshake(struct relay_session *s)
{
	if (!session_fill(s, &s->pump.endpoint, false, on_gone))
		return false;
	feed_handshake(s);
	return s->state == SESSION_ENDPOINT && s->pump.endpoint.is_reading &&
	    (s->pump.endpoint.transport.ssl != NULL ||
		s->pump.endpoint.ra2 != NULL);
}

/* Reads once before the VNC server speaks, or after it has. */
static bool
read_early(struct relay_session *s)
{
	/* parked, it talks to nobody: what it says waits in its socket */
	if (!session_fill(
		s, &s->pump.endpoint, s->state == SESSION_PARKED, on_gone))
		return false;
	if (s->state == SESSION_AGENT)
		session_agent_feed(s);
	return s->state == SESSION_AGENT || s->state == SESSION_PARKED;
}

void
on_endpoint_readable(evutil_socket_t fd, short what, void *arg)
{
	struct relay_session *s = arg;

	if (s->state == SESSION_RUNNING) {
		pump_from_endpoint(&s->pump);
		return;
	}
	if (s->state == SESSION_AGENT || s->state == SESSION_PARKED)
		while (read_early(s))
			;
	if (s->state == SESSION_ENDPOINT_TLS)
		go_on_with_tls(s);
	if (s->state == SESSION_ENDPOINT)
		while (read_handshake(s))
			;
}

void
on_endpoint_writable(evutil_socket_t fd, short what, void *arg)
{
	struct relay_session *s = arg;

	if (s->state == SESSION_RUNNING)
		pump_to_endpoint(&s->pump);
	else if (s->state == SESSION_DIAL)
		session_dial_writable(s, (what & EV_TIMEOUT) != 0);
	else if (s->state == SESSION_ENDPOINT_TLS)
		on_endpoint_readable(fd, what, arg);
	else if (channel_flush(&s->pump.endpoint) != 0)
		session_endpoint_refuse(
		    s, pump_endpoint_why(&s->pump, true), "");
}
