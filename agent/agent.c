#include "agent/agent.h"

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "agent/capture/captures.h"
#include "agent/capture/outbox.h"
#include "agent/code_window.h"
#include "agent/control.h"
#include "agent/agent_session.h"
#include "agent/trust.h"
#include "common/err.h"
#include "common/log.h"

struct agent {
	const struct settings *settings;
	enum agent_mode mode;
	struct event_base *base;
	struct event *signals[2];
	struct trust trust;
	struct children *children;
	struct sessions *sessions;
	struct control *control;
	struct code_window *window; /* attended */
	struct captures *captures;
	struct outbox *outbox; /* enrolled; NULL: it could not be opened */
	int status;
	/* enrolment */
	struct agent_msg *welcome;
	char *why;
	size_t why_len;
};

static void
stop(struct agent *a, int status)
{
	a->status = status;
	event_base_loopbreak(a->base);
}

static void
on_signal(evutil_socket_t number, short what, void *arg)
{
	log_info("stopping", LOG_S("signal", strsignal((int)number)));
	stop(arg, AGENT_EXIT_OK);
}

/* The user closed the window with the code. */
static void
on_window_closed(void *arg)
{
	stop(arg, AGENT_EXIT_OK);
}

static void
on_open_failed(void *arg, const char *session, const char *reason)
{
	struct agent_msg m = { .type = AGENT_OPEN_FAILED };
	struct agent *a = arg;

	snprintf(m.end.session, sizeof(m.end.session), "%s", session);
	agent_proto_clean(m.end.reason, sizeof(m.end.reason), reason);
	if (control_send(a->control, &m) != 0)
		log_warn("open_failed_unsaid", LOG_S("session", session));
}

static void
on_capture(void *arg, const char *session, enum agent_capture_state state,
    const char *why)
{
	struct agent_msg m = { .type = AGENT_CAPTURE_STATE };
	struct agent *a = arg;

	snprintf(m.capture_state.session, sizeof(m.capture_state.session), "%s",
	    session);
	m.capture_state.state = (uint8_t)state;
	agent_proto_clean(
	    m.capture_state.reason, sizeof(m.capture_state.reason), why);
	if (a->control == NULL || control_send(a->control, &m) != 0)
		log_warn("capture_state_unsaid", LOG_S("session", session));
}

static void
on_message(struct agent *a, const struct agent_msg *m)
{
	switch (m->type) {
	case AGENT_CODE:
		code_window_show(a->window, m->code.code, m->code.valid_s);
		break;
	case AGENT_OPEN:
		sessions_open(a->sessions, m);
		break;
	case AGENT_INDICATOR:
		sessions_indicate(a->sessions, m);
		break;
	case AGENT_CAPTURE:
		captures_begin(a->captures, m);
		break;
	case AGENT_CAPTURE_MARKS:
		captures_marks(a->captures, m);
		sessions_wake(a->sessions, m->marks.session);
		break;
	case AGENT_ACCEPTED:
	case AGENT_CAPTURE_STATE:
	case AGENT_CLOSE:
	case AGENT_CONSENT:
	case AGENT_END:
	case AGENT_ENROL:
	case AGENT_HELLO:
	case AGENT_JOINED:
	case AGENT_OPEN_FAILED:
	case AGENT_PING:
	case AGENT_PONG:
	case AGENT_REFUSED:
	case AGENT_TICKET:
	case AGENT_WELCOME:
	default:
		sessions_end(a->sessions, m);
	}
}

static void
on_control(void *arg, enum control_event event, const struct agent_msg *msg,
    const char *why)
{
	struct agent *a = arg;

	switch (event) {
	case CONTROL_UP:
		outbox_kick(a->outbox);
		break;
	case CONTROL_DOWN:
		code_window_hide(a->window, why);
		break;
	case CONTROL_REFUSED:
		fprintf(
		    stderr, "relaycam-agent: refused by the relay: %s\n", why);
		stop(a, AGENT_EXIT_REFUSED);
		break;
	case CONTROL_MESSAGE:
		on_message(a, msg);
	}
}

static int
base_init(struct agent *a, const struct identity *id, char *why, size_t why_len)
{
	const struct settings *s = a->settings;

	if (trust_init(&a->trust, s->conf.ca_file, s->conf.pin, why, why_len) !=
	    0)
		return AGENT_EXIT_CONFIG;
	a->base = event_base_new();
	if (a->base != NULL &&
	    trust_identity(&a->trust, id->cert, id->key) == 0)
		return 0;
	snprintf(why, why_len, "%s", err_text(ERR_NOMEM));
	return AGENT_EXIT_SYSTEM;
}

static int
add_signals(struct agent *a)
{
	static const int numbers[] = { SIGTERM, SIGINT };

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < 2; i++) {
		a->signals[i] = evsignal_new(a->base, numbers[i], on_signal, a);
		if (a->signals[i] == NULL ||
		    event_add(a->signals[i], NULL) != 0)
			return ERR_NOMEM;
	}
	return 0;
}

/* An endpoint without it can be reached all the same. */
static void
open_outbox(struct agent *a)
{
	char why[512];

	if (a->mode != AGENT_MODE_ENROLLED)
		return;
	a->outbox =
	    outbox_new(a->base, a->settings, &a->trust, why, sizeof(why));
	if (a->outbox == NULL)
		log_error("captures_off", LOG_S("reason", why));
}

static int
service_init(struct agent *a, const char *secret)
{
	const struct control_to to = { .settings = a->settings,
		.trust = &a->trust,
		.mode = a->mode,
		.secret = secret };
	struct sessions_to sessions = { .settings = a->settings,
		.trust = &a->trust,
		.base = a->base,
		.failed = on_open_failed,
		.arg = a };

	struct captures_to captures = { .base = a->base,
		.settings = a->settings,
		.said = on_capture,
		.arg = a };

	open_outbox(a);
	captures.outbox = a->outbox;
	a->captures = captures_new(&captures);
	sessions.captures = a->captures;
	a->children = children_new(a->base);
	sessions.children = a->children;
	a->sessions = sessions_new(&sessions);
	if (a->mode == AGENT_MODE_ATTENDED)
		a->window = code_window_new(
		    a->children, &a->settings->screen, on_window_closed, a);
	a->control = control_new(a->base, &to, on_control, a);
	return a->children != NULL && a->captures != NULL &&
		a->sessions != NULL && a->control != NULL && add_signals(a) == 0
	    ? 0
	    : ERR_NOMEM;
}

/* Tells the relay that the code is closed, as far as that takes no time. */
static void
say_goodbye(struct agent *a)
{
	const struct agent_msg m = { .type = AGENT_CLOSE };

	if (a->mode != AGENT_MODE_ATTENDED || a->control == NULL ||
	    control_send(a->control, &m) != 0)
		return;
	event_base_loop(a->base, EVLOOP_NONBLOCK);
}

static void
agent_release(struct agent *a)
{
	control_free(a->control);
	a->control = NULL;
	sessions_free(a->sessions);
	captures_free(a->captures);
	outbox_free(a->outbox);
	code_window_free(a->window);
	children_free(a->children);
	for (size_t i = 0; i < 2; i++)
		if (a->signals[i] != NULL)
			event_free(a->signals[i]);
	trust_release(&a->trust);
	if (a->base != NULL)
		event_base_free(a->base);
}

int
agent_run(const struct settings *s, const struct identity *id,
    enum agent_mode mode, const char *secret)
{
	struct agent a = { .settings = s, .mode = mode };
	char why[512];
	int rc = base_init(&a, id, why, sizeof(why));

	if (rc != 0) {
		fprintf(stderr, "relaycam-agent: %s\n", why);
	} else if (service_init(&a, secret) != 0) {
		rc = AGENT_EXIT_SYSTEM;
		fprintf(stderr, "relaycam-agent: %s\n", err_text(ERR_NOMEM));
	} else {
		log_info("start", LOG_S("version", RELAYCAM_VERSION),
		    LOG_S("relay", s->conf.relay),
		    LOG_U("displays", s->n_displays),
		    LOG_S("proxy", s->proxy.is_used ? s->proxy.at.host : ""));
		event_base_dispatch(a.base);
		rc = a.status;
		say_goodbye(&a);
	}
	agent_release(&a);
	return rc;
}

static void
on_enrol(void *arg, enum control_event event, const struct agent_msg *msg,
    const char *why)
{
	struct agent *a = arg;

	if (event == CONTROL_UP) {
		*a->welcome = *msg;
		stop(a, AGENT_EXIT_OK);
		return;
	}
	snprintf(a->why, a->why_len, "%s",
	    why != NULL ? why : "the relay does not answer as expected");
	stop(a,
	    event == CONTROL_REFUSED ? AGENT_EXIT_REFUSED
				     : AGENT_EXIT_UNAVAILABLE);
}

int
agent_enrol(const struct settings *s, const struct identity *id,
    const char *token, struct agent_msg *welcome, char *why, size_t why_len)
{
	const struct control_to to = { .settings = s,
		.mode = AGENT_MODE_ENROL,
		.token = token,
		.is_once = true };
	struct agent a = { .settings = s,
		.mode = AGENT_MODE_ENROL,
		.welcome = welcome,
		.why = why,
		.why_len = why_len };
	struct control_to with_trust = to;
	int rc = base_init(&a, id, why, why_len);

	if (rc == 0) {
		with_trust.trust = &a.trust;
		a.control = control_new(a.base, &with_trust, on_enrol, &a);
		rc = AGENT_EXIT_SYSTEM;
		if (a.control != NULL && add_signals(&a) == 0) {
			snprintf(why, why_len, "stopped");
			a.status = AGENT_EXIT_UNAVAILABLE;
			event_base_dispatch(a.base);
			rc = a.status;
		}
	}
	agent_release(&a);
	return rc;
}
