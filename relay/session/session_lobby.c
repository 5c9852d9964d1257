/* What a VNC viewer sees while its endpoint is asked for consent: pictures
 * of a few words, then the endpoint's desktop on the same connection. */
#include <stdio.h>
#include <string.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "relay/draw/lobby.h"
#include "relay/session/session_internal.h"
#include "rfb/client_messages.h"
#include "rfb/handshake_server.h"
#include "rfb/protocol.h"

static void
gone(struct relay_session *s)
{
	session_end(s, "normal", pump_viewer_why(&s->pump));
}

/* Words for a browser page that waits. */
static void
say_in_browser(struct relay_session *s, const char *text)
{
	session_browser_send(s,
	    json_pack("{s:s s:s s:s}", "type", "waiting", "what", "consent",
		"text", text));
}

static void
waiting_text(const struct relay_session *s, char *out, size_t len)
{
	snprintf(out, len,
	    "The person at %s is asked whether %s may connect%s.",
	    s->name.endpoint, s->name.person,
	    s->authorization.recording
		? " and is told that the session is recorded"
		: "");
}

static void
say_waiting(struct relay_session *s)
{
	int64_t left = s->authorization.consent_s -
	    (int64_t)((clock_mono_ns() - s->lobby_since_ns) / NS_PER_S);
	char text[300], small[40] = "";

	waiting_text(s, text, sizeof(text));
	if (left > 0 && s->consent[0] == '\0')
		snprintf(small, sizeof(small), "%lld s", (long long)left);
	session_lobby_say(s, "Waiting for consent", text, small);
}

/* The countdown, as the person there sees it. */
static void
on_second(evutil_socket_t fd, short what, void *arg)
{
	struct relay_session *s = arg;

	if (s->lobby != NULL && s->state != SESSION_CLOSING)
		say_waiting(s);
}

static int
start_countdown(struct relay_session *s)
{
	const struct timeval second = { 1, 0 };

	s->lobby_since_ns = clock_mono_ns();
	s->lobby_tick = event_new(s->loop->base, -1, EV_PERSIST, on_second, s);
	return s->lobby_tick != NULL ? event_add(s->lobby_tick, &second)
				     : ERR_NOMEM;
}

void
session_lobby_release(struct relay_session *s)
{
	if (s->lobby_tick != NULL)
		event_free(s->lobby_tick);
	s->lobby_tick = NULL;
	lobby_free(s->lobby);
	s->lobby = NULL;
}

void
session_lobby_open(struct relay_session *s)
{
	char text[300];

	if (s->door == SESSION_BY_BROWSER) {
		waiting_text(s, text, sizeof(text));
		say_in_browser(s, text);
		return;
	}
	/* the viewer is let in; what it sees first is the lobby */
	s->wants_lobby = true;
	if (rfb_handshake_server_accept(s->viewer_handshake) != 0 ||
	    channel_flush(&s->pump.viewer) != 0) {
		gone(s);
		return;
	}
	channel_read(&s->pump.viewer, true);
	session_feed_viewer(s);
}

void
session_lobby_begin(struct relay_session *s)
{
	s->pump.viewer.out.limit = LOBBY_OUT_LIMIT;
	s->lobby = lobby_new(&s->pump.viewer.out, s->loop->relay->font,
	    s->name.endpoint, LOBBY_W, LOBBY_H);
	if (s->lobby == NULL || start_countdown(s) != 0) {
		session_end(s, "error", "the relay is out of memory");
		return;
	}
	s->wants_lobby = false;
	say_waiting(s);
	if (s->state < SESSION_ENDING && buf_len(&s->pump.viewer.in) > 0)
		session_lobby_feed(s);
}

/* NULL title: only goes on with what is held back. */
int
session_lobby_say(struct relay_session *s, const char *title, const char *text,
    const char *small)
{
	int rc = title != NULL ? lobby_set_text(s->lobby, title, text, small)
			       : lobby_resume(s->lobby);

	if (rc == 0)
		rc = channel_flush(&s->pump.viewer);
	if (rc != 0)
		gone(s);
	return rc;
}

void
session_lobby_feed(struct relay_session *s)
{
	size_t used;
	int rc = lobby_feed(s->lobby, buf_head(&s->pump.viewer.in),
	    buf_len(&s->pump.viewer.in), &used);
	char reason[200];

	if (rc != 0) {
		snprintf(reason, sizeof(reason),
		    "the viewer broke the protocol: %s", lobby_why(s->lobby));
		session_end(s, "error", reason);
		return;
	}
	buf_consume(&s->pump.viewer.in, used);
	if (channel_flush(&s->pump.viewer) != 0)
		gone(s);
	else if (s->state == SESSION_CLIENT_INIT)
		session_accept_viewer(s); /* its message may be whole now */
}

/* The viewer's format and encodings go to the endpoint as if it sent them
 * now, and a request for everything, in front of what it really sends. */
static int
replay(struct relay_session *s, const struct lobby_viewer *v)
{
	uint8_t set_format[4 + RFB_PIXEL_FORMAT_LEN] = { RFB_SET_PIXEL_FORMAT };
	uint8_t request[10] = { RFB_FRAMEBUFFER_UPDATE_REQUEST };
	struct buf in;
	int rc;

	rfb_pixel_format_write(&v->format, set_format + 4);
	store_be16(request + 6, s->width);
	store_be16(request + 8, s->height);
	buf_init(&in, 4 * RFB_HANDSHAKE_INPUT_MAX);
	rc = buf_append(&in, set_format, sizeof(set_format));
	if (rc == 0 && v->encodings != NULL)
		rc = buf_append(&in, v->encodings, v->encodings_len);
	if (rc == 0)
		rc = buf_append(&in, request, sizeof(request));
	if (rc == 0)
		rc = buf_append(&in, buf_head(&s->pump.viewer.in),
		    buf_len(&s->pump.viewer.in));
	buf_release(&s->pump.viewer.in);
	s->pump.viewer.in = in;
	return rc;
}

int
session_lobby_leave(struct relay_session *s)
{
	struct lobby_viewer v;
	int rc = lobby_leave(s->lobby, &v);

	if (rc != 0)
		return rc;
	/* pictures of it may have taken megabytes */
	if (buf_len(&s->pump.viewer.out) == 0)
		buf_release(&s->pump.viewer.out);
	rc = lobby_resize(s->lobby, s->width, s->height);
	if (rc == 0)
		rc = replay(s, &v);
	if (rc != 0) {
		session_refuse(s,
		    rc == ERR_UNSUPPORTED
			? "your viewer cannot change the size of its desktop, "
			  "which waiting for consent needs; use another viewer "
			  "or the browser"
			: "the relay is out of memory");
		return rc;
	}
	session_lobby_release(s);
	session_run(s);
	return 0;
}
