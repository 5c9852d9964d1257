/*
 * The state of a session, and how it ends. This file calls no other file of
 * the session: what a failure means is carried out by session.c, from the
 * loop and before any other event, so no caller finds its session freed.
 */
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/log.h"
#include "relay/base/loop_ref.h"
#include "relay/session/session_internal.h"

static const char *const names[] = { [SESSION_HELLO] = "hello",
	[SESSION_VIEWER_TLS] = "viewer_tls",
	[SESSION_LOGIN] = "login",
	[SESSION_CHECK] = "check",
	[SESSION_DIAL] = "dial",
	[SESSION_AGENT] = "agent",
	[SESSION_CLAIM] = "claim",
	[SESSION_ENDPOINT] = "endpoint",
	[SESSION_ENDPOINT_TLS] = "endpoint_tls",
	[SESSION_OPEN] = "open",
	[SESSION_CLIENT_INIT] = "client_init",
	[SESSION_PARKED] = "parked",
	[SESSION_RUNNING] = "running",
	[SESSION_CLOSING] = "closing",
	[SESSION_ENDING] = "ending",
	[SESSION_DEAD] = "dead" };

const char *
session_state_name(enum session_state state)
{
	return names[state];
}

void
session_set_state(
    struct relay_session *s, enum session_state state, int64_t seconds)
{
	const struct timeval tv = { seconds, 0 };
	enum session_state was =
	    s->state == SESSION_ENDING ? s->ending.in : s->state;

	log_debug("session_state", LOG_S("session", s->id),
	    LOG_S("from", names[s->state]), LOG_S("to", names[state]));
	if (state != was && state < SESSION_ENDING)
		measure_state_ends(s, was);
	s->state = state;
	s->pump.is_running = state == SESSION_RUNNING;
	if (seconds > 0)
		event_add(s->deadline, &tv);
	else if (seconds == 0)
		event_del(s->deadline);
}

/* The first reason counts. */
static void
note(struct relay_session *s, const char *code, const char *why, bool is_told)
{
	if (s->state >= SESSION_ENDING)
		return;
	s->ending.in = s->state;
	s->ending.code = code;
	s->ending.why = strdup(why);
	s->ending.is_told = is_told;
	session_set_state(s, SESSION_ENDING, SESSION_SAME_DEADLINE);
	event_active(s->ending.event, EV_TIMEOUT, 0);
}

void
session_fail(struct relay_session *s, const char *code, const char *why)
{
	note(s, code, why, true);
}

void
session_refuse(struct relay_session *s, const char *why)
{
	note(s, "error", why, true);
}

void
session_end(struct relay_session *s, const char *code, const char *why)
{
	note(s, code, why, false);
}

struct relay_session *
session_find(struct loop *l, const char *id)
{
	struct relay_session *s;

	TAILQ_FOREACH(s, &l->sessions, link)
		if (strcmp(s->id, id) == 0)
			return s;
	return NULL;
}

void
session_ref(struct relay_session *s)
{
	s->n_refs++;
}

void
session_unref(struct relay_session *s)
{
	struct loop *l = s->loop;

	if (--s->n_refs > 0)
		return;
	login_attempt_release(&s->attempt);
	l->n_sessions--;
	free(s);
	loop_unref(l);
}

bool
session_fill(struct relay_session *s, struct channel *d, bool may_wait,
    void (*on_gone)(struct relay_session *s))
{
	ssize_t n = channel_fill(d);

	if (n == ERR_AGAIN || s->state >= SESSION_ENDING)
		return false;
	if (n == ERR_LIMIT && may_wait)
		channel_read(d, false);
	else if (n <= 0)
		on_gone(s);
	return n > 0;
}
