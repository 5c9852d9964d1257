/* The technician's side until the session runs. */
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/log.h"
#include "relay/session/session_internal.h"
#include "rfb/handshake_server.h"

/* The server context is taken when TLS starts, so SIGHUP holds from then. */
static int
start_tls(struct relay_session *s)
{
	SSL_CTX *ctx = tls_contexts_server(&s->loop->relay->tls);
	int rc = transport_start_tls(&s->pump.viewer.transport, ctx, true);

	SSL_CTX_free(ctx);
	return rc;
}

static void
go_on_with_tls(struct relay_session *s)
{
	int rc = transport_handshake(&s->pump.viewer.transport);

	if (transport_wants_write(&s->pump.viewer.transport))
		event_add(s->pump.viewer.writable, NULL);
	if (rc == ERR_AGAIN)
		return;
	if (rc != 0) {
		session_end(s, "error",
		    "TLS with the viewer failed; does it trust the relay's "
		    "certificate?");
		return;
	}
	rfb_handshake_server_tls_started(s->viewer_handshake);
	session_set_state(
	    s, SESSION_LOGIN, s->loop->relay->conf.login_dialog_seconds);
	s->has_dialog = true;
}

/* The viewer is through: ServerInit out, bytes both ways from here on. */
void
session_become_running(struct relay_session *s)
{
	const struct rfb_server_init *init =
	    rfb_handshake_client_init(s->endpoint_handshake);

	if (rfb_server_init_write(&s->pump.viewer.out, init->width,
		init->height, &init->pf, init->name, init->name_len) != 0) {
		session_end(s, "error", "out of memory");
		return;
	}
	session_run(s);
}

/* Acts on one event of the handshake. Returns false when the session is
 * elsewhere and feeding must stop. */
static bool
on_event(struct relay_session *s, int event)
{
	switch (event) {
	case RFB_HANDSHAKE_STEP:
		return true;
	case RFB_HANDSHAKE_START_TLS:
		if (channel_flush(&s->pump.viewer) != 0 || start_tls(s) != 0) {
			session_end(s, "error", "TLS could not be started");
			return false;
		}
		session_set_state(s, SESSION_VIEWER_TLS, SESSION_SAME_DEADLINE);
		return false;
	case RFB_HANDSHAKE_CREDENTIALS:
		if (s->door == SESSION_BY_VNC_AUTH)
			session_vnc_auth(s);
		else
			session_login(s);
		return false;
	case RFB_HANDSHAKE_READY:
		if (s->wants_lobby)
			session_lobby_begin(s);
		else
			session_become_running(s);
		return false;
	default:
		return false;
	}
}

/* The viewer was asked for a password: people read, look it up and type. Once:
 * a slow sender gets no more time. */
static void
allow_dialog(struct relay_session *s)
{
	enum rfb_server_phase phase =
	    rfb_handshake_server_phase(s->viewer_handshake);

	if (s->has_dialog || s->state != SESSION_LOGIN ||
	    (phase != RFB_SERVER_CREDENTIALS && phase != RFB_SERVER_RESPONSE))
		return;
	s->has_dialog = true;
	session_set_state(
	    s, SESSION_LOGIN, s->loop->relay->conf.login_dialog_seconds);
}

void
session_feed_viewer(struct relay_session *s)
{
	size_t used;
	int rc;

	if (s->lobby != NULL) {
		session_lobby_feed(s);
		return;
	}
	if (s->viewer_handshake == NULL)
		return; /* the page sends nothing but text yet */
	do {
		rc = rfb_handshake_server_feed(s->viewer_handshake,
		    buf_head(&s->pump.viewer.in), buf_len(&s->pump.viewer.in),
		    &used);
		if (rc < 0) {
			const char *why =
			    rfb_handshake_server_why(s->viewer_handshake);

			channel_flush(
			    &s->pump.viewer); /* a reason may be in it */
			session_end(s, "error", why);
			return;
		}
		buf_consume(&s->pump.viewer.in, used);
		allow_dialog(s);
	} while (on_event(s, rc));
	if (s->state < SESSION_ENDING && s->state != SESSION_RUNNING &&
	    channel_flush(&s->pump.viewer) != 0)
		session_end(s, "error", "the viewer is gone");
}

static void
on_gone(struct relay_session *s)
{
	session_end(s, "normal",
	    s->state == SESSION_CLOSING ? "refused"
					: pump_viewer_why(&s->pump));
}

/* Reads once. Returns true when there may be more to read. */
static bool
read_handshake(struct relay_session *s)
{
	/* early input waits until it is asked for */
	bool is_early = s->state > SESSION_LOGIN && s->lobby == NULL;

	if (!session_fill(s, &s->pump.viewer, is_early, on_gone))
		return false;
	if (s->state == SESSION_CLOSING && s->lobby == NULL)
		buf_consume(&s->pump.viewer.in, buf_len(&s->pump.viewer.in));
	else
		session_feed_viewer(s);
	return s->state < SESSION_ENDING && s->state != SESSION_RUNNING;
}

void
on_viewer_readable(evutil_socket_t fd, short what, void *arg)
{
	struct relay_session *s = arg;

	if (s->state == SESSION_RUNNING) {
		pump_from_viewer(&s->pump);
		return;
	}
	if (s->state == SESSION_VIEWER_TLS)
		go_on_with_tls(s);
	/* TLS may hold bytes that the socket will not report again; in clear
	 * one read is enough */
	if (s->state == SESSION_HELLO)
		read_handshake(s);
	else if (s->state > SESSION_VIEWER_TLS && s->state < SESSION_ENDING)
		while (read_handshake(s))
			;
	if (s->state == SESSION_RUNNING)
		pump_from_viewer(&s->pump);
}

void
on_viewer_writable(evutil_socket_t fd, short what, void *arg)
{
	struct relay_session *s = arg;

	if (s->state == SESSION_RUNNING)
		pump_to_viewer(&s->pump);
	else if (s->state == SESSION_VIEWER_TLS)
		on_viewer_readable(fd, what, arg);
	else if (channel_flush(&s->pump.viewer) != 0)
		session_end(s, "error", "the viewer is gone");
	else if (s->lobby != NULL)
		session_lobby_say(s, NULL, NULL, NULL);
}

void
session_accept_viewer(struct relay_session *s)
{
	int rc;

	if (s->lobby != NULL) {
		rc = session_lobby_leave(s);
		if (rc == ERR_AGAIN) /* in the middle of a viewer's message */
			session_set_state(s, SESSION_CLIENT_INIT,
			    s->loop->relay->conf.handshake_seconds);
		return;
	}
	if (s->wants_lobby) { /* accepted, and ClientInit has not come */
		s->wants_lobby = false;
		rc = 0;
	} else if (s->door == SESSION_BY_BROWSER) {
		rc = session_browser_accept(s);
	} else {
		rc = rfb_handshake_server_accept(s->viewer_handshake);
	}
	if (rc != 0 || channel_flush(&s->pump.viewer) != 0) {
		session_end(s, "error", "the viewer is gone");
		return;
	}
	session_set_state(
	    s, SESSION_CLIENT_INIT, s->loop->relay->conf.handshake_seconds);
	channel_read(&s->pump.viewer, true);
	/* ClientInit may have come early */
	session_feed_viewer(s);
}
