/* The wait after wrong passwords, tickets and session codes: in memory for
 * tries at the same time (guess.h), and in the database for other relays and
 * the next start. */
#include "common/clock.h"
#include "common/db.h"
#include "common/login/guess.h"
#include "common/login/known_login.h"
#include "common/login/login_rows.h"
#include "relay/login/address_failures.h"
#include "relay/session/session_internal.h"

static const char out_of_memory[] = "the relay is out of memory";

static void
wait_for_turn(struct session *s, void (*go)(void *session))
{
	if (guess_wait(&s->guess, go, s) != 0)
		session_refuse(s, out_of_memory);
}

void
session_guess_password(struct session *s, void (*go)(void *session))
{
	struct account *a = &s->account;

	guess_set(&s->guess, s->loop->relay->guesses, s->loop->base,
	    s->client_addr, "person", s->name.person,
	    login_is_code(s->name.endpoint));
	for (unsigned i = 0; i < GUESS_KEYS; i++)
		guesses_learn(s->loop->relay->guesses, &s->guess.who, i,
		    a->failures[i], a->failure_age_s[i], clock_mono_ns());
	if (a->is_known_login)
		guesses_know(
		    s->loop->relay->guesses, &s->guess.who, clock_mono_ns());
	wait_for_turn(s, go);
}

static void
on_address_failures(void *arg, PGresult *res)
{
	struct session *s = arg;

	if (s->state == SESSION_CHECK) {
		guess_set(&s->guess, s->loop->relay->guesses, s->loop->base,
		    s->client_addr, NULL, NULL, false);
		if (address_failures_learn(&s->guess, res))
			wait_for_turn(s, s->guess_go);
		else
			session_refuse_away(
			    s, res, "so tickets cannot be checked");
	}
	session_unref(s);
}

void
session_guess_ticket(struct session *s, void (*go)(void *session))
{
	s->guess_go = go;
	session_ref(s);
	if (address_failures_ask(
		s->loop->db, s->client_addr, on_address_failures, s) != 0) {
		session_refuse_away(s, NULL, "so tickets cannot be checked");
		session_unref(s);
	}
}

/* Returns as db_query_now, which a callback is for, or db_query. */
static int
write_wrong(struct session *s, db_result_cb *cb)
{
	const uint64_t *keys = s->guess.who.keys;
	char prefix[GUESS_PREFIX_LEN];
	const char *params[] = { s->name.person, prefix, s->client_addr,
		s->name.endpoint, keys[GUESS_NAME] != 0 ? "t" : "f",
		keys[GUESS_CODES] != 0 ? "t" : "f" };

	if (s->loop->is_closing)
		return 0; /* the last checks of a relay that stops */
	guess_prefix(prefix, s->client_addr);
	return cb != NULL
	    ? db_query_now(s->loop->db, login_wrong_statement, 6, params, cb, s)
	    : db_query(
		  s->loop->db, login_wrong_statement, 6, params, NULL, NULL);
}

void
session_guess_wrong(struct session *s)
{
	atomic_fetch_add(&s->loop->relay->stats.login_failures, 1);
	write_wrong(s, NULL);
	guess_end(&s->guess, GUESS_WRONG);
}

static void
on_wrong_written(void *arg, PGresult *res)
{
	struct session *s = arg;

	db_ok(res, "a wrong login");
	if (s->state == SESSION_CHECK)
		session_refuse(s, s->denial);
	session_unref(s);
}

void
session_guess_deny(struct session *s, const char *reason)
{
	atomic_fetch_add(&s->loop->relay->stats.login_failures, 1);
	guess_end(&s->guess, GUESS_WRONG);
	s->denial = reason;
	session_ref(s);
	if (write_wrong(s, on_wrong_written) == 0 && !s->loop->is_closing)
		return;
	session_refuse(s, reason);
	session_unref(s);
}

static void
note_left(struct session *s)
{
	struct relay *r = s->loop->relay;

	atomic_fetch_add(&r->stats.login_failures, 1);
	refusals_add(
	    &r->refusals, REFUSAL_LEFT, s->client_addr, s->name.person);
}

void
session_guess_left(struct session *s)
{
	if (s->denial != NULL)
		return; /* it counted */
	if (s->check != NULL) {
		session_check_left(s); /* it counts when its turn has come */
		return;
	}
	if (s->guess.is_checking || s->guess.is_waiting) {
		guess_end(&s->guess, GUESS_LEFT);
		note_left(s);
	} else if (!s->is_authenticated) { /* the database was being asked */
		guess_set(&s->guess, s->loop->relay->guesses, s->loop->base,
		    s->client_addr, "person", s->name.person,
		    login_is_code(s->name.endpoint));
		guesses_left(
		    s->loop->relay->guesses, &s->guess.who, clock_mono_ns());
		note_left(s);
	}
}

void
session_guess_right(struct session *s)
{
	char prefix[GUESS_PREFIX_LEN], known[KNOWN_LOGIN_ID_LEN];
	const char *params[] = { s->name.person, prefix, known };

	if (!s->guess.is_checking)
		return; /* a ticket says nothing about the password */
	guess_end(&s->guess, GUESS_RIGHT);
	guess_release(&s->guess);
	guess_prefix(prefix, s->client_addr);
	known_login_id(
	    known, s->loop->relay->seal_key, s->name.person, s->client_addr);
	db_query(s->loop->db, known_login_statement, 3, params, NULL, NULL);
}
