/*
 * Orders to running sessions that came through the database. They wait in
 * session_orders until they are carried out: NOTIFY relaycam_session, and each
 * new connection to the database, has a loop ask for those of its sessions.
 * What was carried out is deleted by the next question; until that is answered
 * the loop remembers it, so nothing is carried out twice.
 */
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/db.h"
#include "common/err.h"
#include "common/json.h"
#include "common/log.h"
#include "relay/session/session_internal.h"

/* Nobody waits for a warning any more that is older. */
#define WARN_SECONDS 60

enum col { ID, SESSION, COMMAND, VALUE, BY, IS_OWN, IS_STALE };

static const char query[] =
    "WITH gone AS (DELETE FROM session_orders o USING sessions s "
    "  WHERE s.id = o.session_id AND (o.id = ANY($2::bigint[]) OR "
    "  s.ended_at IS NOT NULL AND (s.node_id = $3 OR s.ended_at < now() - "
    "  interval '1 hour'))) "
    "SELECT id, session_id, command, value, given_by, is_own, command = "
    "'warn' AND given_at < clock_timestamp() - $4 * interval '1 s' "
    "FROM session_orders WHERE session_id = ANY($1::uuid[]) AND NOT id = "
    "ANY($2::bigint[]) ORDER BY id";

/* ---- what was carried out ---- */

/* Makes room for one more. 0 or ERR_NOMEM. */
static int
reserve(struct session_orders *o)
{
	size_t cap = o->cap == 0 ? 16 : 2 * o->cap;
	int64_t *done;

	if (o->n_done < o->cap)
		return 0;
	done = realloc(o->done, cap * sizeof(*done));
	if (done == NULL)
		return ERR_NOMEM;
	o->done = done;
	o->cap = cap;
	return 0;
}

/* PostgreSQL's array of what was carried out, "{}" when nothing was; to be
 * freed. NULL for memory. */
static char *
done_array(const struct session_orders *o)
{
	size_t len = 3 + o->n_done * 21, at = 1;
	char *text = malloc(len);

	if (text == NULL)
		return NULL;
	text[0] = '{';
	for (size_t i = 0; i < o->n_done; i++)
		at += (size_t)snprintf(text + at, len - at, "%s%lld",
		    i > 0 ? "," : "", (long long)o->done[i]);
	strcpy(text + at, "}");
	return text;
}

/* The same of the sessions of this loop. */
static char *
session_array(struct loop *l)
{
	size_t n = 0, at = 1;
	struct relay_session *s;
	char *text;

	TAILQ_FOREACH(s, &l->sessions, link)
		n++;
	text = malloc(3 + n * UUID_TEXT_MAX);
	if (text == NULL)
		return NULL;
	text[0] = '{';
	TAILQ_FOREACH(s, &l->sessions, link)
		if (s->has_row)
			at += (size_t)sprintf(
			    text + at, "%s%s", at > 1 ? "," : "", s->id);
	strcpy(text + at, "}");
	return text;
}

/* ---- the question ---- */

static void
carry_out(struct loop *l, const PGresult *res, int row)
{
	const struct session_order order = { PQgetvalue(res, row, COMMAND),
		PQgetvalue(res, row, VALUE), PQgetvalue(res, row, BY),
		*PQgetvalue(res, row, IS_OWN) == 't' };
	struct relay_session *s =
	    session_find(l, PQgetvalue(res, row, SESSION));

	if (s == NULL || reserve(&l->orders) != 0)
		return;
	l->orders.done[l->orders.n_done++] =
	    strtoll(PQgetvalue(res, row, ID), NULL, 10);
	if (*PQgetvalue(res, row, IS_STALE) == 't') {
		log_info("session_warning_stale", LOG_S("session", s->id));
		return;
	}
	s->order = &order;
	session_command(s, order.command, order.value, order.by);
	s->order = NULL;
}

static void
on_answer(void *arg, PGresult *res)
{
	struct loop *l = arg;
	struct session_orders *o = &l->orders;

	o->is_asking = false;
	/* a lost connection asks again when it is back */
	if (l->is_closing || !db_ok(res, "orders to sessions"))
		return;
	if (o->n_asked > 0)
		memmove(o->done, o->done + o->n_asked,
		    (o->n_done - o->n_asked) * sizeof(*o->done));
	o->n_done -= o->n_asked;
	o->n_asked = 0;
	for (int i = 0; i < PQntuples(res); i++)
		carry_out(l, res, i);
	if (o->is_due || o->n_done > 0)
		session_orders_check(l);
}

void
session_orders_check(struct loop *l)
{
	struct session_orders *o = &l->orders;
	char seconds[12], *sessions, *done;
	const char *params[4];

	o->is_due = o->is_asking;
	if (o->is_asking)
		return;
	snprintf(seconds, sizeof(seconds), "%d", WARN_SECONDS);
	sessions = session_array(l);
	done = done_array(o);
	params[0] = sessions;
	params[1] = done;
	params[2] = l->relay->node_id;
	params[3] = seconds;
	o->n_asked = o->n_done;
	o->is_asking = sessions != NULL && done != NULL &&
	    (sessions[1] != '}' || o->n_done > 0) &&
	    db_query_now(
		l->db, query, N_ELEMENTS(params), params, on_answer, l) == 0;
	free(sessions);
	free(done);
}

/* ---- notices ---- */

/* The agent could not open it. It concerns nobody when it is too late. */
static void
take_failure(struct relay_session *s, const char *why)
{
	char reason[700];

	snprintf(reason, sizeof(reason), "endpoint %s cannot be used: %s",
	    s->name.endpoint, why);
	if (s->state == SESSION_AGENT)
		session_refuse(s, reason);
}

static void
on_notice(void *loop, const char *channel, const char *payload)
{
	struct loop *l = loop;
	json_t *o = json_loads(payload, 0, NULL);
	struct relay_session *s =
	    session_find(l, json_text_or_empty(o, "session"));

	if (s != NULL &&
	    strcmp(json_text_or_empty(o, "command"), "agent_failed") == 0)
		take_failure(s, json_text_or_empty(o, "value"));
	else if (s != NULL &&
	    strcmp(json_text_or_empty(o, "command"), "agent_capture") == 0)
		session_device_said(s, json_text_or_empty(o, "from"),
		    json_is_true(json_object_get(o, "is_failed")),
		    json_text_or_empty(o, "value"));
	else if (s != NULL)
		session_orders_check(l);
	json_decref(o);
}

int
session_orders_init(struct loop *l)
{
	return db_listen(l->db, "relaycam_session", on_notice, l);
}

void
session_orders_release(struct loop *l)
{
	free(l->orders.done);
	l->orders = (struct session_orders){ 0 };
}
