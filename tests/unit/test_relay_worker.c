/* Worker threads, and jobs that go from loop to loop, also at the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <event2/event.h>

#include "common/worker.h"

#define N_INBOXES 3

struct travel {
	struct job job;
	struct job_inbox *inboxes;
	unsigned at, hops; /* still to go */
	unsigned *n_done;
	int result;
};

/* To the inbox before its own: one that was drained already. */
static void
go_on(struct job *j)
{
	struct travel *t = (struct travel *)j;

	if (t->hops == 0) {
		++*t->n_done;
		free(t);
		return;
	}
	t->hops--;
	t->at = (t->at + N_INBOXES - 1) % N_INBOXES;
	t->job.inbox = &t->inboxes[t->at];
	job_post(&t->job);
}

static struct travel *
travel_new(struct job_inbox *inboxes, unsigned hops, unsigned *n_done)
{
	struct travel *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	*t = (struct travel){ .job = { .done = go_on, .inbox = &inboxes[2] },
		.inboxes = inboxes,
		.at = 2,
		.hops = hops,
		.n_done = n_done };
	return t;
}

static void
test_jobs_end_though_no_loop_runs(void **state)
{
	struct event_base *base = event_base_new();
	struct job_inbox inboxes[N_INBOXES];
	unsigned n_done = 0, rounds = 0;
	bool any;

	for (unsigned i = 0; i < N_INBOXES; i++)
		assert_int_equal(job_inbox_init(&inboxes[i], base), 0);
	for (unsigned hops = 0; hops < 10; hops++)
		job_post(&travel_new(inboxes, hops, &n_done)->job);
	do {
		any = false;
		for (unsigned i = 0; i < N_INBOXES; i++)
			any |= job_inbox_drain(&inboxes[i]);
		rounds++;
	} while (any);
	assert_int_equal(n_done, 10);
	assert_in_range(rounds, 3, 12);
	for (unsigned i = 0; i < N_INBOXES; i++)
		job_inbox_release(&inboxes[i]);
	event_base_free(base);
}

static void
count(struct job *j)
{
	((struct travel *)j)->result++;
}

static void
test_run_in_a_thread_then_done(void **state)
{
	struct event_base *base = event_base_new();
	struct worker_pool *pool = worker_pool_new(2);
	struct job_inbox inboxes[N_INBOXES];
	struct travel *t;
	unsigned n_done = 0;

	for (unsigned i = 0; i < N_INBOXES; i++)
		assert_int_equal(job_inbox_init(&inboxes[i], base), 0);
	t = travel_new(inboxes, 4, &n_done);
	t->job.run = count;
	worker_submit(pool, &t->job);
	while (n_done == 0)
		assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 0);
	worker_pool_free(pool);
	for (unsigned i = 0; i < N_INBOXES; i++)
		job_inbox_release(&inboxes[i]);
	event_base_free(base);
}

/* A pool that goes gives back what it has not begun. */
static void
test_pool_goes_with_jobs_waiting(void **state)
{
	struct event_base *base = event_base_new();
	struct worker_pool *pool = worker_pool_new(1);
	struct job_inbox inboxes[N_INBOXES];
	unsigned n_done = 0;

	for (unsigned i = 0; i < N_INBOXES; i++)
		assert_int_equal(job_inbox_init(&inboxes[i], base), 0);
	for (unsigned i = 0; i < 100; i++) {
		struct travel *t = travel_new(inboxes, 0, &n_done);

		t->job.run = count;
		worker_submit(pool, &t->job);
	}
	worker_pool_free(pool);
	assert_true(job_inbox_drain(&inboxes[2]));
	assert_int_equal(n_done, 100);
	assert_false(job_inbox_drain(&inboxes[2]));
	for (unsigned i = 0; i < N_INBOXES; i++)
		job_inbox_release(&inboxes[i]);
	event_base_free(base);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_jobs_end_though_no_loop_runs),
		cmocka_unit_test(test_run_in_a_thread_then_done),
		cmocka_unit_test(test_pool_goes_with_jobs_waiting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
