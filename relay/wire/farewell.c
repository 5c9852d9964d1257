#include "relay/wire/farewell.h"

#include <stdlib.h>
#include <sys/socket.h>

#include "common/err.h"
#include "relay/relay.h"
#include "relay/http/websocket.h"

#define FAREWELL_SECONDS 2
#define READS_A_TURN     16
#define FAREWELLS_MAX    256 /* of a loop; beyond it the oldest is closed */

struct farewell {
	TAILQ_ENTRY(farewell) link;
	struct loop *loop;
	struct side side;
	struct event *deadline;
	bool is_shut; /* all is sent, and the peer was told so */
};

static void
farewell_free(struct farewell *g)
{
	struct loop *l = g->loop;

	TAILQ_REMOVE(&l->farewells, g, link);
	l->n_farewells--;
	side_release(&g->side);
	if (g->deadline != NULL)
		event_free(g->deadline);
	free(g);
	loop_session_gone(l);
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	farewell_free(arg);
}

/* Sends the rest; true when the connection is of no more use. */
static bool
send_rest(struct farewell *g)
{
	if (g->is_shut)
		return false;
	if (side_flush(&g->side) != 0)
		return true;
	if (buf_len(&g->side.out) > 0 || side_wants_write(&g->side))
		return false;
	g->is_shut = true;
	leg_say_goodbye(&g->side.leg);
	return shutdown(g->side.leg.fd, SHUT_WR) != 0;
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct farewell *g = arg;
	uint8_t waste[4096];
	unsigned left = READS_A_TURN; /* who sends fast gets no loop of ours */
	ssize_t n;

	do {
		n = recv(fd, waste, sizeof(waste), MSG_DONTWAIT);
	} while (n == (ssize_t)sizeof(waste) && --left > 0);
	if (n == 0)
		farewell_free(g);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	if (send_rest(arg))
		farewell_free(arg);
}

void
farewell(struct loop *l, struct side *d)
{
	struct timeval tv = { FAREWELL_SECONDS, 0 };
	struct farewell *g = NULL;
	struct buf out = d->out;
	struct ws *ws = d->ws;

	if (d->leg.fd >= 0 && d->leg.batch != NULL)
		g = calloc(1, sizeof(*g));
	if (g == NULL) {
		side_release(d);
		return;
	}
	if (l->n_farewells >= FAREWELLS_MAX)
		farewell_free(TAILQ_FIRST(&l->farewells));
	buf_init(&d->out, 0); /* it is not all sent: it goes along */
	g->loop = l;
	g->side.leg.fd = -1;
	TAILQ_INSERT_TAIL(&l->farewells, g, link);
	l->n_farewells++;
	g->deadline = evtimer_new(l->base, on_deadline, g);
	if (g->deadline == NULL ||
	    side_adopt(&g->side, l, d, on_readable, on_writable, g) != 0) {
		buf_release(&out);
		side_release(d);
		farewell_free(g);
		return;
	}
	g->side.out = out;
	g->side.ws = ws;
	if (ws != NULL)
		ws_move(ws, &g->side.leg);
	*d = (struct side){ .leg.fd = -1 };
	event_add(g->deadline, &tv);
	if (send_rest(g))
		farewell_free(g);
	else
		side_read(&g->side, true);
}

void
farewell_stop(struct loop *l)
{
	struct farewell *g;

	while ((g = TAILQ_FIRST(&l->farewells)) != NULL)
		farewell_free(g);
}
