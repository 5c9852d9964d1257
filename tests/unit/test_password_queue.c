/* Password checks: lanes, turns of addresses, bounds, and clients that
 * left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <event2/event.h>
#include <event2/thread.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/err.h"
#include "common/login/password_queue.h"

#define MANY (2 * PASSWORD_QUEUE_MAX)

struct rig;

struct check {
	struct password_job job;
	struct rig *rig;
	unsigned order; /* in which it was run, from 1; 0: not yet */
	int nice;
	bool is_done;
};

struct rig {
	struct event_base *base;
	struct job_inbox inbox;
	struct password_queue *queue;
	pthread_mutex_t lock;
	pthread_cond_t change;
	unsigned n_running, n_run;
	bool is_open; /* checks may finish */
	unsigned n_done;
	struct check checks[MANY];
	unsigned n;
};

static void
run_check(struct job *j)
{
	struct check *c = (struct check *)j;
	struct rig *r = c->rig;

	pthread_mutex_lock(&r->lock);
	c->order = ++r->n_run;
	c->nice = getpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid));
	r->n_running++;
	pthread_cond_broadcast(&r->change);
	while (!r->is_open)
		pthread_cond_wait(&r->change, &r->lock);
	r->n_running--;
	pthread_mutex_unlock(&r->lock);
}

static void
on_done(struct job *j)
{
	struct check *c = (struct check *)j;

	assert_false(c->is_done);
	c->is_done = true;
	c->rig->n_done++;
}

static int
setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));

	evthread_use_pthreads();
	r->base = event_base_new();
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->change, NULL);
	assert_int_equal(job_inbox_init(&r->inbox, r->base), 0);
	r->queue = password_queue_new(1, 1);
	*state = r;
	return r->queue == NULL ? -1 : 0;
}

static void
open_gate(struct rig *r)
{
	pthread_mutex_lock(&r->lock);
	r->is_open = true;
	pthread_cond_broadcast(&r->change);
	pthread_mutex_unlock(&r->lock);
}

static int
teardown(void **state)
{
	struct rig *r = *state;

	open_gate(r);
	password_queue_free(r->queue);
	job_inbox_drain(&r->inbox);
	/* each job that was taken is done, once */
	assert_int_equal(r->n_done, r->n);
	job_inbox_release(&r->inbox);
	event_base_free(r->base);
	free(r);
	return 0;
}

/* NULL: there was no room. */
static struct check *
submit(struct rig *r, uint64_t address, enum login_lane lane)
{
	struct check *c = &r->checks[r->n];

	*c = (struct check){ .rig = r };
	c->job.job.run = run_check;
	c->job.job.done = on_done;
	c->job.job.inbox = &r->inbox;
	c->job.address = address;
	c->job.lane = lane;
	if (password_queue_submit(r->queue, &c->job) != 0)
		return NULL;
	r->n++;
	return c;
}

static void
wait_running(struct rig *r, unsigned n)
{
	pthread_mutex_lock(&r->lock);
	while (r->n_running < n)
		pthread_cond_wait(&r->change, &r->lock);
	pthread_mutex_unlock(&r->lock);
}

/* Occupies the thread of strangers. */
static struct check *
occupy(struct rig *r)
{
	struct check *c = submit(r, 99999, LOGIN_LANE_FAILED);

	assert_non_null(c);
	wait_running(r, 1);
	return c;
}

static void
finish(struct rig *r)
{
	open_gate(r);
	while (r->n_done < r->n)
		event_base_loop(r->base, EVLOOP_ONCE);
}

static void
test_known_pairs_have_a_thread_of_their_own(void **state)
{
	struct rig *r = *state;
	struct check *stranger = occupy(r), *known;

	for (unsigned i = 0; i < 20; i++)
		assert_non_null(submit(r, i, LOGIN_LANE_NEW));
	known = submit(r, 5, LOGIN_LANE_KNOWN);
	wait_running(r, 2);
	assert_int_equal(known->order, 2);
	assert_true(stranger->nice > known->nice);
	finish(r);
}

/* An office behind one address comes back after a restart: none is refused,
 * and its strangers are bounded as ever. */
static void
test_known_pairs_of_one_address_are_not_refused(void **state)
{
	struct rig *r = *state;

	occupy(r);
	assert_non_null(submit(r, 1, LOGIN_LANE_KNOWN));
	wait_running(r, 2);
	for (unsigned i = 0; i < 100; i++)
		assert_non_null(submit(r, 1, LOGIN_LANE_KNOWN));
	for (unsigned i = 0; i < PASSWORD_QUEUE_PER_ADDRESS; i++)
		assert_non_null(submit(r, 1, LOGIN_LANE_NEW));
	assert_null(submit(r, 1, LOGIN_LANE_NEW));
	assert_non_null(submit(r, 1, LOGIN_LANE_KNOWN));
	finish(r);
}

/* The thread of low priority takes known pairs only while more than
 * PASSWORD_QUEUE_LONG of them wait. */
static void
test_strangers_thread_helps_with_a_long_queue(void **state)
{
	struct rig *r = *state;
	struct check *stranger, *known;

	submit(r, 1, LOGIN_LANE_KNOWN);
	wait_running(r, 1);
	for (unsigned i = 0; i < PASSWORD_QUEUE_LONG; i++)
		submit(r, 10 + i, LOGIN_LANE_KNOWN);
	stranger = submit(r, 2, LOGIN_LANE_NEW);
	wait_running(r, 2);
	assert_int_equal(stranger->order, 2);
	assert_int_equal(stranger->job.thread, 1);
	known = submit(r, 3, LOGIN_LANE_KNOWN);
	assert_int_equal(known->order, 0);
	finish(r);
	assert_true(known->order > 2);
}

static void
test_nine_known_pairs_are_a_long_queue(void **state)
{
	struct rig *r = *state;
	struct check *first;

	submit(r, 1, LOGIN_LANE_KNOWN);
	wait_running(r, 1);
	first = submit(r, 10, LOGIN_LANE_KNOWN);
	for (unsigned i = 0; i < PASSWORD_QUEUE_LONG; i++)
		submit(r, 11 + i, LOGIN_LANE_KNOWN);
	wait_running(r, 2);
	assert_int_equal(first->order, 2);
	assert_int_equal(first->job.thread, 1);
	finish(r);
}

static void
test_wait_is_estimated(void **state)
{
	struct rig *r = *state;
	uint64_t empty;

	occupy(r);
	empty = password_queue_wait_ms(r->queue, LOGIN_LANE_NEW);
	assert_true(empty > 0);
	for (unsigned i = 0; i < 9; i++)
		submit(r, i, LOGIN_LANE_NEW);
	assert_int_equal(
	    password_queue_wait_ms(r->queue, LOGIN_LANE_NEW), 10 * empty);
	/* which known pairs do not wait for */
	assert_int_equal(
	    password_queue_wait_ms(r->queue, LOGIN_LANE_KNOWN), empty);
	finish(r);
	/* the checks of this test take no time */
	for (unsigned i = 0; i < 40; i++) {
		struct check *c = submit(r, i, LOGIN_LANE_NEW);

		while (!c->is_done)
			event_base_loop(r->base, EVLOOP_ONCE);
	}
	assert_true(password_queue_wait_ms(r->queue, LOGIN_LANE_NEW) < empty);
}

static void
test_addresses_take_turns(void **state)
{
	struct rig *r = *state;
	struct check *a[5], *b[2], *c;

	occupy(r);
	for (unsigned i = 0; i < 5; i++)
		a[i] = submit(r, 1, LOGIN_LANE_NEW);
	for (unsigned i = 0; i < 2; i++)
		b[i] = submit(r, 2, LOGIN_LANE_NEW);
	c = submit(r, 3, LOGIN_LANE_NEW);
	finish(r);
	/* a b c a b a a a, behind the one that occupied */
	assert_int_equal(a[0]->order, 2);
	assert_int_equal(b[0]->order, 3);
	assert_int_equal(c->order, 4);
	assert_int_equal(a[1]->order, 5);
	assert_int_equal(b[1]->order, 6);
	assert_int_equal(a[4]->order, 9);
}

static void
test_who_failed_before_has_each_fourth_turn(void **state)
{
	struct rig *r = *state;
	struct check *failed[3], *fresh[9];

	occupy(r);
	for (unsigned i = 0; i < 3; i++)
		failed[i] = submit(r, i, LOGIN_LANE_FAILED);
	for (unsigned i = 0; i < 9; i++)
		fresh[i] = submit(r, 100 + i, LOGIN_LANE_NEW);
	finish(r);
	assert_int_equal(fresh[2]->order, 4);
	assert_int_equal(failed[0]->order, 5);
	assert_int_equal(failed[1]->order, 9);
	assert_int_equal(fresh[8]->order, 12);
	assert_int_equal(failed[2]->order, 13);
}

static void
test_the_queue_is_bounded(void **state)
{
	struct rig *r = *state;
	struct check *last = NULL, *c;
	unsigned i;

	occupy(r);
	for (i = 0; i < PASSWORD_QUEUE_PER_ADDRESS; i++)
		assert_non_null(submit(r, 1, LOGIN_LANE_FAILED));
	assert_null(submit(r, 1, LOGIN_LANE_FAILED));
	assert_null(
	    submit(r, 1, LOGIN_LANE_NEW)); /* the lane does not matter */
	for (i = r->n - 1; i < PASSWORD_QUEUE_MAX; i++)
		assert_non_null(last = submit(r, 1000 + i, LOGIN_LANE_FAILED));
	assert_int_equal(password_queue_waiting(r->queue), PASSWORD_QUEUE_MAX);
	/* one more in the same turn, or a later one, finds no room */
	c = &r->checks[PASSWORD_QUEUE_PER_ADDRESS];
	assert_int_equal(c->job.address, 1);
	/* an earlier one takes it from the last in turn: of address 1 */
	assert_non_null(submit(r, 5000, LOGIN_LANE_FAILED));
	job_inbox_drain(&r->inbox);
	assert_true(c->is_done);
	assert_int_equal(c->job.state, PASSWORD_DROPPED);
	assert_int_equal(password_queue_waiting(r->queue), PASSWORD_QUEUE_MAX);
	/* any number of strangers leaves room for those that did not fail,
	 * and these for known pairs */
	for (i = 0; i < 100; i++)
		assert_non_null(submit(r, 6000 + i, LOGIN_LANE_NEW));
	assert_int_equal(password_queue_waiting(r->queue), PASSWORD_QUEUE_MAX);
	assert_non_null(last);
	finish(r);
}

static void
test_a_full_queue_of_one_turn_refuses(void **state)
{
	struct rig *r = *state;

	occupy(r);
	for (unsigned i = 0; i < PASSWORD_QUEUE_MAX; i++)
		assert_non_null(submit(r, i, LOGIN_LANE_NEW));
	assert_null(submit(r, 5000, LOGIN_LANE_NEW));
	assert_null(submit(r, 5000, LOGIN_LANE_FAILED));
	assert_non_null(submit(r, 5000, LOGIN_LANE_KNOWN));
	finish(r);
}

static void
test_who_left_is_not_checked(void **state)
{
	struct rig *r = *state;
	struct check *gone, *stays;

	occupy(r);
	gone = submit(r, 1, LOGIN_LANE_NEW);
	stays = submit(r, 2, LOGIN_LANE_NEW);
	atomic_store(&gone->job.is_left, true);
	finish(r);
	assert_int_equal(gone->order, 0);
	assert_int_equal(gone->job.state, PASSWORD_LEFT);
	assert_int_equal(stays->order, 2);
	assert_int_equal(stays->job.state, PASSWORD_CHECKED);
}

static void
test_what_waits_at_the_end_is_done(void **state)
{
	struct rig *r = *state;

	occupy(r);
	for (unsigned i = 0; i < 50; i++)
		submit(r, i, LOGIN_LANE_NEW);
	/* teardown frees the queue and counts */
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_known_pairs_have_a_thread_of_their_own),
		TEST(test_known_pairs_of_one_address_are_not_refused),
		TEST(test_strangers_thread_helps_with_a_long_queue),
		TEST(test_nine_known_pairs_are_a_long_queue),
		TEST(test_wait_is_estimated),
		TEST(test_addresses_take_turns),
		TEST(test_who_failed_before_has_each_fourth_turn),
		TEST(test_the_queue_is_bounded),
		TEST(test_a_full_queue_of_one_turn_refuses),
		TEST(test_who_left_is_not_checked),
		TEST(test_what_waits_at_the_end_is_done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
