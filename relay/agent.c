#include "relay/agent.h"

#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/agent_proto.h"
#include "common/bytes.h"
#include "common/clock.h"
#include "common/db.h"
#include "common/err.h"
#include "common/http.h"
#include "common/log.h"
#include "relay/journal.h"
#include "relay/farewell.h"
#include "relay/guess.h"
#include "relay/relay.h"

#define CODE_SECONDS (24 * 3600)
#define CODE_TRIES   5
#define IN_MAX       (2 * AGENT_FRAME_MAX)
/* probes without an answer until the channel is dead */
#define PINGS_MAX 2

enum agent_state {
	AGENT_STATE_HELLO,
	AGENT_STATE_LOOK_UP, /* a query is on its way */
	AGENT_STATE_ENROL,   /* its token is awaited */
	AGENT_STATE_READY,
	AGENT_STATE_GONE, /* waits for its last query */
};

struct agent {
	TAILQ_ENTRY(agent) link;
	struct loop *loop;
	enum agent_state state;
	unsigned n_refs; /* itself, and each query */
	struct side side;
	struct event *timer; /* of the state; the next probe when ready */
	char client_addr[CLIENT_ADDR_LEN];
	char channel[UUID_LEN];
	bool has_pin;
	char pin[65]; /* SHA-256 of its certificate, hex */
	uint8_t mode; /* enum agent_mode */
	char version[AGENT_VERSION_MAX], host[AGENT_NAME_MAX];
	char displays[AGENT_MAX_DISPLAYS * (AGENT_DISPLAY_MAX + 3) + 3];
	char endpoint_id[24]; /* "": none yet */
	char endpoint[64];
	char code[AGENT_CODE_MAX];
	char secret[2 * (AGENT_SECRET_MAX + SEAL_OVERHEAD) + 1]; /* sealed */
	unsigned code_tries;
	struct crowd_place place;
	uint64_t code_until_ns; /* then its code is over */
	unsigned n_opens;       /* orders it has not answered with a failure */
	uint32_t n_pings, n_unanswered;
	struct guess guess; /* until it is known who it is */
	char token[65];     /* SHA-256 of its enrolment's, hex */
};

static void on_timer(evutil_socket_t fd, short what, void *arg);
static void offer_code(struct agent *a);

/* ---- life ---- */

static void
agent_unref(struct agent *a)
{
	struct loop *l = a->loop;

	if (--a->n_refs > 0)
		return;
	guess_release(&a->guess);
	free(a);
	loop_session_gone(l);
}

/* Its row says that it is gone, unless it has come back meanwhile. */
static void
sign_off(struct agent *a)
{
	const char *params[] = { a->endpoint_id, a->channel };
	const char *code[] = { a->code };

	if (a->endpoint_id[0] != '\0')
		journal_write(a->loop, "agent gone",
		    "UPDATE endpoints SET agent_node = NULL, agent_channel = "
		    "NULL, agent_seen_at = now() WHERE id = $1 AND "
		    "agent_channel = $2",
		    2, params);
	if (a->code[0] != '\0')
		journal_write(a->loop, "session code closed",
		    "WITH d AS (DELETE FROM attended_codes WHERE code = $1) "
		    "UPDATE endpoints SET deleted_at = now(), agent_node = "
		    "NULL, agent_channel = NULL WHERE name = $1 AND kind = "
		    "'attended' AND deleted_at IS NULL",
		    1, code);
}

static void
agent_close(struct agent *a, const char *why)
{
	if (a->state == AGENT_STATE_GONE)
		return;
	log_info("agent_gone", LOG_S("client", a->client_addr),
	    LOG_S("endpoint", a->endpoint), LOG_S("why", why));
	sign_off(a);
	a->state = AGENT_STATE_GONE;
	TAILQ_REMOVE(&a->loop->agents, a, link);
	atomic_fetch_sub(&a->loop->relay->stats.active, 1);
	crowd_leave(a->loop->relay->crowd, &a->place);
	farewell(a->loop, &a->side);
	if (a->timer != NULL)
		event_free(a->timer);
	guess_release(&a->guess);
	agent_unref(a);
}

static void
set_timer(struct agent *a, int64_t seconds)
{
	struct timeval tv = { seconds, 0 };

	event_add(a->timer, &tv);
}

/* Queues one message and sends what can be sent. */
static int
tell(struct agent *a, const struct agent_msg *m)
{
	int rc = agent_proto_encode(&a->side.out, m);

	if (rc == 0)
		rc = side_flush(&a->side);
	return rc;
}

static void
agent_refuse(struct agent *a, bool is_final, const char *reason)
{
	struct agent_msg m = { .type = AGENT_REFUSED };

	agent_proto_clean(m.refused.reason, sizeof(m.refused.reason), reason);
	m.refused.is_final = is_final;
	tell(a, &m);
	atomic_fetch_add(&a->loop->relay->stats.refused, 1);
	agent_close(a, reason);
}

static void
refuse_away(struct agent *a)
{
	agent_refuse(a, false, "the relay's database cannot be reached");
}

/* ---- what the database says ---- */

/* A query about this agent; cb gets the agent and drops a reference. */
static void
ask(struct agent *a, const char *sql, int n, const char *const *params,
    db_result_cb *cb)
{
	a->n_refs++;
	a->state = AGENT_STATE_LOOK_UP;
	if (db_query_now(a->loop->db, sql, n, params, cb, a) != 0) {
		refuse_away(a);
		agent_unref(a);
	}
}

/* Columns: id, endpoint, team. */
static void
welcome(struct agent *a, const PGresult *res)
{
	struct relay *r = a->loop->relay;
	struct agent_msg m = { .type = AGENT_WELCOME };

	snprintf(a->endpoint_id, sizeof(a->endpoint_id), "%s",
	    PQgetvalue(res, 0, 0));
	snprintf(a->endpoint, sizeof(a->endpoint), "%s", PQgetvalue(res, 0, 1));
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
	set_timer(a, r->conf.agent_seconds);
	if (tell(a, &m) != 0)
		agent_close(a, "the connection broke");
}

static bool
is_too_old(const struct agent *a)
{
	return agent_version_compare(
		   a->version, a->loop->relay->conf.agent_min_version) < 0;
}

static void
refuse_old(struct agent *a)
{
	char reason[200];

	snprintf(reason, sizeof(reason),
	    "relaycam-agent %s is too old: %s or newer is needed", a->version,
	    a->loop->relay->conf.agent_min_version);
	agent_refuse(a, false, reason);
}

/* False: it was refused, because there is none. */
static bool
has_place(struct agent *a)
{
	if (crowd_become(a->loop->relay->crowd, &a->place, CROWD_AGENT) == NULL)
		return true;
	agent_refuse(a, false,
	    "the relay holds as many agents as it may (relay.max_agents)");
	return false;
}

/* It may not guess for nothing. */
static void
refuse_unknown(struct agent *a, const char *reason)
{
	guess_end(&a->guess, GUESS_WRONG);
	refusals_add(
	    &a->loop->relay->refusals, REFUSAL_AGENT, a->client_addr, a->host);
	agent_refuse(a, true, reason);
}

static void
take_in(struct agent *a, const PGresult *res)
{
	guess_end(&a->guess, GUESS_RIGHT);
	guess_release(&a->guess);
	if (is_too_old(a))
		refuse_old(a);
	else if (has_place(a))
		welcome(a, res);
}

static void
on_signed_on(void *arg, PGresult *res)
{
	struct agent *a = arg;

	if (a->state == AGENT_STATE_GONE)
		goto out;
	if (!db_ok(res, "agent"))
		refuse_away(a);
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
	bool is_old = is_too_old(a);
	const char *params[] = { a->pin, a->version, a->host, a->displays,
		is_old ? NULL : a->loop->relay->node_id,
		is_old ? NULL : a->channel };

	ask(a,
	    "UPDATE endpoints e SET agent_version = $2, agent_host = $3, "
	    "agent_displays = $4, agent_node = $5, agent_channel = $6, "
	    "agent_seen_at = now() FROM teams t WHERE e.agent_cert_sha256 = "
	    "decode($1, 'hex') AND e.kind = 'agent' AND e.deleted_at IS NULL "
	    "AND t.id = e.team_id RETURNING e.id, e.name, t.name",
	    6, params, on_signed_on);
}

/* Calls go when its key or token may be checked. */
static void
wait_for_turn(struct agent *a, void (*go)(void *agent))
{
	a->state = AGENT_STATE_LOOK_UP;
	guess_set(&a->guess, a->loop, a->client_addr, "agent", a->pin, false);
	if (guess_wait(&a->guess, go, a) != 0)
		agent_close(a, "out of memory");
}

static void
sign_on(struct agent *a)
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
		refuse_away(a);
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

	ask(a,
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

static void
enrol(struct agent *a, const char *token)
{
	uint8_t hash[crypto_hash_sha256_BYTES];

	crypto_hash_sha256(hash, (const uint8_t *)token, strlen(token));
	http_hex(hash, sizeof(hash), a->token);
	wait_for_turn(a, look_for_token);
}

/* ---- attended: a code for one occasion ---- */

static void
on_code_stored(void *arg, PGresult *res)
{
	struct agent *a = arg;
	struct agent_msg hello = { .type = AGENT_WELCOME };
	struct agent_msg m = { .type = AGENT_CODE };

	if (a->state == AGENT_STATE_GONE)
		goto out;
	if (!db_ok(res, "session code")) {
		a->code[0] = '\0';
		refuse_away(a);
		goto out;
	}
	if (PQntuples(res) != 1) {
		a->code[0] = '\0';
		if (++a->code_tries < CODE_TRIES)
			offer_code(a);
		else
			agent_refuse(a, false, "no session code is free");
		goto out;
	}
	a->state = AGENT_STATE_READY;
	a->code_until_ns = clock_mono_ns() + CODE_SECONDS * NS_PER_S;
	snprintf(a->endpoint, sizeof(a->endpoint), "%s", a->code);
	/* no endpoint, no team: a welcome all the same, docs/agent-protocol.md
	 */
	hello.welcome.keepalive_s =
	    (uint16_t)a->loop->relay->conf.agent_seconds;
	snprintf(hello.welcome.version, sizeof(hello.welcome.version), "%s",
	    RELAYCAM_VERSION);
	memcpy(m.code.code, a->code, sizeof(a->code));
	m.code.valid_s = CODE_SECONDS;
	log_info("agent_attends", LOG_S("client", a->client_addr),
	    LOG_S("version", a->version), LOG_S("host", a->host));
	set_timer(a, a->loop->relay->conf.agent_seconds);
	if (tell(a, &hello) != 0 || tell(a, &m) != 0)
		agent_close(a, "the connection broke");
out:
	agent_unref(a);
}

static void
offer_code(struct agent *a)
{
	const char *params[] = { a->code, a->loop->relay->node_id, a->host,
		a->version, a->secret[0] != '\0' ? a->secret : NULL };

	snprintf(a->code, sizeof(a->code), "%09u",
	    100000000u + randombytes_uniform(900000000u));
	ask(a,
	    "INSERT INTO attended_codes (code, node_id, host, version, "
	    "secret_sealed, expires_at) SELECT $1, $2, $3, $4, decode($5, "
	    "'hex'), now() + interval '24 hours' "
	    "WHERE NOT EXISTS (SELECT 1 FROM endpoints WHERE name = $1 AND "
	    "deleted_at IS NULL) ON CONFLICT DO NOTHING RETURNING code",
	    5, params, on_code_stored);
}

/* ---- messages of the agent ---- */

/* {"a","b"}: an array as PostgreSQL reads it. */
static void
take_displays(struct agent *a, const struct agent_msg *m)
{
	char *p = a->displays;

	*p++ = '{';
	for (unsigned i = 0; i < m->hello.n_displays; i++) {
		if (i > 0)
			*p++ = ',';
		*p++ = '"';
		for (const char *q = m->hello.displays[i]; *q != '\0'; q++)
			*p++ = *q == '"' || *q == '\\' ? '?' : *q;
		*p++ = '"';
	}
	*p++ = '}';
	*p = '\0';
}

/* The password of an attended VNC server, for the session that comes. */
static void
take_secret(struct agent *a, const struct agent_msg *m)
{
	uint8_t sealed[AGENT_SECRET_MAX + SEAL_OVERHEAD];
	size_t n = strlen(m->hello.secret);

	if (n == 0)
		return;
	seal(a->loop->relay->seal_key, m->hello.secret, n, sealed);
	http_hex(sealed, n + SEAL_OVERHEAD, a->secret);
}

static void
on_hello(struct agent *a, const struct agent_msg *m)
{
	a->mode = m->hello.mode;
	snprintf(a->version, sizeof(a->version), "%s", m->hello.version);
	snprintf(a->host, sizeof(a->host), "%s", m->hello.host);
	take_displays(a, m);
	if (a->mode == AGENT_MODE_ATTENDED) {
		if (!a->loop->relay->conf.attended)
			agent_refuse(
			    a, true, "this relay gives out no session codes");
		else if (is_too_old(a))
			refuse_old(a);
		else if (has_place(a)) {
			take_secret(a, m);
			offer_code(a);
		}
	} else if (!a->has_pin) {
		agent_refuse(a, true, "an agent has to show its certificate");
	} else if (a->mode == AGENT_MODE_ENROL) {
		a->state = AGENT_STATE_ENROL;
	} else {
		sign_on(a);
	}
}

/* A session of some relay waits for what this agent cannot do. Each order
 * fails once: more would fill the queue of rows. */
static void
on_open_failed(struct agent *a, const struct agent_msg *m)
{
	json_t *o;
	char *text;
	const char *params[1];

	if (a->n_opens == 0)
		return;
	a->n_opens--;
	o = json_pack("{s:s s:s s:s s:s}", "session", m->end.session, "command",
	    "agent_failed", "value", m->end.reason, "by", "agent");
	text = o != NULL ? json_dumps(o, JSON_COMPACT) : NULL;
	params[0] = text;
	if (text != NULL)
		db_query(a->loop->db,
		    "SELECT pg_notify('relaycam_session', $1)", 1, params, NULL,
		    NULL);
	free(text);
	json_decref(o);
}

static void
on_message(struct agent *a, const struct agent_msg *m)
{
	if (a->state == AGENT_STATE_HELLO && m->type == AGENT_HELLO)
		on_hello(a, m);
	else if (a->state == AGENT_STATE_ENROL && m->type == AGENT_ENROL)
		enrol(a, m->enrol.token);
	else if (a->state == AGENT_STATE_READY && m->type == AGENT_PONG)
		a->n_unanswered = 0;
	else if (a->state == AGENT_STATE_READY && m->type == AGENT_OPEN_FAILED)
		on_open_failed(a, m);
	else if (m->type == AGENT_CLOSE)
		agent_close(a, "it was closed");
	else
		agent_close(a, "it broke the protocol");
}

static void
feed(struct agent *a)
{
	struct agent_msg m;
	size_t used;
	int rc;

	while (
	    a->state != AGENT_STATE_GONE && a->state != AGENT_STATE_LOOK_UP) {
		rc = agent_proto_parse(
		    buf_head(&a->side.in), buf_len(&a->side.in), &used, &m);
		if (rc == 0)
			return;
		if (rc < 0) {
			agent_refuse(a, rc == ERR_UNSUPPORTED,
			    rc == ERR_UNSUPPORTED
				? "this relay speaks another version of the "
				  "agent protocol"
				: "that is not the agent protocol");
			return;
		}
		buf_consume(&a->side.in, used);
		on_message(a, &m);
		wipe(&m, sizeof(m));
	}
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct agent *a = arg;
	ssize_t n = 1;

	a->n_refs++;
	while (n > 0 && a->state != AGENT_STATE_GONE) {
		feed(a); /* what waited for a query */
		if (a->state == AGENT_STATE_GONE)
			break;
		n = side_fill(&a->side);
		if (n > 0)
			feed(a);
	}
	if (a->state != AGENT_STATE_GONE && n != ERR_AGAIN)
		agent_close(a,
		    n == ERR_LIMIT ? "it sends too fast"
				   : "the connection broke");
	agent_unref(a);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct agent *a = arg;

	if (side_flush(&a->side) != 0)
		agent_close(a, "the connection broke");
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct agent *a = arg;
	struct agent_msg m = { .type = AGENT_PING };

	if (a->state != AGENT_STATE_READY) {
		agent_close(a, "it took too long");
		return;
	}
	if (a->code[0] != '\0' && clock_mono_ns() >= a->code_until_ns) {
		agent_refuse(a, true, "its session code is over its time");
		return;
	}
	if (a->n_unanswered >= PINGS_MAX) {
		agent_close(a, "it does not answer any more");
		return;
	}
	a->n_unanswered++;
	m.ping = ++a->n_pings;
	set_timer(a, a->loop->relay->conf.agent_seconds);
	if (tell(a, &m) != 0)
		agent_close(a, "the connection broke");
}

void
conn_feed_agent(struct conn *c)
{
	struct loop *l = c->loop;
	struct agent *a = calloc(1, sizeof(*a));

	if (a == NULL) {
		conn_close(c, "out of memory");
		return;
	}
	a->loop = l;
	a->n_refs = 2;
	relay_uuid(a->channel);
	memcpy(a->client_addr, c->client_addr, sizeof(a->client_addr));
	a->has_pin = c->has_peer_pin;
	if (a->has_pin)
		http_hex(c->peer_pin, sizeof(c->peer_pin), a->pin);
	a->place = crowd_hand_over(&c->place);
	TAILQ_INSERT_TAIL(&l->agents, a, link);
	atomic_fetch_add(&l->relay->stats.active, 1);
	a->timer = evtimer_new(l->base, on_timer, a);
	if (side_adopt(&a->side, l, &c->side, on_readable, on_writable, a) !=
		0 ||
	    a->timer == NULL) {
		agent_close(a, "out of memory");
	} else {
		a->side.in.limit = IN_MAX;
		set_timer(a, l->relay->conf.login_seconds);
		side_read(&a->side, true);
		feed(a);
		if (a->state != AGENT_STATE_GONE && side_has_buffered(&a->side))
			event_active(a->side.readable, EV_READ, 0);
	}
	conn_given_away(c);
	agent_unref(a);
}

void
agents_close(struct loop *l)
{
	struct agent *a;

	while ((a = TAILQ_FIRST(&l->agents)) != NULL)
		agent_refuse(a, false, "the relay is being stopped");
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

	TAILQ_FOREACH(a, &l->agents, link)
	{
		const char *params[] = { endpoint_id, a->pin };

		if (strcmp(a->endpoint_id, endpoint_id) != 0)
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

/* ---- orders from sessions ---- */

static const char *
str(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s != NULL ? s : "";
}

static unsigned
num(const json_t *o, const char *key)
{
	return (unsigned)json_integer_value(json_object_get(o, key));
}

#define CLEAN(field, key) agent_proto_clean(field, sizeof(field), str(o, key))

static int
order_open(struct agent *a, const json_t *o)
{
	struct agent_msg m = { .type = AGENT_OPEN };

	CLEAN(m.open.session, "session");
	CLEAN(m.open.ticket, "ticket");
	if (strcmp(str(o, "node"), a->loop->relay->node_id) != 0)
		CLEAN(m.open.address, "address");
	CLEAN(m.open.display, "display");
	CLEAN(m.open.technician, "technician");
	CLEAN(m.open.team, "team");
	CLEAN(m.open.access, "access");
	m.open.recorded = (uint8_t)num(o, "recorded");
	m.open.consent = (uint8_t)num(o, "consent");
	m.open.consent_s = (uint16_t)num(o, "consent_s");
	a->n_opens++;
	return tell(a, &m);
}

static int
order_indicator(struct agent *a, const json_t *o)
{
	struct agent_msg m = { .type = AGENT_INDICATOR };

	CLEAN(m.indicator.session, "session");
	CLEAN(m.indicator.text, "text");
	m.indicator.on = (uint8_t)num(o, "on");
	return tell(a, &m);
}

static int
order_end(struct agent *a, const json_t *o)
{
	struct agent_msg m = { .type = AGENT_END };

	CLEAN(m.end.session, "session");
	CLEAN(m.end.reason, "reason");
	return tell(a, &m);
}

void
agents_on_dial(void *loop, const char *channel, const char *payload)
{
	struct loop *l = loop;
	json_t *o = json_loads(payload, 0, NULL);
	const char *what = str(o, "what"), *to = str(o, "channel");
	struct agent *a;
	int rc = 0;

	TAILQ_FOREACH(a, &l->agents, link)
	if (a->state == AGENT_STATE_READY &&
	    (strcmp(a->channel, to) == 0 ||
		(a->code[0] != '\0' && strcmp(a->code, to) == 0)))
		break;
	if (a != NULL)
		rc = strcmp(what, "open") == 0       ? order_open(a, o)
		    : strcmp(what, "indicator") == 0 ? order_indicator(a, o)
		    : strcmp(what, "end") == 0       ? order_end(a, o)
						     : 0;
	if (rc != 0)
		agent_close(a, "the connection broke");
	json_decref(o);
}
