/* The wait after wrong passwords, tickets and session codes: in memory for
 * tries at the same time (login_attempt.h), and in the database for other
 * relays and the next start. */
#include "common/clock.h"
#include "common/db.h"
#include "common/login/login_attempt.h"
#include "common/login/known_login.h"
#include "common/login/login_rows.h"
#include "relay/login/address_failures.h"
#include "relay/session/session_internal.h"

static const char out_of_memory[] = "the relay is out of memory";

static void
wait_for_turn(struct relay_session *s, void (*go)(void *session))
{
	if (login_attempt_wait(&s->attempt, go, s) != 0)
		session_refuse(s, out_of_memory);
}

void
session_guess_password(struct relay_session *s, void (*go)(void *session))
{
	struct authorization *a = &s->authorization;

	login_attempt_set(&s->attempt, s->loop->relay->throttle, s->loop->base,
	    s->client_addr, "person", s->name.person,
	    login_is_code(s->name.endpoint));
	for (unsigned i = 0; i < LOGIN_KEYS; i++)
		login_throttle_learn(s->loop->relay->throttle, &s->attempt.who,
		    i, a->failures[i], a->failure_age_s[i], clock_mono_ns());
	if (a->is_known_login)
		login_throttle_know(
		    s->loop->relay->throttle, &s->attempt.who, clock_mono_ns());
	wait_for_turn(s, go);
}

static void
on_address_failures(void *arg, PGresult *res)
{
	struct relay_session *s = arg;

	if (s->state == SESSION_CHECK) {
		login_attempt_set(&s->attempt, s->loop->relay->throttle,
		    s->loop->base, s->client_addr, NULL, NULL, false);
		if (address_failures_learn(&s->attempt, res))
			wait_for_turn(s, s->attempt_go);
		else
			session_refuse_away(
			    s, res, "so tickets cannot be checked");
	}
	session_unref(s);
}

void
session_guess_ticket(struct relay_session *s, void (*go)(void *session))
{
	s->attempt_go = go;
	session_ref(s);
	if (address_failures_ask(
		s->loop->db, s->client_addr, on_address_failures, s) != 0) {
		session_refuse_away(s, NULL, "so tickets cannot be checked");
		session_unref(s);
	}
}

/* Returns as db_query_now, which a callback is for, or db_query. */
static int
write_wrong(struct relay_session *s, db_result_cb *cb)
{
	const uint64_t *keys = s->attempt.who.keys;
	char prefix[LOGIN_PREFIX_LEN];
	const char *params[] = { s->name.person, prefix, s->client_addr,
		s->name.endpoint, keys[LOGIN_KEY_NAME] != 0 ? "t" : "f",
		keys[LOGIN_KEY_CODES] != 0 ? "t" : "f" };

	if (s->loop->is_closing)
		return 0; /* the last checks of a relay that stops */
	login_prefix(prefix, s->client_addr);
	return cb != NULL
	    ? db_query_now(s->loop->db, login_wrong_statement, 6, params, cb, s)
	    : db_query(
		  s->loop->db, login_wrong_statement, 6, params, NULL, NULL);
}

void
session_guess_wrong(struct relay_session *s)
{
	atomic_fetch_add(&s->loop->relay->stats.login_failures, 1);
	write_wrong(s, NULL);
	login_attempt_end(&s->attempt, LOGIN_WRONG);
}

static void
on_wrong_written(void *arg, PGresult *res)
{
	struct relay_session *s = arg;

	db_ok(res, "a wrong login");
	if (s->state == SESSION_CHECK)
		session_refuse(s, s->denial);
	session_unref(s);
}

void
session_guess_deny(struct relay_session *s, const char *reason)
{
	atomic_fetch_add(&s->loop->relay->stats.login_failures, 1);
	login_attempt_end(&s->attempt, LOGIN_WRONG);
	s->denial = reason;
	session_ref(s);
	if (write_wrong(s, on_wrong_written) == 0 && !s->loop->is_closing)
		return;
	session_refuse(s, reason);
	session_unref(s);
}

static void
note_left(struct relay_session *s)
{
	struct relay *r = s->loop->relay;

	atomic_fetch_add(&r->stats.login_failures, 1);
	reject_log_add(
	    &r->rejects, REJECT_LEFT, s->client_addr, s->name.person);
}

void
session_guess_left(struct relay_session *s)
{
	if (s->denial != NULL)
		return; /* it counted */
	if (s->check != NULL) {
		session_check_left(s); /* it counts when its turn has come */
		return;
	}
	if (s->attempt.is_checking || s->attempt.is_waiting) {
		login_attempt_end(&s->attempt, LOGIN_LEFT);
		note_left(s);
	} else if (!s->is_authenticated) { /* the database was being asked */
		login_attempt_set(&s->attempt, s->loop->relay->throttle,
		    s->loop->base, s->client_addr, "person", s->name.person,
		    login_is_code(s->name.endpoint));
		login_throttle_left(
		    s->loop->relay->throttle, &s->attempt.who, clock_mono_ns());
		note_left(s);
	}
}

void
session_guess_right(struct relay_session *s)
{
	char prefix[LOGIN_PREFIX_LEN], known[KNOWN_LOGIN_ID_LEN];
	const char *params[] = { s->name.person, prefix, known };

	if (!s->attempt.is_checking)
		return; /* a ticket says nothing about the password */
	login_attempt_end(&s->attempt, LOGIN_RIGHT);
	login_attempt_release(&s->attempt);
	login_prefix(prefix, s->client_addr);
	known_login_id(
	    known, s->loop->relay->seal_key, s->name.person, s->client_addr);
	db_query(s->loop->db, known_login_statement, 3, params, NULL, NULL);
}
