/* A session's recorders: their sockets, deaths, gaps and progress. */
#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "relay/recording/gap_budget.h"
#include "relay/recording/recorder_link.h"
#include "relay/recording/recorder_watch.h"

static struct {
	struct event_base *base;
	struct recorder_link link;
	int space, peer;
	unsigned n_said, n_closed, n_late, n_space, n_ready;
	bool wants_next; /* opens the link again as it is closed */
	struct tee_status st;
} w;

static void
on_said(void *arg, const struct tee_status *st)
{
	assert_ptr_equal(arg, &w);
	w.n_said++;
	w.st = *st;
	if (st->kind == TEE_STATUS_READY)
		w.n_ready += recorder_link_ready(&w.link);
}

static void
on_closed(void *arg)
{
	w.n_closed++;
	assert_int_equal(w.link.fd, -1);
	if (w.wants_next)
		w.peer = recorder_link_open(&w.link, w.space);
}

static void
on_late(void *arg)
{
	w.n_late++;
}

static void
on_space(void *arg)
{
	w.n_space++;
}

static const struct recorder_link_ops ops = {
	.said = on_said,
	.closed = on_closed,
	.late = on_late,
	.space = on_space,
};

static int
begin(void **state)
{
	memset(&w, 0, sizeof(w));
	w.base = event_base_new();
	w.space = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	recorder_link_init(&w.link, w.base, &ops, &w);
	w.peer = recorder_link_open(&w.link, w.space);
	return w.base != NULL && w.space >= 0 && w.peer >= 0 ? 0 : -1;
}

static int
end(void **state)
{
	recorder_link_release(&w.link);
	recorder_link_release(&w.link);
	if (w.peer >= 0)
		close(w.peer);
	close(w.space);
	event_base_free(w.base);
	return 0;
}

static void
say(enum tee_status_kind kind, const char *text)
{
	struct tee_status st = { .kind = kind };

	memset(st.text, 'x', sizeof(st.text)); /* no NUL at its end */
	if (text != NULL)
		memcpy(st.text, text, strlen(text) + 1);
	assert_int_equal(
	    send(w.peer, &st, sizeof(st), MSG_NOSIGNAL), sizeof(st));
}

/* Everything that is active now; what is not due yet stays. */
static void
run(void)
{
	event_base_loop(w.base, EVLOOP_NONBLOCK);
}

static void
test_words_and_end(void **state)
{
	say(TEE_STATUS_READY, "");
	say(TEE_STATUS_READY, "");
	say(TEE_STATUS_FAILED, "disk\n\x1b[2J full");
	run();
	assert_int_equal(w.n_said, 3);
	assert_int_equal(w.n_ready, 1);
	assert_string_equal(w.st.text, "disk??[2J full");
	say(TEE_STATUS_FAILED, NULL);
	run();
	assert_int_equal(strlen(w.st.text), sizeof(w.st.text) - 1);
	assert_int_equal(w.n_closed, 0);
	close(w.peer);
	w.peer = -1;
	run();
	assert_int_equal(w.n_closed, 1);
	assert_true(w.link.is_ready); /* it ended, it was not missing */
	run();
	assert_int_equal(w.n_closed, 1);
}

/* One that never stops speaking has the loop come back for more. */
static void
test_many_words(void **state)
{
	/* no more fit into the socket: net.unix.max_dgram_qlen */
	for (unsigned i = 0; i < 10; i++)
		say(TEE_STATUS_LOAD, "");
	event_base_loop(w.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	assert_in_range(w.n_said, 1, 9);
	run();
	assert_int_equal(w.n_said, 10);
	assert_int_equal(w.n_closed, 0);
}

/* The words before the end are heard, and another one may follow at once. */
static void
test_the_next_one(void **state)
{
	w.wants_next = true;
	say(TEE_STATUS_READY, "");
	say(TEE_STATUS_CAPTURE, "");
	close(w.peer);
	w.peer = -1;
	run();
	assert_int_equal(w.n_said, 2);
	assert_int_equal(w.n_closed, 1);
	assert_true(w.peer >= 0);
	assert_false(w.link.is_ready);
	say(TEE_STATUS_READY, "");
	run();
	assert_int_equal(w.n_ready, 2);
}

static void
test_half_a_message_is_the_end(void **state)
{
	assert_int_equal(send(w.peer, "half", 4, MSG_NOSIGNAL), 4);
	run();
	assert_int_equal(w.n_said, 0);
	assert_int_equal(w.n_closed, 1);
}

static void
test_time(void **state)
{
	recorder_link_wait(&w.link, 0);
	event_base_loop(w.base, EVLOOP_ONCE);
	assert_int_equal(w.n_late, 1);
	recorder_link_wait(&w.link, 0);
	recorder_link_stop_timer(&w.link);
	run();
	assert_int_equal(w.n_late, 1);
	recorder_link_wait(&w.link, 600 * NS_PER_S);
	say(TEE_STATUS_READY, "");
	run();
	assert_false(evtimer_pending(w.link.timer, NULL));
}

static void
test_space(void **state)
{
	uint64_t one = 1;

	assert_int_equal(write(w.space, &one, sizeof(one)), sizeof(one));
	run();
	assert_int_equal(w.n_space, 1);
	run();
	assert_int_equal(w.n_space, 1);
}

static void
test_progress(void **state)
{
	const uint64_t limit = 5 * NS_PER_S;
	struct recorder_watch v = { 0 };
	uint64_t now = 100 * NS_PER_S;

	assert_false(recorder_watch_look(&v, now, 0, true, limit));
	for (int i = 1; i <= 5; i++)
		assert_false(recorder_watch_look(
		    &v, now + (uint64_t)i * NS_PER_S, 0, true, limit));
	assert_true(
	    recorder_watch_look(&v, now + 6 * NS_PER_S, 0, true, limit));
	recorder_watch_pardon(&v, now + 6 * NS_PER_S);
	assert_false(
	    recorder_watch_look(&v, now + 7 * NS_PER_S, 0, true, limit));
	/* one byte is progress, and so is nothing to do */
	assert_false(
	    recorder_watch_look(&v, now + 10 * NS_PER_S, 1, true, limit));
	assert_int_equal(v.since_ns, now + 10 * NS_PER_S);
	assert_false(
	    recorder_watch_look(&v, now + 13 * NS_PER_S, 1, false, limit));
	assert_int_equal(v.since_ns, now + 13 * NS_PER_S);
}

/* A machine that was suspended stood still itself. */
static void
test_suspended(void **state)
{
	struct recorder_watch v = { 0 };

	recorder_watch_look(&v, NS_PER_S, 0, true, NS_PER_S);
	assert_false(
	    recorder_watch_look(&v, 900 * NS_PER_S, 0, true, NS_PER_S));
	assert_false(
	    recorder_watch_look(&v, 901 * NS_PER_S, 0, true, NS_PER_S));
	assert_true(recorder_watch_look(&v, 902 * NS_PER_S, 0, true, NS_PER_S));
}

static void
test_deaths(void **state)
{
	struct gap_budget b = { 0 };

	assert_false(gap_budget_death(&b, 10 * NS_PER_S));
	assert_false(gap_budget_death(&b, 20 * NS_PER_S));
	assert_true(gap_budget_death(&b, 69 * NS_PER_S));
	b = (struct gap_budget){ 0 };
	assert_false(gap_budget_death(&b, 10 * NS_PER_S));
	assert_false(gap_budget_death(&b, 20 * NS_PER_S));
	assert_false(gap_budget_death(&b, 70 * NS_PER_S));
	assert_true(gap_budget_death(&b, 79 * NS_PER_S));
}

/* Gaps add up, the open one too. */
static void
test_gaps(void **state)
{
	struct gap_budget b = { 0 };

	assert_int_equal(gap_budget_left(&b, 30, 1000), 30);
	gap_budget_begin(&b, 1000);
	assert_int_equal(gap_budget_left(&b, 30, 1010), 20);
	assert_int_equal(gap_budget_end(&b, 1012), 12);
	assert_int_equal(gap_budget_left(&b, 30, 5000), 18);
	gap_budget_begin(&b, 6000);
	gap_budget_begin(&b, 6010); /* the next one stands still, too */
	assert_int_equal(gap_budget_left(&b, 30, 6017), 1);
	assert_int_equal(gap_budget_left(&b, 30, 6018), 0);
	assert_int_equal(gap_budget_left(&b, 30, 9000), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_words_and_end, begin, end),
		cmocka_unit_test_setup_teardown(test_many_words, begin, end),
		cmocka_unit_test_setup_teardown(test_the_next_one, begin, end),
		cmocka_unit_test_setup_teardown(
		    test_half_a_message_is_the_end, begin, end),
		cmocka_unit_test_setup_teardown(test_time, begin, end),
		cmocka_unit_test_setup_teardown(test_space, begin, end),
		cmocka_unit_test(test_progress),
		cmocka_unit_test(test_suspended),
		cmocka_unit_test(test_deaths),
		cmocka_unit_test(test_gaps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
