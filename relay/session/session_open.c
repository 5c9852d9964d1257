/* The session's row, and how it is recorded: decided once, at its beginning. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/db.h"
#include "common/err.h"
#include "common/log.h"
#include "relay/db_retry_queue.h"
#include "relay/session/session_internal.h"

#define START_SLACK_SECONDS 5

static const char so[] =
    "so the session could not be noted; new sessions are refused until it is "
    "back";

/*
 * Encoded while it runs, or later. Recorders that take another's place go on
 * as it did. What is recorded by hand is
 * always live, as a capture would keep what nobody asked to record.
 */
static void
choose_mode(struct relay_session *s)
{
	struct relay *r = s->loop->relay;
	uint64_t bytes = session_live_bytes(s->width, s->height);
	const char *why = NULL;

	if (!s->is_recorded)
		live_budget_take_anyway(&r->live, &s->live_share, bytes);
	else if (strcmp(r->conf.recording_mode, "capture") == 0)
		why = "recording_mode";
	else
		why = live_budget_take(&r->live, &s->live_share, bytes);
	s->is_captured = why != NULL;
	if (why == NULL)
		return;
	atomic_fetch_add(&r->stats.captures, 1);
	log_info(
	    "session_captured", LOG_S("session", s->id), LOG_S("setting", why));
}

static int
start_ring(struct relay_session *s)
{
	return ring_init(
	    &s->pump.ring, (size_t)s->loop->relay->conf.ring_bytes, NULL);
}

static int
start_recorder(struct relay_session *s)
{
	struct relay *r = s->loop->relay;

	if (start_ring(s) != 0)
		return ERR_NOMEM;
	tee_writer_set_attached(s->pump.ring.tee, true);
	choose_mode(s);
	return session_record_start(s, false, r->conf.recorder_seconds);
}

static void
on_row(void *arg, PGresult *res)
{
	struct relay_session *s = arg;

	if (s->state != SESSION_OPEN)
		goto out;
	s->is_row_unsure = res == NULL;
	if (!db_ok(res, "session row")) {
		s->has_row = s->is_row_unsure;
		session_refuse_away(s, res, so);
		goto out;
	}
	if (!PQgetisnull(res, 0, 0)) {
		s->has_row = false;
		session_refuse(s, PQgetvalue(res, 0, 0));
		goto out;
	}
	s->is_recorded = s->authorization.recording;
	s->is_quota_full = !PQgetisnull(res, 0, 1);
	if (s->is_quota_full && s->is_recorded) { /* as when there is no room */
		session_record_lost(s, PQgetvalue(res, 0, 1));
		goto out;
	}
	/* by hand: it attaches all the same, streams cannot be joined later */
	if (!s->is_recorded && !session_may_record_by_hand(s)) {
		session_accept_viewer(s);
		goto out;
	}
	/* the recorder's own time ends before the state's */
	session_set_state(s, SESSION_OPEN,
	    s->loop->relay->conf.recorder_seconds + START_SLACK_SECONDS);
	if (session_device_is_alone(s)) {
		if (start_ring(s) == 0)
			session_device_start(s);
		else
			session_record_lost(s, err_text(ERR_NOMEM));
		goto out;
	}
	session_device_start(s);
	if (start_recorder(s) != 0)
		session_recorder_dead(s, "the recorder could not be started");
out:
	session_unref(s);
}

/* Names need not be UTF-8; rows and JSON must be. */
static int
keep_name(struct relay_session *s, const struct rfb_server_init *init)
{
	char *name = malloc(init->name_len + 1);

	if (name == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i <= init->name_len; i++)
		name[i] = (signed char)init->name[i] < 0 ? '?' : init->name[i];
	s->desktop_name = name;
	return 0;
}

/* T4: the technician reads why. */
static bool
is_too_large(struct relay_session *s, const struct rfb_server_init *init)
{
	char why[PUMP_SIZE_TEXT];

	if (session_size_is_allowed(s, init->width, init->height))
		return false;
	session_size_say(s, init->width, init->height, why);
	session_endpoint_refuse(s, "has too large a screen", why);
	return true;
}

/* What the row says from its beginning, parameters 1 to 17. */
struct row {
	const char *params[21];
	char team[24], endpoint[24], person[24], wall[40];
};

_Static_assert(sizeof(((struct row *)NULL)->params) <=
	DB_RETRY_PARAMS_MAX * sizeof(const char *),
    "session_write_unsure_end() writes all of them");

static void
fill_row(struct row *r, const struct relay_session *s)
{
	static const char *const doors[] = { [SESSION_BY_VNC] = "vnc",
		[SESSION_BY_VNC_AUTH] = "vnc_auth",
		[SESSION_BY_NOVNC] = "browser",
		[SESSION_BY_BROWSER] = "browser" };
	const struct authorization *a = &s->authorization;
	const char *params[] = { s->id, r->team, r->endpoint, r->person,
		s->loop->relay->node_id, a->access, a->recording ? "t" : "f",
		s->client_addr, s->desktop_name, r->wall, s->name.person,
		s->name.endpoint, session_path(s), doors[s->door],
		s->consent[0] != '\0' ? s->consent : NULL,
		s->is_view_forced ? "t" : "f",
		s->trace_id[0] != '\0' ? s->trace_id : NULL };

	memcpy(r->params, params, sizeof(params));
	snprintf(r->team, sizeof(r->team), "%lld", (long long)a->team_id);
	snprintf(r->endpoint, sizeof(r->endpoint), "%lld",
	    (long long)a->endpoint_id);
	snprintf(r->person, sizeof(r->person), "%lld", (long long)a->person_id);
	snprintf(
	    r->wall, sizeof(r->wall), "%.6f", (double)s->start_wall_ns / 1e9);
}

#define START_AUDIT                                                            \
	"INSERT INTO audit (team_id, actor, action, object, detail) SELECT "   \
	"team_id, $11::text, 'session_start', $1::text, jsonb_build_object("   \
	"'endpoint', $12::text, 'recorded', $7::boolean, 'client', $8::text) " \
	"FROM i"

void
session_open(struct relay_session *s)
{
	const struct rfb_server_init *init =
	    rfb_handshake_client_init(s->endpoint_handshake);
	struct row r;

	if (is_too_large(s, init))
		return;
	if (keep_name(s, init) != 0) {
		session_refuse(s, "the relay is out of memory");
		return;
	}
	authorization_forget_secrets(&s->authorization);
	session_configure_pump(s);
	s->width = init->width;
	s->height = init->height;
	s->start_mono_ns = clock_mono_ns();
	s->start_wall_ns = clock_wall_ns();
	fill_row(&r, s);
	session_set_state(s, SESSION_OPEN, s->loop->relay->conf.login_seconds);
	session_ref(s);
	/* what was taken back since the login is seen here; later on the
	 * notice of it finds this session */
	if (db_query_now(s->loop->db,
		"WITH w AS (SELECT session_refusal($4::bigint, $3::bigint, "
		"$13::text) AS why), i AS (INSERT INTO sessions (id, team_id, "
		"endpoint_id, person_id, node_id, access, recorded, "
		"client_addr, desktop_name, started_at, path, door, consent, "
		"view_only, recording, trace_id) SELECT $1::uuid, $2::bigint, "
		"$3::bigint, $4::bigint, $5::uuid, $6::text, $7::boolean, "
		"$8::text, $9::text, to_timestamp($10::float8), $13::text, "
		"$14::text, $15::text, $16::boolean, $7::boolean, $17::text "
		"FROM w WHERE w.why IS NULL RETURNING team_id), a AS "
		"(" START_AUDIT
		") SELECT why, quota_refusal($2::bigint) FROM w",
		17, r.params, on_row, s) != 0) {
		session_refuse_away(s, NULL, so);
		session_unref(s);
		return;
	}
	/* from here on it may exist */
	s->has_row = s->is_row_unsure = true;
}

/*
 * The server may have carried out the beginning, or do so when it wakes up:
 * then it finds this row, and fails.
 */
void
session_write_unsure_end(struct relay_session *s, const char *code,
    const char *reason, const char *wall, const char *mono)
{
	struct row r;

	fill_row(&r, s);
	r.params[17] = wall;
	r.params[18] = code;
	r.params[19] = reason;
	r.params[20] = mono;
	db_retry_write(s->loop, "session that never began",
	    "WITH i AS (INSERT INTO sessions AS s (id, team_id, endpoint_id, "
	    "person_id, node_id, access, recorded, client_addr, desktop_name, "
	    "started_at, path, door, consent, view_only, trace_id, ended_at, "
	    "end_code, end_reason, ended_mono_ns) VALUES ($1::uuid, $2, $3, "
	    "$4, $5, $6, $7::boolean, $8, $9, to_timestamp($10), $13, $14, "
	    "$15, $16, $17, to_timestamp($18), $19, $20, $21) ON CONFLICT (id) "
	    "DO UPDATE SET "
	    "ended_at = excluded.ended_at, end_code = excluded.end_code, "
	    "end_reason = excluded.end_reason, ended_mono_ns = "
	    "excluded.ended_mono_ns, recording = false WHERE s.ended_at IS "
	    "NULL RETURNING s.team_id, s.xmax = 0 AS is_new), a "
	    "AS (" START_AUDIT " WHERE is_new) "
	    "INSERT INTO audit (team_id, actor, action, object, detail) "
	    "SELECT team_id, $11, 'session_end', $1::text, jsonb_build_object("
	    "'code', $19::text, 'reason', $20::text) FROM i",
	    21, r.params);
}
