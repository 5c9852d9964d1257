#include "common/login/password_queue.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"

#define NEW_PER_FAILED 3 /* turns of one lane to a turn of the other */
/* The duration of a check until one was measured. The mean then takes one
 * eighth of each new duration. */
#define FIRST_CHECK_NS (200 * NS_PER_MS)
#define MEAN_OF        8

TAILQ_HEAD(password_list, password_job);

struct password_queue {
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct password_list lanes[LOGIN_LANES]; /* by turn */
	uint64_t served[LOGIN_LANES];            /* turn of the last one */
	unsigned n_in[LOGIN_LANES];              /* jobs that wait */
	unsigned n_waiting, n_new_in_a_row;
	uint64_t check_ns; /* mean */
	bool stopping;
	unsigned n_known, n_strangers; /* threads */
	unsigned n_known_running, n_strangers_running;
	unsigned n_started;
	pthread_t threads[];
};

/* ---- under the lock ---- */

static void
remove_job(struct password_queue *q, struct password_job *j)
{
	TAILQ_REMOVE(&q->lanes[j->lane], j, link);
	q->n_in[j->lane]--;
	q->n_waiting--;
}

static struct password_job *
take_first(struct password_queue *q, enum login_lane lane)
{
	struct password_job *j = TAILQ_FIRST(&q->lanes[lane]);

	if (j != NULL) {
		remove_job(q, j);
		q->served[lane] = j->turn;
	}
	return j;
}

static struct password_job *
next_stranger(struct password_queue *q)
{
	bool is_new_first = q->n_new_in_a_row < NEW_PER_FAILED ||
	    TAILQ_EMPTY(&q->lanes[LOGIN_LANE_FAILED]);
	struct password_job *j;

	if (is_new_first && (j = take_first(q, LOGIN_LANE_NEW)) != NULL) {
		q->n_new_in_a_row++;
		return j;
	}
	q->n_new_in_a_row = 0;
	j = take_first(q, LOGIN_LANE_FAILED);
	return j != NULL ? j : take_first(q, LOGIN_LANE_NEW);
}

/* A thread of low priority is slow beside other work: it takes a known pair
 * only where that would wait for long. */
static struct password_job *
next_job(struct password_queue *q, bool is_known)
{
	if (is_known ||
	    q->n_in[LOGIN_LANE_KNOWN] > q->n_known * PASSWORD_QUEUE_LONG)
		return take_first(q, LOGIN_LANE_KNOWN);
	return next_stranger(q);
}

/*
 * Its turn in its lane: one later than the last of its address, so that
 * addresses alternate (start-time fair queueing). Returns how many of its
 * address wait as strangers.
 */
static unsigned
set_turn(struct password_queue *q, struct password_job *j)
{
	struct password_job *k;
	unsigned n = 0;

	j->turn = q->served[j->lane];
	for (unsigned i = 0; i < LOGIN_LANES; i++)
		TAILQ_FOREACH(k, &q->lanes[i], link) {
			if (k->address != j->address)
				continue;
			n += i != LOGIN_LANE_KNOWN;
			if (k->lane == j->lane && k->turn > j->turn)
				j->turn = k->turn;
		}
	j->turn++;
	return n;
}

static void
insert(struct password_queue *q, struct password_job *j)
{
	struct password_job *k = TAILQ_LAST(&q->lanes[j->lane], password_list);

	while (k != NULL && k->turn > j->turn)
		k = TAILQ_PREV(k, password_list, link);
	if (k != NULL)
		TAILQ_INSERT_AFTER(&q->lanes[j->lane], k, j, link);
	else
		TAILQ_INSERT_HEAD(&q->lanes[j->lane], j, link);
	q->n_in[j->lane]++;
	q->n_waiting++;
}

/* The last one of all, if it comes after j; NULL: it does not. */
static struct password_job *
last_after(struct password_queue *q, const struct password_job *j)
{
	struct password_job *k = NULL;

	for (int lane = LOGIN_LANES - 1; k == NULL && lane >= 0; lane--)
		k = TAILQ_LAST(&q->lanes[lane], password_list);
	return k != NULL &&
		(k->lane > j->lane || (k->lane == j->lane && k->turn > j->turn))
	    ? k
	    : NULL;
}

static void
finish(struct password_job *j, enum password_state state)
{
	j->state = state;
	job_post(&j->job);
}

/* ---- threads ---- */

static void
run(struct password_job *j)
{
	if (atomic_load(&j->is_left)) {
		finish(j, PASSWORD_LEFT);
		return;
	}
	j->job.run(&j->job);
	finish(j, PASSWORD_CHECKED);
}

/* Its number among the processes, of which known pairs have the first. */
static unsigned
thread_number(struct password_queue *q, bool is_known)
{
	return is_known ? q->n_known_running++
			: q->n_known + q->n_strangers_running++;
}

static void
work(struct password_queue *q, bool is_known)
{
	struct password_job *j;
	unsigned thread;
	uint64_t began;

	pthread_mutex_lock(&q->lock);
	thread = thread_number(q, is_known);
	while (!q->stopping) {
		j = next_job(q, is_known);
		if (j == NULL) {
			pthread_cond_wait(&q->more, &q->lock);
			continue;
		}
		pthread_mutex_unlock(&q->lock);
		j->thread = thread;
		began = clock_mono_ns();
		run(j);
		pthread_mutex_lock(&q->lock);
		q->check_ns +=
		    (clock_mono_ns() - began) / MEAN_OF - q->check_ns / MEAN_OF;
	}
	pthread_mutex_unlock(&q->lock);
}

static void *
known_main(void *arg)
{
	work(arg, true);
	return NULL;
}

static void *
stranger_main(void *arg)
{
	/* of this thread only: Linux, setpriority(2) */
	setpriority(
	    PRIO_PROCESS, (id_t)syscall(SYS_gettid), PASSWORD_STRANGER_NICE);
	work(arg, false);
	return NULL;
}

struct password_queue *
password_queue_new(unsigned n_known, unsigned n_strangers)
{
	const unsigned n = n_known + n_strangers;
	struct password_queue *q =
	    calloc(1, sizeof(*q) + n * sizeof(q->threads[0]));

	if (q == NULL)
		return NULL;
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->more, NULL);
	for (unsigned i = 0; i < LOGIN_LANES; i++)
		TAILQ_INIT(&q->lanes[i]);
	q->n_known = n_known;
	q->n_strangers = n_strangers;
	q->check_ns = FIRST_CHECK_NS;
	while (q->n_started < n &&
	    pthread_create(&q->threads[q->n_started], NULL,
		q->n_started < n_known ? known_main : stranger_main, q) == 0)
		q->n_started++;
	if (q->n_started <= n_known) {
		password_queue_free(q);
		return NULL;
	}
	return q;
}

void
password_queue_free(struct password_queue *q)
{
	struct password_job *j;

	if (q == NULL)
		return;
	pthread_mutex_lock(&q->lock);
	q->stopping = true;
	for (unsigned i = 0; i < LOGIN_LANES; i++)
		while ((j = take_first(q, i)) != NULL)
			finish(j, PASSWORD_DROPPED);
	pthread_cond_broadcast(&q->more);
	pthread_mutex_unlock(&q->lock);
	for (unsigned i = 0; i < q->n_started; i++)
		pthread_join(q->threads[i], NULL);
	pthread_mutex_destroy(&q->lock);
	pthread_cond_destroy(&q->more);
	free(q);
}

int
password_queue_submit(struct password_queue *q, struct password_job *j)
{
	struct password_job *last = NULL;
	int rc = 0;

	pthread_mutex_lock(&q->lock);
	if (set_turn(q, j) >= PASSWORD_QUEUE_PER_ADDRESS &&
	    j->lane != LOGIN_LANE_KNOWN)
		rc = ERR_LIMIT;
	else if (q->n_waiting >= PASSWORD_QUEUE_MAX &&
	    (last = last_after(q, j)) == NULL)
		rc = ERR_LIMIT;
	if (last != NULL) {
		remove_job(q, last);
		finish(last, PASSWORD_DROPPED);
	}
	if (rc == 0) {
		insert(q, j);
		pthread_cond_broadcast(&q->more);
	}
	pthread_mutex_unlock(&q->lock);
	return rc;
}

uint64_t
password_queue_wait_ms(struct password_queue *q, enum login_lane lane)
{
	uint64_t n_before = 0, ms;

	pthread_mutex_lock(&q->lock);
	if (lane == LOGIN_LANE_KNOWN)
		n_before = q->n_in[lane] / q->n_known;
	else /* in turns with the other lane of strangers */
		n_before =
		    (q->n_in[LOGIN_LANE_NEW] + q->n_in[LOGIN_LANE_FAILED]) /
		    q->n_strangers;
	ms = (n_before + 1) * q->check_ns / NS_PER_MS;
	pthread_mutex_unlock(&q->lock);
	return ms;
}

unsigned
password_queue_waiting(struct password_queue *q)
{
	unsigned n;

	pthread_mutex_lock(&q->lock);
	n = q->n_waiting;
	pthread_mutex_unlock(&q->lock);
	return n;
}
