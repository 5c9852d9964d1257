#include "agent/control.h"

#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/dial.h"
#include "agent/greeting.h"
#include "agent/jitter.h"
#include "agent/second_dial.h"
#include "agent/wire.h"
#include "common/bytes.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"

#define MAX_DELAY_S 60
/* a channel that lived so long was a good one: the next wait is short */
#define GOOD_LIFE_NS (10 * NS_PER_S)

struct control {
	struct event_base *base;
	struct control_to to;
	control_cb *cb;
	void *arg;
	struct event *timer; /* next try, greeting, or silence */
	struct dial *dial;
	struct bufferevent *bev;
	struct second_dial *second; /* while it is up and silent */
	bool is_up;
	uint64_t up_ns;
	unsigned delay_s;    /* upper end of the next wait */
	unsigned silence_ms; /* how long it may last */
};

static void on_timer(evutil_socket_t fd, short what, void *arg);
static void dial(struct control *c);

static void
arm(struct control *c, unsigned ms)
{
	struct timeval tv = { ms / 1000, (suseconds_t)(ms % 1000) * 1000 };

	if (event_add(c->timer, &tv) != 0)
		log_error("timer_failed");
}

static void
wait_for_next(struct control *c)
{
	unsigned ms;

	if (c->to.is_once)
		return;
	if (c->up_ns != 0 && clock_mono_ns() - c->up_ns >= GOOD_LIFE_NS)
		c->delay_s = (unsigned)c->to.settings->conf.retry_s;
	ms = jitter_ms(c->delay_s * 1000);
	c->delay_s =
	    c->delay_s * 2 < MAX_DELAY_S ? c->delay_s * 2 : MAX_DELAY_S;
	c->up_ns = 0;
	log_debug("retry", LOG_U("ms", ms));
	arm(c, ms);
}

static void
close_channel(struct control *c)
{
	dial_cancel(c->dial);
	c->dial = NULL;
	wire_close(c->bev);
	c->bev = NULL;
	c->is_up = false;
	event_del(c->timer);
	second_dial_stop(c->second);
}

/* The one way from any state to waiting. */
static void
go_down(struct control *c, const char *why)
{
	close_channel(c);
	if (!c->to.is_once)
		log_warn("relay_lost", LOG_S("reason", why));
	wait_for_next(c);
	c->cb(c->arg, CONTROL_DOWN, NULL, why);
}

static void
on_refused(struct control *c, const struct agent_msg *m)
{
	char why[AGENT_TEXT_MAX];

	snprintf(why, sizeof(why), "%s", m->refused.reason);
	if (!m->refused.is_final) {
		go_down(c, why);
		return;
	}
	close_channel(c);
	log_error("relay_refuses", LOG_S("reason", why));
	c->cb(c->arg, CONTROL_REFUSED, NULL, why);
}

static void
on_welcome(struct control *c, const struct agent_msg *m)
{
	unsigned keepalive_s = m->welcome.keepalive_s;

	if (keepalive_s == 0)
		keepalive_s = 30;
	c->is_up = true;
	c->up_ns = clock_mono_ns();
	c->silence_ms = keepalive_s * 2500;
	arm(c, c->silence_ms);
	second_dial_watch(c->second, c->bev);
	log_info("relay_connected", LOG_S("relay", c->to.settings->conf.relay),
	    LOG_S("endpoint", m->welcome.endpoint),
	    LOG_S("team", m->welcome.team),
	    LOG_S("relay_version", m->welcome.version));
	c->cb(c->arg, CONTROL_UP, m, NULL);
}

static void
on_ping(struct control *c, uint32_t number)
{
	const struct agent_msg pong = { .type = AGENT_PONG, .ping = number };

	arm(c, c->silence_ms);
	if (wire_send(c->bev, &pong) != 0)
		go_down(c, "the relay does not read");
}

/* Returns 0, or ERR_PROTOCOL for a message out of place. */
static int
on_message(struct control *c, const struct agent_msg *m)
{
	if (m->type == AGENT_REFUSED) {
		on_refused(c, m);
		return 0;
	}
	if (!c->is_up) {
		if (m->type != AGENT_WELCOME)
			return ERR_PROTOCOL;
		on_welcome(c, m);
		return 0;
	}
	switch (m->type) {
	case AGENT_PING:
		on_ping(c, m->ping);
		return 0;
	case AGENT_CODE:
	case AGENT_OPEN:
	case AGENT_INDICATOR:
	case AGENT_END:
	case AGENT_CAPTURE:
	case AGENT_CAPTURE_MARKS:
		c->cb(c->arg, CONTROL_MESSAGE, m, NULL);
		return 0;
	case AGENT_ACCEPTED:
	case AGENT_CAPTURE_STATE:
	case AGENT_CLOSE:
	case AGENT_CONSENT:
	case AGENT_ENROL:
	case AGENT_HELLO:
	case AGENT_JOINED:
	case AGENT_OPEN_FAILED:
	case AGENT_PONG:
	case AGENT_REFUSED:
	case AGENT_TICKET:
	case AGENT_WELCOME:
	default:
		return ERR_PROTOCOL;
	}
}

static void
on_read(struct bufferevent *bev, void *arg)
{
	struct control *c = arg;
	struct agent_msg m;
	char why[128];
	int rc = 1;

	/* a message may close the channel: then there is nothing to read */
	while (rc > 0 && c->bev == bev) {
		rc = wire_receive(bev, &m);
		if (rc > 0 && on_message(c, &m) != 0)
			rc = ERR_PROTOCOL;
		wipe(&m, sizeof(m));
	}
	if (rc >= 0)
		return;
	snprintf(why, sizeof(why), "what the relay says is no message: %s",
	    err_text(rc));
	go_down(c, why);
}

static void
on_event(struct bufferevent *bev, short what, void *arg)
{
	struct control *c = arg;

	go_down(c, wire_why(bev, what));
}

static void
take_channel(struct control *c, struct bufferevent *bev)
{
	c->bev = bev;
	bufferevent_setcb(bev, on_read, NULL, on_event, c);
	bufferevent_setwatermark(bev, EV_READ, 0, AGENT_FRAME_MAX);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
}

/* Another relay answered sooner than the one that is silent. */
static void
on_second(void *arg, struct bufferevent *bev, const struct agent_msg *welcome)
{
	static const char why[] = "the relay does not answer";
	struct control *c = arg;

	close_channel(c);
	log_warn("relay_lost", LOG_S("reason", why));
	c->cb(c->arg, CONTROL_DOWN, NULL, why);
	take_channel(c, bev);
	on_welcome(c, welcome);
	on_read(bev, c); /* what came behind it */
}

static void
on_dialed(void *arg, struct bufferevent *bev, const char *why)
{
	struct control *c = arg;

	c->dial = NULL; /* it frees itself */
	if (bev == NULL) {
		go_down(c, why);
		return;
	}
	take_channel(c, bev);
	arm(c, (unsigned)c->to.settings->conf.connect_s * 1000);
	if (greeting_send(bev, &c->to) != 0)
		go_down(c, "this endpoint's names cannot be sent");
}

static void
dial(struct control *c)
{
	const struct settings *s = c->to.settings;
	const struct dial_to to = { &s->relay, &s->proxy, c->to.trust,
		AGENT_ALPN_CONTROL, (unsigned)s->conf.connect_s,
		(unsigned)s->conf.peer_lost_s, NULL };

	c->dial = dial_start(c->base, &to, on_dialed, c);
	if (c->dial == NULL)
		go_down(c, err_text(ERR_NOMEM));
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct control *c = arg;

	if (c->bev == NULL)
		dial(c);
	else if (c->is_up)
		go_down(c, "the relay has been silent for too long");
	else
		go_down(c, "the relay does not answer the greeting");
}

struct control *
control_new(struct event_base *base, const struct control_to *to,
    control_cb *cb, void *arg)
{
	struct control *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->base = base;
	c->to = *to;
	c->cb = cb;
	c->arg = arg;
	c->delay_s = (unsigned)to->settings->conf.retry_s;
	c->timer = evtimer_new(base, on_timer, c);
	c->second = second_dial_new(base, &c->to, on_second, c);
	if (c->timer == NULL || c->second == NULL) {
		if (c->timer != NULL)
			event_free(c->timer);
		second_dial_free(c->second);
		free(c);
		return NULL;
	}
	arm(c, 0);
	return c;
}

int
control_send(struct control *c, const struct agent_msg *msg)
{
	return c->is_up ? wire_send(c->bev, msg) : ERR_UNAVAILABLE;
}

void
control_free(struct control *c)
{
	if (c == NULL)
		return;
	close_channel(c);
	second_dial_free(c->second);
	event_free(c->timer);
	free(c);
}
