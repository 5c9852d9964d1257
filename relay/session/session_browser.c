/* Our page in a browser: JSON beside the RFB stream, docs/browser-viewer.md.
 * A text message is taken from inside of reading, when nothing may be freed,
 * so what it asks for is done a turn later, in order. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/json.h"
#include "common/log.h"
#include "relay/base/loop_ref.h"
#include "relay/session/session_internal.h"
#include "relay/pump/view.h"
#include "relay/http/websocket.h"
#include "rfb/handshake_client.h"
#include "rfb/handshake_server.h"

/* Text messages that wait for their turn; a page sends a few. */
#define WAITING_MAX 32

struct request {
	struct job job;
	struct relay_session *session;
	json_t *json;
};

void
session_browser_send(struct relay_session *s, json_t *take)
{
	char *text = take != NULL ? json_dumps(take, JSON_COMPACT) : NULL;

	if (text != NULL && s->pump.viewer.ws != NULL &&
	    s->door == SESSION_BY_BROWSER) {
		ws_send_text(s->pump.viewer.ws, text, strlen(text));
		if (channel_wants_write(&s->pump.viewer))
			event_add(s->pump.viewer.writable, NULL);
	}
	free(text);
	json_decref(take);
}

void
session_browser_end(struct relay_session *s, const char *type, const char *code,
    const char *reason)
{
	if (s->pump.viewer.ws == NULL)
		return;
	session_browser_send(s,
	    json_pack(
		"{s:s s:s s:s}", "type", type, "code", code, "reason", reason));
	ws_close(s->pump.viewer.ws,
	    strcmp(code, "error") == 0 ? WS_POLICY : WS_NORMAL, reason);
}

void
session_browser_warning(
    struct relay_session *s, const char *text, unsigned seconds)
{
	session_browser_send(s,
	    json_pack("{s:s s:s s:i}", "type", "warning", "text", text,
		"seconds", (int)seconds));
}

static json_t *
monitors(const struct relay_session *s)
{
	json_t *list = json_array();
	unsigned n;
	const struct view_monitor *m = pump_monitors(&s->pump, &n);

	for (unsigned i = 0; i < n; i++)
		json_array_append_new(list,
		    json_pack("{s:i s:s s:i s:i s:i s:i}", "index", (int)i + 1,
			"name", "", "x", (int)m[i].x, "y", (int)m[i].y, "w",
			(int)m[i].w, "h", (int)m[i].h));
	return list;
}

static json_t *
time_left(const struct relay_session *s)
{
	uint64_t run = (clock_mono_ns() - s->start_mono_ns) / NS_PER_S;

	return json_integer(s->authorization.max_session_s - (json_int_t)run);
}

static json_t *
status(const struct relay_session *s, const char *type)
{
	const struct authorization *a = &s->authorization;
	const char *policy = a->recording ? "always"
	    : a->manual_recording         ? "manual"
					  : "off";

	return json_pack(
	    "{s:s s:s s:s s:s s:s s:b s:s s:b s:b s:b s:s s:i s:o s:i s:o}",
	    "type", type, "session", s->id, "endpoint", s->name.endpoint,
	    "person", s->name.person, "team", a->team, "recording",
	    s->is_recording, "recording_policy", policy, "may_record",
	    a->may_record && !s->is_view_forced, "view_only",
	    s->pump.is_view_only, "view_only_forced",
	    s->is_view_forced || s->is_view_held, "clipboard",
	    clipboard_setting(pump_clipboard_ways(&s->pump)), "monitor",
	    (int)pump_monitor(&s->pump), "monitors", monitors(s), "frame_rate",
	    (int)s->pump.rate, "time_left_s", time_left(s));
}

void
session_browser_status(struct relay_session *s)
{
	if (s->door == SESSION_BY_BROWSER && s->pump.viewer.ws != NULL)
		session_browser_send(s, status(s, "status"));
}

int
session_browser_accept(struct relay_session *s)
{
	session_browser_send(s, status(s, "accepted"));
	s->viewer_handshake =
	    rfb_handshake_server_new_authenticated(&s->pump.viewer.out);
	if (s->viewer_handshake == NULL)
		return ERR_NOMEM;
	/* takes effect once the viewer has chosen "none" */
	return rfb_handshake_server_accept(s->viewer_handshake);
}

/* ---- what the page asks for ---- */

static void
log_in(struct relay_session *s, const json_t *o)
{
	const char *ticket = json_text_or_empty(o, "ticket");

	if (strcmp(json_text_or_empty(o, "type"), "login") != 0)
		session_refuse(s, "the page did not log in");
	else if (*ticket != '\0' && !ticket_is_one(ticket))
		session_refuse(s, "that is not a ticket");
	else if (*ticket != '\0')
		session_login_as(s, "", strdup(ticket));
	else
		session_login_as(s, json_text_or_empty(o, "user"),
		    strdup(json_text_or_empty(o, "password")));
}

static void
obey(struct relay_session *s, const json_t *o)
{
	static const struct {
		const char *type, *key;
	} commands[] = { { "monitor", "index" }, { "frame_rate", "fps" },
		{ "recording", "do" }, { "view_only", "on" } };
	char value[32] = "";

	if (strcmp(json_text_or_empty(o, "type"), "end") == 0) {
		session_end(s, "normal", "the technician disconnected");
		return;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		const json_t *v = json_object_get(o, commands[i].key);

		if (strcmp(json_text_or_empty(o, "type"), commands[i].type) !=
		    0)
			continue;
		if (json_is_integer(v))
			snprintf(value, sizeof(value), "%lld",
			    (long long)json_integer_value(v));
		else if (json_is_boolean(v))
			strcpy(value, json_is_true(v) ? "on" : "off");
		else if (json_is_string(v))
			snprintf(
			    value, sizeof(value), "%s", json_string_value(v));
		session_command(s, commands[i].type, value, s->name.person);
		return;
	}
	session_command(
	    s, "unknown", json_text_or_empty(o, "type"), s->name.person);
}

static void
wipe_strings(json_t *o)
{
	const char *key;
	json_t *v;

	json_object_foreach(o, key, v)
		if (json_is_string(v))
			wipe((char *)json_string_value(v),
			    json_string_length(v));
}

static void
handle(struct job *j)
{
	struct request *r = (struct request *)j;
	struct relay_session *s = r->session;

	s->n_requests--;
	if (s->state == SESSION_LOGIN && s->door == SESSION_BY_BROWSER)
		log_in(s, r->json);
	else if (s->state == SESSION_RUNNING)
		obey(s, r->json);
	wipe_strings(r->json); /* a password may be in it */
	json_decref(r->json);
	free(r);
	session_unref(s);
}

void
on_browser_text(void *arg, const char *json, size_t len)
{
	struct relay_session *s = arg;
	struct request *r;
	json_t *o = json_loadb(json, len, 0, NULL);

	if (s->door != SESSION_BY_BROWSER || !json_is_object(o) ||
	    s->n_requests >= WAITING_MAX) {
		json_decref(o);
		return;
	}
	r = calloc(1, sizeof(*r));
	if (r == NULL) {
		json_decref(o);
		return;
	}
	r->job.done = handle;
	r->session = s;
	r->json = o;
	s->n_requests++;
	session_ref(s);
	loop_post(s->loop, &r->job);
}
