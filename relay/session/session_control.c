/* Commands to a running session, from the database, the page or its clocks:
 * what may be done is decided by session_command() in the database, or here
 * for the technician's own page. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/db.h"
#include "common/err.h"
#include "common/json.h"
#include "common/log.h"
#include "relay/db_retry_queue.h"
#include "relay/session/session_internal.h"

#define FRAME_RATE_MAX     60
#define LAST_WORDS_SECONDS 3

void
session_status_changed(struct relay_session *s)
{
	char monitor[12], rate[12];
	const char *params[] = { s->id, monitor,
		s->pump.rate != 0 ? rate : NULL,
		s->pump.is_view_only ? "t" : "f", s->is_recording ? "t" : "f" };

	if (s->state != SESSION_RUNNING)
		return;
	snprintf(monitor, sizeof(monitor), "%u", pump_monitor(&s->pump));
	snprintf(rate, sizeof(rate), "%u", s->pump.rate);
	db_retry_write_state(s->loop, "session state",
	    "UPDATE sessions SET monitor = $2, frame_rate = $3, view_only = "
	    "$4, recording = $5 WHERE id = $1",
	    5, params);
	session_browser_status(s);
}

/* ---- commands ---- */

/* A number up to max, or -1. */
static int
number(const char *value, unsigned max)
{
	char *end;
	unsigned long n = strtoul(value, &end, 10);

	return value[0] >= '0' && value[0] <= '9' && *end == '\0' && n <= max
	    ? (int)n
	    : -1;
}

/* Each returns NULL, or why it is refused. */

static const char *
set_monitor(struct relay_session *s, const char *value)
{
	int n = number(value, LOGIN_MONITOR_MAX);
	int rc = n < 0 ? ERR_NOTFOUND : pump_set_monitor(&s->pump, (unsigned)n);

	if (rc == ERR_NOTFOUND)
		return "there is no such monitor";
	if (rc == ERR_UNSUPPORTED)
		return "this viewer cannot change the size of its desktop, so "
		       "it shows all monitors";
	return rc != 0 ? "the monitor cannot be changed now" : NULL;
}

static const char *
set_rate(struct relay_session *s, const char *value)
{
	int n = number(value, FRAME_RATE_MAX);

	if (n < 0)
		return "a frame rate is 1 to 60, or 0 for any";
	s->pump.rate = (unsigned)n;
	pump_set_frame_rate(&s->pump, s->pump.rate);
	session_status_changed(s);
	return NULL;
}

/* What somebody else set, the technician cannot lift. */
static const char *
set_view_only(struct relay_session *s, const char *value)
{
	bool is_technician = s->order == NULL || s->order->is_own;
	bool on = strcmp(value, "on") == 0;

	if (!on && strcmp(value, "off") != 0)
		return "view only is on or off";
	if (!on && s->is_view_forced)
		return "the person at the endpoint allowed to look only (C3)";
	if (!on && s->is_view_held && is_technician)
		return "an administrator set view only for this session";
	if (!is_technician)
		s->is_view_held = on;
	pump_set_view_only(&s->pump, on);
	session_status_changed(s);
	return NULL;
}

static const char *
set_recording(struct relay_session *s, const char *value, const char *by)
{
	bool on = strcmp(value, "start") == 0;
	const char *why = NULL;
	const char *params[] = { s->id, by,
		on ? "recording_started" : "recording_stopped" };

	if (!on && strcmp(value, "stop") != 0)
		return "recording is started or stopped";
	if (db_retry_is_full(s->loop) || (on && !db_is_connected(s->loop->db)))
		return "the relay's database is away, so nobody can be told "
		       "now that it is recorded";
	if (session_record_switch(s, on, &why) == 0)
		db_retry_write(s->loop, "recording by hand",
		    "INSERT INTO audit (team_id, actor, action, object) "
		    "SELECT team_id, $2, $3, id::text FROM sessions WHERE id = "
		    "$1",
		    3, params);
	return why;
}

void
session_warn(struct relay_session *s, const char *text, unsigned seconds)
{
	log_info(
	    "session_warned", LOG_S("session", s->id), LOG_S("text", text));
	if (s->door == SESSION_BY_BROWSER)
		session_browser_warning(s, text, seconds);
	else
		pump_show_banner(&s->pump, text, seconds);
}

static const char *
obey(struct relay_session *s, const char *command, const char *value,
    const char *by)
{
	if (s->state != SESSION_RUNNING)
		return "the session does not run yet";
	if (strcmp(command, "monitor") == 0)
		return set_monitor(s, value);
	if (strcmp(command, "frame_rate") == 0)
		return set_rate(s, value);
	if (strcmp(command, "view_only") == 0)
		return set_view_only(s, value);
	if (strcmp(command, "recording") == 0)
		return set_recording(s, value, by);
	if (strcmp(command, "warn") != 0 || s->order == NULL)
		return "the relay does not know that command";
	session_warn(s, value, SESSION_WARNING_SECONDS);
	return NULL;
}

static void
obey_and_tell(struct relay_session *s, const char *command, const char *value,
    const char *by)
{
	const char *why = obey(s, command, value, by);

	session_audit_order(s,
	    s->order != NULL ? ORDER_FROM_COMMAND : ORDER_FROM_PAGE, by,
	    command, value, why);
	if (why == NULL)
		return;
	log_info("session_command_refused", LOG_S("session", s->id),
	    LOG_S("why", why));
	session_browser_send(
	    s, json_pack("{s:s s:s}", "type", "error", "text", why));
}

/* Carries out an order of the technician's page or one that came through the
 * database, which is in s->order then. */
void
session_command(struct relay_session *s, const char *command, const char *value,
    const char *by)
{
	if (strcmp(command, "end") == 0)
		session_end_by_command(
		    s, *value != '\0' ? value : "the session was ended");
	else
		obey_and_tell(s, command, value, by);
}

/* ---- clocks ---- */

/* So long before the end, by the session's clock. 0 is the end. */
static void
set_timer(const struct relay_session *s, struct event *timer, int64_t before_s)
{
	uint64_t at = s->start_mono_ns +
	    (uint64_t)(s->authorization.max_session_s - before_s) * NS_PER_S;
	uint64_t now = clock_mono_ns(), left = at > now ? at - now : 0;
	const struct timeval tv = { (time_t)(left / NS_PER_S),
		(suseconds_t)(left % NS_PER_S / 1000) };

	event_add(timer, &tv);
}

void
session_clocks_set(struct relay_session *s)
{
	if (s->authorization.max_session_s <= 0)
		return;
	set_timer(s, s->deadline, 0);
	if (s->words == WORDS_WARNING)
		set_timer(s, s->warn_timer, s->authorization.warn_s);
	else if (s->words == WORDS_LAST)
		set_timer(s, s->warn_timer, LAST_WORDS_SECONDS);
}

static void
show_warning(struct relay_session *s)
{
	char text[200];
	long long left = (long long)s->authorization.warn_s;

	if (left >= 120)
		snprintf(text, sizeof(text),
		    "This session reaches its maximum duration in %lld "
		    "minutes and will then be closed.",
		    left / 60);
	else
		snprintf(text, sizeof(text),
		    "This session reaches its maximum duration in %lld "
		    "seconds and will then be closed.",
		    left);
	session_warn(s, text, SESSION_WARNING_SECONDS);
}

/* The warning; and at the end the last words, for viewers that only see the
 * connection close. */
static void
on_words_time(evutil_socket_t fd, short what, void *arg)
{
	struct relay_session *s = arg;
	bool is_warning = s->words == WORDS_WARNING;

	if (s->state != SESSION_RUNNING)
		return;
	s->words = is_warning && s->authorization.warn_s > LAST_WORDS_SECONDS &&
		s->door != SESSION_BY_BROWSER
	    ? WORDS_LAST
	    : WORDS_NONE;
	if (is_warning)
		show_warning(s);
	else
		pump_show_banner(&s->pump,
		    "This session has reached its maximum duration and is "
		    "closed now.",
		    0);
	if (s->state == SESSION_RUNNING)
		session_clocks_set(s);
}

void
session_clocks_start(struct relay_session *s)
{
	int64_t warn_s = s->authorization.warn_s;

	s->warn_timer = evtimer_new(s->loop->base, on_words_time, s);
	if (s->warn_timer != NULL && warn_s > 0 &&
	    warn_s < s->authorization.max_session_s)
		s->words = WORDS_WARNING;
	session_clocks_set(s);
}
