/*
 * Peers that vanished (power, cable, a closed laptop), on both transports and
 * in all states. TCP notices by itself where the peer's machine is at the other
 * end (common/tcp_liveness.h). Behind a proxy it is not: a browser has to
 * answer pings, which keep the proxy from cutting an idle session too. One
 * that neither answers nor takes what waits for it is gone. A viewer that
 * does not read is not: its machine answers.
 */
#include <errno.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/tcp_liveness.h"
#include "relay/http/websocket.h"
#include "relay/session/session_internal.h"

/* Looks between two pings, and without a sign of life: counted, so that a
 * machine that was suspended takes nobody for dead. */
#define PING_LOOKS   (TCP_LIVENESS_LOOKS / 4)
#define SILENT_LOOKS (TCP_LIVENESS_LOOKS - 1)
#define CLOSED_LOOKS (TCP_LIVENESS_LOOKS / 4)

static const char viewer_lost[] =
    "the viewer does not answer any more: its machine or network is gone";

/* Pings when it is time; true: the browser is gone. */
static bool
is_browser_lost(struct relay_session *s, struct tcp_liveness_state tcp)
{
	struct session_liveness *v = &s->liveness;
	uint64_t heard = s->pump.viewer.transport.bytes_in;

	if (heard != v->heard || (tcp.is_unread && tcp.has_moved))
		v->n_silent = 0;
	else
		v->n_silent++;
	v->heard = heard;
	if (v->n_silent >= SILENT_LOOKS)
		return true;
	if (++v->n_looks % PING_LOOKS == 0) {
		ws_ping(s->pump.viewer.ws);
		if (channel_wants_write(&s->pump.viewer))
			event_add(s->pump.viewer.writable, NULL);
	}
	return false;
}

/* Its socket, which is not read from, has heard the end. */
static bool
is_end_unheard(const struct channel *d, struct tcp_liveness_state tcp)
{
	return !d->is_reading && tcp.is_lost;
}

/* The viewer closed, and its last input finds no room at the endpoint. */
static bool
is_close_unheard(struct relay_session *s, struct tcp_liveness_state tcp)
{
	if (!tcp.is_closed || s->pump.viewer.is_reading)
		s->liveness.n_closed = 0;
	else
		s->liveness.n_closed++;
	return s->liveness.n_closed >= CLOSED_LOOKS;
}

static void
look_at_viewer(struct relay_session *s, uint64_t now)
{
	struct tcp_liveness_state tcp =
	    tcp_liveness_look(&s->liveness.viewer, s->pump.viewer.transport.fd,
		(unsigned)s->loop->relay->conf.peer_lost_seconds, now);

	if (is_end_unheard(&s->pump.viewer, tcp) ||
	    (s->pump.viewer.ws != NULL && is_browser_lost(s, tcp)))
		session_end(s, "normal", viewer_lost);
	else if (is_close_unheard(s, tcp))
		session_end(s, "normal", pump_viewer_why(&s->pump));
}

static void
look_at_endpoint(struct relay_session *s, uint64_t now)
{
	struct tcp_liveness_state tcp = tcp_liveness_look(&s->liveness.endpoint,
	    s->pump.endpoint.transport.fd,
	    (unsigned)s->loop->relay->conf.peer_lost_seconds, now);

	if (!is_end_unheard(&s->pump.endpoint, tcp))
		return;
	s->pump.endpoint.transport.error = ETIMEDOUT;
	if (s->state == SESSION_RUNNING)
		pump_endpoint_failed(&s->pump, ERR_IO);
	else if (s->state == SESSION_PARKED)
		session_end(s, "endpoint", pump_endpoint_why(&s->pump, false));
	/* the other states have deadlines */
}

static void
on_look(evutil_socket_t fd, short what, void *arg)
{
	struct relay_session *s = arg;
	uint64_t now = clock_mono_ns();

	look_at_endpoint(s, now);
	if (s->state < SESSION_ENDING)
		look_at_viewer(s, now);
}

int
session_liveness_start(struct relay_session *s)
{
	int64_t ms =
	    s->loop->relay->conf.peer_lost_seconds * 1000 / TCP_LIVENESS_LOOKS;
	const struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	s->liveness.timer =
	    event_new(s->loop->base, -1, EV_PERSIST, on_look, s);
	if (s->liveness.timer == NULL || event_add(s->liveness.timer, &tv) != 0)
		return ERR_NOMEM;
	return 0;
}

void
session_liveness_release(struct relay_session *s)
{
	if (s->liveness.timer != NULL)
		event_free(s->liveness.timer);
	s->liveness.timer = NULL;
}
