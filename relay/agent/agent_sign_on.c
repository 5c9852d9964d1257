/* Which endpoint an agent is: by its key, which a token made the
 * endpoint's. */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "common/http.h"
#include "common/log.h"
#include "common/login/login_rows.h"
#include "common/version.h"
#include "relay/agent/agent_internal.h"
#include "relay/login/address_failures.h"

/* A query about this agent; cb gets the agent and drops a reference. */
void
agent_ask(struct agent *a, const char *sql, int n, const char *const *params,
    db_result_cb *cb)
{
	a->n_refs++;
	a->state = AGENT_STATE_LOOK_UP;
	if (db_query_now(a->loop->db, sql, n, params, cb, a) != 0) {
		agent_refuse_away(a);
		agent_unref(a);
	}
}

/* Columns: id, endpoint, team, the former channel. */
static void
welcome(struct agent *a, const PGresult *res)
{
	struct relay *r = a->loop->relay;
	struct agent_msg m = { .type = AGENT_WELCOME };

	snprintf(a->endpoint_id, sizeof(a->endpoint_id), "%s",
	    PQgetvalue(res, 0, 0));
	snprintf(a->endpoint, sizeof(a->endpoint), "%s", PQgetvalue(res, 0, 1));
	snprintf(a->former, sizeof(a->former), "%s", PQgetvalue(res, 0, 3));
	agent_proto_clean(
	    m.welcome.endpoint, sizeof(m.welcome.endpoint), a->endpoint);
	agent_proto_clean(
	    m.welcome.team, sizeof(m.welcome.team), PQgetvalue(res, 0, 2));
	m.welcome.keepalive_s = (uint16_t)r->conf.agent_seconds;
	snprintf(m.welcome.version, sizeof(m.welcome.version), "%s",
	    RELAYCAM_VERSION);
	a->state = AGENT_STATE_READY;
	log_info("agent_connected", LOG_S("client", a->client_addr),
	    LOG_S("endpoint", a->endpoint), LOG_S("version", a->version),
	    LOG_S("host", a->host));
	agent_set_timer(a, r->conf.agent_seconds);
	if (agent_tell(a, &m) != 0)
		agent_close(a, "the connection broke");
}

bool
agent_is_too_old(const struct agent *a)
{
	return version_compare(
		   a->version, a->loop->relay->conf.agent_min_version) < 0;
}

void
agent_refuse_old(struct agent *a)
{
	char reason[200];

	snprintf(reason, sizeof(reason),
	    "relaycam-agent %s is too old: %s or newer is needed", a->version,
	    a->loop->relay->conf.agent_min_version);
	agent_refuse(a, false, reason);
}

bool
agent_has_place(struct agent *a, enum relay_pool pool)
{
	const char *setting =
	    connection_limit_move(a->loop->relay->connections, &a->slot, pool);
	char reason[120];

	if (setting == NULL)
		return true;
	snprintf(reason, sizeof(reason),
	    "the relay holds as many %s as it may (relay.%s)",
	    pool == POOL_AGENT ? "agents" : "session codes", setting);
	agent_refuse(a, false, reason);
	return false;
}

/* It may not guess for nothing. */
static void
refuse_unknown(struct agent *a, const char *reason)
{
	login_attempt_end(&a->attempt, LOGIN_WRONG);
	address_failures_add(a->loop->db, a->client_addr);
	reject_log_add(
	    &a->loop->relay->rejects, REJECT_AGENT, a->client_addr, a->host);
	agent_refuse(a, true, reason);
}

static void
take_in(struct agent *a, const PGresult *res)
{
	login_attempt_end(&a->attempt, LOGIN_RIGHT);
	login_attempt_release(&a->attempt);
	if (agent_is_too_old(a))
		agent_refuse_old(a);
	else if (agent_has_place(a, POOL_AGENT))
		welcome(a, res);
}

static void
on_signed_on(void *arg, PGresult *res)
{
	struct agent *a = arg;

	if (a->state == AGENT_STATE_GONE)
		goto out;
	if (!db_ok(res, "agent"))
		agent_refuse_away(a);
	else if (PQntuples(res) != 1)
		refuse_unknown(a,
		    "this agent is not enrolled, or not any more: run "
		    "relaycam-agent enroll with a new token");
	else
		take_in(a, res);
out:
	agent_unref(a);
}

/* An old one is noted, so that technicians read which version is needed
 * (T4), but not as connected. */
static void
look_for_key(void *arg)
{
	struct agent *a = arg;
	bool is_old = agent_is_too_old(a);
	const char *params[] = { a->pin, a->version, a->host, a->displays,
		is_old ? NULL : a->loop->relay->node_id,
		is_old ? NULL : a->channel };

	agent_ask(a,
	    "UPDATE endpoints e SET agent_version = $2, agent_host = $3, "
	    "agent_displays = $4, agent_node = $5, agent_channel = $6, "
	    "agent_seen_at = now() FROM teams t, endpoints o WHERE "
	    "e.agent_cert_sha256 = decode($1, 'hex') AND e.kind = 'agent' AND "
	    "e.deleted_at IS NULL AND t.id = e.team_id AND o.id = e.id "
	    "RETURNING e.id, e.name, t.name, o.agent_channel",
	    6, params, on_signed_on);
}

static void
on_failures(void *arg, PGresult *res)
{
	struct agent *a = arg;

	if (a->state == AGENT_STATE_GONE)
		goto out;
	if (!address_failures_learn(&a->attempt, res))
		agent_refuse_away(a);
	else if (login_attempt_wait(&a->attempt, a->go, a) != 0)
		agent_close(a, "out of memory");
out:
	agent_unref(a);
}

/* Calls go when its key or token may be checked. */
static void
wait_for_turn(struct agent *a, void (*go)(void *agent))
{
	char prefix[LOGIN_PREFIX_LEN];
	const char *params[] = { prefix };

	a->go = go;
	login_attempt_set(&a->attempt, a->loop->relay->throttle, a->loop->base,
	    a->client_addr, "agent", a->pin, false);
	login_prefix(prefix, a->client_addr);
	agent_ask(a, login_address_query, 1, params, on_failures);
}

void
agent_sign_on(struct agent *a)
{
	wait_for_turn(a, look_for_key);
}

static void
on_enrolled(void *arg, PGresult *res)
{
	struct agent *a = arg;

	if (a->state == AGENT_STATE_GONE)
		goto out;
	if (!db_ok(res, "enrolment"))
		agent_refuse_away(a);
	else if (PQntuples(res) != 1)
		refuse_unknown(a,
		    "the token is not valid: it was used already, is over its "
		    "time, or was never given out; relaycam endpoint token "
		    "makes a new one");
	else
		look_for_key(a); /* its turn already */
out:
	agent_unref(a);
}

static void
look_for_token(void *arg)
{
	struct agent *a = arg;
	const char *params[] = { a->token, a->pin, a->host, a->client_addr };

	agent_ask(a,
	    "WITH k AS (UPDATE enrol_tokens SET used_at = now() WHERE hash = "
	    "decode($1, 'hex') AND used_at IS NULL AND expires_at > now() "
	    "RETURNING endpoint_id), u AS (UPDATE endpoints e SET "
	    "agent_cert_sha256 = decode($2, 'hex') FROM k WHERE e.id = "
	    "k.endpoint_id AND e.kind = 'agent' AND e.deleted_at IS NULL "
	    "RETURNING e.team_id, e.name), l AS (INSERT INTO audit (team_id, "
	    "actor, action, object, detail) SELECT team_id, 'agent@' || $3, "
	    "'agent_enrolled', name, jsonb_build_object('sha256', $2::text, "
	    "'client', $4::text) FROM u) SELECT name FROM u",
	    4, params, on_enrolled);
}

void
agent_enrol(struct agent *a, const char *token)
{
	uint8_t hash[crypto_hash_sha256_BYTES];

	crypto_hash_sha256(hash, (const uint8_t *)token, strlen(token));
	http_hex(hash, sizeof(hash), a->token);
	wait_for_turn(a, look_for_token);
}

static void
on_checked(void *arg, PGresult *res)
{
	struct agent *a = arg;

	if (a->state == AGENT_STATE_READY && db_ok(res, "agent") &&
	    PQntuples(res) == 0)
		agent_refuse(a, true, "this agent is not enrolled any more");
	agent_unref(a);
}

void
agents_check(struct loop *l, const char *endpoint_id)
{
	struct agent *a;

	TAILQ_FOREACH(a, &l->agents, link) {
		const char *params[] = { a->endpoint_id, a->pin };

		if (a->endpoint_id[0] == '\0' ||
		    (endpoint_id != NULL &&
			strcmp(a->endpoint_id, endpoint_id) != 0))
			continue;
		a->n_refs++;
		if (db_query(l->db,
			"SELECT 1 FROM endpoints WHERE id = $1 AND "
			"agent_cert_sha256 = decode($2, 'hex') AND kind = "
			"'agent' AND deleted_at IS NULL",
			2, params, on_checked, a) != 0)
			agent_unref(a);
	}
}
