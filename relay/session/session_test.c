#include "relay/session/session_test.h"

#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/db.h"
#include "common/log.h"
#include "relay/db_retry_queue.h"
#include "relay/session/session_internal.h"

#define TESTS_AT_ONCE "8"

enum col { ID, PERSON, ENDPOINT };

/* What another relay holds under a lock it takes itself. */
static const char claim[] =
    "UPDATE endpoint_tests t SET node_id = $1 FROM (SELECT x.id, e.name "
    "FROM endpoint_tests x JOIN endpoints e ON e.id = x.endpoint_id WHERE "
    "x.node_id IS NULL AND x.ended_at IS NULL AND x.asked_at > "
    "clock_timestamp() - endpoint_test_limit() ORDER BY x.asked_at "
    "LIMIT " TESTS_AT_ONCE " FOR UPDATE OF x SKIP LOCKED) w WHERE t.id = w.id "
    "RETURNING t.id, t.asked_by, w.name";

/* May run twice: the first answer stays. */
static const char answer_sql[] =
    "WITH u AS (UPDATE endpoint_tests SET ended_at = clock_timestamp(), ok = "
    "$2, detail = $3 WHERE id = $1 AND ended_at IS NULL RETURNING "
    "endpoint_id) INSERT INTO audit (team_id, actor, action, object, detail) "
    "SELECT e.team_id, 'relay', 'endpoint_tested', e.name, "
    "jsonb_build_object('ok', $2::boolean, 'detail', $3::text) FROM u JOIN "
    "endpoints e ON e.id = u.endpoint_id";

static void
answer(struct loop *l, const char *id, bool is_ok, const char *detail)
{
	const char *params[] = { id, is_ok ? "true" : "false", detail };

	db_retry_write(l, "endpoint test", answer_sql, 3, params);
}

/* ---- how it ends ---- */

void
session_test_failed(struct relay_session *s, const char *reason)
{
	if (s->test_id[0] == '\0')
		return;
	answer(s->loop, s->test_id, false, reason);
	s->test_id[0] = '\0';
}

void
session_test_passed(struct relay_session *s)
{
	const struct rfb_server_init *init =
	    rfb_handshake_client_init(s->endpoint_handshake);
	char detail[200];

	snprintf(detail, sizeof(detail),
	    "The relay logged in with %s; the screen has %u x %u pixels.",
	    rfb_handshake_client_chosen(s->endpoint_handshake), init->width,
	    init->height);
	answer(s->loop, s->test_id, true, detail);
	s->test_id[0] = '\0';
	session_end(s, "normal", "the test of the endpoint is done");
}

/* ---- how it begins ---- */

static void
start(struct loop *l, const char *id, const char *person, const char *endpoint)
{
	const struct connection_address none = { .prefix = { 0 } };
	struct connection_slot slot = { .is_taken = false };
	struct relay_session *s;

	if (connection_limit_enter(l->relay->connections, &slot, POOL_SESSION,
		&none, &l->home, clock_mono_ns()) != NULL) {
		answer(l, id, false,
		    "the relay carries as many sessions as it may "
		    "(relay.max_sessions)");
		return;
	}
	s = session_new(l, &slot);
	if (s == NULL) {
		answer(l, id, false, "the relay is out of memory");
		return;
	}
	s->door = SESSION_BY_TEST;
	s->is_authenticated = true; /* at the console */
	snprintf(s->test_id, sizeof(s->test_id), "%s", id);
	snprintf(s->name.person, sizeof(s->name.person), "%s", person);
	snprintf(s->name.endpoint, sizeof(s->name.endpoint), "%s", endpoint);
	snprintf(s->client_addr, sizeof(s->client_addr), "console");
	session_look_up(s);
}

static void
on_claimed(void *arg, PGresult *res)
{
	struct loop *l = arg;

	if (l->is_closing || !db_ok(res, "tests of endpoints"))
		return;
	for (int i = 0; i < PQntuples(res); i++)
		start(l, PQgetvalue(res, i, ID), PQgetvalue(res, i, PERSON),
		    PQgetvalue(res, i, ENDPOINT));
	if (PQntuples(res) > 0) /* there may be more */
		session_tests_check(l);
}

void
session_tests_check(struct loop *l)
{
	const char *params[] = { l->relay->node_id };

	if (l->index == 0)
		db_query_now(l->db, claim, 1, params, on_claimed, l);
}

static void
on_notice(void *loop, const char *channel, const char *payload)
{
	session_tests_check(loop);
}

int
session_tests_init(struct loop *l)
{
	return l->index == 0 ? db_listen(l->db, "relaycam_test", on_notice, l)
			     : 0;
}
