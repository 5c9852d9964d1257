/*
 * Rights that were taken back while a session runs, or on its way there: a
 * person who was disabled, a right or a role that went, an endpoint that was
 * removed or shut out, which also ends connections that wait. The database says
 * so by NOTIFY relaycam_access and decides in session_refusal(); a loop asks
 * for all of its sessions at once, again after each reconnect, when notices may
 * have been lost, and every half minute.
 */
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/db.h"
#include "common/err.h"
#include "common/log.h"
#include "relay/db_retry_queue.h"
#include "relay/session/session_internal.h"

#define EVERY_SECONDS 30
/* The technician reads why on a banner; it is in the stream when a message of
 * the endpoint's ends. One that does not end is not waited for. */
#define WORDS_MS    100
#define WORDS_TRIES 8 /* of WORDS_MS each */

enum col { SESSION, WHY, MAY_RECORD };

static const char query[] =
    "SELECT x.session, CASE WHEN x.person IS NOT NULL THEN "
    "  session_refusal(x.person, x.endpoint, x.path) "
    "WHEN NOT EXISTS (SELECT 1 FROM endpoints e WHERE e.id = x.endpoint AND "
    "  e.deleted_at IS NULL AND e.kind = 'reverse' AND encode(coalesce("
    "  e.reverse_cert_sha256, e.reverse_secret_sha256), 'hex') = x.sha256) "
    "THEN 'the endpoint was changed or removed' END, "
    "coalesce(r.record, false) FROM jsonb_to_recordset($1::jsonb) AS x "
    "(session text, person bigint, endpoint bigint, path text, sha256 text) "
    "LEFT JOIN LATERAL endpoint_rights_of(x.person, x.endpoint) r ON true";

const char *
session_path(const struct relay_session *s)
{
	static const char *const paths[] = { [ENDPOINT_DIRECT] = "direct",
		[ENDPOINT_AGENT] = "agent",
		[ENDPOINT_ATTENDED] = "attended",
		[ENDPOINT_REVERSE] = "reverse" };

	return paths[s->authorization.kind];
}

/* ---- the end of one ---- */

static void
write_revoked(struct relay_session *s, const char *why)
{
	const char *params[] = { s->id, s->name.person, s->name.endpoint, why };

	log_warn("session_revoked", LOG_S("session", s->id),
	    LOG_S("person", s->name.person),
	    LOG_S("endpoint", s->name.endpoint), LOG_S("why", why));
	db_retry_write(s->loop, "session revoked",
	    "INSERT INTO audit (team_id, actor, action, object, detail) "
	    "SELECT p.team_id, 'relay', 'session_revoked', $1, "
	    "jsonb_build_object('person', $2::text, 'endpoint', $3::text, "
	    "'why', $4::text) FROM people p WHERE p.name = $2",
	    4, params);
}

static void
on_words_time(evutil_socket_t fd, short what, void *arg)
{
	const struct timeval tv = { 0, WORDS_MS * 1000 };
	struct relay_session *s = arg;

	if (s->state != SESSION_RUNNING)
		return;
	if (!pump_may_part(&s->pump) && ++s->revoke.tries < WORDS_TRIES) {
		event_add(s->revoke.timer, &tv);
		return;
	}
	pump_part(&s->pump, "revoked", s->revoke.why);
}

/* Input ends now; pictures when the banner is in the stream. */
static void
end_with_words(struct relay_session *s, const char *why)
{
	s->revoke.why = strdup(why);
	s->revoke.timer = evtimer_new(s->loop->base, on_words_time, s);
	if (s->revoke.why == NULL || s->revoke.timer == NULL) {
		session_end(s, "revoked", why);
		return;
	}
	s->is_view_held = true;
	pump_set_view_only(&s->pump, true);
	if (s->state == SESSION_RUNNING && !pump_may_part(&s->pump))
		pump_show_banner(&s->pump, why, 0);
	if (s->state == SESSION_RUNNING)
		on_words_time(-1, 0, s);
}

static void
revoke(struct relay_session *s, const char *why)
{
	if (s->revoke.is_begun)
		return;
	s->revoke.is_begun = true;
	write_revoked(s, why);
	if (s->state != SESSION_RUNNING)
		session_fail(s, "revoked", why);
	else if (s->door == SESSION_BY_BROWSER)
		session_end(s, "revoked", why);
	else
		end_with_words(s, why);
}

void
session_access_release(struct relay_session *s)
{
	if (s->revoke.timer != NULL)
		event_free(s->revoke.timer);
	s->revoke.timer = NULL;
	free(s->revoke.why);
	s->revoke.why = NULL;
}

/* ---- all of a loop ---- */

/* Has an endpoint, and a person or a place among those that wait for one. */
static bool
is_checked(const struct relay_session *s)
{
	if (s->authorization.endpoint_id == 0 || s->revoke.is_begun)
		return false;
	if (s->state == SESSION_PARKED)
		return true;
	return s->is_authenticated && s->authorization.person_id != 0 &&
	    s->state >= SESSION_CHECK && s->state <= SESSION_RUNNING;
}

/* C1: what is being recorded by hand goes on; nobody may start or stop it. */
static void
set_may_record(struct relay_session *s, bool may)
{
	if (s->authorization.may_record == may)
		return;
	s->authorization.may_record = may;
	if (s->state == SESSION_RUNNING)
		session_browser_status(s);
}

static void
take_row(struct loop *l, const PGresult *res, int row)
{
	struct relay_session *s =
	    session_find(l, PQgetvalue(res, row, SESSION));

	if (s == NULL || !is_checked(s))
		return;
	if (s->state == SESSION_PARKED && !PQgetisnull(res, row, WHY))
		session_end(s, "command", PQgetvalue(res, row, WHY));
	else if (!PQgetisnull(res, row, WHY))
		revoke(s, PQgetvalue(res, row, WHY));
	else
		set_may_record(s, *PQgetvalue(res, row, MAY_RECORD) == 't');
}

static void
on_answer(void *arg, PGresult *res)
{
	struct loop *l = arg;

	l->access.is_asking = false;
	/* a lost connection asks again when it is back */
	if (l->is_closing || !db_ok(res, "rights of running sessions"))
		return;
	for (int i = 0; i < PQntuples(res); i++)
		take_row(l, res, i);
	if (l->access.is_due)
		session_access_check(l);
}

static json_t *
describe(const struct relay_session *s)
{
	const struct authorization *a = &s->authorization;

	if (s->state == SESSION_PARKED)
		return json_pack("{s:s s:I s:s?}", "session", s->id, "endpoint",
		    (json_int_t)a->endpoint_id, "sha256", a->reverse_sha256);
	return json_pack("{s:s s:I s:I s:s}", "session", s->id, "person",
	    (json_int_t)a->person_id, "endpoint", (json_int_t)a->endpoint_id,
	    "path", session_path(s));
}

static json_t *
checked_ones(struct loop *l)
{
	json_t *list = json_array();
	struct relay_session *s;

	TAILQ_FOREACH(s, &l->sessions, link)
		if (is_checked(s))
			json_array_append_new(list, describe(s));
	return list;
}

void
session_access_check(struct loop *l)
{
	json_t *list;
	char *text;
	const char *params[1];

	l->access.is_due = l->access.is_asking;
	if (l->access.is_asking)
		return;
	list = checked_ones(l);
	text =
	    json_array_size(list) > 0 ? json_dumps(list, JSON_COMPACT) : NULL;
	params[0] = text;
	l->access.is_asking = text != NULL &&
	    db_query_now(l->db, query, 1, params, on_answer, l) == 0;
	free(text);
	json_decref(list);
}

static void
on_time(evutil_socket_t fd, short what, void *arg)
{
	session_access_check(arg);
}

static void
on_notice(void *loop, const char *channel, const char *payload)
{
	session_access_check(loop);
}

int
session_access_init(struct loop *l)
{
	const struct timeval tv = { EVERY_SECONDS, 0 };

	l->access.timer = event_new(l->base, -1, EV_PERSIST, on_time, l);
	if (l->access.timer == NULL || event_add(l->access.timer, &tv) != 0)
		return ERR_NOMEM;
	return db_listen(l->db, "relaycam_access", on_notice, l);
}

void
session_access_stop(struct loop *l)
{
	if (l->access.timer != NULL)
		event_free(l->access.timer);
	l->access.timer = NULL;
}
