#include "agent/second_dial.h"

#include <event2/bufferevent.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "agent/dial.h"
#include "agent/greeting.h"
#include "agent/jitter.h"
#include "agent/wire.h"
#include "common/agent_proto.h"
#include "common/bytes.h"
#include "common/log.h"
#include "common/tcp_liveness.h"

#define LOOK_MS        500
#define RETRY_MS       2000 /* after one that failed, and jitter */
#define PROBE_SECONDS  1
#define GREETING_LOOKS 20 /* so many looks until the greeting is answered */

struct second_dial {
	struct event_base *base;
	const struct control_to *to;
	second_dial_cb *cb;
	void *arg;
	struct event *timer;
	int first_fd; /* -1: nothing is watched */
	struct sockaddr_storage first;
	bool is_silent; /* it was so at the last look, its jitter is over */
	struct dial *dial;
	struct bufferevent *bev; /* greeted */
	unsigned n_looks;        /* since the greeting */
};

static void
look_in(struct second_dial *d, unsigned ms)
{
	struct timeval tv = { ms / 1000, (suseconds_t)(ms % 1000) * 1000 };

	if (event_add(d->timer, &tv) != 0)
		log_error("timer_failed");
}

static void
drop(struct second_dial *d)
{
	dial_cancel(d->dial);
	d->dial = NULL;
	wire_close(d->bev);
	d->bev = NULL;
}

static void
give_up(struct second_dial *d, const char *why)
{
	log_debug("second_dial_failed", LOG_S("why", why));
	drop(d);
	look_in(d, RETRY_MS + jitter_ms(SECOND_DIAL_JITTER_MS));
}

static void
on_read(struct bufferevent *bev, void *arg)
{
	struct second_dial *d = arg;
	struct agent_msg m;
	int rc = wire_receive(bev, &m);

	if (rc > 0 && m.type == AGENT_WELCOME) {
		d->bev = NULL; /* transferred */
		second_dial_stop(d);
		d->cb(d->arg, bev, &m);
	} else if (rc != 0) {
		give_up(d, "the other relay does not welcome it");
	}
	wipe(&m, sizeof(m));
}

static void
on_event(struct bufferevent *bev, short what, void *arg)
{
	give_up(arg, wire_why(bev, what));
}

static void
on_dialed(void *arg, struct bufferevent *bev, const char *why)
{
	struct second_dial *d = arg;

	d->dial = NULL; /* it frees itself */
	if (bev == NULL) {
		give_up(d, why);
		return;
	}
	d->bev = bev;
	d->n_looks = 0;
	bufferevent_setcb(bev, on_read, NULL, on_event, d);
	bufferevent_setwatermark(bev, EV_READ, 0, AGENT_FRAME_MAX);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
	if (greeting_send(bev, d->to) != 0)
		give_up(d, "this endpoint's names cannot be sent");
}

static void
dial_other(struct second_dial *d)
{
	const struct settings *s = d->to->settings;
	const struct dial_to to = { .to = &s->relay,
		.proxy = &s->proxy,
		.trust = d->to->trust,
		.alpn = AGENT_ALPN_CONTROL,
		.timeout_s = (unsigned)s->conf.connect_s,
		.lost_s = (unsigned)s->conf.peer_lost_s,
		.last = &d->first };

	d->dial = dial_start(d->base, &to, on_dialed, d);
	log_debug("second_dial");
}

static void
on_look(evutil_socket_t fd, short what, void *arg)
{
	struct second_dial *d = arg;
	bool is_silent =
	    tcp_liveness_silent_ms(d->first_fd) >= SECOND_DIAL_SILENT_MS;
	bool was_silent = d->is_silent;

	d->is_silent = is_silent;
	if (d->bev != NULL && ++d->n_looks > GREETING_LOOKS) {
		give_up(d, "the other relay does not answer the greeting");
		return;
	}
	if (is_silent && !was_silent) {
		look_in(d, jitter_ms(SECOND_DIAL_JITTER_MS));
		return;
	}
	if (is_silent && d->dial == NULL && d->bev == NULL)
		dial_other(d);
	if (!is_silent && d->bev == NULL)
		drop(d); /* nobody was greeted: the first one stays */
	look_in(d, LOOK_MS);
}

void
second_dial_watch(struct second_dial *d, struct bufferevent *bev)
{
	socklen_t len = sizeof(d->first);

	second_dial_stop(d);
	if (d->to->is_once || d->to->settings->proxy.is_used ||
	    getpeername(bufferevent_getfd(bev), (struct sockaddr *)&d->first,
		&len) != 0)
		return;
	d->first_fd = bufferevent_getfd(bev);
	tcp_liveness_probe(d->first_fd, PROBE_SECONDS);
	look_in(d, LOOK_MS);
}

void
second_dial_stop(struct second_dial *d)
{
	drop(d);
	event_del(d->timer);
	d->is_silent = false;
	d->first_fd = -1;
}

struct second_dial *
second_dial_new(struct event_base *base, const struct control_to *to,
    second_dial_cb *cb, void *arg)
{
	struct second_dial *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return NULL;
	*d = (struct second_dial){
		.base = base, .to = to, .cb = cb, .arg = arg, .first_fd = -1
	};
	d->timer = evtimer_new(base, on_look, d);
	if (d->timer == NULL) {
		free(d);
		return NULL;
	}
	return d;
}

void
second_dial_free(struct second_dial *d)
{
	if (d == NULL)
		return;
	second_dial_stop(d);
	event_free(d->timer);
	free(d);
}
