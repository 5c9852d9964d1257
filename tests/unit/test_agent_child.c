/* Programs on the endpoint's screen: started, ended, and signals that are
 * theirs alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <event2/event.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/child.h"

struct fixture {
	struct event_base *base;
	struct children *all;
	struct event *on_term, *limit;
	int n_term;
	int status;
	char output[CHILD_OUTPUT_MAX + 1];
};

static void
on_term(evutil_socket_t number, short what, void *arg)
{
	struct fixture *f = arg;

	f->n_term++;
}

static void
on_limit(evutil_socket_t fd, short what, void *arg)
{
	fail_msg("the children did not end within 60 s");
}

static int
setup(void **state)
{
	static struct fixture f;
	struct timeval limit = { .tv_sec = 60 };

	f = (struct fixture){ .base = event_base_new() };
	assert_non_null(f.base);
	f.all = children_new(f.base);
	assert_non_null(f.all);
	f.on_term = evsignal_new(f.base, SIGTERM, on_term, &f);
	f.limit = evtimer_new(f.base, on_limit, &f);
	assert_int_equal(event_add(f.on_term, NULL), 0);
	assert_int_equal(event_add(f.limit, &limit), 0);
	*state = &f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	children_free(f->all);
	event_free(f->on_term);
	event_free(f->limit);
	event_base_free(f->base);
	return 0;
}

static void
on_end(void *arg, int status, const char *output)
{
	struct fixture *f = arg;

	f->status = status;
	strcpy(f->output, output);
	event_base_loopbreak(f->base);
}

static void
output_and_status(void **state)
{
	static const char *const argv[] = { "sh", "-c",
		"read x; echo \"$x $A\"; exit 3", NULL };
	static const char *const env[] = { "A=b", NULL };
	struct fixture *f = *state;
	struct child *c = child_start(f->all, argv, env, on_end, f);

	assert_non_null(c);
	child_write(c, "word\n");
	event_base_dispatch(f->base);
	assert_true(WIFEXITED(f->status));
	assert_int_equal(WEXITSTATUS(f->status), 3);
	assert_string_equal(f->output, "word b\n");
}

/* A child that is stopped before it has become another program still runs
 * the loop's signal handlers. */
static void
stopped_at_once(void **state)
{
	static const char *const argv[] = { "sleep", "600", NULL };
	static const char *const env[] = { NULL };
	struct fixture *f = *state;

	for (int i = 0; i < 50; i++)
		child_stop(child_start(f->all, argv, env, on_end, f));
	/* a program that is started after all of them ends */
	output_and_status(state);
	assert_int_equal(f->n_term, 0);
}

static void
own_signal_is_seen(void **state)
{
	struct fixture *f = *state;

	stopped_at_once(state);
	kill(getpid(), SIGTERM);
	while (f->n_term == 0)
		event_base_loop(f->base, EVLOOP_ONCE);
	assert_int_equal(f->n_term, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    output_and_status, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    stopped_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    own_signal_is_seen, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
