#include "agent/agent_session.h"

#include <event2/buffer.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/consent.h"
#include "agent/dial.h"
#include "agent/indicator.h"
#include "agent/agent_pump.h"
#include "agent/wire.h"
#include "common/bytes.h"
#include "common/err.h"
#include "common/log.h"

/* The last message of a channel has so long to leave. */
#define CLOSING_S 5

enum state {
	AGENT_SESSION_RELAY,   /* the data channel is being dialed */
	AGENT_SESSION_TICKET,  /* the ticket was sent */
	AGENT_SESSION_ASKING,  /* the dialog is on the screen */
	AGENT_SESSION_SERVER,  /* the VNC server is being dialed */
	AGENT_SESSION_JOINED,  /* the pump has both connections */
	AGENT_SESSION_CLOSING, /* the last message leaves */
};

struct agent_session {
	struct sessions *all;
	struct agent_session *next;
	enum state state;
	struct agent_msg open; /* the ticket is wiped when it was sent */
	const struct display *display;
	struct hostport relay;
	struct proxy proxy;
	struct dialog_ask ask;
	struct event *timer; /* for ACCEPTED, and for closing */
	struct dial *dial;
	struct bufferevent *relay_bev;
	struct consent *consent;
	struct agent_pump *pump;
	struct indicator *indicator;
	struct capture_job *capture; /* NULL: it is not captured */
	char *capture_why;           /* it has to end, and is: heap */
};

struct sessions {
	struct sessions_to to;
	struct agent_session *first;
	unsigned n;
};

static void
session_free(struct agent_session *s)
{
	struct agent_session **at = &s->all->first;

	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	s->all->n--;
	consent_stop(s->consent);
	indicator_stop(s->indicator);
	capture_job_leave(s->capture);
	free(s->capture_why);
	dial_cancel(s->dial);
	pump_free(s->pump);
	wire_close(s->relay_bev);
	if (s->timer != NULL)
		event_free(s->timer);
	wipe(&s->open, sizeof(s->open));
	wipe(&s->proxy, sizeof(s->proxy));
	free(s);
}

/* The one end of a session. */
static void
session_end(struct agent_session *s, const char *why)
{
	log_info("session_end", LOG_S("session", s->open.open.session),
	    LOG_S("reason", why));
	session_free(s);
}

static struct agent_session *
find(struct sessions *all, const char *id)
{
	struct agent_session *s = all->first;

	while (s != NULL && strcmp(s->open.open.session, id) != 0)
		s = s->next;
	return s;
}

static void
arm(struct agent_session *s, unsigned seconds)
{
	const struct timeval tv = { .tv_sec = seconds };

	if (event_add(s->timer, &tv) != 0)
		log_error("timer_failed");
}

/* ---- the capture of it ---- */

/* The relay is told on the control channel, and so the technician; it ends
 * here if the relay has not ended it. */
static void
on_capture_failed(void *arg, const char *why)
{
	struct agent_session *s = arg;

	if (s->open.open.capture != AGENT_CAPTURE_MUST) {
		/* nothing is held back any more */
		if (s->pump != NULL)
			pump_wake(s->pump);
		return;
	}
	free(s->capture_why);
	s->capture_why = strdup(why);
	arm(s, CLOSING_S);
}

static void
on_server_bytes(void *arg, struct evbuffer *in, size_t n)
{
	struct agent_session *s = arg;

	capture_job_bytes(s->capture, in, n);
}

static bool
has_room(void *arg)
{
	struct agent_session *s = arg;

	return s->capture_why == NULL && capture_job_has_room(s->capture);
}

/* Returns NULL, or why the session cannot be. */
static const char *
begin_capture(struct agent_session *s)
{
	const struct sessions_to *to = &s->all->to;
	const char *why;

	if (s->open.open.capture == AGENT_CAPTURE_NONE)
		return NULL;
	why = captures_refusal(to->captures);
	if (why != NULL && s->open.open.capture == AGENT_CAPTURE_MUST)
		return why;
	s->capture = capture_job_new(
	    to->captures, s->open.open.session, on_capture_failed, s);
	return s->capture != NULL ? NULL : err_text(ERR_NOMEM);
}

void
sessions_wake(struct sessions *all, const char *session)
{
	struct agent_session *s = find(all, session);

	if (s != NULL && s->pump != NULL)
		pump_wake(s->pump);
}

/* Before there is a data channel. */
static void
fail_on_control(struct agent_session *s, const char *why)
{
	s->all->to.failed(s->all->to.arg, s->open.open.session, why);
	session_end(s, why);
}

/* Nothing is said any more; what was said leaves. */
static void
start_closing(struct agent_session *s)
{
	s->state = AGENT_SESSION_CLOSING;
	bufferevent_setwatermark(s->relay_bev, EV_WRITE, 0, 0);
	bufferevent_disable(s->relay_bev, EV_READ);
	arm(s, CLOSING_S);
}

static void
fail_on_data(struct agent_session *s, const char *why)
{
	struct agent_msg m = { .type = AGENT_OPEN_FAILED };

	log_warn("open_failed", LOG_S("session", s->open.open.session),
	    LOG_S("reason", why));
	strcpy(m.end.session, s->open.open.session);
	agent_proto_clean(m.end.reason, sizeof(m.end.reason), why);
	if (wire_send(s->relay_bev, &m) != 0)
		session_end(s, why);
	else
		start_closing(s);
}

static void
on_pump_end(void *arg, unsigned which, const char *why, const uint64_t bytes[2])
{
	struct agent_session *s = arg;

	s->pump = NULL; /* it frees itself */
	log_info("session_bytes", LOG_S("session", s->open.open.session),
	    LOG_U("from_relay", bytes[0]), LOG_U("from_server", bytes[1]),
	    LOG_S("ended_by", which == 0 ? "relay" : "server"));
	session_end(s, why);
}

static void
on_server(void *arg, struct bufferevent *bev, const char *why)
{
	const struct agent_msg joined = { .type = AGENT_JOINED };
	struct bufferevent *relay;
	struct agent_session *s = arg;
	char text[AGENT_TEXT_MAX];

	s->dial = NULL; /* it frees itself */
	if (bev == NULL) {
		snprintf(text, sizeof(text), "VNC server %s at %s",
		    s->display->name, why);
		fail_on_data(s, text);
		return;
	}
	if (wire_send(s->relay_bev, &joined) != 0) {
		bufferevent_free(bev);
		session_end(s, err_text(ERR_NOMEM));
		return;
	}
	s->state = AGENT_SESSION_JOINED;
	log_info("session_joined", LOG_S("session", s->open.open.session),
	    LOG_S("display", s->display->name));
	relay = s->relay_bev;
	s->relay_bev = NULL; /* transferred */
	s->pump = pump_new(s->all->to.base, relay, bev,
	    (unsigned)s->all->to.settings->conf.peer_lost_s, on_pump_end, s);
	if (s->pump == NULL)
		session_end(s, err_text(ERR_NOMEM));
	else if (s->capture != NULL)
		pump_set_tap(s->pump,
		    &(struct pump_tap){ on_server_bytes, has_room, s });
}

static void
dial_server(struct agent_session *s)
{
	const struct dial_to to = { .to = &s->display->at,
		.timeout_s = (unsigned)s->all->to.settings->conf.connect_s,
		.lost_s = (unsigned)s->all->to.settings->conf.peer_lost_s };

	s->state = AGENT_SESSION_SERVER;
	s->dial = dial_start(s->all->to.base, &to, on_server, s);
	if (s->dial == NULL)
		fail_on_data(s, err_text(ERR_NOMEM));
}

static int
send_answer(struct agent_session *s, enum agent_answer answer, const char *text)
{
	struct agent_msg m = { .type = AGENT_CONSENT };

	m.consent.answer = (uint8_t)answer;
	agent_proto_clean(m.consent.text, sizeof(m.consent.text), text);
	return wire_send(s->relay_bev, &m);
}

static void
on_answer(void *arg, enum agent_answer answer, const char *text)
{
	static const char *const names[] = { "waiting", "full", "view",
		"declined", "timeout", "no dialog" };
	struct agent_session *s = arg;

	s->consent = NULL; /* it frees itself */
	log_info("consent", LOG_S("session", s->open.open.session),
	    LOG_S("technician", s->open.open.technician),
	    LOG_S("answer", names[answer]));
	if (send_answer(s, answer, text) != 0)
		session_end(s, "the relay does not read");
	else if (answer == AGENT_ANSWER_FULL || answer == AGENT_ANSWER_VIEW)
		dial_server(s);
	else
		start_closing(s);
}

static void
ask_user(struct agent_session *s)
{
	const struct sessions_to *to = &s->all->to;

	s->state = AGENT_SESSION_ASKING;
	s->ask = (struct dialog_ask){ s->open.open.technician,
		s->open.open.team, (enum agent_recorded)s->open.open.recorded,
		s->open.open.consent_s };
	s->consent = consent_start(to->base, to->children,
	    &to->settings->screen, &s->ask, on_answer, s);
	if (s->consent == NULL)
		on_answer(s, AGENT_ANSWER_NO_DIALOG,
		    "the endpoint has no screen or no program to ask on it");
	else if (send_answer(s, AGENT_ANSWER_WAITING, "") != 0)
		session_end(s, "the relay does not read");
}

static void
on_accepted(struct agent_session *s)
{
	event_del(s->timer);
	if (s->open.open.consent != 0)
		ask_user(s);
	else
		dial_server(s);
}

/* Before JOINED the relay has little to say. */
static void
on_relay_read(struct bufferevent *bev, void *arg)
{
	struct agent_session *s = arg;
	struct agent_msg m;
	int rc = wire_receive(bev, &m);

	if (rc == 0)
		return;
	if (rc > 0 && m.type == AGENT_REFUSED)
		session_end(s, m.refused.reason);
	else if (rc > 0 && m.type == AGENT_ACCEPTED &&
	    s->state == AGENT_SESSION_TICKET)
		on_accepted(s);
	else
		session_end(s, "what the relay says is out of place");
}

static void
on_relay_written(struct bufferevent *bev, void *arg)
{
	struct agent_session *s = arg;

	if (s->state == AGENT_SESSION_CLOSING &&
	    evbuffer_get_length(bufferevent_get_output(bev)) == 0)
		session_end(s, "over");
}

static void
on_relay_event(struct bufferevent *bev, short what, void *arg)
{
	session_end(arg, wire_why(bev, what));
}

static void
on_relay(void *arg, struct bufferevent *bev, const char *why)
{
	struct agent_session *s = arg;
	struct agent_msg m = { .type = AGENT_TICKET };
	int rc;

	s->dial = NULL; /* it frees itself */
	if (bev == NULL) {
		fail_on_control(s, why);
		return;
	}
	s->relay_bev = bev;
	s->state = AGENT_SESSION_TICKET;
	bufferevent_setcb(
	    bev, on_relay_read, on_relay_written, on_relay_event, s);
	bufferevent_setwatermark(bev, EV_READ, 0, AGENT_FRAME_MAX);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
	arm(s, (unsigned)s->all->to.settings->conf.connect_s);
	strcpy(m.ticket.ticket, s->open.open.ticket);
	rc = wire_send(bev, &m);
	wipe(&m, sizeof(m));
	wipe(s->open.open.ticket, sizeof(s->open.open.ticket));
	if (rc != 0)
		session_end(s, err_text(rc));
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct agent_session *s = arg;

	session_end(s,
	    s->capture_why != NULL ? s->capture_why
		: s->state == AGENT_SESSION_CLOSING
		? "over, the relay did not take the last words"
		: "the relay does not answer the ticket");
}

/* Which relay, through which proxy, to which display. Returns NULL, or why
 * it cannot be. */
static const char *
understand(struct agent_session *s)
{
	const struct settings *set = s->all->to.settings;
	const char *address = s->open.open.address;

	s->relay = set->relay;
	s->display = settings_display(set, s->open.open.display);
	if (s->display == NULL)
		return "this endpoint has no display of that name";
	if (*address != '\0' && hostport_parse(address, 0, &s->relay) != 0)
		return "the relay's address is not understood";
	if (proxy_choose(set->conf.proxy, s->relay.host, &s->proxy) != 0)
		return "the endpoint's proxy setting is wrong";
	return NULL;
}

static void
dial_relay(struct agent_session *s)
{
	const struct sessions_to *all = &s->all->to;
	const struct dial_to to = { &s->relay, &s->proxy, all->trust,
		AGENT_ALPN_DATA, (unsigned)all->settings->conf.connect_s,
		(unsigned)all->settings->conf.peer_lost_s };

	s->dial = dial_start(all->base, &to, on_relay, s);
	if (s->dial == NULL)
		fail_on_control(s, err_text(ERR_NOMEM));
}

void
sessions_open(struct sessions *all, const struct agent_msg *m)
{
	const char *why = NULL;
	struct agent_session *s = NULL;

	if (find(all, m->open.session) != NULL) {
		/* a failure would be taken for the running one's */
		log_warn("session_doubled", LOG_S("session", m->open.session));
		return;
	}
	if (all->n >= SESSION_MAX)
		why = "this endpoint has too many sessions";
	else
		s = calloc(1, sizeof(*s));
	if (s != NULL)
		s->timer = evtimer_new(all->to.base, on_timer, s);
	if (s == NULL || s->timer == NULL) {
		free(s);
		all->to.failed(all->to.arg, m->open.session,
		    why != NULL ? why : err_text(ERR_NOMEM));
		return;
	}
	s->all = all;
	s->next = all->first;
	all->first = s;
	all->n++;
	s->open = *m;
	log_info("session_open", LOG_S("session", m->open.session),
	    LOG_S("technician", m->open.technician),
	    LOG_S("team", m->open.team), LOG_S("display", m->open.display),
	    LOG_S("relay", m->open.address));
	why = understand(s);
	if (why == NULL)
		why = begin_capture(s);
	if (why != NULL)
		fail_on_control(s, why);
	else
		dial_relay(s);
}

void
sessions_end(struct sessions *all, const struct agent_msg *m)
{
	struct agent_session *s = find(all, m->end.session);

	if (s != NULL)
		session_end(s, m->end.reason);
}

void
sessions_indicate(struct sessions *all, const struct agent_msg *m)
{
	struct agent_session *s = find(all, m->indicator.session);

	if (s == NULL)
		return;
	indicator_stop(s->indicator);
	s->indicator = NULL;
	if (!m->indicator.on)
		return;
	s->indicator = indicator_start(all->to.base, all->to.children,
	    &all->to.settings->screen, m->indicator.session, m->indicator.text);
	if (s->indicator == NULL)
		log_warn(
		    "indicator_failed", LOG_S("session", m->indicator.session));
}

struct sessions *
sessions_new(const struct sessions_to *to)
{
	struct sessions *all = calloc(1, sizeof(*all));

	if (all != NULL)
		all->to = *to;
	return all;
}

void
sessions_free(struct sessions *all)
{
	if (all == NULL)
		return;
	while (all->first != NULL)
		session_end(all->first, "the agent stops");
	free(all);
}
