/*
 * Password checks, which take a processor core for a fifth of a second each:
 * a few threads and a bounded queue. Known pairs (enum login_lane) have threads
 * that do nothing else: after a restart all technicians come back at once. The
 * others are for strangers, three of addresses that have not failed to one of
 * those that have; they help with known pairs only while many wait. Within a
 * lane addresses take turns. Threads for strangers have a lower priority, so
 * that running sessions do not notice them.
 *
 * Thread-safe. A job's `done` is called on the loop of its inbox (worker.h),
 * whatever came of it.
 */
#ifndef COMMON_LOGIN_PASSWORD_QUEUE_H
#define COMMON_LOGIN_PASSWORD_QUEUE_H

#include <stdatomic.h>
#include <stdint.h>

#include "common/login/login_throttle.h"
#include "common/worker.h"

#define PASSWORD_QUEUE_MAX 256 /* jobs that wait */
/* Of them, without known pairs: a whole office may have one address, and of a
 * pair LOGIN_AT_A_TIME are here. */
#define PASSWORD_QUEUE_PER_ADDRESS 8
/* Known pairs that wait, for each thread of theirs, before others help. */
#define PASSWORD_QUEUE_LONG    8
#define PASSWORD_STRANGER_NICE 10 /* setpriority(2) */

enum password_state {
	PASSWORD_CHECKED, /* job.run was called */
	PASSWORD_LEFT,    /* its client was gone before its turn */
	PASSWORD_DROPPED, /* others went before it, and the queue is full */
};

struct password_job {
	struct job job; /* run, done and inbox are set by the caller */
	uint64_t address;
	enum login_lane lane;
	_Atomic bool is_left; /* set on the loop when the client is gone */
	enum password_state state;
	unsigned thread; /* that calls job.run, from 0; known pairs' first */
	/* the queue's own */
	TAILQ_ENTRY(password_job) link;
	uint64_t turn;
};

struct password_queue;

/* n_known, n_strangers: threads, at least one each. NULL for memory, or when
 * there are not enough threads to be had for both. */
struct password_queue *password_queue_new(
    unsigned n_known, unsigned n_strangers);
/* Waits for running jobs; waiting ones are done as PASSWORD_DROPPED. */
void password_queue_free(struct password_queue *q);

/*
 * Queues a job; address and lane are set. Returns 0, or ERR_LIMIT when there
 * is no room for it: then it was not taken. Where the queue is full the last
 * one in turn is dropped, if it comes after this one.
 */
int password_queue_submit(struct password_queue *q, struct password_job *j);

/*
 * Milliseconds until a job of this lane that is submitted now is done: an
 * estimate, by how many wait and how long the last ones took.
 */
uint64_t password_queue_wait_ms(struct password_queue *q, enum login_lane lane);

/* Jobs that wait now. */
unsigned password_queue_waiting(struct password_queue *q);

#endif
