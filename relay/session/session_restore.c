/* Rows of what runs here and was written off: by a relay that took this one
 * for dead while it could not reach the database. */
#include <jansson.h>

#include "common/db.h"
#include "common/log.h"
#include "relay/restore.h"
#include "relay/session/session_internal.h"

static void
on_restored(void *arg, PGresult *res)
{
	if (db_ok(res, "sessions that run") && *PQcmdTuples(res) != '0')
		log_warn(
		    "sessions_restored", LOG_S("sessions", PQcmdTuples(res)));
}

static json_t *
running(const struct loop *l)
{
	json_t *list = json_array();
	const struct relay_session *s;

	TAILQ_FOREACH(s, &l->sessions, link)
		if (s->has_row)
			json_array_append_new(list,
			    json_pack("{s:s s:b}", "id", s->id, "recording",
				s->is_recording));
	return list;
}

static json_t *
parked(const struct loop *l)
{
	json_t *list = json_array();
	const struct relay_session *s;

	TAILQ_FOREACH(s, &l->sessions, link)
		if (s->is_parked)
			json_array_append_new(list,
			    json_pack("{s:I}", "id",
				(json_int_t)s->authorization.endpoint_id));
	return list;
}

/* What the end user's indicator was not told (C4). */
static void
show_indicators(struct loop *l)
{
	struct relay_session *s;

	TAILQ_FOREACH(s, &l->sessions, link)
		if (s->state == SESSION_RUNNING)
			session_agent_indicator(s);
}

void
sessions_restore(struct loop *l)
{
	show_indicators(l);
	restore_rows(l, running(l),
	    "WITH u AS (UPDATE sessions s SET ended_at = NULL, end_code = "
	    "NULL, end_reason = NULL, ended_mono_ns = NULL, lost_at = NULL, "
	    "recording = "
	    "x.recording FROM jsonb_to_recordset($1::jsonb) x (id uuid, "
	    "recording boolean) WHERE s.id = x.id AND s.node_id = $2 AND "
	    "s.end_code = 'node_lost' RETURNING s.id, s.team_id) INSERT INTO "
	    "audit (team_id, actor, action, object, detail) SELECT team_id, "
	    "'relay', 'session_lost_corrected', id::text, "
	    "jsonb_build_object('why', 'its relay carries it still') FROM u",
	    on_restored);
	restore_rows(l, parked(l),
	    "UPDATE endpoints e SET parked_node = $2, parked_at = "
	    "clock_timestamp() FROM (SELECT DISTINCT id FROM "
	    "jsonb_to_recordset($1::jsonb) y (id bigint)) x WHERE e.id = x.id "
	    "AND e.kind = 'reverse' AND e.deleted_at IS NULL AND "
	    "e.parked_node IS NULL",
	    NULL);
}
