#include "ctl/sessions/session_command.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "ctl/names.h"
#include "ctl/pg.h"

#define ANSWER_S 5
#define ASK_MS   100

/*
 * A command, and the sign in the session's row that the relay did it ($1 the
 * session, $2 the value; NULL: there is none to wait for).
 */
struct order {
	const char *command;
	const char *done;
	const char *says; /* for people; the value follows when shown */
	bool shows_value;
};

static const struct order order_end = { "end", "s.ended_at IS NOT NULL",
	"ended" };
static const struct order order_monitor = { "monitor",
	"s.monitor = $2::integer", "shows monitor", true };
static const struct order order_frame_rate = { "frame_rate",
	"coalesce(s.frame_rate, 0) = $2::integer", "has frame rate", true };
static const struct order order_recording = { "recording",
	"s.recording = ($2 = 'start')", "recording:", true };
static const struct order order_view_only = { "view_only",
	"s.view_only = ($2 = 'on')", "view only:", true };
static const struct order order_warn = { "warn", NULL,
	"the technician is shown the warning" };

#define TIME_TEXT_MAX 48

/* Gives the order to the relay, through the database; at: when that was. */
static int
give(struct ctl *c, const struct order *o, const char *id, const char *value,
    char at[TIME_TEXT_MAX])
{
	PGresult *res =
	    PG_QUERY(c, "SELECT session_command(NULL, $1, $2, $3), now()::text",
		id, o->command, value);
	int rc = 0;

	if (res == NULL)
		return STATUS_FAILED;
	if (pg_text(res, 0, 0) != NULL)
		rc = ctl_error("session %.8s: %s", id, pg_text(res, 0, 0));
	snprintf(at, TIME_TEXT_MAX, "%s", PQgetvalue(res, 0, 1));
	PQclear(res);
	return rc;
}

/* The relay wrote why it could not be done. True after a message. */
static bool
is_refused(struct ctl *c, const struct order *o, const char *id,
    const char *value, const char *at)
{
	PGresult *res = PG_QUERY(c,
	    "SELECT a.detail->>'why' FROM sessions s JOIN audit a ON "
	    "a.team_id = s.team_id AND a.at >= $4::timestamptz WHERE s.id = $1 "
	    "AND a.action = 'session_command_refused' AND a.object = "
	    "s.id::text "
	    "AND a.detail->>'command' = $2 AND a.detail->>'value' = $3 AND "
	    "a.detail ? 'why' LIMIT 1",
	    id, o->command, value, at);
	bool refused = res == NULL || PQntuples(res) == 1;

	if (res != NULL && refused)
		ctl_error("session %.8s: %s", id, pg_text(res, 0, 0));
	PQclear(res);
	return refused;
}

/* 1 when the row shows it, 0 not yet, -1 after a message. */
static int
is_done(struct ctl *c, const struct order *o, const char *id, const char *value)
{
	char sql[256];
	PGresult *res;
	int done;

	snprintf(sql, sizeof(sql),
	    "SELECT %s, s.ended_at IS NOT NULL, $2::text FROM sessions s "
	    "WHERE s.id = $1",
	    o->done);
	res = PG_QUERY(c, sql, id, value);
	if (res == NULL)
		return -1;
	done = PQntuples(res) == 1 && *PQgetvalue(res, 0, 0) == 't';
	if (!done && PQntuples(res) == 1 && *PQgetvalue(res, 0, 1) == 't') {
		ctl_error("session %.8s has ended meanwhile", id);
		done = -1;
	}
	PQclear(res);
	return done;
}

/* Looks at the row until it shows the change. */
static int
wait_for_relay(struct ctl *c, const struct order *o, const char *id,
    const char *value, const char *at)
{
	uint64_t until = clock_mono_ns() + ANSWER_S * NS_PER_S;
	int done;

	while ((done = is_done(c, o, id, value)) == 0) {
		if (is_refused(c, o, id, value, at))
			return STATUS_FAILED;
		if (clock_mono_ns() > until)
			return ctl_error("session %.8s: the relay did not "
					 "answer within %d s; the order waits "
					 "until it is back in the database",
			    id, ANSWER_S);
		poll(NULL, 0, ASK_MS);
	}
	return done > 0 ? 0 : STATUS_FAILED;
}

static int
run(struct ctl *c, const struct args *a, const struct order *o)
{
	const char *value = a->n_words > 1 ? a->words[1] : "";
	char id[UUID_TEXT_MAX], at[TIME_TEXT_MAX];
	int rc = uuid_find(c, "sessions", "session", a->words[0], id);

	if (rc == 0)
		rc = pg_introduce(c);
	if (rc == 0)
		rc = give(c, o, id, value, at);
	if (rc == 0 && o->done != NULL)
		rc = wait_for_relay(c, o, id, value, at);
	if (rc != 0)
		return rc;
	printf("session %.8s: %s%s%s\n", id, o->says, o->shows_value ? " " : "",
	    o->shows_value ? value : "");
	return STATUS_OK;
}

int
session_run_end(struct ctl *c, const struct args *a)
{
	return run(c, a, &order_end);
}

int
session_run_monitor(struct ctl *c, const struct args *a)
{
	return run(c, a, &order_monitor);
}

int
session_run_frame_rate(struct ctl *c, const struct args *a)
{
	return run(c, a, &order_frame_rate);
}

int
session_run_recording(struct ctl *c, const struct args *a)
{
	return run(c, a, &order_recording);
}

int
session_run_view_only(struct ctl *c, const struct args *a)
{
	return run(c, a, &order_view_only);
}

int
session_run_warn(struct ctl *c, const struct args *a)
{
	return run(c, a, &order_warn);
}
