/* Each state of a session that lasts too long, with the database there and
 * away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/bytes.h"
#include "relay/session/session_states.h"

#define AWAY                                                                   \
	"the relay's database does not answer; new sessions are refused "      \
	"until it does"
#define NO_ENDPOINT "endpoint desk1 cannot be reached: "

static const struct {
	bool is_refusal;
	const char *code, *why;
	const char *why_away; /* NULL: the same */
} expected[] = {
	[SESSION_HELLO] = { true, "error", "the viewer was silent", NULL },
	[SESSION_VIEWER_TLS] = { true, "error",
	    "the viewer did not finish the TLS handshake", NULL },
	[SESSION_LOGIN] = { true, "error", "no user name and password came",
	    NULL },
	[SESSION_CHECK] = { true, "error", "the login took too long", AWAY },
	[SESSION_DIAL] = { true, "error", NO_ENDPOINT "it did not answer",
	    NULL },
	[SESSION_AGENT] = { true, "error",
	    NO_ENDPOINT "its agent did not answer", NULL },
	[SESSION_CLAIM] = { true, "error",
	    NO_ENDPOINT "its connection was not handed over", NULL },
	[SESSION_ENDPOINT] = { true, "error",
	    NO_ENDPOINT "it did not finish the VNC handshake", NULL },
	[SESSION_ENDPOINT_TLS] = { true, "error",
	    NO_ENDPOINT "it did not finish the TLS handshake", NULL },
	[SESSION_OPEN] = { true, "error",
	    "the recording could not be started in time", AWAY },
	[SESSION_CLIENT_INIT] = { true, "error",
	    "the viewer did not go on after its login", NULL },
	[SESSION_PARKED] = { false, NULL, NULL, NULL },
	[SESSION_RUNNING] = { false, "max_duration",
	    "the session reached its maximum duration", NULL },
	[SESSION_CLOSING] = { false, "error",
	    "the refusal could not be delivered", NULL },
	[SESSION_ENDING] = { false, NULL, NULL, NULL },
	[SESSION_DEAD] = { false, NULL, NULL, NULL },
};
_Static_assert(N_ELEMENTS(expected) == SESSION_DEAD + 1, "one for each state");

static void
check(enum session_state state, bool is_away)
{
	const char *why = expected[state].why;
	struct session_timeout t;
	bool has = session_timeout_of(state, is_away, "desk1", &t);

	assert_int_equal(has, expected[state].code != NULL);
	if (!has)
		return;
	if (is_away && expected[state].why_away != NULL)
		why = expected[state].why_away;
	assert_int_equal(t.is_refusal, expected[state].is_refusal);
	assert_string_equal(t.code, expected[state].code);
	assert_string_equal(t.why, why);
}

static void
test_each_state(void **state)
{
	for (int s = SESSION_HELLO; s <= SESSION_DEAD; s++) {
		check((enum session_state)s, false);
		check((enum session_state)s, true);
	}
}

/* A name from the database is cut, never written past the reason. */
static void
test_long_name(void **state)
{
	struct session_timeout t;
	char name[400];

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_true(session_timeout_of(SESSION_DIAL, false, name, &t));
	assert_int_equal(strlen(t.why), sizeof(t.why) - 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_state),
		cmocka_unit_test(test_long_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
