/* Traces of sessions: their own, those that were noted, and the field that
 * says them to others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "common/err.h"
#include "common/trace_context.h"

#define SESSION "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"
#define OWN     "0a1b2c3d4e5f60718293a4b5c6d7e8f9"
#define TRACE   "4bf92f3577b34da6a3ce929d0e0e4736"

static void
own_trace(void **state)
{
	static struct trace_sessions t;
	char trace[HTTP_TRACE_ID_MAX];

	assert_string_equal(trace_of_session(NULL, SESSION, trace), OWN);
	assert_string_equal(trace_of_session(&t, SESSION, trace), OWN);
	assert_string_equal(trace_of_session(&t, "", trace), "");
	assert_string_equal(trace_of_session(&t, SESSION "0", trace), "");
	assert_string_equal(trace_of_session(&t, TRACE, trace), "");
}

static void
noted_traces(void **state)
{
	static struct trace_sessions t;
	char session[UUID_TEXT_MAX], trace[HTTP_TRACE_ID_MAX];

	trace_sessions_note(&t, SESSION, "");
	assert_int_equal(t.next, 0);
	for (int i = 0; i < 2; i++)
		trace_sessions_note(&t, SESSION, TRACE);
	assert_int_equal(t.next, 1); /* once */
	assert_string_equal(trace_of_session(&t, SESSION, trace), TRACE);
	for (unsigned i = 0; i < TRACE_SESSIONS_MAX; i++) {
		assert_string_equal(
		    trace_of_session(&t, SESSION, trace), TRACE);
		snprintf(session, sizeof(session),
		    "%08x-4e5f-6071-8293-a4b5c6d7e8f9", i);
		trace_sessions_note(&t, session, TRACE);
	}
	/* the oldest is gone, the newest is there */
	assert_string_equal(trace_of_session(&t, SESSION, trace), OWN);
	assert_string_equal(trace_of_session(&t, session, trace), TRACE);
}

static void
field(void **state)
{
	char a[TRACE_PARENT_MAX], b[TRACE_PARENT_MAX];
	char id[HTTP_TRACE_ID_MAX];

	assert_int_equal(trace_parent("", a), ERR_NOTFOUND);
	assert_int_equal(trace_parent(TRACE, a), 0);
	assert_int_equal(trace_parent(TRACE, b), 0);
	assert_string_not_equal(a, b);
	assert_int_equal(http_trace_id(a, id), 0);
	assert_string_equal(id, TRACE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(own_trace),
		cmocka_unit_test(noted_traces),
		cmocka_unit_test(field),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
