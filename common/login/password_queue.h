/*
 * Password checks, which take a processor core for a fifth of a second each:
 * a few threads and a bounded queue. Lanes go before each other (enum
 * login_lane): known pairs first, for which one thread does nothing else; then
 * three of addresses that have not failed to one of those that have. Within a
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

#define PASSWORD_QUEUE_MAX         256 /* jobs that wait */
#define PASSWORD_QUEUE_PER_ADDRESS 8   /* of them */
#define PASSWORD_STRANGER_NICE     10  /* setpriority(2) */

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
	unsigned thread; /* that calls job.run, from 0; 0: of known pairs */
	/* the queue's own */
	TAILQ_ENTRY(password_job) link;
	uint64_t turn;
};

struct password_queue;

/* n: threads, at least two; one of them is for known pairs. NULL for memory,
 * or when no threads can be had. */
struct password_queue *password_queue_new(unsigned n);
/* Waits for running jobs; waiting ones are done as PASSWORD_DROPPED. */
void password_queue_free(struct password_queue *q);

/*
 * Queues a job; address and lane are set. Returns 0, or ERR_LIMIT when there
 * is no room for it: then it was not taken. Where the queue is full the last
 * one in turn is dropped, if it comes after this one.
 */
int password_queue_submit(struct password_queue *q, struct password_job *j);

/* Jobs that wait now. */
unsigned password_queue_waiting(struct password_queue *q);

#endif
