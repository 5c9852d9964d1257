#include "relay/wire/lingering_close.h"

#include <stdlib.h>
#include <sys/socket.h>

#include "common/err.h"
#include "relay/base/loop_ref.h"
#include "relay/relay.h"
#include "relay/http/websocket.h"
#include "relay/wire/channel.h"

#define LINGERING_SECONDS 2
#define READS_A_TURN      16
#define LINGERING_MAX     256 /* of a loop; beyond it the oldest is closed */

struct lingering {
	TAILQ_ENTRY(lingering) link;
	struct loop *loop;
	struct channel channel;
	struct event *deadline;
	bool is_shut; /* all is sent, and the peer was told so */
};

static void
lingering_free(struct lingering *g)
{
	struct loop *l = g->loop;

	TAILQ_REMOVE(&l->lingering, g, link);
	l->n_lingering--;
	channel_release(&g->channel);
	if (g->deadline != NULL)
		event_free(g->deadline);
	free(g);
	loop_unref(l);
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	lingering_free(arg);
}

/* Sends the rest; true when the connection is of no more use. */
static bool
send_rest(struct lingering *g)
{
	if (g->is_shut)
		return false;
	if (channel_flush(&g->channel) != 0)
		return true;
	if (buf_len(&g->channel.out) > 0 || channel_wants_write(&g->channel))
		return false;
	g->is_shut = true;
	transport_say_goodbye(&g->channel.transport);
	return shutdown(g->channel.transport.fd, SHUT_WR) != 0;
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct lingering *g = arg;
	uint8_t waste[4096];
	unsigned left = READS_A_TURN; /* who sends fast gets no loop of ours */
	ssize_t n;

	do {
		n = recv(fd, waste, sizeof(waste), MSG_DONTWAIT);
	} while (n == (ssize_t)sizeof(waste) && --left > 0);
	if (n == 0)
		lingering_free(g);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	if (send_rest(arg))
		lingering_free(arg);
}

void
lingering_close(struct loop *l, struct channel *d)
{
	struct timeval tv = { LINGERING_SECONDS, 0 };
	struct lingering *g = NULL;
	struct buf out = d->out;
	struct ws *ws = d->ws;

	if (d->transport.fd >= 0 && d->transport.batch != NULL)
		g = calloc(1, sizeof(*g));
	if (g == NULL) {
		channel_release(d);
		return;
	}
	if (l->n_lingering >= LINGERING_MAX)
		lingering_free(TAILQ_FIRST(&l->lingering));
	buf_init(&d->out, 0); /* it is not all sent: it goes along */
	g->loop = l;
	g->channel.transport.fd = -1;
	TAILQ_INSERT_TAIL(&l->lingering, g, link);
	l->n_lingering++;
	loop_ref(l);
	g->deadline = evtimer_new(l->base, on_deadline, g);
	if (g->deadline == NULL ||
	    channel_adopt(&g->channel, l, d, on_readable, on_writable, g) !=
		0) {
		buf_release(&out);
		channel_release(d);
		lingering_free(g);
		return;
	}
	g->channel.out = out;
	g->channel.ws = ws;
	if (ws != NULL)
		ws_move(ws, &g->channel.transport);
	*d = (struct channel){ .transport.fd = -1 };
	event_add(g->deadline, &tv);
	if (send_rest(g))
		lingering_free(g);
	else
		channel_read(&g->channel, true);
}

void
lingering_close_stop(struct loop *l)
{
	struct lingering *g;

	while ((g = TAILQ_FIRST(&l->lingering)) != NULL)
		lingering_free(g);
}
