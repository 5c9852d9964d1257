/* How a session ends: noted by whoever finds out, carried out by the loop. */
#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/err.h"
#include "relay/base/loop_ref.h"
#include "relay/session/session_internal.h"

static struct {
	struct loop loop;
	struct relay_session *session;
	struct event *other; /* of the same session, active before it ends */
	unsigned n_ended, n_other, n_unref;
	bool is_first; /* it ended before the other event was handled */
	unsigned measured[SESSION_DEAD + 1];
} w;

/* ---- below the session ---- */

void
measure_state_ends(struct relay_session *s, unsigned state)
{
	w.measured[state]++;
}

ssize_t
channel_fill(struct channel *d)
{
	return ERR_EOF;
}

void
channel_read(struct channel *d, bool on)
{
}

void
login_attempt_release(struct login_attempt *a)
{
}

void
loop_unref(struct loop *l)
{
	w.n_unref++;
}

/* ---- what session.c does ---- */

static void
on_ending(evutil_socket_t fd, short what, void *arg)
{
	w.n_ended++;
	w.is_first = w.n_other == 0;
}

static void
on_other(evutil_socket_t fd, short what, void *arg)
{
	w.n_other++;
}

static int
begin(void **state)
{
	struct relay_session *s = calloc(1, sizeof(*s));

	memset(&w, 0, sizeof(w));
	w.loop.base = event_base_new();
	if (s == NULL || w.loop.base == NULL ||
	    event_base_priority_init(w.loop.base, LOOP_PRIORITIES) != 0)
		return -1;
	TAILQ_INIT(&w.loop.sessions);
	w.loop.n_sessions = 1;
	s->loop = &w.loop;
	s->n_refs = 1;
	strcpy(s->id, "one");
	TAILQ_INSERT_TAIL(&w.loop.sessions, s, link);
	s->deadline = evtimer_new(w.loop.base, on_other, s);
	s->ending.event = event_new(w.loop.base, -1, 0, on_ending, s);
	event_priority_set(s->ending.event, LOOP_PRIORITY_FIRST);
	w.other = event_new(w.loop.base, -1, 0, on_other, s);
	w.session = s;
	*state = s;
	return 0;
}

static int
end(void **state)
{
	struct relay_session *s = w.session;

	event_free(s->deadline);
	event_free(s->ending.event);
	event_free(w.other);
	free(s->ending.why);
	session_unref(s);
	event_base_free(w.loop.base);
	return w.n_unref == 1 && w.loop.n_sessions == 0 ? 0 : -1;
}

/* ---- tests ---- */

/* From each state: noted at once, no phase continues, carried out once and
 * before an event that was active already. */
static void
test_each_state_ends_once(void **state)
{
	struct relay_session *s = *state;

	for (int from = SESSION_HELLO; from <= SESSION_CLOSING; from++) {
		w.n_ended = w.n_other = 0;
		s->state = SESSION_HELLO;
		session_set_state(s, (enum session_state)from, 0);
		assert_int_equal(s->pump.is_running, from == SESSION_RUNNING);
		event_active(w.other, EV_TIMEOUT, 0);
		session_fail(s, "revoked", "first");
		session_end(s, "normal", "second");
		session_refuse(s, "third");
		assert_int_equal(s->state, SESSION_ENDING);
		assert_int_equal(s->ending.in, from);
		assert_string_equal(s->ending.code, "revoked");
		assert_string_equal(s->ending.why, "first");
		assert_true(s->ending.is_told);
		assert_false(s->pump.is_running);
		assert_int_equal(w.n_ended, 0);
		while (w.n_other == 0)
			event_base_loop(w.loop.base, EVLOOP_ONCE);
		assert_int_equal(w.n_ended, 1);
		assert_true(w.is_first);
		free(s->ending.why);
		s->ending.why = NULL;
	}
}

static void
test_codes(void **state)
{
	struct relay_session *s = *state;

	session_end(s, "normal", "bye");
	assert_false(s->ending.is_told);
	assert_string_equal(s->ending.code, "normal");
	free(s->ending.why);
	s->state = SESSION_LOGIN;
	session_refuse(s, "no");
	assert_true(s->ending.is_told);
	assert_string_equal(s->ending.code, "error");
}

/* The reason is copied: most callers have it on their stack. */
static void
test_reason_is_copied(void **state)
{
	struct relay_session *s = *state;
	char why[] = "gone";

	session_end(s, "normal", why);
	memset(why, 'x', sizeof(why) - 1);
	assert_string_equal(s->ending.why, "gone");
}

static void
test_deadline(void **state)
{
	struct relay_session *s = *state;

	session_set_state(s, SESSION_LOGIN, 60);
	assert_true(evtimer_pending(s->deadline, NULL));
	session_set_state(s, SESSION_CHECK, SESSION_SAME_DEADLINE);
	assert_true(evtimer_pending(s->deadline, NULL));
	session_set_state(s, SESSION_PARKED, 0);
	assert_false(evtimer_pending(s->deadline, NULL));
}

/* A phase's duration counts once, when it is left for another one. */
static void
test_measured_once(void **state)
{
	struct relay_session *s = *state;

	session_set_state(s, SESSION_OPEN, 0);
	session_set_state(s, SESSION_OPEN, 0);
	assert_int_equal(w.measured[SESSION_OPEN], 0);
	session_refuse(s, "no");
	assert_int_equal(w.measured[SESSION_OPEN], 0);
	session_set_state(s, SESSION_CLOSING, 3);
	session_set_state(s, SESSION_DEAD, 0);
	assert_int_equal(w.measured[SESSION_OPEN], 1);
	assert_int_equal(w.measured[SESSION_ENDING], 0);
}

static void
on_gone(struct relay_session *s)
{
	session_end(s, "normal", "the viewer closed the connection");
}

static void
test_peer_closes(void **state)
{
	struct relay_session *s = *state;

	session_set_state(s, SESSION_LOGIN, 60);
	assert_false(session_fill(s, &s->pump.viewer, false, on_gone));
	assert_int_equal(s->state, SESSION_ENDING);
	assert_int_equal(s->ending.in, SESSION_LOGIN);
}

static void
test_found_by_id(void **state)
{
	assert_ptr_equal(session_find(&w.loop, "one"), w.session);
	assert_null(session_find(&w.loop, "two"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_each_state_ends_once, begin, end),
		cmocka_unit_test_setup_teardown(test_codes, begin, end),
		cmocka_unit_test_setup_teardown(
		    test_reason_is_copied, begin, end),
		cmocka_unit_test_setup_teardown(test_deadline, begin, end),
		cmocka_unit_test_setup_teardown(test_measured_once, begin, end),
		cmocka_unit_test_setup_teardown(test_peer_closes, begin, end),
		cmocka_unit_test_setup_teardown(test_found_by_id, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
